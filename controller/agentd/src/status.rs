//! What is said of every object, in memory and as files: an agent that can only edit files reads the answer in files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use osmoda_failpoint as failpoint;
use osmoda_generation::durable;
use osmoda_schemas::{
    condition::{ConditionStatus, ConditionType, ObjectStatus},
    object::{Author, Kind, ObjectRef},
    problem::Problem,
};

use crate::options::CHECKING;
use crate::world::World;

/// What is said of every object that is wished, or that a document tried to define.
#[derive(Debug)]
pub struct StatusBook {
    folder: PathBuf,
    entries: BTreeMap<ObjectRef, ObjectStatus>,
    /// Entries whose file does not say what they say.
    unwritten: BTreeSet<ObjectRef>,
}

impl StatusBook {
    /// Reads what was said before a restart, so that "since when" survives it. Files that cannot be read are written
    /// anew.
    #[must_use]
    pub fn open(folder: PathBuf) -> Self {
        let mut entries = BTreeMap::new();
        for kind in Kind::ALL {
            let Ok(files) = fs::read_dir(folder.join(kind.as_str())) else { continue };
            for file in files.flatten() {
                let text = fs::read_to_string(file.path()).unwrap_or_default();
                if let Ok(mut status) = serde_saphyr::from_str::<ObjectStatus>(&text) {
                    status.conditions.shrink_to_fit();
                    entries.insert(status.object.clone(), status);
                }
            }
        }
        Self { folder, entries, unwritten: BTreeSet::new() }
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<ObjectRef, ObjectStatus> {
        &self.entries
    }

    /// Forgets objects that neither are wished nor have a document.
    pub fn retain_known(&mut self, world: &World) {
        let known = |r: &ObjectRef| world.admitted().contains_key(r) || world.problems().contains_key(r);
        let gone: Vec<ObjectRef> = self.entries.keys().filter(|r| !known(r)).cloned().collect();
        for reference in gone {
            self.entries.remove(&reference);
            self.unwritten.insert(reference);
        }
    }

    /// Says of an object what its documents say: whether the latest one is accepted, and what is in force.
    pub fn accept(&mut self, world: &World, reference: &ObjectRef, now: Timestamp) {
        let admitted = world.admitted().get(reference);
        let problems = world.problems().get(reference).map_or(&[][..], Vec::as_slice);
        let entry = self.entries.entry(reference.clone()).or_insert_with(|| blank(reference));
        let before = entry.clone();
        if let Some(admitted) = admitted {
            entry.generation = admitted.generation;
            entry.hash = Some(admitted.hash);
            entry.author = admitted.author;
            entry.source = Some(admitted.position());
        } else if let Some(author) = problems.first().and_then(|problem| world.author_of(problem)) {
            entry.author = author;
        }
        let held = world.held().contains(reference);
        match problems {
            [first, ..] if first.code == CHECKING => {
                entry.set(ConditionType::Accepted, ConditionStatus::Unknown, "CheckingOptions", &first.detail, now);
            }
            [first, ..] => {
                let reason = camel_case(&first.code);
                entry.set(ConditionType::Accepted, ConditionStatus::False, &reason, first.to_string(), now);
                entry.source = first.source.clone().or(entry.source.take());
                entry.last_error = Some(Box::new(summary(problems)));
            }
            [] if held => {
                let text =
                    "its document is gone together with most others; accept with `osmoda apply --accept-mass-delete`";
                entry.set(ConditionType::Accepted, ConditionStatus::False, "MassDeleteHeld", text, now);
            }
            [] => {
                entry.set(ConditionType::Accepted, ConditionStatus::True, "Admitted", "", now);
                entry.last_error = None;
            }
        }
        if *entry != before {
            self.unwritten.insert(reference.clone());
        }
    }

    /// Changes one entry, if there is one.
    pub fn edit(&mut self, reference: &ObjectRef, change: impl FnOnce(&mut ObjectStatus)) {
        if let Some(entry) = self.entries.get_mut(reference) {
            let before = entry.clone();
            change(entry);
            if *entry != before {
                self.unwritten.insert(reference.clone());
            }
        }
    }

    /// Brings the files in step. A crash in between costs nothing: the next call writes what differs.
    ///
    /// # Errors
    /// The first file that cannot be written; it and the others are tried again with the next call.
    pub fn write_files(&mut self) -> io::Result<()> {
        let mut first_error = None;
        let mut failed = BTreeSet::new();
        for reference in std::mem::take(&mut self.unwritten) {
            let file = status_file(&self.folder, &reference);
            let written = match self.entries.get(&reference) {
                Some(entry) => write_file(&file, entry),
                None => match fs::remove_file(&file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                },
            };
            if let Err(error) = written {
                failed.insert(reference);
                first_error.get_or_insert(error);
            }
        }
        self.unwritten = failed;
        first_error.map_or(Ok(()), Err)
    }
}

/// `<folder>/<kind>/<name>.yaml`.
#[must_use]
pub fn status_file(folder: &Path, reference: &ObjectRef) -> PathBuf {
    folder.join(reference.kind.as_str()).join(format!("{}.yaml", reference.name))
}

fn write_file(file: &Path, status: &ObjectStatus) -> io::Result<()> {
    let text = serde_saphyr::to_string(status).map_err(io::Error::other)?;
    let new = file.with_extension("yaml.new");
    let write = || durable::create_anew(&new)?.write_all(text.as_bytes());
    if write().is_err() {
        fs::create_dir_all(file.parent().expect("the file is in its kind's folder"))?;
        write()?;
    }
    failpoint::may_fail("status.write", file.display())?;
    fs::rename(&new, file)
}

fn blank(reference: &ObjectRef) -> ObjectStatus {
    ObjectStatus {
        object: reference.clone(),
        generation: 0,
        hash: None,
        author: Author { uid: 0 },
        source: None,
        active_in: None,
        conditions: Vec::new(),
        last_error: None,
    }
}

/// Several problems as one, the first in front.
fn summary(problems: &[Problem]) -> Problem {
    let mut first = problems[0].clone();
    first.errors = problems[1..].to_vec();
    first
}

/// `unknown-field` as `UnknownField`, the form of condition reasons.
#[must_use]
pub fn camel_case(code: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    code.split('-').filter(|word| !word.is_empty()).map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_reasons() {
        assert_eq!(camel_case("duplicate-object"), "DuplicateObject");
        assert_eq!(camel_case("a--b"), "AB");
    }

    #[test]
    fn files_say_what_the_book_says_and_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let reference: ObjectRef = "App/web".parse().unwrap();
        let mut book = StatusBook::open(dir.path().to_owned());
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut status = blank(&reference);
        status.set(ConditionType::Active, ConditionStatus::True, "Switched", "in generation 3", now);
        book.entries.insert(reference.clone(), status.clone());
        book.unwritten.insert(reference.clone());
        // A link in place of the half-written file is replaced, not written through.
        let dear = dir.path().join("dear");
        fs::write(&dear, "kept").unwrap();
        fs::create_dir(dir.path().join("App")).unwrap();
        std::os::unix::fs::symlink(&dear, dir.path().join("App/web.yaml.new")).unwrap();
        book.write_files().unwrap();
        assert_eq!(fs::read_to_string(dear).unwrap(), "kept");
        assert_eq!(StatusBook::open(dir.path().to_owned()).entries[&reference], status);
        book.retain_known(&World::default());
        book.write_files().unwrap();
        assert!(!status_file(dir.path(), &reference).exists());
    }
}
