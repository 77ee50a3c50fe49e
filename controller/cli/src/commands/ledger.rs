//! `ledger verify`, `ledger prove`, `ledger head`, `ledger checkpoint`.

use std::path::{Path, PathBuf};

use osmoda_ledger::{Ledger, LedgerError, Reader, Trust, prove as prove_row, prove_since, verify_with};
use osmoda_schemas::problem::Problem;
use serde_json::json;

use crate::{
    context::{Context, Failure},
    print::Tone,
};

fn unreadable(error: LedgerError) -> Failure {
    Problem::new(500, "ledger-not-readable", error.to_string()).hint("root may read it").into()
}

/// What cannot be proved is not for want of rights.
fn unprovable(error: LedgerError) -> Failure {
    match error {
        LedgerError::Missing(_) | LedgerError::Unsigned(_) | LedgerError::NoCheckpoint => {
            Problem::new(404, "nothing-to-prove", error.to_string()).into()
        }
        LedgerError::Contradiction(_) => Problem::new(409, "ledger-damaged", error.to_string()).into(),
        other => unreadable(other),
    }
}

fn read(file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file).map_err(|e| Problem::new(422, "unreadable-file", format!("{}: {e}", file.display())))
}

/// Proves that the ledger is whole.
pub fn verify(
    context: &Context,
    folder: Option<PathBuf>,
    key: Option<&Path>,
    witnesses: &[PathBuf],
    seen: &[PathBuf],
) -> Result<u8, Failure> {
    let folder = folder.unwrap_or_else(|| context.ledger());
    let read_all = |files: &[PathBuf]| files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>();
    let trust = Trust { key: key.map(read).transpose()?, witnesses: read_all(witnesses)?, seen: read_all(seen)? };
    let report = verify_with(&folder, &trust).map_err(unreadable)?;
    context.printer.print(&report, |printer| {
        let signed = match report.signed_until {
            Some(id) => format!("{} checkpoints, the last one of row {id}", report.checkpoints),
            None => "no checkpoint yet".to_owned(),
        };
        let witnessed = report.cosigned_until.map(|id| format!(", cosigned up to row {id}")).unwrap_or_default();
        let verdict =
            if report.is_whole() { printer.paint("whole:", Tone::Good) } else { printer.paint("DAMAGED:", Tone::Bad) };
        let mut out = format!("{verdict} {} events, {signed}{witnessed}\n", report.events);
        for damage in &report.problems {
            let row = damage.id.map(|id| format!("row {id}: ")).unwrap_or_default();
            out += &format!("  {row}{}\n", damage.what);
        }
        for warning in &report.warnings {
            out += &format!("  {} {warning}\n", printer.paint("warning:", Tone::Warning));
        }
        out
    })?;
    Ok(u8::from(!report.is_whole()))
}

/// Proves that a row is in the ledger.
pub fn prove(context: &Context, folder: Option<PathBuf>, id: u64) -> Result<u8, Failure> {
    let folder = folder.unwrap_or_else(|| context.ledger());
    let proof = prove_row(&folder, id).map_err(unprovable)?;
    context.printer.print(&proof, |_| proof.proof.clone())?;
    Ok(0)
}

/// Proves that nothing has changed of what a checkpoint covers.
pub fn prove_growth(context: &Context, folder: Option<PathBuf>, since: &Path) -> Result<u8, Failure> {
    let folder = folder.unwrap_or_else(|| context.ledger());
    let proof = prove_since(&folder, &read(since)?).map_err(unprovable)?;
    context.printer.print(&proof, |_| proof.proof.clone())?;
    Ok(0)
}

/// Prints the last row.
pub fn head(context: &Context) -> Result<u8, Failure> {
    let head = Reader::open(&context.ledger()).and_then(|reader| reader.head()).map_err(unreadable)?;
    let (id, hash) = head.map_or((0, "0".repeat(64)), |(id, hash)| (id, hash));
    context.printer.print(&json!({ "id": id, "hash": hash }), |_| format!("{id} {hash}\n"))?;
    Ok(0)
}

/// Signs a checkpoint.
pub async fn checkpoint(context: &Context) -> Result<u8, Failure> {
    let ledger = Ledger::open(&context.ledger()).map_err(unreadable)?;
    ledger.checkpoint().await.map_err(unreadable)?;
    head(context)
}
