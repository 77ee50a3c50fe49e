//! The SQLite files: one that is written to, and those before it.
//!
//! A file's name is never used a second time: whoever still has an old one open touches nothing of the new one. The first
//! is `ledger.db`, the ones after it `ledger-000002.db` and so on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::{
    LedgerError,
    chain::GENESIS,
    durable::{make_folder, sync_folder},
    segments,
};

/// `application_id`: "osml".
const APPLICATION_ID: i32 = 0x6f73_6d6c;
const VERSION: i32 = 2;
/// How long a process waits for another one's transaction.
const BUSY: Duration = Duration::from_secs(10);
/// What the names of files begin with that are being made.
const NEW: &str = "ledger.new-";
/// The type of the last row of a file that is written to no more.
pub(crate) const SEALED: &str = "ledger.sealed";

/// `start` has the row before the first one of the file.
const SCHEMA: &str = "
CREATE TABLE events (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  ts        TEXT NOT NULL,
  type      TEXT NOT NULL,
  actor     TEXT NOT NULL,
  payload   TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash      TEXT NOT NULL
) STRICT;
CREATE TABLE start (id INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TRIGGER events_never_change BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER events_never_go BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
";

/// The file that is written to.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) db: Connection,
    pub(crate) number: u32,
    /// The row before its first one.
    pub(crate) start: i64,
}

/// The last row of a file, or the one before its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: i64,
    pub(crate) hash: String,
    /// True: the file is written to no more.
    pub(crate) sealed: bool,
}

/// A file with a number.
pub(crate) fn file(folder: &Path, number: u32) -> PathBuf {
    folder.join(name(number))
}

fn name(number: u32) -> String {
    if number == 1 { "ledger.db".to_owned() } else { format!("ledger-{number:06}.db") }
}

/// The number in a name that [`name`] gives; any other one is not ours.
fn number_of(text: &str) -> Option<u32> {
    let number = match text.strip_suffix(".db")?.strip_prefix("ledger")? {
        "" => 1,
        rest => rest.strip_prefix('-')?.parse().ok()?,
    };
    (segments::is_number(number) && name(number) == text).then_some(number)
}

/// The numbers of the files that are here under their first names.
pub(crate) fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| number_of(entry.file_name().to_str()?)).collect()
}

/// The number of the file that is written to.
pub(crate) fn live_number(folder: &Path) -> u32 {
    let named = numbers(folder).into_iter().max();
    named.max(segments::last_number(folder).map(|last| last + 1)).unwrap_or(1)
}

/// Numbers of which there is neither a file nor a segment, although there is one of a later number, or the one before
/// is sealed.
fn gap(folder: &Path) -> Option<(u32, u32)> {
    let look = || {
        let live = live_number(folder);
        let parts = segments::parts(folder);
        let mut next = 1;
        for part in &parts {
            if part.number > next {
                return Some((next, part.number - 1));
            }
            next = part.number + 1;
        }
        (!parts.is_empty() && next <= live).then_some((next, live))
    };
    // Others may just move a file, but not each time.
    (0..4).fold(look(), |found, _| found.and_then(|_| look()))
}

/// Opens the file to write to; makes it when it is not there, or the last one is sealed.
pub(crate) fn open(folder: &Path) -> Result<Live, LedgerError> {
    make_folder(folder, 0o750)?;
    loop {
        // Rows behind those that are missing could not follow from them.
        if let Some((first, last)) = gap(folder) {
            return Err(LedgerError::Gap { first, last });
        }
        let number = live_number(folder);
        match open_number(folder, number)? {
            Some(live) if !head(&live.db)?.sealed => return Ok(live),
            Some(_) => make(folder, number + 1)?,
            None => make(folder, number)?,
        }
    }
}

/// Opens a file to write to; none when it is not there.
fn open_number(folder: &Path, number: u32) -> Result<Option<Live>, LedgerError> {
    let file = file(folder, number);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut tries = 0;
    let db = loop {
        match Connection::open_with_flags(&file, flags) {
            Ok(db) => break db,
            Err(_) if !file.exists() => return Ok(None),
            // Others have made it since.
            Err(_) if tries < 5 => tries += 1,
            Err(error) => return Err(error.into()),
        }
    };
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    check(&db, &file)?;
    let start = db.query_row("SELECT id FROM start", [], |row| row.get(0))?;
    Ok(Some(Live { db, number, start }))
}

/// Makes a file, so that it is there as a whole or not at all, and once, whoever else does the same.
fn make(folder: &Path, number: u32) -> Result<(), LedgerError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (final_name, before) = (file(folder, number), before(folder, number)?);
    let failed = |e: io::Error| LedgerError::file(&final_name, e);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let new = folder.join(format!("{NEW}{}-{count}", std::process::id()));
    let made = write_new(&new, &before).and_then(|()| match fs::hard_link(&new, &final_name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        // Others have gone on, and moved the file of this number away by now: it must not come back.
        Ok(()) if live_number(folder) > number => remove(folder, number),
        _ => Ok(()),
    });
    let _ = fs::remove_file(&new);
    made?;
    sync_folder(folder)
}

/// A file without rows, that follows from the row `before`.
fn write_new(new: &Path, before: &Head) -> Result<(), LedgerError> {
    let _ = fs::remove_file(new);
    let mut db = Connection::open(new)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO start VALUES (?1, ?2)", (before.id, &before.hash))?;
    transaction.execute("INSERT INTO sqlite_sequence VALUES ('events', ?1)", [before.id])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    Ok(db.close().map_err(|(_, error)| error)?)
}

