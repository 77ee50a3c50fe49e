//! Proving that the ledger is whole.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};
use serde::Serialize;

use crate::{
    LedgerError,
    chain::{self, GENESIS},
    checkpoint::{self, Checkpoint},
    database,
};

/// Problems after which looking on tells nothing new.
const MOST: usize = 100;

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
}

/// Looks at every row, every link, and every checkpoint of the ledger in a folder. `key` is the public key to trust, in
/// signed-note's form; none: the one beside the database, which a thorough forger has replaced, too.
///
/// # Errors
/// When the ledger cannot be read at all.
pub fn verify(folder: &Path, key: Option<&str>) -> Result<Report, LedgerError> {
    // Checkpoints come first: every row that they name is in the database by then.
    let (checkpoints, mut report) = checkpoints(folder, key)?;
    let db = database::open_read_only(folder)?;
    // All questions are about one state of a database that others go on writing to.
    let transaction = db.unchecked_transaction()?;
    rows(&transaction, &checkpoints, &mut report)?;
    if report.events > 0 && !checkpoint::key_file(folder).exists() {
        let words = "checkpoint.key is not here: a copy needs none, a ledger that is written to has lost it";
        report.warnings.push(words.to_owned());
    }
    Ok(report)
}

fn checkpoints(folder: &Path, key: Option<&str>) -> Result<(Vec<Checkpoint>, Report), LedgerError> {
    let mut report = Report {
        events: 0,
        head: None,
        checkpoints: 0,
        signed_until: None,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let own = checkpoint::public_key(folder)?;
    let key = match key {
        None => own,
        Some(text) => match checkpoint::parse_public(text.trim()) {
            Some(trusted) => {
                if own.is_some_and(|own| own != trusted) {
                    report.add(None, "the public key beside the ledger is not the trusted one");
                }
                Some(trusted)
            }
            None => {
                report.add(None, "the trusted key is no public key of signed-note's form");
                own
            }
        },
    };
    let mut good = Vec::new();
    match key {
        Some(key) => {
            for checkpoint in checkpoint::read_all(folder, &key)? {
                match checkpoint {
                    Ok(checkpoint) => good.push(checkpoint),
                    Err(words) => report.add(None, words),
                }
            }
        }
        None => report.add(None, "there is no public key: checkpoints cannot be checked"),
    }
    good.sort_by_key(|c| c.id);
    report.checkpoints = good.len();
    report.signed_until = good.last().map(|c| c.id);
    Ok((good, report))
}

fn rows(db: &Connection, checkpoints: &[Checkpoint], report: &mut Report) -> Result<(), LedgerError> {
    let mut statement = db.prepare("SELECT id, ts, type, actor, payload, prev_hash, hash FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut previous = [0_u8; 64];
    previous.copy_from_slice(GENESIS.as_bytes());
    let mut last = 0_i64;
    let mut due = checkpoints.iter().peekable();
    let (mut linked, mut contradicted) = (true, false);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get_ref(0)?.as_i64().map_err(|e| LedgerError::Sqlite(rusqlite::Error::from(e).into()))?;
        let text = |column| match row.get_ref(column) {
            Ok(ValueRef::Text(bytes)) => bytes,
            _ => b"",
        };
        let (ts, kind, actor, payload, prev, stored) = (text(1), text(2), text(3), text(4), text(5), text(6));
        linked &= id == last + 1 && prev == previous;
        if id != last + 1 {
            report.add(id, format!("rows {} to {} are missing", last + 1, id.saturating_sub(1)));
        }
        if prev != previous {
            report.add(id, "it does not follow from the row before");
        }
        if !chain::is_word(kind) || !chain::is_word(actor) || !chain::is_word(ts) {
            report.add(id, "its time, type or actor has characters that make the hash ambiguous");
        }
        let computed = chain::hash(id, [ts, kind, actor, payload, prev]);
        linked &= stored == computed;
        if stored != computed {
            report.add(id, "its content does not have its hash");
        }
        while let Some(checkpoint) = due.next_if(|c| c.id <= id) {
            if checkpoint.id == id && chain::hex(&checkpoint.hash) != computed {
                report.add(id, "it is not the row that a checkpoint was signed for");
                contradicted = true;
            }
        }
        previous = computed;
        last = id;
        report.events += 1;
    }
    report.head = (last > 0).then_some(last);
    if contradicted && linked {
        let what = "the chain fits together but not the checkpoints: it was computed anew, or is another copy";
        report.problems.insert(0, Damage { id: None, what: what.to_owned() });
    }
    if let Some(checkpoint) = checkpoints.last().filter(|c| c.id > last) {
        report.add(None, format!("rows after {last} are missing: there is a checkpoint of row {}", checkpoint.id));
    }
    let sequence: Option<i64> =
        db.query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'", [], |row| row.get(0))?;
    if sequence.is_some_and(|sequence| sequence > last) {
        report.add(None, format!("rows after {last} are missing: row {} was written once", sequence.unwrap_or(0)));
    }
    Ok(())
}
