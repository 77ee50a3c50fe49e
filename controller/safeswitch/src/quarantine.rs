//! Generations that failed, or that somebody went back from. They are not tried again until a document changes or
//! somebody says so.

use std::{fs, io, path::PathBuf};

use jiff::Timestamp;
use osmoda_generation::durable;
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
        all.push(entry);
        self.write(&all[all.len().saturating_sub(KEEP)..])
    }

    /// Lets a generation be tried again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let mut all = self.list().unwrap_or_default();
        let before = all.len();
        all.retain(|e| e.path != path);
        if all.len() == before { Ok(()) } else { self.write(&all) }
    }

    fn write(&self, entries: &[QuarantineEntry]) -> io::Result<()> {
        durable::write(&self.file, &serde_json::to_vec_pretty(entries).map_err(io::Error::other)?)
    }
}
