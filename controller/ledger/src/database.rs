//! The SQLite file.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{LedgerError, database_file};

/// `application_id`: "osml".
const APPLICATION_ID: i32 = 0x6f73_6d6c;
const VERSION: i32 = 1;
/// How long a process waits for another one's transaction.
const BUSY: Duration = Duration::from_secs(10);

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
CREATE TRIGGER events_never_change BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER events_never_go BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
";

/// Opens the database for writing; makes it when it is not there.
pub(crate) fn open(folder: &Path) -> Result<Connection, LedgerError> {
    if !folder.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)
            .map_err(|error| LedgerError::file(folder, error))?;
    }
    let mut db = Connection::open(database_file(folder))?;
    db.busy_timeout(BUSY)?;
    wait_for_wal(&db)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Two processes may be the first at the same time; the second one finds what the first one made.
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    check(&db, folder)?;
    Ok(db)
}

/// Turns write-ahead logging on. Of several that are the first, SQLite tells all but one that the database is locked, and
/// does not wait for that one as it does elsewhere.
fn wait_for_wal(db: &Connection) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && began.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// Opens the database for reading only.
pub(crate) fn open_read_only(folder: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(database_file(folder), flags)?;
    db.busy_timeout(BUSY)?;
    check(&db, folder)?;
    Ok(db)
}

fn check(db: &Connection, folder: &Path) -> Result<(), LedgerError> {
    let application_id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if (application_id, version) == (APPLICATION_ID, VERSION) {
        Ok(())
    } else {
        Err(LedgerError::Foreign(database_file(folder).display().to_string()))
    }
}
