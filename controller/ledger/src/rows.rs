//! The rows' hashes, as leaves of the tree, from all files.

use std::{
    cell::RefCell,
    ops::Range,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER_PERMISSIVE;
use rusqlite::{Connection, types::ValueRef};

use crate::{
    LedgerError, chain,
    database::{self, Head},
    merkle::{self, Frontier, Hash},
    segments,
};

/// The rows of a ledger, to be read only.
#[derive(Debug)]
pub(crate) struct Rows {
    folder: PathBuf,
    /// The file that was read last.
    last: RefCell<Option<(PathBuf, Connection)>>,
}

impl Rows {
    /// Of the ledger of a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), last: RefCell::default() }
    }

    /// The last row.
    pub(crate) fn head(&self) -> Result<Head, LedgerError> {
        segments::settled(|| {
            let file = database::file(&self.folder, database::live_number(&self.folder));
            self.with(&file, |db| Ok(database::head(db)?))
        })
    }

    /// Does something with a file that is open, or is opened for it.
    pub(crate) fn with<T>(
        &self,
        file: &Path,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((known, db)) if known == file => work(db),
            _ => work(&last.insert((file.to_owned(), database::open_read_only(file)?)).1),
        }
    }

    /// What a row's hash is over.
    pub(crate) fn preimage(&self, id: u64) -> Result<Vec<u8>, LedgerError> {
        let mut found = Err(LedgerError::Missing(id));
        self.each_file(id.saturating_sub(1)..id, |db, _| {
            let sql = "SELECT ts, type, actor, payload, prev_hash FROM events WHERE id = ?1";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([id.cast_signed()])?;
            if let Some(row) = rows.next()? {
                let text =
                    |column| row.get_ref(column).ok().and_then(|value| value.as_bytes().ok()).unwrap_or_default();
                let mut bytes = Vec::new();
                chain::preimage(id.cast_signed(), [text(0), text(1), text(2), text(3), text(4)], &mut bytes);
                found = Ok(bytes);
            }
            Ok(())
        })?;
        found
    }

    /// Tells the hashes of leaves in order; leaf 0 is row 1.
    pub(crate) fn leaves(&self, range: Range<u64>, mut each: impl FnMut(Hash)) -> Result<(), LedgerError> {
        let mut next = range.start;
        self.each_file(range.clone(), |db, range| {
            let sql = "SELECT id, hash FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([next.cast_signed(), range.end.cast_signed()])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                next += 1;
                let mut hash = [0; 32];
                let whole = match row.get_ref(1)? {
                    ValueRef::Text(hex) if hex.len() == 64 => HEXLOWER_PERMISSIVE.decode_mut(hex, &mut hash).is_ok(),
                    _ => false,
                };
                if id.unsigned_abs() != next || !whole {
                    return Err(LedgerError::Missing(next));
                }
                each(merkle::leaf(&hash));
            }
            Ok(())
        })?;
        if next == range.end { Ok(()) } else { Err(LedgerError::Missing(next + 1)) }
    }

    /// Goes through the files that may have rows of a range (from 0), in order.
    fn each_file(
        &self,
        range: Range<u64>,
        mut work: impl FnMut(&Connection, Range<u64>) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        if range.is_empty() {
            return Ok(());
        }
        // What was read before a file was moved is not read again.
        let mut done = 0;
        segments::settled(|| {
            for part in segments::parts(&self.folder) {
                let beside = part.rows.is_some_and(|(first, last)| range.end < first || last <= range.start);
                if part.number <= done || beside {
                    continue;
                }
                let file = part.file.ok_or(LedgerError::Segment(part.number))?;
                self.with(&file, |db| work(db, range.clone()))?;
                done = part.number;
            }
            Ok(())
        })
    }

    /// A part of the tree that begins at leaf `at`, ends at `end` or before, and is known although its rows are not here.
    pub(crate) fn known_part(&self, at: u64, end: u64) -> Option<Frontier> {
        let missing = segments::parts(&self.folder).into_iter().filter(|part| part.file.is_none());
        let mut manifests = missing.filter_map(|part| segments::manifest(&self.folder, part.number).ok());
        manifests.find_map(|manifest| {
            let start = manifest.edge_start();
            manifest.edge()?.between(at.checked_sub(start)?, end.checked_sub(start)?)
        })
    }
}
