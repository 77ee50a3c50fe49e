//! On NixOS: a file, and what to do with it. The machine says of itself that it is one; nothing else is needed for this.

use anyhow::{Result, ensure};

use super::{TARBALL, as_system, ends, everything, same};
use crate::{Host, suites::Case};

pub fn cases() -> Vec<Case> {
    vec![Case::anywhere("install: NixOS is given a file and told what to write", nixos)]
}

fn nixos(host: Host<'_>) -> Result<()> {
    const NIXOS: &str = "ID=nixos\nVERSION_ID=\"25.05\"\n";
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
    for (arguments, expected, says) in [
        ("", 2, "say where osModa's sources are"),
        ("--source relative", 2, "an absolute path"),
        ("--source '/root/${x}'", 2, "characters that Nix would read otherwise"),
        ("--source /root", 3, "/root has no default.nix"),
        ("--source /root/osmoda", 0, "Written: /etc/nixos/osmoda.nix"),
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
    host.sh("echo '{ }' >/etc/nixos/flake.nix; rm /etc/nixos/osmoda.nix")?;
    let (_, text) = as_system(host, NIXOS, "--source https://example.org/osmoda.tar.gz")?;
    ensure!(
        text.contains("https://example.org/osmoda.tar.gz") && text.contains("osmoda.nixosModules.default ./osmoda.nix"),
        "{text}"
    );
    let module = host.sh("cat /etc/nixos/osmoda.nix")?;
    ensure!(module.contains("{ services.osmoda.enable = true; }"), "{module}");
    host.sh("nix-instantiate --parse /etc/nixos/osmoda.nix")?;
    let (status, text) = as_system(host, NIXOS, "--uninstall")?;
    ensure!(status == 0 && text.contains("nixos-rebuild switch"), "{status}, {text}");
    host.sh("rm -r /etc/nixos /root/osmoda")?;
    // Nothing else was touched.
    same(&before, &everything(host)?)
}
