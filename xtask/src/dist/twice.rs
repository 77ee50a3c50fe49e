//! Two builds of one commit, in two places, have to be the same.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::{
    Built,
    archive::Effort,
    contents::Release,
    package,
    programs::{self, Place},
};
use crate::host::run;

/// Folders of other names and lengths.
const NAMES: [&str; 2] = ["one", "somewhere/else/entirely"];

/// Builds what is committed in two folders, from nothing, and compares. Returns the one result.
///
/// # Errors
/// When a build fails, or the two differ: then both stay, and the error says where.
pub fn build(place: &Place, release: &Release) -> Result<Built> {
    ensure!(!release.is_changed, "what is built twice is what is committed: commit first");
    // Apart from this checkout, so that nothing above is found by accident.
    let folder = tempfile::Builder::new().prefix("osmoda-twice-").tempdir_in("/var/tmp")?;
    let mut results = Vec::new();
    for name in NAMES {
        let copy = copy(place, &folder.path().join(name))?;
        let programs =
            crate::timed(&format!("building in {}", copy.root.display()), || programs::build(&copy, release.epoch))?;
        results.push(package(&copy, release, &programs, Effort::Best)?);
    }
    let [one, other] = [&results[0].products, &results[1].products];
    let differing = one.iter().find(|(name, bytes)| other.get(*name) != Some(bytes));
    let Some((name, _)) = differing else {
        println!("  both are the same");
        return results.pop().context("there were two");
    };
    let folder = folder.keep();
    for (result, into) in results.iter().zip(NAMES) {
        for (name, bytes) in &result.products {
            fs::write(folder.join(into).join(name), bytes)?;
        }
    }
    bail!("{name} differs between {0}/{1} and {0}/{2}", folder.display(), NAMES[0], NAMES[1])
}

/// What is committed, in another place, with nothing built.
fn copy(place: &Place, folder: &Path) -> Result<Place> {
    let copy = Place { root: folder.join("osmoda"), target: folder.join("built"), cargo_home: folder.join("cargo") };
    fs::create_dir_all(&copy.root)?;
    let script = "git -C \"$1\" archive HEAD | tar -x -C \"$2\"";
    run(Command::new("/bin/sh").args(["-ec", script, "copy"]).arg(&place.root).arg(&copy.root))?;
    // What was downloaded serves both, under another name; so do settings of how to download.
    fs::create_dir_all(&copy.cargo_home)?;
    for entry in fs::read_dir(&place.cargo_home)? {
        let entry = entry?;
        symlink(entry.path(), copy.cargo_home.join(entry.file_name()))?;
    }
    Ok(copy)
}
