//! The installer and the packages, on a fresh machine: no osModa, no Nix. Two releases are in [`MEDIA`]: `new`, and `old`,
//! whose programs are others and which has a file ([`STALE`]) and a unit ([`STALE_UNIT`]) that the new one has not.

mod killed;
mod nixos;
mod package;
mod refused;
mod tarball;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{Host, suites::Case, wait};

/// Where the releases are.
pub const MEDIA: &str = "/opt/release";
/// The version of the older one.
pub const OLD: &str = "0.0.9";
/// A file that only the older one has.
pub const STALE: &str = "/usr/share/doc/osmoda/STALE";
/// A unit, of a service that goes on, that only the older one has.
pub const STALE_UNIT: &str = "osmoda-former.service";
/// What a tarball's installation keeps of its own.
const STATE: &str = "/var/lib/osmoda-installer";
/// Units that an installation enables.
pub const UNITS: [&str; 6] = [
    "osmoda-boot.service",
    "osmoda-witness.socket",
    "osmoda-witness.service",
    "osmoda-agentd.service",
    "osmoda-watch.service",
    "osmoda-routines.service",
];
/// Units that are there, and that the operator starts.
pub const OPTIONAL: [&str; 2] = ["osmoda-keyd.socket", "osmoda-keyd.service"];
const TARBALL: &str = "--from /opt/release/new/*.tar.gz";
const OLD_TARBALL: &str = "--from /opt/release/old/*.tar.gz";
const PACKAGE: &str = "--from /opt/release/new/*.deb";
const OLD_PACKAGE: &str = "--from /opt/release/old/*.deb";

