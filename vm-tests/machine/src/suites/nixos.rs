//! NixOS: what the other suites take for granted of Debian, and the backend `nixos`.

use anyhow::{Result, ensure};

use super::Case;
use crate::Host;

/// Where a system is built from, in these machines.
const SYSTEM: &str = "/etc/nixos/system.nix";
/// What a test adds to it.
const CONFIGURATION: &str = "/etc/nixos/configuration.nix";
/// The system that is booted.
const PROFILE: &str = "/nix/var/nix/profiles/system";

/// The cases of this suite.
pub fn cases() -> Vec<Case> {
    vec![
        Case::anywhere("nixos: the machine boots, and osModa answers", boots),
        Case::anywhere("nixos: a system is built, tested and taken back, and the profile is what boots", switches),
    ]
}

fn boots(host: Host<'_>) -> Result<()> {
    host.run(&["/usr/bin/test", "-e", "/etc/NIXOS"])?;
    let state = host.run(&["/usr/bin/systemctl", "is-system-running"])?;
    ensure!(state.trim() == "running", "the system is {state}");
    ensure!(current(host)? == profile(host)?, "it runs {}, the profile is {}", current(host)?, profile(host)?);
    for daemon in ["agentd", "watch", "routines", "witness"] {
        let unit = format!("osmoda-{daemon}.service");
        ensure!(host.active(&unit)? == "active", "{unit} is {}", host.active(&unit)?);
    }
    host.json(&["status"])?;
    Ok(())
}

/// By NixOS's own means, so that a failure of osModa is told from one of the machine.
fn switches(host: Host<'_>) -> Result<()> {
    let before = profile(host)?;
    let service =
        "{ systemd.services.proof = { wantedBy = [ \"multi-user.target\" ]; script = \"sleep infinity\"; }; }";
    host.machine.write(CONFIGURATION, service)?;
    let built = host.run(&["/usr/bin/nix-build", "--no-out-link", SYSTEM, "-A", "config.system.build.toplevel"]);
    host.machine.write(CONFIGURATION, "{ }\n")?;
    let after = built?.trim().to_owned();
    let switch = |system: &str, how: &str| host.run(&[&format!("{system}/bin/switch-to-configuration"), how]);
    let runs = || host.active("proof.service");

    let (_, _, said) = host.end(&[&format!("{after}/bin/switch-to-configuration"), "dry-activate"])?;
    ensure!(said.contains("would activate the configuration"), "a dry run says:\n{said}");
    ensure!(runs()? == "inactive" && current(host)? == before, "a dry run was none");
    switch(&after, "test")?;
    ensure!(runs()? == "active" && current(host)? == after, "{}, and it runs {}", runs()?, current(host)?);
    ensure!(profile(host)? == before, "a test moved the profile");
    switch(&before, "test")?;
    ensure!(runs()? == "inactive" && current(host)? == before, "{}, and it runs {}", runs()?, current(host)?);

    for system in [&after, &before] {
        host.run(&["/usr/bin/nix-env", "-p", PROFILE, "--set", system])?;
        switch(system, "boot")?;
        host.machine.cut()?;
        host.machine.boot()?;
        ensure!(current(host)? == *system, "it booted {}, the profile was {system}", current(host)?);
    }
    ensure!(runs()? == "inactive", "it is {}", runs()?);
    Ok(())
}

fn current(host: Host<'_>) -> Result<String> {
    Ok(host.run(&["/usr/bin/readlink", "-f", "/run/current-system"])?.trim().to_owned())
}

fn profile(host: Host<'_>) -> Result<String> {
    Ok(host.run(&["/usr/bin/readlink", "-f", PROFILE])?.trim().to_owned())
}
