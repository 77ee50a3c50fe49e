//! Generations that failed, or that somebody went back from, and whose wishes they were. They are not tried again until a
//! document of an author of theirs changes or somebody says so.

use std::{fs, io, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use osmoda_generation::{authors::Wishes, durable};
use serde::{Deserialize, Serialize};

/// Entries that are kept, latest last.
const KEEP: usize = 100;

/// The file of quarantined generations.
#[derive(Clone, Debug)]
pub struct Quarantine {
    file: PathBuf,
}

/// A quarantined generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineEntry {
    /// Its store path.
    pub path: String,
    /// Why.
    pub reason: String,
    /// The switch that judged it.
    pub switch: String,
    /// Since when.
    pub at: Timestamp,
    /// It could not be built, which may be the network's fault: it is tried again then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// Whose objects the switch changed, and all that they wished. An author is in the latest entry of theirs only, and in none
    /// once a change of theirs is committed.
    #[serde(default, skip_serializing_if = "Wishes::is_empty")]
    pub wishes: Wishes,
    /// It was the change of one author.
    #[serde(default)]
    pub alone: bool,
    /// No part of it is tried before somebody says so: it has not failed but was not wanted, or the machine went down while it
    /// was tried.
    #[serde(default)]
    pub held: bool,
}

/// When a build is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Not before.
    pub at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
}

impl Again {
    /// The first wait; each one is twice as long as the one before.
    const FIRST: SignedDuration = SignedDuration::from_mins(5);
    /// The longest one.
    const MOST: SignedDuration = SignedDuration::from_hours(6);

    /// After as many tries.
    #[must_use]
    pub fn after(tries: u32, now: Timestamp) -> Self {
        let wait = Self::FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(Self::MOST);
        Self { at: now.checked_add(wait).unwrap_or(now), tries }
    }
}

impl QuarantineEntry {
    /// True when the generation may be tried now.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        // Neither does a clock that was set back hold it for ever.
        self.again.is_some_and(|again| now >= again.at || now < self.at)
    }
}

impl Quarantine {
    /// Entries in that file.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// All entries.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn list(&self) -> io::Result<Vec<QuarantineEntry>> {
        match fs::read(&self.file) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|e| io::Error::other(format!("{} is damaged: {e}", self.file.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The entry of a generation.
    ///
    /// # Errors
    /// As [`Quarantine::list`].
    pub fn get(&self, path: &str) -> io::Result<Option<QuarantineEntry>> {
        Ok(self.list()?.into_iter().find(|e| e.path == path))
    }

    /// Adds an entry; durable when it returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, entry: QuarantineEntry) -> io::Result<()> {
        let mut all = self.list().unwrap_or_default();
        all.retain(|e| e.path != entry.path);
        for uid in entry.wishes.keys() {
            all.iter_mut().for_each(|e| e.wishes.retain(|other, _| other != uid));
        }
        all.push(entry);
        // What somebody has to say yes to is not forgotten because others fail often.
        while all.len() > KEEP {
            let matters = |e: &QuarantineEntry| !e.wishes.is_empty();
            let oldest = |which: &dyn Fn(&QuarantineEntry) -> bool| all.iter().position(which);
            let place = oldest(&|e| !matters(e)).or_else(|| oldest(&|e| !e.held)).unwrap_or(0);
            all.remove(place);
        }
        self.write(&all)
    }

    /// Lets a generation be tried again, and forgets what authors have failed with; they are asked for where any failed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn release(&self, path: &str, authors: impl FnOnce() -> Wishes) -> io::Result<()> {
        let mut all = self.list().unwrap_or_default();
        let before = all.len();
        let failed = all.iter().any(|entry| !entry.wishes.is_empty());
        let authors = if failed { authors() } else { Wishes::new() };
        all.retain(|entry| entry.path != path);
        let mut changed = all.len() != before;
        for entry in &mut all {
            let wishes = entry.wishes.len();
            entry.wishes.retain(|uid, _| !authors.contains_key(uid));
            changed |= entry.wishes.len() != wishes;
        }
        if changed { self.write(&all) } else { Ok(()) }
    }

    fn write(&self, entries: &[QuarantineEntry]) -> io::Result<()> {
        durable::write(&self.file, &serde_json::to_vec_pretty(entries).map_err(io::Error::other)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_tried_again_less_and_less_often() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let minutes = |tries| Again::after(tries, now).at.duration_since(now).as_mins();
        assert_eq!([1, 2, 3, 10, u32::MAX].map(minutes), [5, 10, 20, 360, 360]);
        let of = |again| QuarantineEntry {
            path: String::new(),
            reason: String::new(),
            switch: String::new(),
            at: now,
            again,
            wishes: Wishes::new(),
            alone: false,
            held: false,
        };
        let later = |minutes| now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        assert!(!of(None).is_over(later(10_000)), "what was rolled back waits for somebody");
        let entry = of(Some(Again::after(1, now)));
        assert!(!entry.is_over(later(4)) && entry.is_over(later(5)) && entry.is_over(later(-1)));
    }
}
