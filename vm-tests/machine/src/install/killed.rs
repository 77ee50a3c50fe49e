//! The installer is killed before one of the things that it does, and run again: it goes on.

use anyhow::{Result, ensure};

use super::{Gone, MEDIA, OLD_TARBALL, STATE, TARBALL, ends, gone, serves, whole, wish, without_nix};
use crate::{Host, suites::Case};

/// The suite; `thorough` is at more of the steps, and takes minutes.
pub fn cases(thorough: bool) -> Vec<Case> {
    let case = Case::anywhere;
    let pick = |all: fn(Host<'_>) -> Result<()>, some| if thorough { all } else { some };
    vec![
        case("killed: while it installs, at any step", pick(installing::<1>, installing::<FEW>)),
        case("killed: while it installs over an older one, at any step", pick(upgrading::<1>, upgrading::<FEW>)).long(),
        case("killed: while it uninstalls, at any step", pick(uninstalling::<1>, uninstalling::<FEW>)).long(),
        case("killed: while it uninstalls, and then the machine boots", uninstalling_and_booted),
        case("killed: with apt-get, between unpacking Nix and setting it up", with_apt),
    ]
}

/// One of so many steps.
const FEW: usize = 6;

/// Runs the installer with every command that changes something counted, and killed before the N-th, or before the first
/// that names this path; 0 is none.
pub const KILL: &str = r#"
limit=$1
shift
effect() {
  count=$(($(cat /run/effects 2>/dev/null || echo 0) + 1))
  echo $count >/run/effects
  case " $count $* " in *" $limit "*) kill -9 $$ ;; esac
}
mv() { effect "$@"; command mv "$@"; }
rm() { effect "$@"; command rm "$@"; }
cp() { effect "$@"; command cp "$@"; }
mkdir() { effect "$@"; command mkdir "$@"; }
chown() { effect "$@"; command chown "$@"; }
systemctl() {
  case $1 in is-*|show|list-units|--version) ;; *) effect ;; esac
  command systemctl "$@"
}
. /opt/release/new/install.sh
"#;

/// Runs it; gives how many effects it had, and whether it was killed.
fn run(host: Host<'_>, limit: impl std::fmt::Display, words: &str) -> Result<(u32, bool)> {
    host.machine.write("/run/kill.sh", KILL)?;
    let script = format!("echo 0 >/run/effects; sh /run/kill.sh {limit} {words} 2>&1 </dev/null");
    let (status, out, _) = host.end(&["/bin/sh", "-c", &script])?;
    let effects = host.sh("cat /run/effects")?.trim().parse()?;
    ensure!(status == 0 || status == 137, "it ended with {status}: {out}");
    Ok((effects, status == 137))
}

