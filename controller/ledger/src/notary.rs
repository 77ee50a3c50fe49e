//! Signing checkpoints, in a thread of its own: nobody who appends waits for it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    LedgerError,
    checkpoint::{Checkpoint, Lock, NoteFile},
    key::Key,
    note::Note,
    rows::Rows,
    seal::{self, Finished},
    tree::Tree,
};

/// A checkpoint is signed after this many events, but then not again before [`PAUSE`] is over...
const EVENTS: usize = 1000;
/// ...which bounds what a flood of events costs...
const PAUSE: Duration = Duration::from_secs(1);
/// ...or when the first event that none covers is this old.
const IDLE: Duration = Duration::from_secs(30);
/// A file that could not be sealed is not copied again before this is over, nor are all rows read again to find that they
/// are not those of a checkpoint.
const RETRY: Duration = Duration::from_secs(300);
/// A file that is a segment already, and that others still read, is tried again after this.
const BUSY: Duration = Duration::from_secs(5);

/// What the notary is told.
pub(crate) enum Errand {
    /// So many events are durable.
    Wrote(usize),
    /// Sign now, and say when it is done.
    Sign(oneshot::Sender<Result<(), LedgerError>>),
    /// A file had its last row.
    Seal,
}

/// Signs checkpoints.
pub(crate) struct Notary {
    folder: PathBuf,
    key: Key,
    /// What it has read and computed so far, from the first checkpoint on.
    at_work: Option<(Rows, Tree)>,
    /// Events since the last checkpoint of this process.
    unsigned: usize,
    /// By when they get one, however few they are; none: there are none.
    due: Option<Instant>,
    /// Rows that are not those of a checkpoint, up to that one, and when that was found.
    contradiction: Option<(u64, Instant)>,
    /// When one was last tried.
    signed: Option<Instant>,
    /// [`IDLE`], but for tests.
    idle: Duration,
    /// When files that had their last rows are moved, or tried again; none: there are none.
    seal_at: Option<Instant>,
    /// When that failed.
    not_sealed: Option<Instant>,
    /// [`BUSY`], but for tests.
    busy: Duration,
}

