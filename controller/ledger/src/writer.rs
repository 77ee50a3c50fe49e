//! Appending, from several threads and processes at once. Events that come while a transaction is being made durable
//! share the next one.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    slice,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, JoinHandle},
};

use jiff::Timestamp;
use osmoda_failpoint as failpoint;
use rusqlite::{Statement, TransactionBehavior};
use tokio::sync::oneshot;

use crate::{
    LedgerError,
    chain::{self, Event},
    checkpoint::Lock,
    database::{self, Live},
    key::{Key, Place},
    notary::{Errand, Notary},
};

/// Most events of one transaction.
const BATCH: usize = 4096;
/// A file gets its last row when it has this many.
const FILL: u64 = 1_000_000;

/// Rows of one statement, where there are as many: what a statement costs besides its rows is then next to nothing.
const ROWS: usize = 32;

/// An event that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its row.
    pub id: i64,
    hash: [u8; 64],
}

impl Receipt {
    /// Its hash, in lower-case hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        chain::text(&self.hash)
    }
}

/// The ledger, open for appending. Clones share it; the last one that goes signs a checkpoint.
#[derive(Clone, Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sender: Option<Sender<Message>>,
    /// The writer and the notary, which ends when the writer has.
    threads: Vec<JoinHandle<()>>,
    /// In place of both: whoever appends writes.
    inline: Option<Mutex<(Writer, Receiver<Message>)>>,
}

type Reply = oneshot::Sender<Result<Vec<Receipt>, LedgerError>>;

/// An event with its payload as it is written. Callers make them, on their own time.
#[derive(Debug)]
struct Entry {
    kind: Cow<'static, str>,
    actor: Cow<'static, str>,
    payload: String,
}

impl Entry {
    fn new(event: Event) -> Result<Self, LedgerError> {
        let payload = event.payload.to_string();
        chain::check(&event, &payload)?;
        Ok(Self { kind: event.kind, actor: event.actor, payload })
    }

    /// The last row of a file.
    fn sealed(number: u32, first: i64, last: i64) -> Self {
        let payload = serde_json::json!({ "segment": number, "first": first, "last": last });
        Self { kind: database::SEALED.into(), actor: "ledger".into(), payload: payload.to_string() }
    }
}

/// Where rows go.
#[derive(Debug)]
struct Target {
    folder: PathBuf,
    live: Live,
    /// Rows after which a file gets its last one.
    fill: u64,
}

#[derive(Debug)]
enum Message {
    Append(Vec<Entry>, Reply),
    Checkpoint(oneshot::Sender<Result<(), LedgerError>>),
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more.
        self.sender = None;
        for thread in self.threads.drain(..) {
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
        Self::open_with_fill(folder, FILL)
    }

    /// [`Ledger::open`], with another number of rows after which a file is sealed and the next one begun.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_with_fill(folder: &Path, fill: u64) -> Result<Self, LedgerError> {
        let (target, key) = prepare(folder, fill)?;
        let failed = |e| LedgerError::file(folder, e);
        let (sender, messages) = channel();
        let (errands, for_notary) = channel();
        if !database::leftovers(folder).is_empty() {
            let _ = errands.send(Errand::Seal);
        }
        let writer = Builder::new()
            .name("ledger".to_owned())
            .spawn(move || Writer { target, notary: Signer::Thread(errands) }.run(&messages))
            .map_err(failed)?;
        let notary = Notary::new(folder, key);
        let notary =
            Builder::new().name("ledger-notary".to_owned()).spawn(move || notary.run(&for_notary)).map_err(failed)?;
        Ok(Self { shared: Arc::new(Shared { sender: Some(sender), threads: vec![writer, notary], inline: None }) })
    }

    /// [`Ledger::open`] without threads: whoever appends does the work, and no checkpoint is signed but by
    /// [`Ledger::checkpoint`]. So nothing happens behind the back of a simulation.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_inline(folder: &Path) -> Result<Self, LedgerError> {
        let (target, key) = prepare(folder, FILL)?;
        let (sender, messages) = channel();
        let writer = Writer { target, notary: Signer::Inline(Box::new(Notary::new(folder, key))) };
        let inline = Some(Mutex::new((writer, messages)));
        Ok(Self { shared: Arc::new(Shared { sender: Some(sender), threads: Vec::new(), inline }) })
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
        self.pass(Message::Checkpoint(reply))?;
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    fn send(&self, events: Vec<Event>) -> Result<oneshot::Receiver<Result<Vec<Receipt>, LedgerError>>, LedgerError> {
        let entries = events.into_iter().map(Entry::new).collect::<Result<_, _>>()?;
        let (reply, answer) = oneshot::channel();
        self.pass(Message::Append(entries, reply))?;
        Ok(answer)
    }

    fn pass(&self, message: Message) -> Result<(), LedgerError> {
        let sender = self.shared.sender.as_ref().ok_or(LedgerError::Closed)?;
        sender.send(message).map_err(|_| LedgerError::Closed)?;
        if let Some(inline) = &self.shared.inline {
            let (writer, messages) = &mut *inline.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(message) = messages.try_recv() {
                writer.take(message, messages);
            }
        }
        Ok(())
    }
}

