//! On NixOS: a file, and what to do with it. The machine says of itself that it is one; nothing else is needed for this.

use anyhow::{Result, ensure};

use super::{MEDIA, TARBALL, as_system, as_system_from, ends, everything, killed::KILL, same};
use crate::{Host, suites::Case};

pub fn cases() -> Vec<Case> {
    vec![
        Case::anywhere("install: NixOS is given a file and told what to write", nixos),
        Case::anywhere("install: NixOS gets the sources of a commit, if there is one", commits),
    ]
}

const NIXOS: &str = "ID=nixos\nVERSION_ID=\"25.05\"\n";

fn commits(host: Host<'_>) -> Result<()> {
    host.sh(&format!(
        "mkdir -p /etc/nixos /root/from/usr/lib/osmoda; echo '{{ }}' >/etc/nixos/configuration.nix; cp {MEDIA}/new/install.sh /root/from"
    ))?;
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for (lines, expected, says) in [
        (format!("Commit: {commit}\n"), 0, format!("/archive/{commit}.tar.gz\"")),
        (format!("Commit: {commit}\nChanged: yes\n"), 2, "say where osModa's sources are".to_owned()),
        ("Commit: unknown\n".to_owned(), 2, "say where osModa's sources are".to_owned()),
        (format!("Commit: {commit}0\n"), 2, "say where osModa's sources are".to_owned()),
    ] {
        let text = format!("Version: 0.1.0\n{lines}Rust: rustc 1.95.0\n");
        host.machine.write("/root/from/usr/lib/osmoda/BUILDINFO", &text)?;
        let (status, text) = as_system_from(host, NIXOS, "/root/from/install.sh", "--dry-run")?;
        ensure!(status == expected && text.contains(&says), "{lines}: {status}, {text}");
    }
    host.sh("rm -r /etc/nixos /root/from")?;
    Ok(())
}

fn nixos(host: Host<'_>) -> Result<()> {
    // For Nix, which has to be able to read what is written, and makes its database when it is used first.
    ends(host, "--uninstall", 0)?;
    ends(host, TARBALL, 0)?;
    host.sh("nix-instantiate --parse --expr '{ }'")?;
    let before = everything(host)?;
    let (status, text) = as_system(host, NIXOS, "")?;
    ensure!(status == 3 && text.contains("no /etc/nixos"), "{status}, {text}");
    host.sh(
        "mkdir -p /etc/nixos /root/osmoda; echo '{ }' >/etc/nixos/configuration.nix; touch /root/osmoda/default.nix",
    )?;
    let (status, text) = as_system(host, NIXOS, "--source /root/osmoda --dry-run")?;
    ensure!(status == 0 && text.contains("imports = [ ./osmoda.nix ];"), "{status}, {text}");
    ensure!(host.end(&["/bin/ls", "/etc/nixos"])?.1 == "configuration.nix\n", "a dry run has written something");
    // It is whole, or it is not there.
    host.machine.write("/run/kill.sh", KILL)?;
    let words = "/etc/nixos/osmoda.nix --source /root/osmoda";
    let (status, text) = as_system_from(host, NIXOS, "/run/kill.sh", words)?;
    ensure!(status == 137 && host.end(&["/bin/ls", "/etc/nixos/osmoda.nix"])?.0 != 0, "{status}, {text}");
    for (arguments, expected, says) in [
        ("", 2, "say where osModa's sources are"),
        (TARBALL, 2, "on NixOS nothing is copied"),
        (&format!("--sha256 {:064}", 0), 2, "on NixOS nothing is copied"),
        ("--source relative", 2, "an absolute path"),
        ("--source '/root/${x}'", 2, "characters that Nix would read otherwise"),
        ("--source /root", 3, "/root has no default.nix"),
        ("--source /root/osmoda", 0, "Rust 1.95"),
        ("--source /root/osmoda", 0, "already; it stays"),
    ] {
        let (status, text) = as_system(host, NIXOS, arguments)?;
        ensure!(status == expected && text.contains(says), "{arguments}: {status}, {text}");
    }
    let module = host.sh("cat /etc/nixos/osmoda.nix")?;
    ensure!(module.contains("import (\"/root/osmoda\") { }).nixosModules.default"), "{module}");
    host.sh("nix-instantiate --parse /etc/nixos/osmoda.nix")?;
    // Once it is imported, nobody is told to do so again; a flake is told something else.
    host.sh("echo '{ imports = [ ./osmoda.nix ]; }' >/etc/nixos/configuration.nix")?;
    let (_, text) = as_system(host, NIXOS, "--source /root/osmoda")?;
    ensure!(!text.contains("Add to"), "{text}");
    host.sh("echo '{ }' >/etc/nixos/flake.nix; mkdir /etc/nixos/.git; rm /etc/nixos/osmoda.nix")?;
    let (_, text) = as_system(host, NIXOS, "--source https://example.org/osmoda.tar.gz")?;
    ensure!(
        text.contains("https://example.org/osmoda.tar.gz") && text.contains("osmoda.nixosModules.default ./osmoda.nix"),
        "{text}"
    );
    ensure!(text.contains("git -C /etc/nixos add osmoda.nix") && !text.contains("Rust"), "{text}");
    let module = host.sh("cat /etc/nixos/osmoda.nix")?;
    ensure!(module.contains("{ services.osmoda.enable = true; }"), "{module}");
    host.sh("nix-instantiate --parse /etc/nixos/osmoda.nix")?;
    let (status, text) = as_system(host, NIXOS, "--uninstall")?;
    ensure!(status == 0 && text.contains("nixos-rebuild switch"), "{status}, {text}");
    host.sh("rm -r /etc/nixos /root/osmoda")?;
    // Nothing else was touched.
    same(&before, &everything(host)?)
}