/// Some of the steps of a run, with most at its beginning and its end: in the middle it is one file like the other.
fn steps(all: u32) -> Vec<u32> {
    let middle = (1..8).map(|eighth| all * eighth / 8);
    let mut steps: Vec<u32> = (1..=6).chain(middle).chain(all.saturating_sub(12)..=all).filter(|s| *s > 0).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Kills a run at its steps; `before` makes the machine ready for each, `after` has to find all well.
fn at_steps<const EVERY: usize>(
    host: Host<'_>,
    words: &str,
    before: impl Fn() -> Result<()>,
    after: impl Fn(u32) -> Result<()>,
) -> Result<()> {
    before()?;
    let (all, killed) = run(host, 0, words)?;
    ensure!(!killed && all > 10, "{all} effects: they are not counted");
    for step in steps(all).into_iter().skip(EVERY / 2).step_by(EVERY) {
        before()?;
        let (_, killed) = run(host, step, words)?;
        ensure!(killed, "there is no step {step} of {all}");
        after(step)?;
    }
    Ok(())
}

/// osModa is there, and something to run.
fn running(host: Host<'_>) -> Result<()> {
    ends(host, TARBALL, 0)?;
    wish(host, 1)
}

fn installing<const EVERY: usize>(host: Host<'_>) -> Result<()> {
    let clean = || ends(host, "--uninstall", 0).map(drop);
    running(host)?;
    at_steps::<EVERY>(host, TARBALL, clean, |step| {
        // One may also change one's mind.
        if step % 3 == 0 {
            ends(host, "--uninstall", 0)?;
            return gone(host, Gone::Tarball);
        }
        ends(host, TARBALL, 0)?;
        whole(host)?;
        serves(host, 1)
    })?;
    ends(host, TARBALL, 0)?;
    Ok(())
}

fn upgrading<const EVERY: usize>(host: Host<'_>) -> Result<()> {
    running(host)?;
    let older = || ends(host, &format!("{OLD_TARBALL} --allow-downgrade"), 0).map(drop);
    at_steps::<EVERY>(host, TARBALL, older, |_| {
        serves(host, 1)?;
        ends(host, TARBALL, 0)?;
        whole(host)
    })
}

fn uninstalling<const EVERY: usize>(host: Host<'_>) -> Result<()> {
    running(host)?;
    let there = || ends(host, TARBALL, 0).map(drop);
    at_steps::<EVERY>(host, "--uninstall", there, |step| {
        if step % 3 == 0 {
            ends(host, TARBALL, 0)?;
            whole(host)?;
            return serves(host, 1);
        }
        ends(host, "--uninstall", 0)?;
        gone(host, Gone::Tarball)
    })
}

/// What starts apps, and what stops them, go in such an order that nothing runs that nobody stops.
fn uninstalling_and_booted(host: Host<'_>) -> Result<()> {
    let boot = || host.machine.cut().and_then(|()| host.machine.boot());
    let again = || -> Result<()> {
        ends(host, "--uninstall", 0)?;
        gone(host, Gone::Tarball)?;
        running(host)
    };
    running(host)?;
    for path in ["/usr/lib/systemd/system-generators/osmoda-generator", "/usr/lib/systemd/system/osmoda-boot.service"] {
        let (_, killed) = run(host, path, "--uninstall")?;
        ensure!(killed, "nothing was done with {path}");
        boot()?;
        again()?;
    }
    // Apps alone come up, without osmoda-boot and its link.
    host.sh("systemctl disable --quiet $(cd /usr/lib/systemd/system; ls -d osmoda-*)")?;
    boot()?;
    serves(host, 1)?;
    ensure!(host.end(&["/bin/ls", "/run/osmoda/generation"])?.0 != 0, "osmoda-boot has run");
    again()
}

/// dpkg's own hook: at the second of apt-get's calls, everything that belongs to the installation is killed.
const HOOK: &str =
    "pre-invoke=[ \"$DPKG_HOOK_ACTION\" != configure ] || systemctl kill --signal=KILL installation.service\n";

fn with_apt(host: Host<'_>) -> Result<()> {
    for kind in ["tar.gz", "deb"] {
        without_nix(host)?;
        host.machine.write("/etc/dpkg/dpkg.cfg.d/kill", HOOK)?;
        let run = format!(
            "systemd-run --quiet --wait --unit=installation sh -c 'exec sh {MEDIA}/new/install.sh --from {MEDIA}/new/*.{kind}'"
        );
        let (status, out, err) = host.end(&["/bin/sh", "-c", &run])?;
        host.sh("rm /etc/dpkg/dpkg.cfg.d/kill; systemctl reset-failed installation 2>/dev/null || true")?;
        ensure!(status != 0, "it was not killed: {out}{err}");
        let audit = host.sh("dpkg --audit")?;
        ensure!(audit.contains("nix-bin"), "dpkg was not interrupted: {audit}");
        host.sh(&format!("test -e {STATE}/unfinished"))?;
        ends(host, &format!("--from {MEDIA}/new/*.{kind}"), 0)?;
        whole(host)?;
    }
    Ok(())
}
