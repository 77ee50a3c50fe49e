//! Looking at every row.

use rusqlite::{Connection, types::ValueRef};
use sha2::{Digest, Sha256};

use super::{
    Damage, Report,
    claims::{By, Claim, moment},
};
use crate::{
    LedgerError,
    chain::{self, GENESIS},
    merkle::{self, Frontier},
};

/// A clock that is set back by less, in seconds, is not worth a word.
const STEP: f64 = 1.0;
/// How far the clocks of a witness and of this machine may be apart, in seconds.
const APART: u64 = 600;

/// Where a scan is.
pub(super) struct Scan {
    last: i64,
    /// The hash of the row before, in hex.
    previous: [u8; 64],
    /// The tree so far; none after a gap, where nobody knows which leaf is which.
    tree: Option<Frontier>,
    claims: std::iter::Peekable<std::vec::IntoIter<Claim>>,
    /// Rows up to here have a root that was signed.
    agreed: u64,
    contradicted: bool,
    linked: bool,
    clock: Clock,
}

/// What rows say of the clock.
#[derive(Default)]
struct Clock {
    /// The latest time since it was last set back...
    ts: Vec<u8>,
    /// ...and before that.
    before: Vec<u8>,
    /// How often it was set back.
    steps: usize,
}

/// Looks at every row of a database, and at every claim about them.
pub(super) fn rows(db: &Connection, claims: Vec<Claim>, report: &mut Report) -> Result<(), LedgerError> {
    let mut scan = Scan::new(claims);
    scan.database(db, report)?;
    scan.end(report);
    Ok(())
}

impl Scan {
    fn new(claims: Vec<Claim>) -> Self {
        let mut previous = [0_u8; 64];
        previous.copy_from_slice(GENESIS.as_bytes());
        Self {
            last: 0,
            previous,
            tree: Some(Frontier::default()),
            claims: claims.into_iter().peekable(),
            agreed: 0,
            contradicted: false,
            linked: true,
            clock: Clock::default(),
        }
    }

    fn database(&mut self, db: &Connection, report: &mut Report) -> Result<(), LedgerError> {
        let mut statement =
            db.prepare("SELECT id, ts, type, actor, payload, prev_hash, hash FROM events ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get_ref(0)?.as_i64().map_err(|e| LedgerError::Sqlite(rusqlite::Error::from(e).into()))?;
            let text = |column| match row.get_ref(column) {
                Ok(ValueRef::Text(bytes)) => bytes,
                _ => b"",
            };
            self.row(id, [text(1), text(2), text(3), text(4), text(5)], text(6), report);
        }
        let written: Option<i64> =
            db.query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'", [], |row| row.get(0))?;
        if let Some(written) = written.filter(|written| *written > self.last) {
            report.add(None, format!("rows after {} are missing: row {written} was written once", self.last));
        }
        Ok(())
    }

    fn row(&mut self, id: i64, parts: [&[u8]; 5], stored: &[u8], report: &mut Report) {
        let [ts, kind, actor, _, prev] = parts;
        if id != self.last + 1 {
            report.add(id, format!("rows {} to {} are missing", self.last + 1, id.saturating_sub(1)));
            (self.linked, self.tree) = (false, None);
        }
        if prev != self.previous {
            report.add(id, "it does not follow from the row before");
            self.linked = false;
        }
        if !chain::is_word(kind) || !chain::is_word(actor) || !chain::is_word(ts) {
            report.add(id, "its time, type or actor has characters that make the hash ambiguous");
        }
        let digest = Sha256::digest(chain::preimage(id, parts)).into();
        let computed = chain::hex(&digest);
        if stored != computed {
            report.add(id, "its content does not have its hash");
            self.linked = false;
        }
        self.clock.look(id, ts, report);
        if let Some(tree) = &mut self.tree {
            tree.push(merkle::leaf(&digest));
        }
        self.previous = computed;
        self.last = id;
        report.events += 1;
        self.settle(id.unsigned_abs(), report);
    }

    /// Compares what was claimed of the first `size` rows with what they are.
    fn settle(&mut self, size: u64, report: &mut Report) {
        let (mut root, first) = (None, self.agreed + 1);
        while let Some(claim) = self.claims.next_if(|claim| claim.size <= size) {
            let Some(tree) = self.tree.as_ref().filter(|tree| tree.size() == claim.size) else { continue };
            if *root.get_or_insert_with(|| tree.root()) == claim.root {
                self.agreed = size;
                if let By::Witness(name, time) = &claim.by {
                    self.clock.compare(name, *time, report);
                }
            } else if !self.contradicted {
                let rows = if first == size { format!("row {size} is") } else { format!("rows {first} to {size} are") };
                let that = if first == size { "the one" } else { "those" };
                report.add(None, format!("{rows} not {that} that {}", claim.by.words()));
                self.contradicted = true;
            }
        }
    }

    /// What is said when there are no more rows.
    fn end(mut self, report: &mut Report) {
        let last = self.last;
        report.head = (last > 0).then_some(last);
        if self.contradicted && self.linked {
            let what = "the chain fits together but not the checkpoints: it was computed anew, or is another copy";
            report.problems.insert(0, Damage { id: None, what: what.to_owned() });
        }
        let mut told = Vec::new();
        // The largest comes first.
        let beyond: Vec<Claim> = self.claims.by_ref().collect();
        for claim in beyond.iter().rev() {
            let who = match &claim.by {
                By::Ledger => format!("there is a checkpoint of {} rows", claim.size),
                By::Witness(name, time) => {
                    format!("the witness {name} has seen {} rows at {}", claim.size, moment(*time))
                }
                By::Kept => format!("a checkpoint of {} rows was kept elsewhere", claim.size),
            };
            let kind = std::mem::discriminant(&claim.by);
            if !told.contains(&kind) {
                told.push(kind);
                report.add(None, format!("rows after {last} are missing: {who}"));
            }
        }
        if self.clock.steps > 1 {
            report.warn(format!("the clock was set back {} times in all", self.clock.steps));
        }
        if last > 0 && report.checkpoints == 0 {
            report.warn("no checkpoint covers any row");
        }
    }
}

impl Clock {
    fn look(&mut self, id: i64, ts: &[u8], report: &mut Report) {
        // Times are of one length, so that their order is that of their bytes.
        if ts >= self.ts.as_slice() {
            self.ts.clear();
            self.ts.extend_from_slice(ts);
            return;
        }
        let (Some(before), Some(now)) = (seconds(&self.ts), seconds(ts)) else { return };
        if before - now >= STEP {
            self.steps += 1;
            if self.steps == 1 {
                let words = format!("the clock was set back by {:.0} s before row {id}", before - now);
                report.warn(format!("{words}: times of rows from there on are not those of events before"));
            }
            let latest = std::mem::replace(&mut self.ts, ts.to_vec());
            self.before = latest.max(std::mem::take(&mut self.before));
        }
    }

    /// Rows that a witness has seen were not written after that.
    fn compare(&self, name: &str, time: u64, report: &mut Report) {
        let ts = (&self.ts).max(&self.before);
        let late = seconds(ts).filter(|seconds| *seconds > (time + APART) as f64);
        if late.is_some() {
            let ts = String::from_utf8_lossy(ts);
            report
                .warn(format!("a row of {ts} was seen by the witness {name} at {}: one clock was wrong", moment(time)));
        }
    }
}

/// Seconds since 1970.
fn seconds(ts: &[u8]) -> Option<f64> {
    let ts: jiff::Timestamp = std::str::from_utf8(ts).ok()?.parse().ok()?;
    Some(ts.as_duration().as_secs_f64())
}
