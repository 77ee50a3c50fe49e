//! Reading events.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, types::Value as Sql};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{LedgerError, rows::Rows, segments};

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its number, from 1.
    pub id: i64,
    /// When, UTC, with milliseconds.
    pub ts: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who.
    pub actor: String,
    /// The rest.
    pub payload: Value,
    /// The hash of the row before.
    pub prev_hash: String,
    /// Its hash.
    pub hash: String,
}

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only after this row.
    pub after: Option<i64>,
    /// Only this type; a trailing `*` stands for any ending.
    pub kind: Option<String>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Most rows.
    pub limit: usize,
    /// From the last row backwards, instead of from the first one on.
    pub newest_first: bool,
}

/// The ledger, open for reading only.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    rows: Rows,
}

impl Reader {
    /// Opens the ledger of a folder.
    ///
    /// # Errors
    /// When there is none, or it is not ours.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let rows = Rows::new(folder);
        rows.head()?;
        Ok(Self { folder: folder.to_owned(), rows })
    }

    /// The last row's id and hash.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn head(&self) -> Result<Option<(i64, String)>, LedgerError> {
        let head = self.rows.head()?;
        Ok((head.id > 0).then_some((head.id, head.hash)))
    }

    /// Rows that fit; those of archived segments are left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn rows(&self, query: &Query) -> Result<Vec<Row>, LedgerError> {
        segments::settled(|| {
            let mut parts = segments::parts(&self.folder);
            if query.newest_first {
                parts.reverse();
            }
            let after = query.after.unwrap_or(0);
            let mut found = Vec::new();
            for part in parts {
                let older = part.rows.is_some_and(|(_, last)| last.cast_signed() <= after);
                let left = query.limit - found.len();
                if let Some(file) = part.file.filter(|_| !older && left > 0) {
                    found.extend(self.rows.with(&file, |db| rows_of(db, query, left))?);
                }
            }
            Ok(found)
        })
    }
}

/// Rows of one file that fit.
fn rows_of(db: &Connection, query: &Query, limit: usize) -> Result<Vec<Row>, LedgerError> {
    let mut sql = "SELECT id, ts, type, actor, payload, prev_hash, hash FROM events WHERE id > ?1".to_owned();
    let mut values = vec![Sql::Integer(query.after.unwrap_or(0))];
    if let Some(kind) = &query.kind {
        match kind.strip_suffix('*') {
            Some(prefix) => {
                values.push(Sql::Text(prefix.to_owned()));
                sql += &format!(" AND substr(type, 1, length(?{0})) = ?{0}", values.len());
            }
            None => {
                values.push(Sql::Text(kind.clone()));
                sql += &format!(" AND type = ?{}", values.len());
            }
        }
    }
    if let Some(actor) = &query.actor {
        values.push(Sql::Text(actor.clone()));
        sql += &format!(" AND actor = ?{}", values.len());
    }
    values.push(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let order = if query.newest_first { "DESC" } else { "ASC" };
    sql += &format!(" ORDER BY id {order} LIMIT ?{}", values.len());
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
        let payload: String = row.get(4)?;
        Ok(Row {
            id: row.get(0)?,
            ts: row.get(1)?,
            kind: row.get(2)?,
            actor: row.get(3)?,
            // What somebody has tampered with is shown as it is.
            payload: serde_json::from_str(&payload).unwrap_or(Value::String(payload)),
            prev_hash: row.get(5)?,
            hash: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// True when an event's type fits a pattern: the type itself, or a beginning with `*`.
#[must_use]
pub fn type_matches(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |prefix| kind.starts_with(prefix))
}
