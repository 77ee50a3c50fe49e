//! The crash matrix: a story of changes is told once to see which places (crate `osmoda-failpoint`) it passes; then once
//! for each of them, with a program killed there, or with an error from the disk. Afterwards everything has to hold.

mod check;
mod cut;
mod story;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::Host;

pub use check::{ROOTS, check, tidy, told};
pub use cut::{SPAN, cut};
pub use story::{prepare, story};

const FOLDER: &str = "/run/osmoda/failpoints";

/// A kind of instant: `PROGRAM before|after POINT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(String);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Place {
    /// True where the disk may refuse.
    #[must_use]
    pub fn may_fail(&self) -> bool {
        let on_disk = ["durable.", "state.", "status.", "document.", "ledger."];
        self.0.split_once(" before ").is_some_and(|(_, point)| on_disk.iter().any(|kind| point.starts_with(kind)))
    }
}

/// What is done at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// No space left on device.
    Enospc,
    /// Input/output error.
    Eio,
    /// Read-only file system.
    Erofs,
}

impl Action {
    /// Errors of a disk.
    pub const ERRORS: [Self; 3] = [Self::Enospc, Self::Eio, Self::Erofs];

    /// As in the file `arm`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Enospc => "ENOSPC",
            Self::Eio => "EIO",
            Self::Erofs => "EROFS",
        }
    }
}

/// Tells the story without doing anything to it; gives the places that it passes, and how often.
///
/// # Errors
/// When it does not end as it should, or the programs have no places.
pub fn explore(host: Host<'_>) -> Result<BTreeMap<Place, u32>> {
    prepare(host)?;
    arm(host, "")?;
    story(host)?;
    let log = disarm(host)?;
    check(host)?;
    let mut passed = BTreeMap::new();
    for line in log.lines().filter(|line| !line.starts_with("osmoda ")) {
        let words: Vec<&str> = line.splitn(4, ' ').take(3).collect();
        *passed.entry(Place(words.join(" "))).or_insert(0) += 1;
    }
    ensure!(!passed.is_empty(), "these programs were built without failpoints");
    Ok(passed)
}

/// Tells the story with an action at a place, when it is passed for the `ordinal`th time, and looks whether everything
/// holds. False when it was not passed so often.
///
/// # Errors
/// When something does not hold.
pub fn attempt(host: Host<'_>, place: &Place, ordinal: u32, action: Action) -> Result<bool> {
    prepare(host)?;
    arm(host, &format!("{place} {ordinal} {}\n", action.name()))?;
    let told = story(host);
    let log = disarm(host)?;
    let reached = log.lines().any(|line| line.starts_with(&place.0) && line.ends_with(&format!(": {}", action.name())));
    let what = || format!("{} at `{place}` number {ordinal}", action.name());
    told.with_context(what)?;
    check(host).with_context(what)?;
    Ok(reached)
}

pub(crate) fn arm(host: Host<'_>, line: &str) -> Result<()> {
    host.sh(&format!("rm -rf {FOLDER}; mkdir {FOLDER}"))?;
    host.machine.write(&format!("{FOLDER}/arm"), line)?;
    // Last: places are inert until it is there.
    host.sh(&format!(": > {FOLDER}/log")).map(drop)
}

pub(crate) fn disarm(host: Host<'_>) -> Result<String> {
    let log = host.run(&["/bin/cat", &format!("{FOLDER}/log")])?;
    host.sh(&format!("rm -rf {FOLDER}"))?;
    Ok(log)
}