impl fmt::Debug for Notary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notary").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Notary {
    pub(crate) fn new(folder: &Path, key: Key) -> Self {
        Self {
            folder: folder.to_owned(),
            key,
            at_work: None,
            unsigned: 0,
            due: None,
            contradiction: None,
            signed: None,
            idle: IDLE,
            seal_at: None,
            not_sealed: None,
            busy: BUSY,
        }
    }

    /// Works until nobody can send any more; what is unsigned then gets a last checkpoint.
    pub(crate) fn run(mut self, errands: &Receiver<Errand>) {
        loop {
            let errand = match self.due.into_iter().chain(self.seal_at).min() {
                None => errands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => errands.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match errand {
                Ok(Errand::Wrote(events)) => {
                    self.unsigned += events;
                    if self.unsigned > 0 {
                        self.due.get_or_insert_with(|| Instant::now() + self.idle);
                    }
                    let now = self.unsigned >= EVENTS || self.due.is_some_and(|due| due <= Instant::now());
                    if now && self.signed.is_none_or(|at| at.elapsed() >= PAUSE) {
                        self.sign_or_log();
                    }
                }
                Ok(Errand::Sign(reply)) => {
                    let _ = reply.send(self.sign());
                    self.seal_or_log();
                }
                Ok(Errand::Seal) => {
                    self.seal_at = Some(Instant::now());
                    self.sign_or_log();
                }
                Err(end) => {
                    if end == RecvTimeoutError::Disconnected {
                        // There is no later time.
                        self.seal_at = self.seal_at.map(|at| at.min(Instant::now()));
                    }
                    let due = self.due.is_some_and(|due| due <= Instant::now());
                    if self.unsigned > 0 && (due || end == RecvTimeoutError::Disconnected) {
                        self.sign_or_log();
                    } else {
                        self.seal_or_log();
                    }
                    if end == RecvTimeoutError::Disconnected {
                        return;
                    }
                }
            }
        }
    }

    fn sign_or_log(&mut self) {
        let signed = self.sign();
        log(signed);
        self.seal_or_log();
    }

    fn seal_or_log(&mut self) {
        if self.seal_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        if let Some(failed) = self.not_sealed.filter(|at| at.elapsed() < RETRY) {
            self.seal_at = Some(failed + RETRY);
            return;
        }
        match seal::finish(&self.folder, &self.key) {
            Ok(Finished { announced, busy }) => {
                (self.not_sealed, self.seal_at) = (None, busy.then(|| Instant::now() + self.busy));
                if announced {
                    let signed = self.sign();
                    log(signed);
                }
            }
            Err(error) => {
                (self.not_sealed, self.seal_at) = (Some(Instant::now()), Some(Instant::now() + RETRY));
                tracing::error!("a part of the ledger that is full could not be sealed: {error}");
            }
        }
    }

    pub(crate) fn sign(&mut self) -> Result<(), LedgerError> {
        if let Some((size, _)) = self.contradiction.filter(|(_, at)| at.elapsed() < RETRY) {
            (self.signed, self.due) = (Some(Instant::now()), self.due.map(|_| Instant::now() + RETRY));
            return Err(LedgerError::Contradiction(size));
        }
        let at_work = self.at_work.take();
        let signed = sign(&self.folder, &self.key, at_work);
        self.signed = Some(Instant::now());
        match signed {
            Ok(at_work) => {
                (self.at_work, self.unsigned, self.due, self.contradiction) = (at_work, 0, None, None);
                Ok(())
            }
            Err(error) => {
                // It is tried again with later events, when it is due, and at the end; not in a loop.
                self.due = self.due.map(|_| Instant::now() + self.idle);
                // It is found by reading all rows.
                if let LedgerError::Contradiction(size) = error {
                    self.contradiction = Some((size, Instant::now()));
                }
                Err(error)
            }
        }
    }
}

fn log(signed: Result<(), LedgerError>) {
    if let Err(error) = signed {
        tracing::error!("a checkpoint of the ledger could not be signed: {error}");
    }
}