/// All cases, in the order in which they run: at first there is no Nix. `thorough` kills the installer at more steps.
#[must_use]
pub fn cases(thorough: bool) -> Vec<Case> {
    [refused::cases(), tarball::cases(), killed::cases(thorough), package::cases(), nixos::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// Runs the installer; gives its exit status and its words.
fn installer(host: Host<'_>, words: &str) -> Result<(i32, String)> {
    let script = format!("sh {MEDIA}/new/install.sh {words} 2>&1 </dev/null");
    let (status, out, err) = host.end(&["/bin/sh", "-c", &script])?;
    Ok((status, out + &err))
}

/// Runs the installer, which has to end with this status; gives its words.
fn ends(host: Host<'_>, words: &str, status: i32) -> Result<String> {
    let (ended, text) = installer(host, words)?;
    ensure!(ended == status, "install.sh {words} ended with {ended}, and not {status}:\n{text}");
    Ok(text)
}

/// Runs the installer, which has to refuse this with a word about it, and to change nothing.
fn refuses(host: Host<'_>, words: &str, status: i32, why: &str) -> Result<()> {
    let before = everything(host)?;
    let text = ends(host, words, status)?;
    ensure!(text.contains(why), "install.sh {words} does not say `{why}`:\n{text}");
    same(&before, &everything(host)?).with_context(|| format!("install.sh {words} has changed something"))
}

/// Runs the installer as if the machine was another one.
fn as_system(host: Host<'_>, release: &str, words: &str) -> Result<(i32, String)> {
    as_system_from(host, release, &format!("{MEDIA}/new/install.sh"), words)
}

/// Runs this script as if the machine was another one.
fn as_system_from(host: Host<'_>, release: &str, script: &str, words: &str) -> Result<(i32, String)> {
    host.machine.write("/run/os-release", release)?;
    host.sh("mount --bind /run/os-release /usr/lib/os-release")?;
    let result = host.end(&["/bin/sh", "-c", &format!("sh {script} {words} 2>&1 </dev/null")]);
    host.sh("umount /usr/lib/os-release")?;
    let (status, out, err) = result?;
    Ok((status, out + &err))
}

/// Every file of the machine, with what tells a change of it: kind, mode, owner, size, time, target. What osModa writes all
/// the time, systemd for its units, and SQLite when Nix's database is read, is left out.
fn everything(host: Host<'_>) -> Result<BTreeSet<String>> {
    let text = host.sh(
        "for t in /etc /usr /var /opt /nix /root; do [ ! -e $t ] || find $t -xdev \\( -path /var/log -o -path \
         /var/lib/osmoda -o -path /var/lib/private/osmoda-witness -o -path '/var/tmp/systemd-private-*' \
         -o -path '/nix/var/nix/db/db.sqlite-*' \\) -prune -o \
         \\( -type d -printf '%p %y %m %u\\n' -o -printf '%p %y %m %u %s %T@ %l\\n' \\); done",
    )?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn same(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<()> {
    let changed: Vec<&String> = before.symmetric_difference(after).take(20).collect();
    ensure!(changed.is_empty(), "{changed:#?}");
    Ok(())
}

/// A real service, with a version that its page shows.
fn wish(host: Host<'_>, version: u32) -> Result<()> {
    let text = format!(
        "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: web}}\nspec:\n  command: [/usr/bin/python3, -m, http.server, \
         \"8080\", --bind, 127.0.0.1, --directory, \"${{files}}\"]\n  ports: {{http: {{port: 8080}}}}\n  files:\n    \
         index.html: {{content: \"version {version}\"}}\n  probation: {{ttl: 300ms}}\n  health:\n  - probe: {{type: http, \
         url: \"http://127.0.0.1:8080/\", bodyContains: version {version}}}\n    interval: 100ms\n"
    );
    host.document("web.yaml", &text)?;
    serves(host, version)?;
    host.settle()?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "committed", "{switch:#}");
    Ok(())
}

/// Waits until the service answers.
fn serves(host: Host<'_>, version: u32) -> Result<()> {
    let page = format!("version {version}");
    wait("the page", Duration::from_secs(60), || Ok(host.page(8080).is_some_and(|text| text == page)))?;
    Ok(())
}

/// osModa is there as released: every file, every unit, and it answers.
fn whole(host: Host<'_>) -> Result<()> {
    host.sh(&format!(
        "tar -xzO --wildcards -f {MEDIA}/new/*.tar.gz '*-linux/SHA256SUMS' | grep '  usr/' >/run/sums; cd /; \
         sha256sum --check --quiet --strict /run/sums; test -L /usr/bin/agentctl -a ! -e {STALE}"
    ))?;
    for unit in UNITS {
        let enabled = host.end(&["/usr/bin/systemctl", "is-enabled", unit])?.1;
        ensure!(enabled.trim() == "enabled", "{unit} is {enabled}");
        ensure!(host.active(unit)? == "active", "{unit} is {}", host.active(unit)?);
    }
    let former = host.sh(&format!("ls /etc/systemd/system/*.wants/{STALE_UNIT} 2>/dev/null || true"))?;
    ensure!(former.is_empty() && host.active(STALE_UNIT)? == "inactive", "{STALE_UNIT} is still there: {former}");
    let (status, out, err) = host.osmoda(&["status"])?;
    ensure!(status == 0, "osmoda status: {out}{err}");
    tidy(host)
}

/// Nothing of the installer's own is left but its list of files.
fn tidy(host: Host<'_>) -> Result<()> {
    let left = host.sh(&format!(
        "find / -xdev -name '*.osmoda-new'; [ ! -e {STATE} ] || find {STATE} -mindepth 1 ! -name manifest; \
         ! dpkg --audit | grep ."
    ))?;
    ensure!(left.is_empty(), "left over:\n{left}");
    Ok(())
}

/// How osModa was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// What it keeps is there.
    Tarball,
    /// And what dpkg keeps.
    Package,
    /// Nothing is.
    Purged,
}

/// Nothing of osModa is there but what is kept.
fn gone(host: Host<'_>, how: Gone) -> Result<()> {
    let units = host.sh(
        "systemctl list-unit-files --no-legend 'osmoda*' || true; systemctl list-units --all --no-legend --plain 'osmoda*'",
    )?;
    ensure!(units.is_empty(), "units:\n{units}");
    let processes = host.end(&["/usr/bin/pgrep", "-af", "/usr/lib/osmoda|http.server"])?.1;
    ensure!(processes.is_empty(), "processes:\n{processes}");
    let files = host.sh(
        "find / -xdev \\( -path /proc -o -path /opt/release -o -path /nix/store -o -path /var/log -o -path /var/cache/apt \\) \
         -prune -o \\( -iname '*osmoda*' -o -name '*agentctl*' -o -iname '*http.server*' \\) -print; find /run -name '*osmoda*' ! -path '/run/systemd/propagate/*'",
    )?;
    // An app's data is its own.
    let mut kept = vec![
        "/etc/osmoda-machine",
        "/run/osmoda-installer.lock",
        "/var/lib/osmoda-app-",
        "/var/lib/private/osmoda-app-",
    ];
    if how != Gone::Purged {
        let stamps = "/var/lib/systemd/timers/stamp-osmoda-routine-";
        kept.extend(["/etc/osmoda", "/var/lib/osmoda", "/var/lib/private/osmoda", "/nix/var/nix", stamps]);
    }
    if how == Gone::Package {
        kept.push("/var/lib/dpkg/info/osmoda");
    }
    let left: Vec<&str> = files.lines().filter(|file| !kept.iter().any(|kept| file.starts_with(kept))).collect();
    ensure!(left.is_empty(), "files: {left:#?}");
    let installer = host.end(&["/bin/ls", "-d", STATE])?.1;
    ensure!(installer.is_empty(), "the installer has left {installer}");
    Ok(())
}

/// A routine whose timer remembers when it ran last; before a purge, for it writes over the configuration.
fn remembers(host: Host<'_>) -> Result<()> {
    host.configure("safeSwitch: {ttl: 300ms}\n")?;
    let text = "apiVersion: os.moda/v1\nkind: Routine\nmetadata: {name: report}\nspec:\n  trigger: {type: cron, schedule: \
                \"30 6 * * *\", persistent: true}\n  action: {type: command, command: [/bin/true]}\n";
    host.document("report.yaml", text)?;
    let stamp = "/var/lib/systemd/timers/stamp-osmoda-routine-report.timer";
    wait("the stamp of the timer", Duration::from_secs(60), || Ok(host.end(&["/bin/ls", stamp])?.0 == 0))?;
    host.settle()?;
    Ok(())
}

/// Takes everything away: osModa with all that it keeps, and Nix.
fn without_nix(host: Host<'_>) -> Result<()> {
    ends(host, "--uninstall --purge", 0)?;
    host.sh("DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge nix-bin nix-setup-systemd >/dev/null 2>&1; \
         rm -rf /nix /etc/nix; ! command -v nix-store")?;
    Ok(())
}
