//! The book's file: SQLite, each commit durable.

use std::{path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use osmoda_chains::{
    U256,
    effects::{Account, Chain},
};
use osmoda_schemas::name::Name;
use osmoda_wallet_policy::{Policy, Spend, What};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Approve, Event, Note, Purpose, Reserve, SpendError, Used,
    sums::{Spender, Sums, kept},
};

/// `application_id`: "osms".
const APPLICATION_ID: i32 = 0x6f73_6d73;
const VERSION: i32 = 1;
/// Nobody else writes to it; whoever looks at it is soon done.
const BUSY: Duration = Duration::from_secs(5);

/// `at` and `until` are milliseconds since 1970. A released reservation stays, and does not count.
const SCHEMA: &str = "
CREATE TABLE reservation (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  wallet   TEXT NOT NULL,
  account  TEXT NOT NULL,
  policy   TEXT NOT NULL,
  payload  BLOB NOT NULL,
  chain    TEXT NOT NULL,
  chain_id TEXT,
  caller   INTEGER NOT NULL,
  released INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX payload ON reservation (wallet, payload) WHERE NOT released;
CREATE INDEX at ON reservation (at);
CREATE TABLE spend (
  reservation INTEGER NOT NULL REFERENCES reservation (id),
  asset       TEXT NOT NULL,
  amount      BLOB NOT NULL
) STRICT;
CREATE INDEX of ON spend (reservation);
CREATE TABLE event (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  at          INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  reservation INTEGER REFERENCES reservation (id),
  payload     TEXT NOT NULL
) STRICT;
CREATE TABLE approval (
  wallet   TEXT NOT NULL,
  purpose  TEXT NOT NULL,
  payload  BLOB NOT NULL,
  approver INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  PRIMARY KEY (wallet, purpose, payload, approver)
) STRICT, WITHOUT ROWID;
";

pub(super) struct Database {
    db: Connection,
    /// Why nothing can be written any more.
    closed: Option<String>,
}

impl Database {
    pub fn open(file: &Path) -> Result<Self, SpendError> {
        let mut db = Connection::open(file)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let id: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match (id, tables, version) {
            (0, 0, 0) => {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            (APPLICATION_ID, _, VERSION) => {}
            _ => return Err(SpendError::Database(format!("{} is no book of this version", file.display()))),
        }
        transaction.commit()?;
        Ok(Self { db, closed: None })
    }

    /// Everything that may count still, and the latest time in it.
    pub fn load(&self) -> Result<(Sums, Timestamp), SpendError> {
        let latest: Option<i64> = self.db.query_row("SELECT max(at) FROM reservation", [], |row| row.get(0))?;
        let Some(latest) = latest else { return Ok((Sums::default(), Timestamp::MIN)) };
        let latest = time(latest)?;
        // What is older counts for no limit, and for none that may come.
        let keep = SignedDuration::from_hours(24 * (Policy::LONGEST_WINDOW_DAYS + 1));
        let since = latest.checked_sub(keep).map_or(i64::MIN, Timestamp::as_millisecond);
        let mut sums = Sums::default();
        let mut spends = self.db.prepare("SELECT asset, amount FROM spend WHERE reservation = ?")?;
        let mut all = self.db.prepare(
            "SELECT id, at, wallet, chain, chain_id, account, policy FROM reservation
             WHERE at >= ? AND NOT released ORDER BY at, id",
        )?;
        let mut rows = all.query([since])?;
        while let Some(row) = rows.next()? {
            let (id, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (wallet, chain): (String, String) = (row.get(2)?, row.get(3)?);
            let chain_id: Option<String> = row.get(4)?;
            let (account, policy): (String, String) = (row.get(5)?, row.get(6)?);
            let wallet = wallet.parse().map_err(damaged)?;
            let (account, policy) = (account.parse().map_err(damaged)?, policy.parse().map_err(damaged)?);
            let chain = chain_of(&chain).ok_or_else(|| damaged(&chain))?;
            let chain_id = chain_id.map(|id| id.parse::<u64>()).transpose().map_err(damaged)?;
            let mut read = Vec::new();
            let mut parts = spends.query([id])?;
            while let Some(part) = parts.next()? {
                let (asset, amount): (String, Vec<u8>) = (part.get(0)?, part.get(1)?);
                let amount: [u8; 32] = amount.try_into().map_err(|_| damaged("an amount"))?;
                let what = what_of(&asset).ok_or_else(|| damaged(&asset))?;
                read.push(Spend { chain, chain_id, what, amount: U256::from_be_bytes(&amount) });
            }
            sums.add(Spender { wallet, account, policy }, (chain, chain_id), time(at)?, &read);
        }
        Ok((sums, latest))
    }

    pub fn begin(&self) -> Result<(), SpendError> {
        if let Some(why) = &self.closed {
            return Err(SpendError::Database(why.clone()));
        }
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub fn commit(&self) -> Result<(), SpendError> {
        Ok(self.db.execute_batch("COMMIT")?)
    }

    pub fn roll_back(&self) {
        // Where there is nothing to undo, SQLite has done it.
        let _ = self.db.execute_batch("ROLLBACK");
    }

    /// Grants nothing any more: what is in memory may not be what is in the file.
    pub fn close(&mut self, why: String) {
        self.closed = Some(why);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// What is in memory is what is in the file again.
    pub fn reopen(&mut self) {
        self.closed = None;
    }

    /// The reservation of that payload, when there is one.
    pub fn known(&self, wallet: &Name, payload: &[u8; 32]) -> Result<Option<i64>, SpendError> {
        let mut query =
            self.db.prepare_cached("SELECT id FROM reservation WHERE wallet = ? AND payload = ? AND NOT released")?;
        Ok(query.query_row(params![wallet.as_str(), payload], |row| row.get(0)).optional()?)
    }

    pub fn write(&self, reserve: &Reserve, at: Timestamp) -> Result<i64, SpendError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO reservation (at, wallet, payload, chain, chain_id, caller, account, policy)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let chain_id = reserve.chain_id.map(|id| id.to_string());
        let chain = reserve.chain.to_string();
        let id = insert.insert(params![
            at.as_millisecond(),
            reserve.wallet.as_str(),
            reserve.payload,
            chain,
            chain_id,
            reserve.caller,
            reserve.account.to_string(),
            reserve.policy.as_str(),
        ])?;
        let mut insert = self.db.prepare_cached("INSERT INTO spend (reservation, asset, amount) VALUES (?, ?, ?)")?;
        for spend in &reserve.spends {
            if let Some(asset) = asset_name(spend.what) {
                insert.execute(params![id, asset, kept(spend.amount).to_be_bytes()])?;
            }
        }
        Ok(id)
    }

    /// False: there is no such reservation, or not any longer.
    pub fn release(&self, id: i64) -> Result<bool, SpendError> {
        let mut update = self.db.prepare_cached("UPDATE reservation SET released = 1 WHERE id = ? AND NOT released")?;
        Ok(update.execute([id])? == 1)
    }

    /// Writes down what happened.
    pub fn note(&self, note: &Note, reservation: Option<i64>, at: Timestamp) -> Result<(), SpendError> {
        let mut insert =
            self.db.prepare_cached("INSERT INTO event (at, kind, reservation, payload) VALUES (?, ?, ?, ?)")?;
        insert.execute(params![at.as_millisecond(), note.kind, reservation, note.payload])?;
        Ok(())
    }

    /// What happened after an event, from the earliest on; and the number of the last one.
    pub fn events(&self, after: i64, most: u32) -> Result<(Vec<Event>, i64), SpendError> {
        let last = self.db.query_row("SELECT coalesce(max(id), 0) FROM event", [], |row| row.get(0))?;
        let mut query = self
            .db
            .prepare_cached("SELECT id, at, kind, reservation, payload FROM event WHERE id > ? ORDER BY id LIMIT ?")?;
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        let rows = query.query_map(params![after, most], read)?;
        let events = rows.map(|row| {
            let (id, at, kind, reservation, payload) = row?;
            Ok(Event { id, at: time(at)?, kind, reservation, payload })
        });
        Ok((events.collect::<Result<_, SpendError>>()?, last))
    }

    pub fn approve(&self, approve: &Approve) -> Result<(), SpendError> {
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO approval (wallet, purpose, payload, approver, until) VALUES (?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            approve.wallet.as_str(),
            word(approve.purpose),
            approve.payload,
            approve.approver,
            approve.until.as_millisecond(),
        ])?;
        Ok(())
    }

    /// Takes all approvals of it away, if one of them is somebody else's who may still approve; false: there is none, or
    /// not any longer.
    pub fn use_approval(&self, used: &Used, now: Timestamp) -> Result<bool, SpendError> {
        let of = params![used.wallet.as_str(), word(used.purpose), used.payload];
        let mut select = self.db.prepare_cached(
            "SELECT approver FROM approval WHERE wallet = ?1 AND purpose = ?2 AND payload = ?3 AND until > ?4",
        )?;
        let now = params![used.wallet.as_str(), word(used.purpose), used.payload, now.as_millisecond()];
        let approvers: Vec<u32> = select.query_map(now, |row| row.get(0))?.collect::<Result<_, _>>()?;
        let counts = |by: &u32| *by != used.caller && (*by == 0 || used.approvers.contains(by));
        if !approvers.iter().any(counts) {
            return Ok(false);
        }
        let mut delete =
            self.db.prepare_cached("DELETE FROM approval WHERE wallet = ? AND purpose = ? AND payload = ?")?;
        delete.execute(of)?;
        Ok(true)
    }
}

fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Sign => "sign",
        Purpose::Destroy => "destroy",
        Purpose::Export => "export",
    }
}

fn damaged(what: impl std::fmt::Display) -> SpendError {
    SpendError::Database(format!("the book is damaged: {what}"))
}

fn time(millis: i64) -> Result<Timestamp, SpendError> {
    Timestamp::from_millisecond(millis).map_err(damaged)
}

fn chain_of(name: &str) -> Option<Chain> {
    [Chain::Ethereum, Chain::Solana].into_iter().find(|chain| chain.to_string() == name)
}

/// What no limit can be over is not kept.
fn asset_name(what: What) -> Option<String> {
    match what {
        What::Native => Some("native".to_owned()),
        What::Token(account) => Some(account.to_string()),
        What::Other(_) => None,
    }
}

fn what_of(name: &str) -> Option<What> {
    if name == "native" { Some(What::Native) } else { name.parse::<Account>().ok().map(What::Token) }
}
