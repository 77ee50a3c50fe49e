//! Appending, from several threads and processes at once. Events that come while a transaction is being made durable
//! share the next one.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::oneshot;

use crate::{
    LedgerError,
    chain::{self, Event, GENESIS},
    checkpoint::Notary,
    database,
};

/// Most events of one transaction.
const BATCH: usize = 4096;
/// A checkpoint is signed after this many events, but then not again before [`CHECKPOINT_PAUSE`] is over...
const CHECKPOINT_EVENTS: usize = 1000;
/// ...which bounds what a flood of events costs...
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);
/// ...or when nothing has come for this long since the last event.
const CHECKPOINT_IDLE: Duration = Duration::from_secs(30);

/// An event that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its row.
    pub id: i64,
    /// Its time.
    pub ts: String,
    /// Its hash.
    pub hash: String,
}

/// The ledger, open for appending. Clones share it; the last one that goes signs a checkpoint.
#[derive(Clone, Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

type Reply = oneshot::Sender<Result<Vec<Receipt>, LedgerError>>;

/// An event with its payload as it is written. Callers make them, on their own time.
#[derive(Debug)]
struct Entry {
    kind: String,
    actor: String,
    payload: String,
}

impl Entry {
    fn new(event: Event) -> Result<Self, LedgerError> {
        let payload = event.payload.to_string();
        chain::check(&event, &payload)?;
        Ok(Self { kind: event.kind, actor: event.actor, payload })
    }
}

enum Message {
    Append(Vec<Entry>, Reply),
    Checkpoint(oneshot::Sender<Result<(), LedgerError>>),
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more.
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Ledger {
    /// Opens the ledger of a folder, and makes it when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened or is not ours.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let mut db = database::open(folder)?;
        // A key that takes the place of a lost one is an event; the first one comes before all events.
        let signer = Notary::open(folder, |public| {
            if head(&db)?.is_none() {
                return Ok(());
            }
            let payload = serde_json::json!({ "public": public });
            let entry = Entry::new(Event::new("ledger.key-created", "ledger", payload))?;
            write(&mut db, [&entry].into_iter()).map(drop)
        })?;
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || Writer { db, signer, unsigned: 0, signed: None }.run(&receiver))
            .map_err(|e| LedgerError::file(folder, e))?;
        Ok(Self { shared: Arc::new(Shared { sender: Some(sender), thread: Some(thread) }) })
    }

    /// Appends an event; it is durable when this returns.
    ///
    /// # Errors
    /// When the event is invalid or cannot be written; nothing is written then.
    pub async fn append(&self, event: Event) -> Result<Receipt, LedgerError> {
        let mut receipts = self.append_all(vec![event]).await?;
        receipts.pop().ok_or(LedgerError::Closed)
    }

    /// Appends several events in one transaction: all or none.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub async fn append_all(&self, events: Vec<Event>) -> Result<Vec<Receipt>, LedgerError> {
        self.send(events)?.await.map_err(|_| LedgerError::Closed)?
    }

    /// [`Ledger::append`] for code that is not async.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    ///
    /// # Panics
    /// Inside of an async task, which it would block.
    pub fn append_blocking(&self, event: Event) -> Result<Receipt, LedgerError> {
        let mut receipts = self.send(vec![event])?.blocking_recv().map_err(|_| LedgerError::Closed)??;
        receipts.pop().ok_or(LedgerError::Closed)
    }

    /// Signs a checkpoint of the last row now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn checkpoint(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.sender()?.send(Message::Checkpoint(reply)).map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    fn send(&self, events: Vec<Event>) -> Result<oneshot::Receiver<Result<Vec<Receipt>, LedgerError>>, LedgerError> {
        let entries = events.into_iter().map(Entry::new).collect::<Result<_, _>>()?;
        let (reply, answer) = oneshot::channel();
        self.sender()?.send(Message::Append(entries, reply)).map_err(|_| LedgerError::Closed)?;
        Ok(answer)
    }

    fn sender(&self) -> Result<&Sender<Message>, LedgerError> {
        self.shared.sender.as_ref().ok_or(LedgerError::Closed)
    }
}

struct Writer {
    db: Connection,
    signer: Notary,
    /// Events since the last checkpoint of this process.
    unsigned: usize,
    /// When that was.
    signed: Option<Instant>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let first = if self.unsigned == 0 {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                messages.recv_timeout(CHECKPOINT_IDLE)
            };
            match first {
                Ok(message) => self.take(message, messages),
                Err(end) => {
                    if self.unsigned > 0
                        && let Err(error) = self.checkpoint()
                    {
                        tracing::error!("a checkpoint of the ledger could not be signed: {error}");
                        // It is tried again with the next event, not in a loop.
                        self.unsigned = 0;
                    }
                    if end == RecvTimeoutError::Disconnected {
                        return;
                    }
                }
            }
        }
    }

    fn take(&mut self, first: Message, messages: &Receiver<Message>) {
        let mut batch: Vec<(Vec<Entry>, Reply)> = Vec::new();
        let mut checkpoints = Vec::new();
        let mut count = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Append(entries, reply) => {
                    count += entries.len();
                    batch.push((entries, reply));
                }
                Message::Checkpoint(reply) => checkpoints.push(reply),
            }
            next = if count < BATCH { messages.try_recv().ok() } else { None };
        }
        if !batch.is_empty() {
            match write(&mut self.db, batch.iter().flat_map(|(entries, _)| entries)) {
                Ok(receipts) => {
                    self.unsigned += count;
                    let mut receipts = receipts.into_iter();
                    for (entries, reply) in batch {
                        // Whoever no longer waits has its event all the same.
                        let _ = reply.send(Ok(receipts.by_ref().take(entries.len()).collect()));
                    }
                }
                Err(error) => batch.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone())))),
            }
        }
        if self.unsigned >= CHECKPOINT_EVENTS
            && self.signed.is_none_or(|at| at.elapsed() >= CHECKPOINT_PAUSE)
            && let Err(error) = self.checkpoint()
        {
            tracing::error!("a checkpoint of the ledger could not be signed: {error}");
        }
        for reply in checkpoints {
            let _ = reply.send(self.checkpoint());
        }
    }

    fn checkpoint(&mut self) -> Result<(), LedgerError> {
        if let Some((id, hash)) = head(&self.db)? {
            self.signer.sign(id, &hash, &now())?;
        }
        self.unsigned = 0;
        self.signed = Some(Instant::now());
        Ok(())
    }
}

/// Appends events in one transaction, which is durable when this returns, or leaves no trace.
fn write<'a>(db: &mut Connection, entries: impl Iterator<Item = &'a Entry>) -> Result<Vec<Receipt>, LedgerError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut receipts: Vec<Receipt> = Vec::new();
    {
        let (mut id, mut prev) = head(&transaction)?.unwrap_or((0, GENESIS.to_owned()));
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (id, ts, type, actor, payload, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let ts = now();
        for Entry { kind, actor, payload } in entries {
            id += 1;
            let hash = chain::hash(id, &ts, kind, actor, payload, &prev);
            let hash = chain::text(&hash);
            insert.execute(params![id, ts, kind, actor, payload, prev, hash])?;
            prev.clear();
            prev.push_str(hash);
            receipts.push(Receipt { id, ts: ts.clone(), hash: hash.to_owned() });
        }
    }
    transaction.commit()?;
    Ok(receipts)
}

/// The last row's id and hash.
pub(crate) fn head(db: &Connection) -> rusqlite::Result<Option<(i64, String)>> {
    let mut last = db.prepare_cached("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1")?;
    last.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// `2026-01-31T12:34:56.789Z`.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
