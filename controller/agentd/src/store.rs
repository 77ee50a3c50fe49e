//! `state.db`: the admitted version of every object, so that a restart or a broken file forgets nothing.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use osmoda_failpoint as failpoint;
use osmoda_schemas::{
    object::{Author, ContentHash, Object, ObjectRef},
    rules::facts,
};
use rusqlite::{Connection, params};

use crate::{
    ingest::shared,
    world::{Admitted, Update, World},
};

/// `application_id` of `state.db`: "osmd".
const APPLICATION_ID: i32 = 0x6f73_6d64;
const VERSION: i32 = 1;

const SCHEMA: &str = "
CREATE TABLE admitted (
  object     TEXT PRIMARY KEY,
  document   TEXT NOT NULL,
  hash       TEXT NOT NULL,
  author     INTEGER NOT NULL,
  file       TEXT NOT NULL,
  line       INTEGER NOT NULL,
  column_    INTEGER NOT NULL,
  generation INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
";

/// The open database. One process, agentd, writes it.
#[derive(Debug)]
pub struct Store {
    db: Connection,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("state.db: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The disk says no.
    #[error("state.db: {0}")]
    Io(std::io::Error),
    /// Another program's file, or a later version's.
    #[error("state.db is not ours to read: application id {application_id:#x}, version {version}")]
    Foreign {
        /// `PRAGMA application_id`.
        application_id: i32,
        /// `PRAGMA user_version`.
        version: i32,
    },
    /// A row that cannot be what was written.
    #[error("state.db: the row of {object} is damaged: {reason}")]
    Damaged {
        /// Its key.
        object: String,
        /// What does not fit.
        reason: String,
    },
}

impl Store {
    /// Opens the database, and creates it when it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not ours.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let application_id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (application_id, version, tables) {
            (0, 0, 0) => db.execute_batch(&format!(
                "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
            ))?,
            (APPLICATION_ID, VERSION, _) => {}
            _ => return Err(StoreError::Foreign { application_id, version }),
        }
        Ok(Self { db })
    }

    /// Everything that was in force.
    ///
    /// # Errors
    /// When a row cannot be read or does not have the hash it was written with.
    pub fn load(&self) -> Result<BTreeMap<ObjectRef, Admitted>, StoreError> {
        let mut statement =
            self.db.prepare("SELECT object, document, hash, author, file, line, column_, generation FROM admitted")?;
        let mut rows = statement.query([])?;
        let mut admitted = BTreeMap::new();
        let mut files: BTreeMap<String, Arc<Path>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            let damaged = |reason: String| StoreError::Damaged { object: key.clone(), reason };
            let reference: ObjectRef = key.parse().map_err(|e| damaged(format!("{e}")))?;
            let document: String = row.get(1)?;
            let hash: ContentHash = row.get::<_, String>(2)?.parse().map_err(|e| damaged(format!("{e}")))?;
            if ContentHash::of(&document) != hash {
                return Err(damaged("the document does not have its hash".to_owned()));
            }
            let object = Object::from_json(&document).map_err(|e| damaged(e.to_string()))?;
            let file: String = row.get(4)?;
            let file = files.entry(file).or_insert_with_key(|f| Arc::from(Path::new(f)));
            let entry = Admitted {
                canonical: document.into(),
                hash,
                author: Author { uid: row.get(3)? },
                file: Arc::clone(file),
                line: row.get(5)?,
                column: row.get(6)?,
                generation: row.get::<_, i64>(7)?.unsigned_abs(),
                facts: shared(facts(&object)),
            };
            admitted.insert(reference, entry);
        }
        Ok(admitted)
    }

    /// Makes an update durable, all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be written; the caller must not act on the update then.
    pub fn save(&mut self, world: &World, update: &Update) -> Result<(), StoreError> {
        if update.admitted.is_empty() && update.deleted.is_empty() {
            return Ok(());
        }
        let transaction = self.db.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO admitted (object, document, hash, author, file, line, column_, generation)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for reference in &update.admitted {
                let Some(a) = world.admitted().get(reference) else { continue };
                put.execute(params![
                    reference.to_string(),
                    &*a.canonical,
                    a.hash.to_string(),
                    a.author.uid,
                    a.file.to_string_lossy(),
                    a.line,
                    a.column,
                    i64::try_from(a.generation).unwrap_or(i64::MAX),
                ])?;
            }
            let mut delete = transaction.prepare_cached("DELETE FROM admitted WHERE object = ?1")?;
            for reference in &update.deleted {
                delete.execute([reference.to_string()])?;
            }
        }
        failpoint::may_fail("state.save", "").map_err(StoreError::Io)?;
        transaction.commit()?;
        failpoint::after("state.save", "");
        Ok(())
    }
}
