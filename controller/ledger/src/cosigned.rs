//! Cosignatures of witnesses, fetched after a checkpoint was signed, and kept beside the checkpoints.

use std::{fs, io, path::Path};

use crate::{
    GrowthProof, LedgerError,
    checkpoint::{Checkpoint, Lock, NoteFile},
    key::{Place, place},
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

/// Takes a witness's key into `witness.pub`, when that has none yet. True: it is new.
///
/// # Errors
/// When it is no witness's key, or the ledger knows another one: that is for an operator to change.
pub fn trust_witness(folder: &Path, key: &str) -> Result<bool, LedgerError> {
    let file = folder.join("witness.pub");
    let key = PublicKey::parse(key).filter(|key| key.kind() == KeyKind::Witness);
    let key = key.ok_or_else(|| LedgerError::file(&file, "what the witness gave is no key of one"))?;
    let _lock = Lock::take(folder)?;
    let known = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|e| LedgerError::file(&file, e))?,
    };
    if known.lines().any(|line| PublicKey::parse(line).as_ref() == Some(&key)) {
        return Ok(false);
    }
    if !known.trim().is_empty() {
        return Err(LedgerError::file(&file, format!("the witness has another key now, {key}")));
    }
    place(&file, format!("{key}\n").as_bytes(), 0o644)?;
    Ok(true)
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
