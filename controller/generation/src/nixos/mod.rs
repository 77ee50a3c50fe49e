//! NixOS: the operator's own system, evaluated and built with a generation as a part of it. The Nix expressions are in
//! `nix/backend/`.

mod check;
mod confine;
mod words;

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use osmoda_schemas::nixos::{NixosSystem, package_attribute};
use tokio::process::Command;

pub use check::{Finding, OptionValue, OptionsOf, Wrong};

use crate::store_path::StorePath;

/// Longest time that options may be checked for: a system is evaluated, and nothing built.
const CHECK: Duration = Duration::from_secs(300);

/// Why there is no system.
#[derive(Debug, thiserror::Error)]
pub enum NixosError {
    /// There is no Nix.
    #[error("Nix is not installed: `{program}` cannot be run ({source})")]
    Missing {
        /// What was called.
        program: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nix said no; what of its words matters.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("Nix did not end within {} s (`nixos.buildTimeout`)", .0.as_secs())]
    Timeout(Duration),
    /// A file of ours, or an answer that makes no sense.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// The operator's system, through Nix.
#[derive(Clone, Debug)]
pub struct Nixos {
    /// The folder of `nix/backend/`, wherever it is installed.
    expressions: PathBuf,
    source: NixosSystem,
}

impl Nixos {
    /// The system that is described there; `expressions` is the folder of the backend's Nix files.
    #[must_use]
    pub fn new(expressions: impl Into<PathBuf>, source: NixosSystem) -> Self {
        Self { expressions: expressions.into(), source }
    }

    /// Builds the system with that generation as a part of it; `root` becomes a link to it that keeps it from garbage
    /// collection. Nothing is activated.
    ///
    /// # Errors
    /// What Nix has against it.
    pub async fn build(&self, generation: &StorePath, root: &Path) -> Result<StorePath, NixosError> {
        let arguments = [
            self.expressions.join("system.nix").into_os_string(),
            "--argstr".into(),
            "generation".into(),
            generation.as_str().into(),
            "--arg".into(),
            "source".into(),
            self.source_argument().into(),
            "--out-link".into(),
            root.into(),
        ];
        let text = run("nix-build", &arguments, self.source.build_timeout.as_std(), None).await?;
        let path = text.lines().last().unwrap_or_default().trim();
        path.parse().map_err(|e| NixosError::Io {
            what: format!("nix-build printed `{path}`"),
            source: io::Error::other(format!("{e}")),
        })
    }

    /// What is wrong with these documents' options, by those of the system. Nothing is built.
    ///
    /// The documents are in a file in `folder` meanwhile, where nobody else checks any.
    ///
    /// # Errors
    /// When the system cannot be evaluated at all.
    pub async fn check(&self, documents: &[OptionsOf], folder: &Path) -> Result<Vec<Finding>, NixosError> {
        let file = folder.join("options-to-check.json");
        let io = |source| NixosError::Io { what: file.display().to_string(), source };
        crate::durable::create_anew(&file)
            .and_then(|file| serde_json::to_writer(file, documents).map_err(io::Error::other))
            .map_err(io)?;
        let arguments = [
            "--eval".into(),
            "--strict".into(),
            "--json".into(),
            self.expressions.join("check.nix").into_os_string(),
            "--arg".into(),
            "documents".into(),
            file.clone().into_os_string(),
            "--arg".into(),
            "source".into(),
            self.source_argument().into(),
        ];
        let answer = run("nix-instantiate", &arguments, CHECK, Some(confine::EVALUATION)).await;
        serde_json::from_str(&answer?)
            .map_err(|e| NixosError::Io { what: "the answer of nix-instantiate".to_owned(), source: e.into() })
    }

    /// The arguments of `base.nix`.
    fn source_argument(&self) -> String {
        let NixosSystem { flake, configuration, system, nixpkgs, .. } = &self.source;
        let (flake, host) = match flake.as_ref().map(|flake| flake.split_once('#').unwrap_or((flake, ""))) {
            Some((flake, "")) => (Some(flake.to_owned()), Some(host_name())),
            Some((flake, host)) => (Some(flake.to_owned()), Some(host.to_owned())),
            None => (None, None),
        };
        let given = [
            ("flake", &flake),
            ("host", &host),
            ("configuration", configuration),
            ("system", system),
            ("nixpkgs", nixpkgs),
        ];
        let fields: String = given
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name} = {}; ", quoted(value.as_deref()?))))
            .collect();
        format!("{{ {fields}}}")
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A Nix string (Nix manual, "String literals").
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${"))
}

/// How the folder of a package begins that is an attribute. No text of a document may contain it.
pub const PACKAGE_MARK: &str = "/@pkgs.";

/// The folder of a package as units name it: a store path as it is, and for an attribute what `nix/backend/generation.nix`
/// replaces by one.
#[must_use]
pub fn package_folder(package: &str) -> String {
    package_attribute(package).map_or_else(|| package.to_owned(), |attribute| format!("{PACKAGE_MARK}{attribute}@"))
}

/// Where programs of Nix are looked for: services of systemd's own making have no `PATH` on NixOS.
#[must_use]
pub fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    let places = [own.as_str(), "/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin", "/usr/bin", "/bin"];
    places.into_iter().filter(|place| !place.is_empty()).collect::<Vec<_>>().join(":")
}

/// Runs a program of Nix's and gives what it prints. It gets no more address space than so many bytes.
async fn run(
    program: &'static str,
    arguments: &[impl AsRef<OsStr>],
    deadline: Duration,
    address_space: Option<u64>,
) -> Result<String, NixosError> {
    let child = Command::new(program)
        .args(["--extra-experimental-features", "nix-command flakes"])
        .args(arguments)
        .env("PATH", search_path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| NixosError::Missing { program, source })?;
    let confined = confine::confine(&child, address_space);
    confined.map_err(|source| NixosError::Io { what: format!("{program} cannot be confined"), source })?;
    let output = tokio::time::timeout(deadline, child.wait_with_output())
        .await
        .map_err(|_| NixosError::Timeout(deadline))?
        .map_err(|source| NixosError::Io { what: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = words::shortened(&String::from_utf8_lossy(&output.stderr));
    Err(NixosError::Refused(if words.is_empty() { format!("{program}: {}", output.status) } else { words }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_arguments() {
        let of = |source: &str| Nixos::new("/nix", serde_json::from_str(source).unwrap()).source_argument();
        assert_eq!(of(r#"{"flake":"/etc/nixos#web"}"#), r#"{ flake = "/etc/nixos"; host = "web"; }"#);
        assert_eq!(
            of(r#"{"flake":"/etc/nixos"}"#),
            format!(r#"{{ flake = "/etc/nixos"; host = "{}"; }}"#, host_name())
        );
        assert_eq!(of(r#"{"system":"/a\"${b}\\"}"#), r#"{ system = "/a\"\${b}\\"; }"#);
    }
}
