//! Machines: real systems with systemd as process 1, made from Debian's packages, thrown away after use.

mod container;
pub mod fresh;
pub mod nixos;
mod root;
mod vm;

use std::{
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use machine_suites::{
    Host, Machine,
    suites::{self, Whole},
};

pub use container::Container;
pub use vm::Vm;

/// A Debian release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Release {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Release {
    /// As Debian calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// Which machine.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// What it is called.
    #[arg(long, default_value = "play")]
    name: String,
    /// A virtual machine instead of a container.
    #[arg(long)]
    vm: bool,
}

/// What to do with a machine.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, boot and provision a machine: osModa is installed and runs.
    Up {
        #[command(flatten)]
        which: Which,
        /// The Debian release.
        #[arg(long, value_enum, default_value_t = Release::Bookworm)]
        release: Release,
        /// Leave osModa out.
        #[arg(long)]
        bare: bool,
        /// NixOS, on the release's programs.
        #[arg(long, conflicts_with = "vm")]
        nixos: bool,
        /// The tree of nixpkgs that NixOS is made from. Default: $OSMODA_NIXPKGS.
        #[arg(long, requires = "nixos")]
        nixpkgs: Option<PathBuf>,
    },
    /// Open a shell in it.
    Sh {
        #[command(flatten)]
        which: Which,
    },
    /// Run a command in it.
    Exec {
        #[command(flatten)]
        which: Which,
        /// The command.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Build osModa and install it into the machine, again.
    Install {
        #[command(flatten)]
        which: Which,
    },
    /// Run test cases against a machine that is up.
    #[command(hide = true)]
    Suite {
        #[command(flatten)]
        which: Which,
        /// Only cases whose name contains this.
        #[arg(default_value = "")]
        filter: String,
    },
    /// Cut its power: everything in it is killed at once.
    Cut {
        #[command(flatten)]
        which: Which,
    },
    /// Boot it again after a cut.
    Boot {
        #[command(flatten)]
        which: Which,
    },
    /// Stop it and throw it away.
    Down {
        #[command(flatten)]
        which: Which,
    },
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Up { which, release, bare, nixos, nixpkgs } => {
                let machine = if nixos {
                    up_nixos(&which.name, release, &nixos::nixpkgs(nixpkgs)?.context(nixos::NO_NIXPKGS)?)?
                } else {
                    up(&which.name, release, which.vm)?
                };
                if !bare {
                    crate::install::install(machine.as_ref(), false)?;
                }
                eprintln!("it runs: `cargo xtask machine sh --name {}`", which.name);
                Ok(())
            }
            Self::Sh { which } => {
                let status = open(&which)?.command(&["/bin/bash", "-l"]).status()?;
                std::process::exit(status.code().unwrap_or(1));
            }
            Self::Exec { which, command } => {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                let status = open(&which)?.command(&words).stdin(Stdio::inherit()).status()?;
                std::process::exit(status.code().unwrap_or(1));
            }
            Self::Install { which } => crate::install::install(open(&which)?.as_ref(), false),
            Self::Suite { which, filter } => suite(open(&which)?.as_ref(), &filter),
            Self::Cut { which } => open(&which)?.cut(),
            Self::Boot { which } => open(&which)?.boot(),
            Self::Down { which } => open(&which)?.down(),
        }
    }
}

/// A machine that is there, with what its owner may do to it.
pub trait Owned: Machine {
    /// A command in it, as root.
    fn command(&self, words: &[&str]) -> Process;
    /// Stops it and throws it away.
    fn down(&self) -> Result<()>;

    /// True when it is NixOS.
    fn is_nixos(&self) -> bool {
        false
    }

    /// Runs a shell script that has to succeed.
    fn sh(&self, script: &str) -> Result<String> {
        crate::host::run(&mut self.command(&["/bin/sh", "-ec", script]))
    }
}

/// Writes a file through a shell in the machine.
fn write(machine: &dyn Owned, path: &str, text: &str) -> Result<()> {
    use std::io::Write;
    let script = format!("mkdir -p \"$(dirname {path})\"; cat > {path}.new~; mv {path}.new~ {path}");
    let mut child =
        machine.command(&["/bin/sh", "-ec", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    child.stdin.take().context("its input was asked for")?.write_all(text.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("{path} could not be written: {status}") }
}

/// Makes a machine and boots it. One of the same name is thrown away first.
pub fn up(name: &str, release: Release, vm: bool) -> Result<Box<dyn Owned>> {
    if vm { Ok(Box::new(Vm::up(name, release)?)) } else { Ok(Box::new(Container::up(name, release)?)) }
}

/// Makes a machine of NixOS from a tree of nixpkgs and boots it. One of the same name is thrown away first.
pub fn up_nixos(name: &str, release: Release, nixpkgs: &Path) -> Result<Box<dyn Owned>> {
    Ok(Box::new(Container::up_nixos(name, release, nixpkgs)?))
}

/// Makes a fresh machine, without Nix and osModa, and boots it. One of the same name is thrown away first.
pub fn up_fresh(name: &str, system: fresh::System) -> Result<Box<dyn Owned>> {
    Ok(Box::new(Container::of(name, &fresh::root(system)?)?))
}

fn open(which: &Which) -> Result<Box<dyn Owned>> {
    if which.vm { Ok(Box::new(Vm::open(&which.name)?)) } else { Ok(Box::new(Container::open(&which.name)?)) }
}

/// Runs the cases whose name contains `filter`, one after the other.
fn suite(machine: &dyn Owned, filter: &str) -> Result<()> {
    let mut failed = 0;
    let cases = if machine.is_nixos() { suites::nixos() } else { suites::all() };
    for case in cases.into_iter().filter(|case| case.name.contains(filter)) {
        if case.on == Whole::Needed && !machine.is_whole() {
            println!("  SKIPPED {}: it needs a virtual machine", case.name);
            continue;
        }
        failed += usize::from(crate::test::run_case(Host { machine }, &case, "here").is_err());
    }
    if failed == 0 { Ok(()) } else { bail!("{failed} cases failed") }
}

/// Where machines are kept.
fn folder() -> PathBuf {
    crate::root().join("target/machine")
}

/// True when systemd says that the machine is up.
fn is_up(machine: &dyn Machine) -> bool {
    let state = machine.output(&["/usr/bin/systemctl", "is-system-running"]);
    state.is_ok_and(|output| matches!(String::from_utf8_lossy(&output.stdout).trim(), "running" | "degraded"))
}
