//! Cosignatures of witnesses, fetched after a checkpoint was signed, and kept beside the checkpoints.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    GrowthProof, LedgerError, Query, Reader,
    checkpoint::{Checkpoint, Lock, NoteFile},
    durable::place,
    key::Place,
    note::{KeyKind, Note, PublicKey, Signed},
    prove::prove_growth,
};

/// The public key by which witnesses get to know the ledger of a folder.
///
/// # Errors
/// When it cannot be read; there is none before the first event.
pub fn log_key(folder: &Path) -> Result<PublicKey, LedgerError> {
    Place::of_ledger(folder).public()?.ok_or(LedgerError::NoCheckpoint)
}

/// Does the ledger know a witness by that key? False: it knows none at all yet.
///
/// # Errors
/// When it is no witness's key, or the ledger knows another one: that is for an operator to change.
pub fn knows_witness(folder: &Path, key: &str) -> Result<bool, LedgerError> {
    let file = witnesses_file(folder);
    let key = PublicKey::parse(key).filter(|key| key.kind() == KeyKind::Witness);
    let key = key.ok_or_else(|| LedgerError::file(&file, "what the witness gave is no key of one"))?;
    let text = witnesses(folder)?;
    if text.lines().any(|line| PublicKey::parse(line).as_ref() == Some(&key)) {
        return Ok(true);
    }
    if text.trim().is_empty() {
        return Ok(false);
    }
    Err(LedgerError::file(&file, format!("the witness has another key now, {key}")))
}

/// Takes a witness's key into `witness.pub`, when that has none yet. True: it is new.
///
/// # Errors
/// As [`knows_witness`], or when it cannot be written.
pub fn trust_witness(folder: &Path, key: &str) -> Result<bool, LedgerError> {
    let _lock = Lock::take(folder)?;
    if knows_witness(folder, key)? {
        return Ok(false);
    }
    place(&witnesses_file(folder), format!("{}\n", key.trim()).as_bytes(), 0o644)?;
    Ok(true)
}

fn witnesses_file(folder: &Path) -> PathBuf {
    folder.join("witness.pub")
}

/// The text of that file; empty: there is none.
fn witnesses(folder: &Path) -> Result<String, LedgerError> {
    let file = witnesses_file(folder);
    match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|e| LedgerError::file(&file, e)),
    }
}

/// How far what was signed is cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigning {
    /// The ledger knows a witness.
    pub witness: bool,
    /// Rows of the last checkpoint; 0: there is none.
    pub signed: u64,
    /// Rows of the last one that a known witness has cosigned; 0: none.
    pub cosigned: u64,
    /// When the first row came that is signed and not cosigned.
    pub waiting_since: Option<Timestamp>,
}

/// Tells how far witnesses are behind.
///
/// # Errors
/// When the ledger or what is beside it cannot be read.
pub fn cosigning(folder: &Path) -> Result<Cosigning, LedgerError> {
    let known: Vec<PublicKey> = witnesses(folder)?.lines().filter_map(PublicKey::parse).collect();
    let size = |note: Option<Note>| note.and_then(|note| Checkpoint::parse(&note.text)).map_or(0, |last| last.size);
    let by_witness = |note: &Note| known.iter().any(|key| matches!(note.check(key), Signed::At(_)));
    // In this order: what is signed meanwhile is not what the witness is behind with.
    let signed = size(NoteFile::checkpoints(folder).last()?);
    let cosigned = size(NoteFile::cosigned(folder).last()?.filter(by_witness));
    let waiting = if cosigned < signed {
        let query = Query { after: Some(cosigned.cast_signed()), limit: 1, ..Query::default() };
        Reader::open(folder)?.rows(&query)?.pop()
    } else {
        None
    };
    let waiting_since = waiting.and_then(|row| row.ts.parse().ok());
    Ok(Cosigning { witness: !known.is_empty(), signed, cosigned, waiting_since })
}

/// What to send to a witness whose last checkpoint had `known` rows; none when there is nothing new, and its signature is
/// here.
///
/// # Errors
/// When the rows are not there any more, or are not those that were signed: then the witness knows better.
pub fn to_cosign(folder: &Path, witness: &PublicKey, known: u64) -> Result<Option<GrowthProof>, LedgerError> {
    let last = NoteFile::checkpoints(folder).last()?.and_then(|note| Checkpoint::parse(&note.text));
    match last {
        None if known == 0 => Ok(None),
        Some(last) if last.size > known => prove_growth(folder, known).map(Some),
        // An answer that was lost on its way is asked for again.
        Some(last) if last.size == known && !is_cosigned(folder, witness, known)? => {
            prove_growth(folder, known).map(Some)
        }
        Some(last) if last.size == known => Ok(None),
        last => Err(LedgerError::Behind { seen: known, signed: last.map_or(0, |last| last.size) }),
    }
}

fn is_cosigned(folder: &Path, witness: &PublicKey, size: u64) -> Result<bool, LedgerError> {
    let last = NoteFile::cosigned(folder).last()?.filter(|note| matches!(note.check(witness), Signed::At(_)));
    Ok(last.and_then(|note| Checkpoint::parse(&note.text)).is_some_and(|checkpoint| checkpoint.size == size))
}

/// Keeps a witness's signature line for a checkpoint.
///
/// # Errors
/// When it is not that witness's, does not verify, or cannot be written.
pub fn keep_cosignature(folder: &Path, checkpoint: &str, line: &str, witness: &PublicKey) -> Result<(), LedgerError> {
    let mut note = Note::parse(checkpoint).ok_or(LedgerError::NoCheckpoint)?;
    note.signatures.push(line.trim_end_matches('\n').to_owned());
    let note = Note::parse(&note.to_string()).filter(|note| matches!(note.check(witness), Signed::At(_)));
    let note = note.ok_or_else(|| LedgerError::Cosignature(witness.name().to_owned()))?;
    let _lock = Lock::take(folder)?;
    NoteFile::cosigned(folder).append(&note)
}
