//! Segments: rows of the past, in files that never change again, each with a signed manifest.
//!
//! `segments/000001-1-1000000.db` has the rows 1 to 1000000, `segments/000001-1-1000000.note` is its manifest.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    LedgerError, database,
    merkle::{Frontier, Hash},
    note::Note,
};

/// The first line of a manifest.
const FORMAT: &str = "os.moda/ledger-segment/v1";

/// What a segment is, signed by the ledger's key: a note of two lines, the format and this as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The origin of the ledger's checkpoints.
    pub(crate) origin: String,
    /// Segments count from 1.
    pub(crate) number: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Of the file, in hex.
    pub(crate) sha256: String,
    /// The hash of the last row.
    pub(crate) head: String,
    /// The root of the tree over all rows up to the last, in hex.
    pub(crate) root: String,
    /// Hashes of whole subtrees at its end that are smaller than those that the file `tree` has.
    pub(crate) edge: Vec<String>,
}

impl Manifest {
    /// The text that is signed.
    pub(crate) fn text(&self) -> String {
        format!("{FORMAT}\n{}\n", serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads the text of a note.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(FORMAT)?.strip_prefix('\n')?).ok()
    }

    /// [`Manifest::edge`], as the part of the tree that begins at [`Manifest::edge_start`].
    pub(crate) fn edge(&self) -> Option<Frontier> {
        let nodes: Option<Vec<Hash>> = self.edge.iter().map(|hash| hash_of(hash)).collect();
        Frontier::from_parts(self.last - self.edge_start(), nodes?)
    }

    /// The last multiple of 256 up to its end.
    pub(crate) fn edge_start(&self) -> u64 {
        self.last & !0xff
    }
}

/// Reads a hash in hex.
pub(crate) fn hash_of(hex: &str) -> Option<Hash> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// A file with rows, or the lack of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) number: u32,
    /// Its first and last row, where its name says so.
    pub(crate) rows: Option<(u64, u64)>,
    /// Where its rows are; none: the segment is not here, only its manifest.
    pub(crate) file: Option<PathBuf>,
}

/// The folder of segments.
pub(crate) fn folder(ledger: &Path) -> PathBuf {
    ledger.join("segments")
}

/// What the names of a segment's files begin with.
pub(crate) fn stem(number: u32, first: u64, last: u64) -> String {
    format!("{number:06}-{first}-{last}")
}

/// Can it be the number of a file? There is always a next one.
pub(crate) fn is_number(number: u32) -> bool {
    (1..u32::MAX).contains(&number)
}

/// Number, first and last row in a name that [`stem`] gives; any other one is not ours.
fn parse_stem(text: &str) -> Option<(u32, u64, u64)> {
    let mut parts = text.splitn(3, '-');
    let (number, first, last) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (is_number(number) && stem(number, first, last) == text).then_some((number, first, last))
}

/// Number, first and last row of all manifests, in order.
fn manifests(ledger: &Path) -> Vec<(u32, u64, u64)> {
    let entries = fs::read_dir(folder(ledger)).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| parse_stem(entry.file_name().to_str()?.strip_suffix(".note")?);
    let mut all: Vec<_> = entries.filter_map(read).collect();
    all.sort_unstable();
    all
}

/// [`manifests`], one of each number.
fn named(ledger: &Path) -> Vec<(u32, u64, u64)> {
    let mut named = manifests(ledger);
    named.dedup_by_key(|(number, _, _)| *number);
    named
}

/// Numbers that several manifests have.
pub(crate) fn doubled(ledger: &Path) -> Vec<u32> {
    let mut doubled: Vec<u32> =
        manifests(ledger).windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0).collect();
    doubled.dedup();
    doubled
}

/// The number of the last segment that has a manifest.
pub(crate) fn last_number(ledger: &Path) -> Option<u32> {
    named(ledger).last().map(|(number, _, _)| *number)
}

/// The file of a segment, if it is here.
pub(crate) fn file_of(ledger: &Path, number: u32) -> Option<PathBuf> {
    let (_, first, last) = named(ledger).into_iter().find(|(known, _, _)| *known == number)?;
    Some(folder(ledger).join(stem(number, first, last) + ".db")).filter(|file| file.exists())
}

/// The note of a segment's manifest, whoever signed it.
pub(crate) fn note(ledger: &Path, number: u32) -> Result<Note, LedgerError> {
    let known = named(ledger).into_iter().find(|(known, _, _)| *known == number);
    let (_, first, last) = known.ok_or(LedgerError::Segment(number))?;
    let file = folder(ledger).join(stem(number, first, last) + ".note");
    let text = fs::read_to_string(&file).map_err(|e| LedgerError::file(&file, e))?;
    Note::parse(&text).ok_or_else(|| LedgerError::file(&file, "it is no manifest of a segment"))
}

/// A segment's manifest, whoever signed it.
pub(crate) fn manifest(ledger: &Path, number: u32) -> Result<Manifest, LedgerError> {
    let manifest = Manifest::parse(&note(ledger, number)?.text).filter(|manifest| manifest.number == number);
    manifest.ok_or(LedgerError::Segment(number))
}

/// All files with rows, in order; numbers of which there is nothing at all are left out.
pub(crate) fn parts(ledger: &Path) -> Vec<Part> {
    let here = |number| Part { number, rows: None, file: Some(database::file(ledger, number)) };
    // Files come first: one that becomes a segment meanwhile is seen as that.
    let mut parts: BTreeMap<u32, Part> =
        database::numbers(ledger).into_iter().map(|number| (number, here(number))).collect();
    let segments = named(ledger);
    for (number, first, last) in &segments {
        let file = folder(ledger).join(stem(*number, *first, *last) + ".db");
        let part = Part { number: *number, rows: Some((*first, *last)), file: Some(file).filter(|file| file.exists()) };
        parts.insert(*number, part);
    }
    // It may have been begun since.
    let next = segments.last().map_or(1, |(number, _, _)| number + 1);
    if !parts.contains_key(&next) && database::file(ledger, next).exists() {
        parts.insert(next, here(next));
    }
    parts.into_values().collect()
}

impl Part {
    /// Opens its rows for reading; none: they are not here.
    pub(crate) fn open(&self) -> Result<Option<Connection>, LedgerError> {
        self.file.as_deref().map(database::open_read_only).transpose()
    }
}

/// Asks again when a file was moved to the segments while it was looked for.
pub(crate) fn settled<T>(mut work: impl FnMut() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
    for _ in 0..5 {
        match work() {
            Err(LedgerError::Sqlite(error)) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) => {}
            done => return done,
        }
    }
    work()
}
