//! The stories of `vm-tests/stories`, told on a machine of NixOS in a container: what NixOS's test driver tells in virtual
//! machines, where there are none.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::machine::Owned;

/// They begin with a machine that has no documents; `boot` with one of the configuration.
const STORIES: [&str; 6] = ["boot", "switch", "watcher", "power_cut", "ledger", "upgrade"];
/// Where the machine's own part of its system is.
const CONFIGURATION: &str = "/etc/nixos/configuration.nix";
/// The machines of `vm-tests` have a profile beside the system, so that nothing has to be built in them.
const PROFILE: &str =
    "services.osmoda.backend = lib.mkForce \"profile\";\n  services.osmoda.nixos.system = lib.mkForce null;";
/// As `vm-tests/boot.nix` has it.
const DOCUMENT: &str = r#"services.osmoda.desired.App.web = {
    command = [ "/usr/bin/python3" "-m" "http.server" "--bind" "127.0.0.1" "--directory" "\${files}" "\${port.http}" ];
    ports.http.port = 8080;
    files."index.html".content = "hello";
  };"#;
/// Nothing is wished, and nothing quarantined.
const CLEAR: &str = "find /var/lib/osmoda/desired ! -type d -delete
osmoda apply --accept-mass-delete --clear-quarantine --ttl 0s --wait >/dev/null";
const BUILD: &str = "cd /etc/nixos; nix-build --no-out-link system.nix -A config.system.build.toplevel";
/// Another version: the same programs at another place, by which units know them.
const NEXT: &str = r#"cat > /root/next.nix <<'END'
{ package }:
let
  pkgs = import /etc/nixos/source/vm-tests/nixos/pkgs.nix { nixpkgs = /etc/nixos/nixpkgs; };
in
pkgs.runCommand "osmoda-next" { package = builtins.storePath package; } ''
  cp -r --no-preserve=ownership $package $out
  chmod -R u+w $out
  sed -i "s|$package|$out|g" $out/lib/systemd/system/*
''
END
nix-build --no-out-link /root/next.nix --argstr package"#;

/// The stories that there are, as they are called among the tests.
pub fn names() -> impl Iterator<Item = (&'static str, String)> {
    STORIES.iter().map(|story| (*story, format!("story: {story}")))
}

/// Tells one on the machine of this name.
pub fn tell(machine: &dyn Owned, name: &str, story: &str) -> Result<()> {
    machine.sh(CLEAR)?;
    let mut constants = Vec::new();
    if story == "boot" {
        switch(machine, &format!("{PROFILE}\n  {DOCUMENT}"))?;
    } else {
        switch(machine, PROFILE)?;
    }
    if story == "upgrade" {
        let previous = "systemctl cat osmoda-agentd | sed -n 's|^ExecStart=\\(.*\\)/lib/osmoda/agentd$|\\1|p'";
        let previous = machine.sh(previous)?.trim().to_owned();
        let next = machine.sh(&format!("{NEXT} {previous}"))?.trim().to_owned();
        configure(machine, &format!("{PROFILE}\n  services.osmoda.package = lib.mkForce \"{next}\";"))?;
        let system = machine.sh(BUILD)?.trim().to_owned();
        constants.push(format!("PREVIOUS={previous}"));
        constants.push(format!("NEXT={next}"));
        constants.push(format!("UPGRADE={system}/bin/switch-to-configuration test"));
    }
    let this = std::env::current_exe()?;
    let mut command = Command::new("python3");
    command.arg(crate::root().join("vm-tests/lib/stand_in.py")).arg(format!("{} machine", this.display()));
    command.args(["--name", name]);
    for constant in &constants {
        command.args(["--constant", constant]);
    }
    let output = crate::host::output(command.arg(story))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Ok(())
}

fn configure(machine: &dyn Owned, lines: &str) -> Result<()> {
    machine.write(CONFIGURATION, &format!("{{ lib, ... }}:\n{{\n  {lines}\n}}\n"))
}

/// Makes it the system that runs and boots.
fn switch(machine: &dyn Owned, lines: &str) -> Result<()> {
    configure(machine, lines)?;
    let switch = "nix-env -p /nix/var/nix/profiles/system --set $system; $system/bin/switch-to-configuration switch";
    machine.sh(&format!("system=$({BUILD}); {switch}")).map(drop)
}