/// Opens the files, and makes the key when there is none.
fn prepare(folder: &Path, fill: u64) -> Result<(Target, Key), LedgerError> {
    let mut target = Target { folder: folder.to_owned(), live: database::open(folder)?, fill };
    // A key that takes the place of a lost one is an event; the first one comes before all events.
    let place = Place::of_ledger(folder);
    let lock = if place.key_file().exists() { None } else { Some(Lock::take(folder)?) };
    let key = place.open(|public| {
        if database::head(&target.live.db)?.id == 0 {
            return Ok(());
        }
        let payload = serde_json::json!({ "public": public.to_string() });
        let mut entry = Some(Entry::new(Event::new("ledger.key-created", "ledger", payload))?);
        write(&mut target, || entry.take().into_iter().collect()).map(drop)
    })?;
    drop(lock);
    Ok((target, key))
}

#[derive(Debug)]
struct Writer {
    target: Target,
    notary: Signer,
}

/// Where errands of the notary go.
#[derive(Debug)]
enum Signer {
    Thread(Sender<Errand>),
    Inline(Box<Notary>),
}

impl Signer {
    fn send(&mut self, errand: Errand) {
        match (self, errand) {
            // A notary that is gone drops it, and who waits hears that the ledger is closed.
            (Self::Thread(sender), errand) => drop(sender.send(errand)),
            (Self::Inline(notary), Errand::Sign(reply)) => drop(reply.send(notary.sign())),
            (Self::Inline(_), Errand::Wrote(_) | Errand::Seal) => {}
        }
    }
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            self.take(message, messages);
        }
    }

    fn take(&mut self, first: Message, messages: &Receiver<Message>) {
        let mut queue = Queue { first: Some(first), messages, events: 0, waiting: Vec::new(), checkpoints: Vec::new() };
        match write(&mut self.target, || queue.take()) {
            Ok(Written { receipts, sealed }) => {
                self.notary.send(Errand::Wrote(receipts.len()));
                if sealed {
                    self.notary.send(Errand::Seal);
                }
                let mut receipts = receipts.into_iter();
                for (events, reply) in queue.waiting {
                    // Whoever no longer waits has its event all the same.
                    let _ = reply.send(Ok(receipts.by_ref().take(events).collect()));
                }
            }
            Err(error) => queue.waiting.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone())))),
        }
        for reply in queue.checkpoints {
            self.notary.send(Errand::Sign(reply));
        }
    }
}

/// What one transaction takes from the messages.
struct Queue<'a> {
    first: Option<Message>,
    messages: &'a Receiver<Message>,
    events: usize,
    /// Who waits for how many receipts, in order.
    waiting: Vec<(usize, Reply)>,
    checkpoints: Vec<oneshot::Sender<Result<(), LedgerError>>>,
}

impl Queue<'_> {
    /// All that has come by now, up to [`BATCH`].
    fn take(&mut self) -> Vec<Entry> {
        let mut taken = Vec::new();
        while self.events < BATCH
            && let Some(message) = self.first.take().or_else(|| self.messages.try_recv().ok())
        {
            match message {
                Message::Append(entries, reply) => {
                    self.events += entries.len();
                    self.waiting.push((entries.len(), reply));
                    if taken.is_empty() { taken = entries } else { taken.extend(entries) }
                }
                Message::Checkpoint(reply) => self.checkpoints.push(reply),
            }
        }
        taken
    }
}

