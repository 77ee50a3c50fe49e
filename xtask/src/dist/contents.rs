//! What a release has, path by path; the tarball and the Debian package are made of the same.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{
    archive::{Effort, Tree, gzip},
    notices,
    programs::Place,
};
use crate::{
    host::{output, run},
    install::PROGRAMS,
};

/// Who made a release, as Debian's tools want to be told.
pub const MAINTAINER: &str = "osModa maintainers <maintainers@users.noreply.github.com>";
/// The operator's configuration: installed once, never written over.
pub const CONFIGURATION: &str = "etc/osmoda/agentd.yaml";
/// Where units go.
pub const UNITS: &str = "usr/lib/systemd/system";
/// What a release was made from, and with.
pub const BUILD_INFO: &str = "usr/lib/osmoda/BUILDINFO";

/// Which release.
#[derive(Clone, Debug)]
pub struct Release {
    /// Such as `0.1.0`.
    pub version: String,
    /// When its commit was made, in seconds since 1970: the time of everything in it.
    pub epoch: u64,
    /// The commit.
    pub commit: String,
    /// Whether there is something that is not in the commit.
    pub is_changed: bool,
}

impl Release {
    /// That of a checkout; `SOURCE_DATE_EPOCH` is its time where it is set.
    ///
    /// # Errors
    /// When there is neither a commit nor that.
    pub fn of(place: &Place) -> Result<Self> {
        Self::at(&place.root, std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())
    }

    /// That of a folder; `epoch`, in seconds since 1970, counts before the time of its commit.
    pub(super) fn at(root: &Path, epoch: Option<&str>) -> Result<Self> {
        let git = |arguments: &[&str]| run(Command::new("git").args(arguments).current_dir(root));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let epoch = epoch.map(|epoch| epoch.trim().parse()).transpose();
        let epoch = epoch.context("SOURCE_DATE_EPOCH is not a number of seconds")?;
        let words = match (git(&["log", "-1", "--format=%ct %H"]), epoch) {
            // Sources without their history.
            (Err(_), Some(epoch)) => {
                return Ok(Self { version, epoch, commit: "unknown".to_owned(), is_changed: false });
            }
            (words, _) => words.context("no commit, and no SOURCE_DATE_EPOCH")?,
        };
        let (time, commit) = words.trim().split_once(' ').context("git log wrote something else")?;
        let is_changed = !git(&["status", "--porcelain"])?.trim().is_empty();
        let epoch = epoch.map_or_else(|| time.parse(), Ok)?;
        Ok(Self { version, epoch, commit: commit.to_owned(), is_changed })
    }

    /// The version as dpkg and `sort -V` take it: what comes before a release (`0.2.0-rc.1`) is older than it.
    pub fn sortable(&self) -> String {
        self.version.replacen('-', "~", 1)
    }
}

/// Everything that is installed. `programs` is the folder of the programs, stripped.
///
/// # Errors
/// When something is missing.
pub fn contents(place: &Place, release: &Release, programs: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    for (program, path) in PROGRAMS {
        tree.program(path.trim_start_matches('/'), read(&programs.join(program))?)?;
    }
    tree.link("usr/bin/agentctl", "osmoda")?;
    tree.program("usr/lib/osmoda/stop-all", read(&place.root.join("packaging/stop-all"))?)?;
    files_of(&place.root.join("nix/units"), |name, bytes| tree.file(&format!("{UNITS}/{name}"), bytes))?;
    let expressions = place.root.join("nix/backend");
    if expressions.exists() {
        files_of(&expressions, |name, bytes| tree.file(&format!("usr/lib/osmoda/nix/{name}"), bytes))?;
    }
    let osmoda = programs.join("osmoda");
    manual(&osmoda, &mut tree)?;
    completions(&osmoda, &mut tree)?;
    tree.file(CONFIGURATION, read(&place.root.join("packaging/agentd.yaml"))?)?;
    let documents = "usr/share/doc/osmoda";
    let licence = String::from_utf8(read(&place.root.join("LICENSE"))?)?;
    let copyright = format!(
        "osModa, https://github.com/osmoda/osmoda\n\n{licence}\nWhat is linked into the programs, and its licences: \
         THIRD-PARTY.txt.gz in this folder.\n"
    );
    tree.file(&format!("{documents}/copyright"), copyright)?;
    tree.file(
        &format!("{documents}/THIRD-PARTY.txt.gz"),
        gzip(notices::third_party(place)?.as_bytes(), Effort::Best)?,
    )?;
    tree.file(&format!("{documents}/changelog.gz"), gzip(changelog(release)?.as_bytes(), Effort::Best)?)?;
    tree.file(BUILD_INFO, build_info(&place.root, release)?)?;
    Ok(tree)
}

