//! Proofs for others: they verify them with public keys alone, without the ledger.

use std::path::Path;

use data_encoding::BASE64;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    LedgerError, Query, Reader, Row,
    checkpoint::{Checkpoint, NoteFile, split},
    merkle::{self, Hash},
    note::Note,
    rows::Rows,
    tree::Tree,
};

/// A proof that a row is in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowProof {
    /// The row.
    pub row: Row,
    /// Rows of the checkpoint that it is proved to be under.
    pub size: u64,
    /// All that it takes to verify it, as a file of c2sp.org/tlog-proof, version 1: its `extra` data is what the row's
    /// hash is over, a leaf of the tree holds the 32 bytes of that hash.
    pub proof: String,
}

/// A proof that the ledger still has all that it had at an earlier checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrowthProof {
    /// Rows of the earlier checkpoint.
    pub old: u64,
    /// Rows of the later one.
    pub size: u64,
    /// Hashes of the consistency proof of RFC 6962, 2.1.2, in base64.
    pub hashes: Vec<String>,
    /// The later checkpoint with its signatures.
    pub checkpoint: String,
    /// All of it in one text, as the body of add-checkpoint of c2sp.org/tlog-witness.
    pub proof: String,
}

/// Proves that a row is under a checkpoint: the first that a witness has cosigned, or, if there is none, the first.
///
/// # Errors
/// When there is no such row, it is not signed for yet, or the rows are not those that were signed.
pub fn prove(folder: &Path, id: u64) -> Result<RowProof, LedgerError> {
    let (note, checkpoint) = covering(folder, id)?;
    let rows = Rows::new(folder);
    let preimage = rows.preimage(id)?;
    let index = id.saturating_sub(1);
    let tree = Tree::load_as_signed(folder, &rows, checkpoint.size, &checkpoint.root)?;
    let path = tree.subtrees(&rows, &merkle::inclusion_ranges(index, checkpoint.size))?;
    // A row that was changed behind osModa's back gets no proof that others would find to be none.
    let leaf = merkle::leaf(&Sha256::digest(&preimage).into());
    if !merkle::verify_inclusion(&leaf, index, checkpoint.size, &path, &checkpoint.root) {
        return Err(LedgerError::Contradiction(checkpoint.size));
    }
    let head = format!("c2sp.org/tlog-proof@v1\nextra {}\nindex {index}\n", BASE64.encode(&preimage));
    let proof = format!("{head}{}\n{note}", lines(&path));
    Ok(RowProof { row: row(folder, id)?, size: checkpoint.size, proof })
}

/// Proves that the last checkpoint has all that one had that somebody kept, from the text of that.
///
/// # Errors
/// When that is no checkpoint of this ledger, or it is one of rows that are not there (any more).
pub fn prove_since(folder: &Path, kept: &str) -> Result<GrowthProof, LedgerError> {
    let kept = format!("{}\n\n", kept.trim_end_matches('\n'));
    let old = split(&kept).filter_map(Note::parse).last().and_then(|note| Checkpoint::parse(&note.text));
    let old = old.ok_or(LedgerError::NoCheckpoint)?;
    let (proof, origin, root) = growth(folder, old.size)?;
    if origin != old.origin {
        return Err(LedgerError::NoCheckpoint);
    }
    if root.is_some_and(|root| root != old.root) {
        return Err(LedgerError::Contradiction(old.size));
    }
    Ok(proof)
}

/// Proves that the last checkpoint has all that was there when the ledger had `old` rows.
pub(crate) fn prove_growth(folder: &Path, old: u64) -> Result<GrowthProof, LedgerError> {
    growth(folder, old).map(|(proof, _, _)| proof)
}

/// Also tells the origin, and the root of the first `old` rows, if there were any.
fn growth(folder: &Path, old: u64) -> Result<(GrowthProof, String, Option<Hash>), LedgerError> {
    let note = NoteFile::checkpoints(folder).last()?.ok_or(LedgerError::Unsigned(old))?;
    let checkpoint = Checkpoint::parse(&note.text).ok_or(LedgerError::NoCheckpoint)?;
    if old > checkpoint.size {
        return Err(LedgerError::Missing(old));
    }
    let rows = Rows::new(folder);
    let tree = Tree::load_as_signed(folder, &rows, checkpoint.size, &checkpoint.root)?;
    let root = if old == 0 { None } else { Some(Tree::load(folder, &rows, old)?.root()) };
    let path = tree.subtrees(&rows, &merkle::consistency_ranges(old, checkpoint.size))?;
    let proof = GrowthProof {
        old,
        size: checkpoint.size,
        hashes: path.iter().map(|hash| BASE64.encode(hash)).collect(),
        proof: format!("old {old}\n{}\n{note}", lines(&path)),
        checkpoint: note.to_string(),
    };
    Ok((proof, checkpoint.origin, root))
}

fn lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| BASE64.encode(hash) + "\n").collect()
}

/// The first checkpoint that covers a row, rather one that was cosigned.
fn covering(folder: &Path, id: u64) -> Result<(Note, Checkpoint), LedgerError> {
    for file in [NoteFile::cosigned(folder), NoteFile::checkpoints(folder)] {
        if let Some(found) = file.covering(id)? {
            return Ok(found);
        }
    }
    Err(LedgerError::Unsigned(id))
}

fn row(folder: &Path, id: u64) -> Result<Row, LedgerError> {
    let query = Query { after: Some(id.cast_signed() - 1), limit: 1, ..Query::default() };
    let row = Reader::open(folder)?.rows(&query)?.pop().filter(|row| row.id.unsigned_abs() == id);
    row.ok_or(LedgerError::Missing(id))
}
