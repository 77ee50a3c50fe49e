//! The machine that xtask runs on: its commands, as root where that is needed, and what they need installed.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

/// A command that needs root: through sudo when we are somebody else.
pub fn as_root(program: impl AsRef<OsStr>) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("--").arg(program);
    command
}

/// Runs a command to its end; its output is shown only when it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = words.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        bail!("{command:?} ended with {}:\n{tail}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command to its end and gives its output, however it ended.
pub fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} cannot be run"))
}

/// Installs Debian packages whose programs are missing, as (program, package).
pub fn need(programs: &[(&str, &str)]) -> Result<()> {
    // Machines are made side by side, and apt-get works for one at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = programs.iter().filter(|(p, _)| !is_installed(p)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_installed("apt-get") {
        bail!(
            "these Debian packages (or what your system calls them) have to be installed first: {}",
            missing.join(" ")
        );
    }
    crate::timed(&format!("installing {}", missing.join(" ")), || {
        run(as_root("apt-get").args(["update", "-qq"]))?;
        run(as_root("env")
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing))?;
        Ok(())
    })
}

fn is_installed(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    folders.split(':').any(|folder| Path::new(folder).join(program).exists())
}
