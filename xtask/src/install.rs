//! Building osModa and installing it into a machine.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use machine_suites::{
    install::{OPTIONAL, UNITS},
    wait,
};

use crate::machine::Owned;

/// Programs with where they go.
pub const PROGRAMS: [(&str, &str); 8] = [
    ("agentd", "/usr/lib/osmoda/agentd"),
    ("osmoda-watch", "/usr/lib/osmoda/osmoda-watch"),
    ("osmoda-routines", "/usr/lib/osmoda/osmoda-routines"),
    ("osmoda-witness", "/usr/lib/osmoda/osmoda-witness"),
    ("osmoda-keyd", "/usr/lib/osmoda/osmoda-keyd"),
    ("osmoda-switch", "/usr/lib/osmoda/osmoda-switch"),
    ("osmoda-generator", "/usr/lib/systemd/system-generators/osmoda-generator"),
    ("osmoda", "/usr/bin/osmoda"),
];

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from)
}

/// The C library of the oldest machine.
const OLDEST_C_LIBRARY: (u32, u32) = (2, 36);

/// Makes a build one that runs on every machine: where the C library is newer than theirs, programs bring it along.
/// Returns the folder under which cargo puts it.
pub fn for_machines(command: &mut Command) -> PathBuf {
    let version = crate::host::run(Command::new("getconf").arg("GNU_LIBC_VERSION")).unwrap_or_default();
    let number = |n: usize| version.trim().rsplit(' ').next()?.split('.').nth(n)?.parse().ok();
    if (number(0), number(1)) <= (Some(OLDEST_C_LIBRARY.0), Some(OLDEST_C_LIBRARY.1)) {
        return target();
    }
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    command.args(["--target", &triple]).env("RUSTFLAGS", "-C target-feature=+crt-static");
    target().join(triple)
}

/// Builds all programs.
pub fn build(release: bool) -> Result<PathBuf> {
    let mut command = crate::cargo();
    command.args(["build", "--quiet", "--locked", "--bins", "--workspace", "--exclude", "xtask"]);
    if release {
        command.arg("--release");
    } else {
        // The crash matrix kills programs at them.
        command.args(["--features", "osmoda-failpoint/on"]);
    }
    let folder = for_machines(&mut command);
    let status = command.status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("the build failed");
    }
    Ok(folder.join(if release { "release" } else { "debug" }))
}

/// Builds osModa, installs it and waits until it answers.
pub fn install(machine: &dyn Owned, release: bool) -> Result<()> {
    let folder = crate::timed("building osModa", || build(release))?;
    crate::timed("installing osModa", || {
        if machine.is_nixos() {
            return crate::machine::nixos::install(machine, &folder);
        }
        machine.sh("systemctl stop osmoda-agentd osmoda-watch osmoda-routines osmoda-witness 2>/dev/null || true")?;
        for (program, to) in PROGRAMS {
            machine.put(&folder.join(program), to)?;
        }
        machine.sh("ln -sf osmoda /usr/bin/agentctl")?;
        for unit in UNITS.iter().chain(&OPTIONAL) {
            let text = std::fs::read_to_string(crate::root().join("nix/units").join(unit))?;
            machine.write(&format!("/usr/lib/systemd/system/{unit}"), &text)?;
        }
        let check = machine.output(&["/usr/bin/osmoda", "--version"])?;
        if !check.status.success() {
            bail!("the programs do not run there: {}", String::from_utf8_lossy(&check.stderr).trim());
        }
        machine.sh(
            "systemctl daemon-reload; systemctl enable --quiet --now osmoda-boot osmoda-witness.socket osmoda-witness \
             osmoda-agentd osmoda-watch osmoda-routines",
        )?;
        wait("an answer of osModa", Duration::from_secs(30), || {
            Ok(machine.output(&["/usr/bin/osmoda", "status"]).is_ok_and(|output| output.status.success()))
        })?;
        Ok(())
    })
}
