//! Proving that the ledger is whole.

mod claims;
mod scan;

use std::path::Path;

use serde::Serialize;

use crate::{LedgerError, key::Place};

/// Problems after which looking on tells nothing new.
const MOST: usize = 100;

/// What a verification goes by. Nothing of it: what is beside the database, which a thorough forger has replaced, too.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The ledger's public key (`checkpoint.pub`), kept elsewhere.
    pub key: Option<String>,
    /// Public keys of witnesses (`witness.pub`), kept elsewhere.
    pub witnesses: Vec<String>,
    /// Notes of checkpoints that somebody saw and kept: a witness's state, or a copy of `cosigned`.
    pub seen: Vec<String>,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Rows that were looked at.
    pub events: u64,
    /// The last row.
    pub head: Option<i64>,
    /// Checkpoints that were looked at.
    pub checkpoints: usize,
    /// Rows up to this one are covered by a checkpoint.
    pub signed_until: Option<i64>,
    /// Rows up to this one are those of a checkpoint that a known witness has cosigned.
    pub cosigned_until: Option<i64>,
    /// Segments that are archived, and were not looked at.
    pub archived: Vec<u32>,
    /// What is wrong; empty: nothing.
    pub problems: Vec<Damage>,
    /// What is not as it should be, and no damage.
    pub warnings: Vec<String>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The row, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// What is wrong.
    pub what: String,
}

impl Report {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, id: impl Into<Option<i64>>, what: impl Into<String>) {
        if self.problems.len() < MOST {
            self.problems.push(Damage { id: id.into(), what: what.into() });
        }
    }

    fn warn(&mut self, words: impl Into<String>) {
        if self.warnings.len() < MOST {
            self.warnings.push(words.into());
        }
    }
}

/// [`verify_with`] the ledger's public key alone, or with nothing.
///
/// # Errors
/// When the ledger cannot be read at all.
pub fn verify(folder: &Path, key: Option<&str>) -> Result<Report, LedgerError> {
    verify_with(folder, &Trust { key: key.map(str::to_owned), ..Trust::default() })
}

/// Looks at every row, every link, every checkpoint and every cosignature of the ledger in a folder.
///
/// # Errors
/// When the ledger cannot be read at all.
pub fn verify_with(folder: &Path, trust: &Trust) -> Result<Report, LedgerError> {
    let mut report = Report {
        events: 0,
        head: None,
        checkpoints: 0,
        signed_until: None,
        cosigned_until: None,
        archived: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    // Checkpoints come first: every row that they name is in the database by then.
    let signed = claims::collect(folder, trust, &mut report)?;
    scan::all(folder, signed, &mut report)?;
    if report.events > 0 && !Place::of_ledger(folder).key_file().exists() {
        report.warn("checkpoint.key is not here: a copy needs none, a ledger that is written to has lost it");
    }
    Ok(report)
}
