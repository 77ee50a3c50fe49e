//! Signing checkpoints, in a thread of its own: nobody who appends waits for it.

use std::{
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
    seal,
    tree::Tree,
};

/// A checkpoint is signed after this many events, but then not again before [`PAUSE`] is over...
const EVENTS: usize = 1000;
/// ...which bounds what a flood of events costs...
const PAUSE: Duration = Duration::from_secs(1);
/// ...or when nothing has come for this long since the last event.
const IDLE: Duration = Duration::from_secs(30);

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
    /// When that was.
    signed: Option<Instant>,
    /// A file that had its last row is not a segment yet.
    unsealed: bool,
}

impl Notary {
    pub(crate) fn new(folder: &Path, key: Key) -> Self {
        Self { folder: folder.to_owned(), key, at_work: None, unsigned: 0, signed: None, unsealed: false }
    }

    /// Works until nobody can send any more; what is unsigned then gets a last checkpoint.
    pub(crate) fn run(mut self, errands: &Receiver<Errand>) {
        loop {
            let errand = if self.unsigned == 0 {
                errands.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                errands.recv_timeout(IDLE)
            };
            match errand {
                Ok(Errand::Wrote(events)) => {
                    self.unsigned += events;
                    if self.unsigned >= EVENTS && self.signed.is_none_or(|at| at.elapsed() >= PAUSE) {
                        self.sign_or_log();
                    }
                }
                Ok(Errand::Sign(reply)) => {
                    let _ = reply.send(self.sign());
                    self.seal_or_log();
                }
                Ok(Errand::Seal) => {
                    self.unsealed = true;
                    self.sign_or_log();
                }
                Err(end) => {
                    if self.unsigned > 0 {
                        self.sign_or_log();
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
        if !self.unsealed {
            return;
        }
        match seal::finish(&self.folder, &self.key) {
            Ok(announced) => {
                self.unsealed = false;
                if announced {
                    let signed = self.sign();
                    log(signed);
                }
            }
            // It is tried again with the next checkpoint.
            Err(error) => tracing::error!("a part of the ledger that is full could not be sealed: {error}"),
        }
    }

    fn sign(&mut self) -> Result<(), LedgerError> {
        // Where it fails it is tried again with the next event, not in a loop.
        self.unsigned = 0;
        self.signed = Some(Instant::now());
        let at_work = self.at_work.take();
        self.at_work = sign(&self.folder, &self.key, at_work)?;
        Ok(())
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
