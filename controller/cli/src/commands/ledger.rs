//! `ledger verify`, `ledger head`, `ledger checkpoint`.

use std::path::{Path, PathBuf};

use osmoda_ledger::{Ledger, LedgerError, Reader, verify as verify_ledger};
use osmoda_schemas::problem::Problem;
use serde_json::json;

use crate::{
    context::{Context, Failure},
    print::Tone,
};

fn unreadable(error: LedgerError) -> Failure {
    Problem::new(500, "ledger-not-readable", error.to_string()).hint("root may read it").into()
}

/// Proves that the ledger is whole.
pub fn verify(context: &Context, folder: Option<PathBuf>, key: Option<&Path>) -> Result<u8, Failure> {
    let folder = folder.unwrap_or_else(|| context.ledger());
    let key = key.map(|file| {
        std::fs::read_to_string(file)
            .map_err(|e| Problem::new(422, "unreadable-file", format!("{}: {e}", file.display())))
    });
    let key = key.transpose()?;
    let report = verify_ledger(&folder, key.as_deref()).map_err(unreadable)?;
    context.printer.print(&report, |printer| {
        let signed = match report.signed_until {
            Some(id) => format!("{} checkpoints, the last one of row {id}", report.checkpoints),
            None => "no checkpoint yet".to_owned(),
        };
        let verdict =
            if report.is_whole() { printer.paint("whole:", Tone::Good) } else { printer.paint("DAMAGED:", Tone::Bad) };
        let mut out = format!("{verdict} {} events, {signed}\n", report.events);
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