/// What the first row of a file follows from.
fn before(folder: &Path, number: u32) -> Result<Head, LedgerError> {
    if number == 1 {
        return Ok(Head { id: 0, hash: GENESIS.to_owned(), sealed: false });
    }
    let last = segments::file_of(folder, number - 1).unwrap_or_else(|| file(folder, number - 1));
    if last.exists() {
        return Ok(head(&open_read_only(&last)?)?);
    }
    let manifest = segments::manifest(folder, number - 1)?;
    Ok(Head { id: manifest.last.cast_signed(), hash: manifest.head, sealed: true })
}

/// Opens a file for reading only.
pub(crate) fn open_read_only(file: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(BUSY)?;
    check(&db, file)?;
    Ok(db)
}

fn check(db: &Connection, file: &Path) -> Result<(), LedgerError> {
    let application_id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if (application_id, version) == (APPLICATION_ID, VERSION) {
        Ok(())
    } else {
        Err(LedgerError::Foreign(file.display().to_string()))
    }
}

/// The last row, or what is before the first one.
pub(crate) fn head(db: &Connection) -> rusqlite::Result<Head> {
    let mut last = db.prepare_cached("SELECT id, hash, type FROM events ORDER BY id DESC LIMIT 1")?;
    let read = |row: &rusqlite::Row| {
        Ok(Head { id: row.get(0)?, hash: row.get(1)?, sealed: row.get_ref(2)?.as_bytes()? == SEALED.as_bytes() })
    };
    if let Some(head) = last.query_row([], read).optional()? {
        return Ok(head);
    }
    let mut start = db.prepare_cached("SELECT id, hash FROM start")?;
    start.query_row([], |row| Ok(Head { id: row.get(0)?, hash: row.get(1)?, sealed: false }))
}

/// Numbers of files that are sealed and still here under their first names, or were left behind.
pub(crate) fn leftovers(folder: &Path) -> Vec<u32> {
    let live = live_number(folder);
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_str()?;
        number_of(name.trim_end_matches("-wal").trim_end_matches("-shm"))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(number).filter(|number| *number < live).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Removes what processes that were killed left of files that they made.
pub(crate) fn sweep(folder: &Path) {
    const OLD: Duration = Duration::from_secs(60);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let old =
            || entry.metadata().and_then(|meta| meta.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|t| t > OLD));
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(NEW)) && old() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Puts all that the log of a file has into the file: whoever opens that just before it goes, and finds no log any more,
/// sees all rows. It waits for nobody, and nobody for it: who is to be waited for is [`LedgerError::Busy`].
pub(crate) fn fold(folder: &Path, number: u32) -> Result<(), LedgerError> {
    let Some(live) = open_number(folder, number)? else { return Ok(()) };
    let read = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    // TRUNCATE and RESTART keep writers out for as long as somebody reads, and all that has an old file open looks at its
    // last row as a writer.
    let (busy, pages, done): (bool, i64, i64) = live.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], read)?;
    if busy || done < pages { Err(LedgerError::Busy(file(folder, number).display().to_string())) } else { Ok(()) }
}

/// Removes a file whose rows are in a segment. Its log goes last: without it, the file would look shorter than it is.
pub(crate) fn remove(folder: &Path, number: u32) -> Result<(), LedgerError> {
    let file = file(folder, number);
    for ending in ["", "-wal", "-shm"] {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(LedgerError::file(&file, error)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn names_are_those_that_are_written_and_no_others() {
        for number in [1, 2, 999_999, 1_000_000, u32::MAX - 1] {
            assert_eq!(number_of(&name(number)), Some(number));
        }
        let others = [
            "ledger-2.db",
            "ledger-0000002.db",
            "ledger-000001.db",
            "ledger-000000.db",
            "ledger-+00002.db",
            "ledger-4294967295.db",
            "ledger-.db",
            "ledger000002.db",
            "ledger-000002.db.old",
            "Ledger.db",
        ];
        for text in others {
            assert_eq!(number_of(text), None, "{text}");
        }
    }

    #[test]
    fn who_appends_never_waits_for_who_reads_a_file_that_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let live = open(dir.path()).unwrap();
        let reader = open_read_only(&file(dir.path(), 1)).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
        let row = format!("INSERT INTO events VALUES (1, 't', '{SEALED}', 'a', '{{}}', '{GENESIS}', '{GENESIS}')");
        live.db.execute_batch(&row).unwrap();
        // It looks at the last row before it goes on to the next file, and is refused at once where it would have to wait.
        live.db.busy_timeout(Duration::ZERO).unwrap();
        let folding = thread::spawn({
            let folder = dir.path().to_owned();
            move || fold(&folder, 1)
        });
        while !folding.is_finished() {
            live.db.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
        }
        assert!(matches!(folding.join().unwrap(), Err(LedgerError::Busy(_))), "the reader is still there");
        reader.execute_batch("COMMIT").unwrap();
        fold(dir.path(), 1).unwrap();
        drop((reader, live));
        fs::remove_file(dir.path().join("ledger.db-wal")).unwrap_or_default();
        assert!(head(&open_read_only(&file(dir.path(), 1)).unwrap()).unwrap().sealed);
    }
}
