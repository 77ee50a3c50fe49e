//! A witness (c2sp.org/tlog-witness): it remembers how far it has seen a log grow, and cosigns only what goes on from
//! there. It runs as another user, better on another machine, so that whoever rewrites the log cannot rewrite that.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::{
    LedgerError,
    checkpoint::{Checkpoint, Lock},
    durable::{make_folder, place, sync_folder},
    key::{Key, Place},
    merkle,
    note::{KeyKind, Note, PublicKey, Signed},
};

/// Hashes of a consistency proof at most.
const LONGEST_PROOF: usize = 63;

/// Why a witness does not cosign.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense (400).
    #[error("{0}")]
    Malformed(String),
    /// The checkpoint is not signed by the log's key (403).
    #[error("the checkpoint is not signed by the key of {0} that this witness knows")]
    Unsigned(String),
    /// Nobody has told it of that log (404).
    #[error("this witness does not know the log {0}")]
    UnknownLog(String),
    /// What was known of the log when the request was made is not what is known of it now (409).
    #[error("the last checkpoint of {origin} that this witness has cosigned is of {known} rows")]
    OtherSize {
        /// The log.
        origin: String,
        /// Rows of the checkpoint that it has cosigned last; 0: none.
        known: u64,
    },
    /// The log has another key here (409).
    #[error("this witness knows {0} by another key: an operator has to remove that first")]
    OtherKey(String),
    /// The new tree does not begin with the old one (422).
    #[error("the tree of {size} rows does not go on from the one of {known} rows that this witness has cosigned")]
    Inconsistent {
        /// Rows of what was cosigned.
        known: u64,
        /// Rows of what was to be cosigned.
        size: u64,
    },
    /// Its own files cannot be read or written (500).
    #[error(transparent)]
    State(#[from] LedgerError),
}

/// A witness with its key and what it remembers, in a folder of its own.
pub struct Witness {
    folder: PathBuf,
    key: Key,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A log that a witness knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    /// Its public key, whose name is the origin of its checkpoints.
    pub key: String,
    /// Rows of the checkpoint that was cosigned last; 0: none.
    pub size: u64,
    /// That checkpoint with its signatures; empty: none. A copy of it convicts a log that has shrunk or been rewritten.
    pub checkpoint: String,
}

impl Witness {
    /// Opens the state in a folder; makes it, and a key, when it is not there.
    ///
    /// # Errors
    /// When that cannot be read or written, or others may read the key.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let logs = folder.join("logs");
        make_folder(&logs, 0o755)?;
        let _lock = Lock::take(folder)?;
        let place = Place { folder, stem: "witness", kind: KeyKind::Witness, prefix: "os.moda/witness/v1/" };
        let key = place.open(|_| Ok(()))?;
        // One that was killed may have left names that a power cut would still take back: what is answered is durable.
        let failed = |e| LedgerError::file(&logs, e);
        for entry in fs::read_dir(&logs).map_err(failed)? {
            sync_folder(&entry.map_err(failed)?.path())?;
        }
        sync_folder(&logs)?;
        sync_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// Its public key, by which cosignatures are verified.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// Gets to know a log by its public key, durably. The first key of an origin stays.
    ///
    /// # Errors
    /// When it is no log's key, or the origin has another one here.
    pub fn add_log(&self, key: &str) -> Result<(), Refusal> {
        let key = PublicKey::parse(key).filter(|key| key.kind() == KeyKind::Log);
        let key = key.ok_or_else(|| Refusal::Malformed("that is no public key of a log".to_owned()))?;
        let _lock = Lock::take(&self.folder)?;
        let folder = self.log_folder(key.name());
        match self.log_key(key.name()) {
            Ok(known) if known != key => return Err(Refusal::OtherKey(key.name().to_owned())),
            // A known one is written once more: the disk may have failed when it was to be made durable.
            Ok(_) | Err(Refusal::UnknownLog(_)) => {}
            Err(other) => return Err(other),
        }
        make_folder(&folder, 0o755)?;
        sync_folder(&self.folder.join("logs"))?;
        Ok(place(&folder.join("key"), format!("{key}\n").as_bytes(), 0o644)?)
    }

