//! The ledger: what happened, in a chain of hashes that shows when somebody has changed it behind osModa's back.
//!
//! `events(id, ts, type, actor, payload, prev_hash, hash)` in SQLite; `hash` is the lower-case hex SHA-256 of
//! `id|ts|type|actor|payload|prev_hash`, the first `prev_hash` 64 zeros. Signed checkpoints beside the database tell
//! when its end was cut off or all of it was computed anew. Tamper-evident, not tamper-proof: who holds the signing key
//! can sign another history.

mod chain;
mod checkpoint;
mod database;
mod follow;
mod reader;
mod verify;
mod writer;

pub use chain::{Event, InvalidEvent};
pub use follow::Follower;
pub use reader::{Query, Reader, Row, type_matches};
pub use verify::{Damage, Report, verify};
pub use writer::{Ledger, Receipt};

use std::path::{Path, PathBuf};

/// Why the ledger cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The event cannot be written.
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    /// SQLite says no.
    #[error("the ledger: {0}")]
    Sqlite(std::sync::Arc<rusqlite::Error>),
    /// A file beside the database.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Another program's database, or a later version's.
    #[error("{0} is no ledger of this version")]
    Foreign(String),
    /// The writer has ended.
    #[error("the ledger is closed")]
    Closed,
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

impl LedgerError {
    fn file(file: &Path, reason: impl ToString) -> Self {
        Self::File { file: file.display().to_string(), reason: reason.to_string() }
    }
}

/// The database of a ledger's folder.
#[must_use]
pub fn database_file(folder: &Path) -> PathBuf {
    folder.join("ledger.db")
}

/// The write-ahead log of the database: it changes with every commit, so followers wait for that.
#[must_use]
pub fn wal_file(folder: &Path) -> PathBuf {
    folder.join("ledger.db-wal")
}
