//! What osmoda-witness answers.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use osmoda_ipc::{Metrics, Peers, Service, aside};
use osmoda_ledger::{Refusal, Witness};
use osmoda_schemas::{
    operation::Nothing,
    ops::witness::{
        AddCheckpoint, AddLog, Cosigned, GetWitnessKey, Key, ListWitnessedLogs, WitnessedLog, WitnessedLogs,
    },
    problem::Problem,
};

/// osmoda-witness's service.
pub(crate) fn service(witness: Arc<Witness>, peers: Peers, metrics: Metrics) -> Service<Arc<Witness>> {
    Service::new("witness", witness, peers, metrics)
        .handle::<AddCheckpoint, _, _>(|witness, _, request| {
            at_work(witness, move |witness| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let line = witness.add_checkpoint(request.old, &request.proof, &request.checkpoint, now)?;
                Ok(Cosigned { cosignature: line })
            })
        })
        .handle::<AddLog, _, _>(|witness, _, request| {
            at_work(witness, move |witness| {
                witness.add_log(&request.key)?;
                Ok(Key { key: witness.public().to_string() })
            })
        })
        .handle::<GetWitnessKey, _, _>(
            |witness, _, Nothing {}| async move { Ok(Key { key: witness.public().to_string() }) },
        )
        .handle::<ListWitnessedLogs, _, _>(|witness, _, Nothing {}| {
            at_work(witness, |witness| {
                let logs = witness.logs()?.into_iter();
                let view = |log: osmoda_ledger::KnownLog| WitnessedLog {
                    key: log.key,
                    size: log.size,
                    checkpoint: log.checkpoint,
                };
                Ok(WitnessedLogs { logs: logs.map(view).collect() })
            })
        })
}

/// Does what waits for the disk where nobody else waits for it.
async fn at_work<T: Send + 'static>(
    witness: Arc<Witness>,
    work: impl FnOnce(&Witness) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    aside(move || work(&witness).map_err(|refusal| problem(&refusal))).await
}

/// The statuses are those of c2sp.org/tlog-witness.
fn problem(refusal: &Refusal) -> Problem {
    let (status, code, hint) = match refusal {
        Refusal::Malformed(_) => (400, "malformed-checkpoint", None),
        Refusal::Unsigned(_) => (403, "unsigned-checkpoint", None),
        Refusal::UnknownLog(_) => (404, "unknown-log", Some("POST /add-log makes it known".to_owned())),
        Refusal::OtherSize { known, .. } => {
            (409, "other-size", Some(format!("send `old: {known}`, and the consistency proof from there")))
        }
        Refusal::OtherKey(_) => (409, "other-key", Some("its folder below `logs` in the witness's state".to_owned())),
        Refusal::Inconsistent { .. } => (
            422,
            "inconsistent-checkpoint",
            Some("the log was rewritten: `osmoda ledger verify` says where".to_owned()),
        ),
        Refusal::State(_) => (500, "state-not-usable", None),
    };
    let problem = Problem::new(status, code, refusal.to_string());
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