/// What a transaction did.
#[derive(Default)]
struct Written {
    receipts: Vec<Receipt>,
    /// A file had its last row: by this transaction, or before it.
    sealed: bool,
}

/// Appends events in one transaction, which is durable when this returns, or leaves no trace. What comes while the rows
/// are written joins them: `next` is asked until it has no more. A file that then has its fill gets its last row with them.
fn write(target: &mut Target, mut next: impl FnMut() -> Vec<Entry>) -> Result<Written, LedgerError> {
    static ONE: LazyLock<String> = LazyLock::new(|| insert_statement(1));
    static MANY: LazyLock<String> = LazyLock::new(|| insert_statement(ROWS));

    let mut entries = next();
    let mut written = Written::default();
    if entries.is_empty() {
        return Ok(written);
    }
    let Target { folder, live, fill } = target;
    loop {
        let Live { db, number, start } = &mut *live;
        let (number, start) = (*number, *start);
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let head = database::head(&transaction)?;
        if head.sealed {
            // Another process was here; nobody writes behind the last row.
            drop(transaction);
            *live = database::open(folder)?;
            written.sealed = true;
            continue;
        }
        {
            let mut row = Row { id: head.id, hash: head.hash, ts: now() };
            let mut one = transaction.prepare_cached(&ONE)?;
            while !entries.is_empty() {
                let (whole, rest) = entries.as_chunks::<ROWS>();
                if !whole.is_empty() {
                    let mut many = transaction.prepare_cached(&MANY)?;
                    for entries in whole {
                        insert(&mut many, entries, &mut row, &mut written.receipts)?;
                    }
                }
                for entry in rest {
                    insert(&mut one, slice::from_ref(entry), &mut row, &mut written.receipts)?;
                }
                entries = next();
            }
            if (row.id - start).unsigned_abs() >= *fill {
                let last = Entry::sealed(number, start + 1, row.id + 1);
                insert(&mut one, slice::from_ref(&last), &mut row, &mut Vec::new())?;
                written.sealed = true;
            }
        }
        let refused = |error| LedgerError::file(&crate::database_file(folder), error);
        failpoint::may_fail("ledger.append", written.receipts.len()).map_err(refused)?;
        transaction.commit()?;
        failpoint::after("ledger.append", written.receipts.len());
        return Ok(written);
    }
}

/// Appends an event of the ledger's own.
pub(crate) fn append_own(folder: &Path, event: Event) -> Result<(), LedgerError> {
    let mut entry = Some(Entry::new(event)?);
    let mut target = Target { folder: folder.to_owned(), live: database::open(folder)?, fill: u64::MAX };
    write(&mut target, || entry.take().into_iter().collect()).map(drop)
}

/// Where the chain is.
struct Row {
    id: i64,
    hash: String,
    ts: String,
}

/// `?1` is the time of all rows, `?2` the hash before them; each row has five more, and its own hash is the next one's
/// `prev_hash`.
fn insert_statement(rows: usize) -> String {
    let row = |n: usize| {
        let (id, before) = (3 + 5 * n, if n == 0 { 2 } else { 2 + 5 * n });
        format!("(?{id}, ?1, ?{}, ?{}, ?{}, ?{before}, ?{})", id + 1, id + 2, id + 3, id + 4)
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO events (id, ts, type, actor, payload, prev_hash, hash) VALUES {}", rows.join(", "))
}

fn insert(
    statement: &mut Statement,
    entries: &[Entry],
    row: &mut Row,
    receipts: &mut Vec<Receipt>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, &row.ts)?;
    statement.raw_bind_parameter(2, &row.hash)?;
    for (entry, at) in entries.iter().zip((3..).step_by(5)) {
        let Entry { kind, actor, payload } = entry;
        row.id += 1;
        let hash = chain::hash(row.id, [row.ts.as_str(), kind, actor, payload, &row.hash].map(str::as_bytes));
        row.hash.clear();
        row.hash.push_str(chain::text(&hash));
        statement.raw_bind_parameter(at, row.id)?;
        for (at, text) in (at + 1..).zip([kind.as_ref(), actor, payload, &row.hash]) {
            statement.raw_bind_parameter(at, text)?;
        }
        receipts.push(Receipt { id: row.id, hash });
    }
    statement.raw_execute().map(drop)
}

/// `2026-01-31T12:34:56.789Z`.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