/// Signs a checkpoint of the last row, unless there is one. A log never signs two trees that are not one the beginning of
/// the other: rows that are no longer those of the last checkpoint get none.
fn sign(folder: &Path, key: &Key, at_work: Option<(Rows, Tree)>) -> Result<Option<(Rows, Tree)>, LedgerError> {
    let _lock = Lock::take(folder)?;
    let notes = NoteFile::checkpoints(folder);
    // Also one of a key that was lost since.
    let last = notes.last()?.and_then(|note| Checkpoint::parse(&note.text)).filter(|last| last.origin == key.name);
    let (rows, mut tree) = match (at_work, &last) {
        (Some((rows, mut tree)), Some(last)) if tree.size() <= last.size => {
            tree.extend(&rows, last.size)?;
            if tree.root() != last.root {
                return Err(LedgerError::Contradiction(last.size));
            }
            (rows, tree)
        }
        (_, Some(last)) => {
            let rows = Rows::new(folder);
            let tree = Tree::load_as_signed(folder, &rows, last.size, &last.root)?;
            (rows, tree)
        }
        (_, None) => (Rows::new(folder), Tree::default()),
    };
    let size = rows.head()?.id.unsigned_abs();
    if size > tree.size() {
        tree.extend(&rows, size)?;
        tree.save(folder)?;
        let checkpoint = Checkpoint { origin: key.name.clone(), size, root: tree.root() };
        let mut note = Note::new(checkpoint.text());
        note.sign(&key.signing, &key.name);
        notes.append(&note)?;
    }
    Ok(Some((rows, tree)))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc::channel, thread};

    use serde_json::json;

    use super::*;
    use crate::{Event, Ledger, key::Place};

    /// A ledger of one row that no checkpoint covers, and its notary.
    fn unsigned(folder: &Path) -> Notary {
        let ledger = Ledger::open(folder).unwrap();
        ledger.append_blocking(Event::new("t", "test", json!(1))).unwrap();
        drop(ledger);
        fs::remove_file(crate::checkpoints_file(folder)).unwrap();
        Notary::new(folder, Place::of_ledger(folder).open(|_| Ok(())).unwrap())
    }

    #[test]
    fn few_events_that_keep_coming_are_signed_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = unsigned(dir.path());
        notary.idle = Duration::from_millis(300);
        let (errands, receiver) = channel();
        let thread = thread::spawn(move || notary.run(&receiver));
        let signed = (0..100).any(|_| {
            errands.send(Errand::Wrote(1)).unwrap();
            thread::sleep(Duration::from_millis(50));
            crate::checkpoints_file(dir.path()).exists()
        });
        drop(errands);
        thread.join().unwrap();
        assert!(signed, "it waited for a pause between events");
    }

    #[test]
    fn all_rows_are_not_read_again_and_again_where_they_contradict() {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = unsigned(dir.path());
        let mut note = Note::new(Checkpoint { origin: notary.key.name.clone(), size: 1, root: [7; 32] }.text());
        note.sign(&notary.key.signing, &notary.key.name);
        NoteFile::checkpoints(dir.path()).append(&note).unwrap();
        assert!(matches!(notary.sign(), Err(LedgerError::Contradiction(1))));
        fs::remove_file(crate::checkpoints_file(dir.path())).unwrap();
        assert!(matches!(notary.sign(), Err(LedgerError::Contradiction(1))), "it was not asked again");
        notary.contradiction = notary.contradiction.and_then(|(size, at)| Some((size, at.checked_sub(RETRY)?)));
        notary.sign().unwrap();
        assert!(crate::checkpoints_file(dir.path()).exists() && notary.contradiction.is_none());
    }

    #[test]
    fn a_file_that_others_read_is_moved_when_they_are_done_without_a_new_event() {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("ledger.db");
        let elsewhere = Lock::sealing(dir.path()).unwrap().unwrap();
        let ledger = Ledger::open_with_fill(dir.path(), 3).unwrap();
        let append = || ledger.append_blocking(Event::new("t", "test", json!(1))).unwrap();
        append();
        let reader = rusqlite::Connection::open(&first).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
        for _ in 0..9 {
            append();
        }
        drop((ledger, elsewhere));
        let mut notary = Notary::new(dir.path(), Place::of_ledger(dir.path()).open(|_| Ok(())).unwrap());
        notary.busy = Duration::from_millis(50);
        let (errands, receiver) = channel();
        let thread = thread::spawn(move || notary.run(&receiver));
        errands.send(Errand::Seal).unwrap();
        let (reply, answer) = oneshot::channel();
        errands.send(Errand::Sign(reply)).unwrap();
        answer.blocking_recv().unwrap().unwrap();
        assert!(first.exists(), "it is still read");
        reader.execute_batch("COMMIT").unwrap();
        let moved = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(50));
            !first.exists()
        });
        drop(errands);
        thread.join().unwrap();
        assert!(moved, "it was not tried again");
    }

    #[test]
    fn what_could_not_be_signed_is_tried_again_without_a_new_event() {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = unsigned(dir.path());
        notary.idle = Duration::from_millis(100);
        fs::create_dir(crate::checkpoints_file(dir.path())).unwrap();
        let (errands, receiver) = channel();
        let thread = thread::spawn(move || notary.run(&receiver));
        errands.send(Errand::Wrote(1)).unwrap();
        let (reply, answer) = oneshot::channel();
        errands.send(Errand::Sign(reply)).unwrap();
        assert!(answer.blocking_recv().unwrap().is_err());
        fs::remove_dir(crate::checkpoints_file(dir.path())).unwrap();
        let signed = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(50));
            crate::checkpoints_file(dir.path()).is_file()
        });
        drop(errands);
        thread.join().unwrap();
        assert!(signed, "the row has no checkpoint");
    }
}
