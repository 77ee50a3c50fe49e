//! The rows' hashes, as leaves of the tree.

use std::{ops::Range, path::Path};

use data_encoding::HEXLOWER_PERMISSIVE;
use rusqlite::{Connection, types::ValueRef};

use crate::{
    LedgerError, chain, database,
    merkle::{self, Hash},
    writer,
};

/// The rows of a ledger, to be read only.
#[derive(Debug)]
pub(crate) struct Rows {
    live: Connection,
}

impl Rows {
    /// Opens the ledger of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, LedgerError> {
        Ok(Self { live: database::open_read_only(folder)? })
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> Result<u64, LedgerError> {
        Ok(writer::head(&self.live)?.map_or(0, |(id, _)| id.unsigned_abs()))
    }

    /// What a row's hash is over.
    pub(crate) fn preimage(&self, id: u64) -> Result<Vec<u8>, LedgerError> {
        let sql = "SELECT ts, type, actor, payload, prev_hash FROM events WHERE id = ?1";
        let mut statement = self.live.prepare_cached(sql)?;
        let mut rows = statement.query([id.cast_signed()])?;
        let row = rows.next()?.ok_or(LedgerError::Missing(id))?;
        let text = |column| row.get_ref(column).ok().and_then(|value| value.as_bytes().ok()).unwrap_or_default();
        Ok(chain::preimage(id.cast_signed(), [text(0), text(1), text(2), text(3), text(4)]))
    }

    /// Tells the hashes of leaves in order; leaf 0 is row 1.
    pub(crate) fn leaves(&self, range: Range<u64>, mut each: impl FnMut(Hash)) -> Result<(), LedgerError> {
        if range.is_empty() {
            return Ok(());
        }
        let sql = "SELECT id, hash FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id";
        let mut statement = self.live.prepare_cached(sql)?;
        let mut rows = statement.query([range.start.cast_signed(), range.end.cast_signed()])?;
        let mut next = range.start;
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
        if next == range.end { Ok(()) } else { Err(LedgerError::Missing(next + 1)) }
    }
}
