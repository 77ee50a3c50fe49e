//! The ledger: what happened, in a chain of hashes that shows when somebody has changed it behind osModa's back.
//!
//! `events(id, ts, type, actor, payload, prev_hash, hash)` in SQLite; `hash` is the lower-case hex SHA-256 of
//! `id|ts|type|actor|payload|prev_hash`, the first `prev_hash` 64 zeros. A Merkle tree over the rows has one root for all
//! of them; checkpoints beside the database, signed by the machine and cosigned by a witness, tell when its end was cut off
//! or all of it was computed anew. docs/ledger.md says what is found by what, and what is not.

mod chain;
mod checkpoint;
mod cosigned;
mod database;
mod durable;
mod follow;
mod key;
mod merkle;
mod notary;
mod note;
mod prove;
mod reader;
mod rows;
mod seal;
mod segments;
mod tree;
mod verify;
mod witness;
mod writer;

pub use chain::{Event, InvalidEvent};
pub use cosigned::{Cosigning, cosigning, keep_cosignature, knows_witness, log_key, to_cosign, trust_witness};
pub use follow::Follower;
pub use note::{KeyKind, PublicKey};
pub use prove::{GrowthProof, RowProof, prove, prove_since};
pub use reader::{Query, Reader, Row, type_matches};
pub use seal::archive;
pub use verify::{Damage, Report, Trust, verify, verify_with};
pub use witness::{KnownLog, Refusal, Witness};
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
    /// A file that can be moved when nobody reads it any more.
    #[error("{0}: others are still reading it")]
    Busy(String),
    /// Another program's database, or a later version's.
    #[error("{0} is no ledger of this version")]
    Foreign(String),
    /// Rows, up to that one, that are not those of a root that was signed.
    #[error("rows up to {0} are not those that a checkpoint was signed for: see `osmoda ledger verify`")]
    Contradiction(u64),
    /// A row that should be there.
    #[error("row {0} is missing, or has no hash")]
    Missing(u64),
    /// Files with rows that should be there, before one that is.
    #[error(
        "{} missing: nothing is appended behind such a gap, put back the files; see `osmoda ledger verify`",
        missing_parts(*first, *last)
    )]
    Gap {
        /// The number of the first one...
        first: u32,
        /// ...and of the last one.
        last: u32,
    },
    /// A segment whose rows or manifest are needed and not here.
    #[error("segment {0} is not here, or is none: it may have been archived")]
    Segment(u32),
    /// A witness knows of more than the ledger has.
    #[error(
        "the witness has seen {seen} rows and this ledger has signed {signed}: the end was cut off, or an old copy was put \
         back: see `osmoda ledger verify`"
    )]
    Behind {
        /// Rows that the witness has seen.
        seen: u64,
        /// Rows of the last checkpoint here; 0: there is none.
        signed: u64,
    },
    /// A segment that a witness has not seen to its end.
    #[error("the witness has not cosigned all of segment {0} yet: it is archived when it has")]
    Unwitnessed(u32),
    /// No checkpoint covers that row yet.
    #[error("no checkpoint covers row {0} yet: `osmoda ledger checkpoint` signs one")]
    Unsigned(u64),
    /// What should be a checkpoint of this ledger is none.
    #[error("that is no checkpoint of this ledger")]
    NoCheckpoint,
    /// What a witness answered is not its cosignature.
    #[error("the cosignature of {0} does not verify")]
    Cosignature(String),
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

/// For people: `part 2 is`, or `parts 2 to 4 are`.
fn missing_parts(first: u32, last: u32) -> String {
    if first == last { format!("part {first} is") } else { format!("parts {first} to {last} are") }
}

/// The database of a ledger's folder that is written to.
#[must_use]
pub fn database_file(folder: &Path) -> PathBuf {
    database::file(folder, database::live_number(folder))
}

/// The checkpoints of a ledger's folder: it grows with every one that is signed.
#[must_use]
pub fn checkpoints_file(folder: &Path) -> PathBuf {
    folder.join("checkpoints")
}

/// The write-ahead log of that database: it changes with every commit.
#[must_use]
pub fn wal_file(folder: &Path) -> PathBuf {
    database_file(folder).with_extension("db-wal")
}
