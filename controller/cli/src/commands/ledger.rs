//! `ledger verify`, `ledger prove`, `ledger archive`, `ledger head`, `ledger checkpoint`.

use std::path::{Path, PathBuf};

use osmoda_ledger::{
    Ledger, LedgerError, PublicKey, Reader, Trust, archive as archive_segment, log_key, prove as prove_row,
    prove_since, verify_with,
};
use osmoda_schemas::{
    operation::Nothing,
    ops::witness::{ListWitnessedLogs, WitnessedLog},
    problem::Problem,
};
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
        LedgerError::Missing(_) | LedgerError::Unsigned(_) | LedgerError::NoCheckpoint | LedgerError::Segment(_) => {
            Problem::new(404, "not-in-the-ledger", error.to_string()).into()
        }
        LedgerError::Contradiction(_) => Problem::new(409, "ledger-damaged", error.to_string()).into(),
        other => unreadable(other),
    }
}

fn read(file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file).map_err(|e| Problem::new(422, "unreadable-file", format!("{}: {e}", file.display())))
}

/// Proves that the ledger is whole.
pub async fn verify(
    context: &Context,
    folder: Option<PathBuf>,
    key: Option<&Path>,
    witnesses: &[PathBuf],
    seen: &[PathBuf],
) -> Result<u8, Failure> {
    let ours = folder.is_none();
    let folder = folder.unwrap_or_else(|| context.ledger());
    let read_all = |files: &[PathBuf]| files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>();
    let mut trust = Trust { key: key.map(read).transpose()?, witnesses: read_all(witnesses)?, seen: read_all(seen)? };
    let mut unknown = None;
    if ours && seen.is_empty() {
        match remembered(context, &folder).await {
            Ok(notes) => trust.seen = notes,
            Err(words) => unknown = Some(words),
        }
    }
    let mut report = verify_with(&folder, &trust).map_err(unreadable)?;
    report.warnings.extend(unknown);
    context.printer.print(&report, |printer| {
        let signed = match report.signed_until {
            Some(id) => format!("{} checkpoints, the last one of row {id}", report.checkpoints),
            None => "no checkpoint yet".to_owned(),
        };
        let witnessed = report.cosigned_until.map(|id| format!(", cosigned up to row {id}")).unwrap_or_default();
        let verdict =
            if report.is_whole() { printer.paint("whole:", Tone::Good) } else { printer.paint("DAMAGED:", Tone::Bad) };
        let away = match report.archived.as_slice() {
            [] => String::new(),
            archived => format!(", {} archived segments were not looked at", archived.len()),
        };
        let mut out = format!("{verdict} {} events, {signed}{witnessed}{away}\n", report.events);
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

/// What the machine's witness remembers of the ledger; or a warning, where a witness is known and says nothing of it.
async fn remembered(context: &Context, folder: &Path) -> Result<Vec<String>, String> {
    let known = folder.join("witness.pub").exists();
    let logs = match context.witness().call::<ListWitnessedLogs>(&Nothing {}).await {
        Ok(answer) => answer.logs,
        Err(error) if known => return Err(format!("the witness was not asked: {error}")),
        Err(_) => return Ok(Vec::new()),
    };
    let name = log_key(folder).map_err(|error| error.to_string())?.name().to_owned();
    let of_this = |log: &WitnessedLog| PublicKey::parse(&log.key).is_some_and(|key| key.name() == name);
    let notes: Vec<String> = logs.into_iter().filter(of_this).map(|log| log.checkpoint).collect();
    if notes.is_empty() && known {
        return Err(
            "the witness does not know this ledger: it was put in the place of another, or just made".to_owned()
        );
    }
    Ok(notes.into_iter().filter(|note| !note.is_empty()).collect())
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

/// Moves a segment elsewhere.
pub async fn archive(context: &Context, segment: u32, to: &Path) -> Result<u8, Failure> {
    archive_segment(&context.ledger(), segment, to).await.map_err(unprovable)?;
    context
        .printer
        .print(&json!({ "segment": segment, "to": to }), |_| format!("segment {segment} is in {}\n", to.display()))?;
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