    /// Cosigns a checkpoint at that time (seconds since 1970), when the proof shows that it goes on from the last one that
    /// was cosigned, which had `old` rows. What it remembers is durable before it answers with the signature line.
    ///
    /// # Errors
    /// The refusals of add-checkpoint of c2sp.org/tlog-witness.
    pub fn add_checkpoint(&self, old: u64, proof: &[String], checkpoint: &str, time: u64) -> Result<String, Refusal> {
        let malformed = |words: &str| Refusal::Malformed(words.to_owned());
        let mut note = Note::parse(checkpoint).ok_or_else(|| malformed("that is no signed note"))?;
        let new = Checkpoint::parse(&note.text).ok_or_else(|| malformed("that is no checkpoint"))?;
        let hash = |text: &String| BASE64.decode(text.as_bytes()).ok()?.try_into().ok();
        let path: Option<Vec<merkle::Hash>> = proof.iter().map(hash).collect();
        let path = path.filter(|path| path.len() <= LONGEST_PROOF).ok_or_else(|| malformed("that is no proof"))?;
        // Nobody else comes between what is looked at and what is remembered.
        let _lock = Lock::take(&self.folder)?;
        let key = self.log_key(&new.origin)?;
        if note.check(&key) != Signed::Yes {
            return Err(Refusal::Unsigned(new.origin));
        }
        if old > new.size {
            return Err(malformed("the old size is larger than the new one"));
        }
        let known = self.last(&new.origin)?.map(|(_, known)| known);
        let known_size = known.as_ref().map_or(0, |known| known.size);
        if old != known_size {
            return Err(Refusal::OtherSize { origin: new.origin, known: known_size });
        }
        let empty = merkle::Frontier::default().root();
        let known_root = known.map_or(empty, |known| known.root);
        let good = merkle::verify_consistency((old, &known_root), (new.size, &new.root), &path);
        if !good || (new.size == 0 && new.root != empty) {
            return Err(Refusal::Inconsistent { known: known_size, size: new.size });
        }
        // Only the log's own signature is kept beside ours.
        note.signatures
            .retain(|line| Note { text: note.text.clone(), signatures: vec![line.clone()] }.check(&key) == Signed::Yes);
        let line = note.cosign(&self.key.signing, &self.key.name, time);
        place(&self.log_folder(&new.origin).join("last"), note.to_string().as_bytes(), 0o644)?;
        Ok(line)
    }

    /// All logs that it knows, in no order.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn logs(&self) -> Result<Vec<KnownLog>, LedgerError> {
        let folder = self.folder.join("logs");
        let failed = |e| LedgerError::file(&folder, e);
        let mut logs = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let file = entry.map_err(failed)?.path().join("key");
            let Some(key) = read(&file)?.and_then(|text| PublicKey::parse(&text)) else { continue };
            let last = self.last(key.name())?;
            let (checkpoint, size) = last.map_or_else(Default::default, |(note, last)| (note.to_string(), last.size));
            logs.push(KnownLog { key: key.to_string(), size, checkpoint });
        }
        Ok(logs)
    }

    fn log_folder(&self, origin: &str) -> PathBuf {
        self.folder.join("logs").join(&HEXLOWER.encode(&Sha256::digest(origin))[..32])
    }

    fn log_key(&self, origin: &str) -> Result<PublicKey, Refusal> {
        let file = self.log_folder(origin).join("key");
        let text = read(&file)?.ok_or_else(|| Refusal::UnknownLog(origin.to_owned()))?;
        let key = PublicKey::parse(&text).filter(|key| key.name() == origin);
        Ok(key.ok_or_else(|| LedgerError::file(&file, "it is no public key of that log"))?)
    }

    /// What was cosigned last.
    fn last(&self, origin: &str) -> Result<Option<(Note, Checkpoint)>, LedgerError> {
        let file = self.log_folder(origin).join("last");
        let Some(text) = read(&file)? else { return Ok(None) };
        let note =
            Note::parse(&text).and_then(|note| Checkpoint::parse(&note.text).map(|checkpoint| (note, checkpoint)));
        // A witness that has forgotten must not begin anew.
        note.map(Some).ok_or_else(|| LedgerError::file(&file, "it is no checkpoint"))
    }
}

fn read(file: &Path) -> Result<Option<String>, LedgerError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::file(file, error)),
    }
}
