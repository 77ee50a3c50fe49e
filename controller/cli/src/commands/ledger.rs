//! `ledger verify`, `ledger prove`, `ledger archive`, `ledger head`, `ledger checkpoint`.

use std::path::{Path, PathBuf};

use osmoda_ledger::{
    Damage, Ledger, LedgerError, PublicKey, Reader, Trust, archive as archive_segment, log_key, prove as prove_row,
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
        LedgerError::Unwitnessed(_) => Problem::new(409, "not-cosigned", error.to_string())
            .hint("agentd asks the witness after each checkpoint: `systemctl status osmoda-witness`, then try again")
            .into(),
        LedgerError::Contradiction(_) | LedgerError::Gap { .. } => {
            Problem::new(409, "ledger-damaged", error.to_string()).into()
        }
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
    let mut memory = Memory::default();
    if ours && seen.is_empty() {
        memory = remembered(context, &folder).await;
        trust.seen = memory.notes;
    }
    let mut report = verify_with(&folder, &trust).map_err(unreadable)?;
    report.problems.extend(memory.problem.map(|what| Damage { id: None, what }));
    report.warnings.extend(memory.warning);
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

/// What the machine's witness has to say of its ledger.
#[derive(Debug, Default, PartialEq, Eq)]
struct Memory {
    /// All that it has cosigned. Of another log, too: this machine has one ledger, so that was the one before.
    notes: Vec<String>,
    problem: Option<String>,
    warning: Option<String>,
}

impl Memory {
    /// Of a ledger whose key has that name; `known`: it has met a witness.
    fn new(logs: Vec<WitnessedLog>, name: Option<&str>, known: bool) -> Self {
        let of_this = |log: &WitnessedLog| PublicKey::parse(&log.key).is_some_and(|key| Some(key.name()) == name);
        let problem = (known && !logs.iter().any(of_this)).then(|| {
            "the witness does not know this ledger: it was put in the place of another, or the witness has lost its state"
                .to_owned()
        });
        let notes = logs.into_iter().map(|log| log.checkpoint).filter(|note| !note.is_empty()).collect();
        Self { notes, problem, warning: None }
    }
}

/// Asks the machine's witness.
async fn remembered(context: &Context, folder: &Path) -> Memory {
    let known = folder.join("witness.pub").exists();
    match context.witness().call::<ListWitnessedLogs>(&Nothing {}).await {
        Ok(answer) => Memory::new(answer.logs, log_key(folder).ok().as_ref().map(PublicKey::name), known),
        Err(error) => {
            let warning = known.then(|| format!("the witness was not asked: {error}"));
            Memory { warning, ..Memory::default() }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_before_is_not_forgotten_for_a_new_key() {
        // An example of signed-note.
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let log = |key: &str, whose: &str| WitnessedLog { key: key.into(), size: 1, checkpoint: whose.into() };
        let (name, own, other) = ("PeterNeumann", log(key, "own's"), log("another", "other's"));
        let both = Memory::new(vec![own, other.clone()], Some(name), true);
        assert_eq!((both.notes.as_slice(), both.problem), (&["own's".to_owned(), "other's".to_owned()][..], None));
        let unknown = Memory::new(vec![other], Some(name), true);
        assert_eq!(unknown.notes, ["other's"]);
        assert!(unknown.problem.is_some());
        assert_eq!(Memory::new(Vec::new(), Some(name), false), Memory::default(), "it has just been made");
    }
}
