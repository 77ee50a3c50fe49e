//! What is released, on fresh machines: the cases are in `vm-tests/machine/src/install`.

use std::fs;

use anyhow::{Context, Result, ensure};
use machine_suites::{Host, install, suites::Case};
use tempfile::TempDir;

use super::{
    Built,
    archive::{Effort, Tree},
    contents::{BUILD_INFO, Release, UNITS},
    pack,
    programs::Place,
};
use crate::{
    machine::{self, fresh, fresh::System},
    test::run_case,
};

/// Two releases, one older than the other.
pub struct Media(TempDir);

/// The files of a release as they are given away, and beside them those of one that looks older.
///
/// # Errors
/// When they cannot be packed or written.
pub fn media(place: &Place, release: &Release, built: Built) -> Result<Media> {
    let old = Release { version: install::OLD.to_owned(), ..release.clone() };
    let folder = tempfile::tempdir()?;
    crate::timed("packing an older release", || {
        let tree = older(built.tree, release, &old)?;
        let older = pack(&place.root, &old, &tree, built.c_library, Effort::Quick)?;
        for (name, products) in [("new", built.products), ("old", older)] {
            fs::create_dir(folder.path().join(name))?;
            for (file, bytes) in products {
                fs::write(folder.path().join(name).join(file), bytes)?;
            }
        }
        Ok(())
    })?;
    Ok(Media(folder))
}

/// A release that had other files: all its programs are others, and a file and a unit are there that are no more.
fn older(tree: Tree, release: &Release, old: &Release) -> Result<Tree> {
    let version = |release: &Release| format!("Version: {}\n", release.sortable());
    let mut tree = tree.map(|path, mut bytes| {
        // What is behind a program's end changes nothing in it.
        if bytes.starts_with(b"\x7fELF") {
            bytes.extend_from_slice(b"\nan older one\n");
        } else if path == BUILD_INFO {
            bytes = String::from_utf8_lossy(&bytes).replacen(&version(release), &version(old), 1).into_bytes();
        }
        bytes
    });
    tree.file(install::STALE.trim_start_matches('/'), "nothing of today's needs it\n")?;
    tree.file(
        &format!("{UNITS}/{}", install::STALE_UNIT),
        "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
    )?;
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

/// All cases whose name contains `filter`.
///
/// # Errors
/// When there is none.
pub fn cases(filter: &str) -> Result<Vec<Case>> {
    let mut cases = install::cases(true);
    cases.retain(|case| case.name.contains(filter));
    ensure!(!cases.is_empty(), "no case has `{filter}` in its name");
    Ok(cases)
}

/// Runs cases on fresh machines, and says how they went.
///
/// # Errors
/// When one failed.
pub fn on_fresh_machines(media: &Media, only: Option<System>, cases: &[Case]) -> Result<()> {
    let (mut passed, mut failed) = (0, 0);
    for system in System::ALL.into_iter().filter(|system| only.is_none_or(|only| only == *system)) {
        if only.is_none() && !fresh::is_at_hand(system) {
            println!("SKIPPED: {system}: {} has to name a mirror of its archive", fresh::UBUNTU);
            continue;
        }
        on_a_fresh_machine(media, system, cases, |_, result| match result {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        })?;
    }
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} cases failed");
    Ok(())
}
