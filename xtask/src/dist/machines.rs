//! What is released, on fresh machines: the cases are in `vm-tests/machine/src/install`.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use machine_suites::{Host, install, suites::Case};
use tempfile::TempDir;

use super::{
    archive::{Effort, Tree},
    c_library,
    contents::{Release, contents},
    pack,
    programs::Place,
};
use crate::{
    machine::{self, fresh, fresh::System},
    test::run_case,
};

/// Two releases, one older than the other.
pub struct Media(TempDir);

/// Makes two releases of programs, those of this checkout: this version, and one that looks older.
///
/// # Errors
/// When the programs would not run on every system that releases are for.
pub fn media(programs: &Path) -> Result<Media> {
    let place = Place::here()?;
    let new = Release::of(&place)?;
    let old = Release { version: install::OLD.to_owned(), ..new.clone() };
    let folder = tempfile::tempdir()?;
    crate::timed("packing two releases", || {
        let c_library = c_library(programs)?;
        for (name, release) in [("new", &new), ("old", &old)] {
            let mut tree = contents(&place, release, programs)?;
            if name == "old" {
                tree = older(tree)?;
            }
            fs::create_dir(folder.path().join(name))?;
            for (file, bytes) in pack(&place.root, release, &tree, c_library, Effort::Quick)? {
                fs::write(folder.path().join(name).join(file), bytes)?;
            }
        }
        Ok(())
    })?;
    Ok(Media(folder))
}

/// A release that had other files: all its programs are others, and one is there that is no more.
fn older(tree: Tree) -> Result<Tree> {
    // What is behind a program's end changes nothing in it.
    let mut tree = tree.map_programs(|mut bytes| {
        if bytes.starts_with(b"\x7fELF") {
            bytes.extend_from_slice(b"\nan older one\n");
        }
        bytes
    });
    tree.file(install::STALE.trim_start_matches('/'), "nothing of today's needs it\n")?;
    Ok(tree)
}

/// Runs cases on a fresh machine, and gives the result of each.
///
/// # Errors
/// When there is no such machine, or the releases cannot be brought to it.
pub fn on_a_fresh_machine(
    media: &Media,
    system: System,
    cases: &[Case],
    mut take: impl FnMut(&str, Result<()>),
) -> Result<()> {
    let name = format!("install-{}", system.name());
    let machine = crate::timed(&format!("booting a fresh {system}"), || machine::up_fresh(&name, system))?;
    for release in ["new", "old"] {
        for entry in fs::read_dir(media.0.path().join(release))? {
            let entry = entry?;
            let file = entry.file_name();
            let file = file.to_str().context("we have named it")?;
            machine.put(&entry.path(), &format!("{}/{release}/{file}", install::MEDIA))?;
        }
    }
    for case in cases {
        take(
            &format!("{system}: {}", case.name),
            run_case(Host { machine: machine.as_ref() }, case, &system.to_string()),
        );
    }
    machine.down()
}

/// Runs all cases whose name contains `filter` on fresh machines, and says how they went.
///
/// # Errors
/// When one failed.
pub fn on_fresh_machines(media: &Media, only: Option<System>, filter: &str) -> Result<()> {
    let mut cases = install::cases(true);
    cases.retain(|case| case.name.contains(filter));
    let (mut passed, mut failed) = (0, 0);
    for system in System::ALL.into_iter().filter(|system| only.is_none_or(|only| only == *system)) {
        if only.is_none() && !fresh::is_at_hand(system) {
            println!("SKIPPED: {system}: {} has to name a mirror of its archive", fresh::UBUNTU);
            continue;
        }
        on_a_fresh_machine(media, system, &cases, |_, result| match result {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        })?;
    }
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} cases failed");
    Ok(())
}
