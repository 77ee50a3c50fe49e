//! Looking at every row.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Damage, Report,
    claims::{By, Claim, Claims, moment},
};
use crate::{
    LedgerError,
    chain::{self, GENESIS},
    database,
    merkle::{self, Frontier},
    note::{Note, PublicKey, Signed},
    rows::Rows,
    seal,
    segments::{self, Manifest},
    tree::Tree,
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
    /// Room for what a row's hash is over.
    preimage: Vec<u8>,
    /// The tree so far; none after a gap, where nobody knows which leaf is which.
    tree: Option<Frontier>,
    claims: std::iter::Peekable<std::vec::IntoIter<Claim>>,
    /// Rows of the largest claim.
    newest: u64,
    /// Rows up to here have a root that was signed.
    agreed: u64,
    contradicted: bool,
    linked: bool,
    clock: Clock,
    /// Segments with the hashes of their files, by manifests...
    sealed: Vec<(u32, String)>,
    /// ...and by events.
    hashes: Vec<(u32, String)>,
    /// Segments that are not here...
    missing: Vec<u32>,
    /// ...and those that are archived, by events.
    archived: Vec<u32>,
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

/// Looks at every row of all files, and at every claim about them.
pub(super) fn all(folder: &Path, signed: Claims, report: &mut Report) -> Result<(), LedgerError> {
    let mut scan = Scan::new(signed.claims);
    let live = database::live_number(folder);
    let mut done = 0;
    // Parts are looked for anew each time: others may go on and seal meanwhile.
    while let Some((part, db)) = segments::settled(|| {
        let next = segments::parts(folder).into_iter().find(|part| part.number > done && part.number <= live);
        next.map(|part| part.open().map(|db| (part, db))).transpose()
    })? {
        let number = part.number;
        missing(done + 1, number - 1, report);
        done = number;
        let manifest = part.rows.and_then(|_| manifest(folder, number, signed.key.as_ref(), report));
        match (db, manifest) {
            (Some(db), manifest) => {
                scan.database(&db, report)?;
                if let (Some(manifest), Some(file)) = (manifest, part.file) {
                    scan.compare(&manifest, &file, report)?;
                }
            }
            (None, Some(manifest)) => scan.skip(folder, manifest, report)?,
            (None, None) => report.add(None, format!("segment {number} is missing")),
        }
    }
    if (done, live) == (0, 1) {
        // There is no ledger at all.
        database::open_read_only(&database::file(folder, 1))?;
    }
    missing(done + 1, live, report);
    for number in segments::doubled(folder) {
        report.add(None, format!("there are several manifests of segment {number}"));
    }
    scan.end(report);
    Ok(())
}

/// Reports numbers of which there is nothing at all.
fn missing(first: u32, last: u32, report: &mut Report) {
    if first <= last {
        report.add(None, format!("all of {} missing", crate::missing_parts(first, last)));
    }
}

/// What a segment is, when that is signed by the key.
fn manifest(folder: &Path, number: u32, key: Option<&PublicKey>, report: &mut Report) -> Option<Manifest> {
    let key = key?;
    let signed = |note: &Note| note.check(key) == Signed::Yes;
    let manifest = segments::note(folder, number).ok().filter(signed).and_then(|note| Manifest::parse(&note.text));
    let manifest = manifest.filter(|manifest| manifest.number == number && manifest.origin == key.name());
    if manifest.is_none() {
        report.add(None, format!("the manifest of segment {number} is not signed by the key"));
    }
    manifest
}

impl Scan {
    fn new(claims: Vec<Claim>) -> Self {
        let mut previous = [0_u8; 64];
        previous.copy_from_slice(GENESIS.as_bytes());
        Self {
            last: 0,
            previous,
            preimage: Vec::new(),
            tree: Some(Frontier::default()),
            newest: claims.last().map_or(0, |claim| claim.size),
            claims: claims.into_iter().peekable(),
            agreed: 0,
            contradicted: false,
            linked: true,
            clock: Clock::default(),
            sealed: Vec::new(),
            hashes: Vec::new(),
            missing: Vec::new(),
            archived: Vec::new(),
        }
    }

    fn database(&mut self, db: &Connection, report: &mut Report) -> Result<(), LedgerError> {
        // All questions are about one state of a database that others go on writing to.
        let db = &*db.unchecked_transaction()?;
        let start: (i64, String) =
            db.query_row("SELECT id, hash FROM start", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if start.0 != self.last || start.1.as_bytes() != self.previous {
            report.add(None, format!("the part that begins after row {} does not follow from the one before", start.0));
            self.linked = false;
        }
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
        let [ts, kind, actor, payload, prev] = parts;
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
        chain::preimage(id, parts, &mut self.preimage);
        let digest = Sha256::digest(&self.preimage).into();
        let computed = chain::hex(&digest);
        if stored != computed {
            report.add(id, "its content does not have its hash");
            self.linked = false;
        }
        self.clock.look(id, ts, report);
        if actor == b"ledger" {
            self.remember(kind, payload);
        }
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
                    report.cosigned_until = Some(size.cast_signed());
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

    /// Events about segments.
    fn remember(&mut self, kind: &[u8], payload: &[u8]) {
        let Ok(payload) = serde_json::from_slice::<Value>(payload) else { return };
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        match kind {
            b"ledger.segment" => {
                let hash = payload["sha256"].as_str().map(str::to_owned);
                self.hashes.extend(number(&payload["segment"]).zip(hash));
            }
            b"ledger.archived" => {
                self.archived.extend(payload["segments"].as_array().into_iter().flatten().filter_map(number));
            }
            _ => {}
        }
    }

    /// Compares a segment that was looked at with its manifest.
    fn compare(&mut self, manifest: &Manifest, file: &Path, report: &mut Report) -> Result<(), LedgerError> {
        let number = manifest.number;
        if seal::file_hash(file)? != manifest.sha256 {
            report.add(None, format!("the file of segment {number} is not the one that was sealed"));
        }
        let root = self.tree.as_ref().map(Frontier::root);
        let ends = self.last.unsigned_abs() == manifest.last && self.previous == *manifest.head.as_bytes();
        if !ends || root.is_some_and(|root| Some(root) != segments::hash_of(&manifest.root)) {
            report.add(None, format!("segment {number} has not the rows of its manifest"));
        }
        self.sealed.push((number, manifest.sha256.clone()));
        Ok(())
    }

    /// Goes on behind a segment that is not here.
    fn skip(&mut self, folder: &Path, manifest: Manifest, report: &mut Report) -> Result<(), LedgerError> {
        let number = manifest.number;
        if manifest.first != self.last.unsigned_abs() + 1 {
            report.add(None, format!("rows {} to {} are missing", self.last + 1, manifest.first - 1));
        }
        let tree = Tree::load(folder, &Rows::new(folder), manifest.last).map(Tree::into_frontier);
        self.tree = tree.ok().filter(|tree| Some(tree.root()) == segments::hash_of(&manifest.root));
        if self.tree.is_none() {
            report.add(None, format!("the hashes that were kept of segment {number} do not have its root"));
        }
        self.last = manifest.last.cast_signed();
        match manifest.head.as_bytes().try_into() {
            Ok(head) => self.previous = head,
            Err(_) => report.add(None, format!("the manifest of segment {number} has no hash of its last row")),
        }
        self.sealed.push((number, manifest.sha256));
        self.missing.push(number);
        self.pass_over(manifest.last, report);
        self.settle(manifest.last, report);
        Ok(())
    }

    /// Leaves out what was claimed of fewer rows than `end`, which are in a segment that is not here. What somebody kept
    /// would be no proof against a forger with the ledger's key if it could be left out, too, nor would the last word.
    fn pass_over(&mut self, end: u64, report: &mut Report) {
        let mut told = 0;
        while let Some(claim) = self.claims.next_if(|claim| claim.size < end) {
            if (claim.kept || claim.size == self.newest) && claim.size > told {
                told = claim.size;
                let words = format!("rows up to {told} could not be compared with those that {}", claim.by.words());
                report.add(None, format!("{words}: put back the archived segment that they are in"));
            }
        }
    }

    /// Compares what events say of segments with what they are.
    fn segments(&mut self, report: &mut Report) {
        for (number, told) in &self.hashes {
            if self.sealed.iter().any(|(sealed, hash)| sealed == number && hash != told) {
                report.add(None, format!("segment {number} is not the one that an event tells of: it was sealed anew"));
            }
        }
        for number in std::mem::take(&mut self.missing) {
            if self.archived.contains(&number) {
                report.archived.push(number);
            } else {
                report.add(None, format!("segment {number} is missing, and no event says that it was archived"));
            }
        }
    }

    /// What is said when there are no more rows.
    fn end(mut self, report: &mut Report) {
        self.segments(report);
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
        // Rows of one transaction have one time.
        if ts == self.ts {
            return;
        }
        // Times are of one length, so that their order is that of their bytes.
        if ts > self.ts.as_slice() {
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
