//! Calls of Nix: evaluations and builds that need nothing from anywhere else.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

/// Where the suite is described.
const SUITE: &str = "vm-tests/nixos-eval";
/// What is searched for Nix files.
const FOLDERS: [&str; 3] = ["modules", "nix", "vm-tests"];

/// The suite, with its arguments.
#[derive(Debug)]
pub struct Nix {
    arguments: Vec<std::ffi::OsString>,
}

impl Nix {
    /// The suite with this nixpkgs and these programs.
    pub fn new(nixpkgs: &Path, programs: &Path) -> Self {
        let system = format!("{}-linux", std::env::consts::ARCH);
        let arguments = vec![
            "--arg".into(),
            "nixpkgs".into(),
            nixpkgs.into(),
            "--argstr".into(),
            "binaries".into(),
            programs.into(),
            "--argstr".into(),
            "system".into(),
            system.into(),
        ];
        Self { arguments }
    }

    /// The value of an attribute, as JSON.
    pub fn evaluate(&self, attribute: &str) -> Result<String> {
        let mut command = nix("nix-instantiate");
        command.args(["--eval", "--strict", "--json", "--read-write-mode", "-A", attribute, SUITE]);
        told(command.args(&self.arguments))
    }

    /// Builds an attribute.
    pub fn build(&self, attribute: &str) -> Result<String> {
        let mut command = nix("nix-build");
        told(command.args(["--no-out-link", "-A", attribute, SUITE]).args(&self.arguments))
    }
}

/// A command of Nix that asks no server for anything.
fn nix(program: &str) -> Command {
    let mut command = Command::new(program);
    let more = "substituters =\nsandbox = false\nbuild-users-group =\n";
    let before = std::env::var("NIX_CONFIG").unwrap_or_default();
    command.current_dir(crate::root()).env("NIX_CONFIG", format!("{before}\n{more}"));
    command
}

/// Its standard output, or all that it said about why there is none.
fn told(command: &mut Command) -> Result<String> {
    let output = crate::host::output(command)?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every file of Nix in the project.
fn files() -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("default.nix"), PathBuf::from("flake.nix")];
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(crate::root().join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "nix") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every file of Nix is one that Nix can read.
pub fn parse_all() -> Result<()> {
    told(nix("nix-instantiate").arg("--parse").args(files()?)).map(drop)
}