/// Units that an installation enables: those that say for what.
pub fn enabled(tree: &Tree) -> Vec<&str> {
    let units = tree.files().filter_map(|(path, text)| Some((path.strip_prefix(UNITS)?.strip_prefix('/')?, text)));
    let says = |text: &[u8]| text.split(|b| *b == b'\n').any(|line| line == b"[Install]");
    units.filter(|(_, text)| says(text)).map(|(unit, _)| unit).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// Gives every file of a folder away.
fn files_of(folder: &Path, mut take: impl FnMut(&str, Vec<u8>) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            take(&entry.file_name().to_string_lossy(), read(&entry.path())?)?;
        }
    }
    Ok(())
}

/// The man pages that the command line writes of itself.
fn manual(osmoda: &Path, tree: &mut Tree) -> Result<()> {
    let folder = tempfile::tempdir()?;
    run(Command::new(osmoda).arg("man").arg(folder.path()))?;
    files_of(folder.path(), |name, page| {
        tree.file(&format!("usr/share/man/man1/{name}.gz"), gzip(&page, Effort::Best)?)
    })?;
    tree.link("usr/share/man/man1/agentctl.1.gz", "osmoda.1.gz")
}

/// The completions that the command line writes of itself.
fn completions(osmoda: &Path, tree: &mut Tree) -> Result<()> {
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/osmoda"),
        ("zsh", "usr/share/zsh/vendor-completions/_osmoda"),
        ("fish", "usr/share/fish/vendor_completions.d/osmoda.fish"),
    ] {
        tree.file(path, run(Command::new(osmoda).args(["completions", shell]))?)?;
    }
    Ok(())
}

/// The changelog as deb-changelog(5) has it.
fn changelog(release: &Release) -> Result<String> {
    let date = run(Command::new("date")
        .args(["--utc", "--rfc-email", &format!("--date=@{}", release.epoch)])
        .env("LC_ALL", "C")
        .stdin(Stdio::null()))?;
    let (version, commit) = (release.sortable(), &release.commit);
    let changed = if release.is_changed { " and changes that are not in it" } else { "" };
    Ok(format!(
        "osmoda ({version}) stable; urgency=medium\n\n  * Built from commit {commit}{changed}.\n\n -- {MAINTAINER}  {}\n",
        date.trim()
    ))
}

/// With what the programs were built: who builds with the same gets the same.
pub(super) fn build_info(root: &Path, release: &Release) -> Result<String> {
    let first = |program: &str, argument: &str| -> Result<String> {
        let output = output(Command::new(program).arg(argument).current_dir(root))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("unknown").to_owned())
    };
    let changed = if release.is_changed { "Changed: yes\n" } else { "" };
    Ok(format!(
        "Version: {}\nArchitecture: {}\nCommit: {}\n{changed}Source-Date-Epoch: {}\nRust: {}\nC: {}\nC-Library: {}\n",
        release.sortable(),
        std::env::consts::ARCH,
        release.commit,
        release.epoch,
        first("rustc", "--version")?,
        first("cc", "--version")?,
        first("ldd", "--version")?,
    ))
}
