//! Having checkpoints of the ledger cosigned, after they were signed: nobody waits for a witness, and one that is away is
//! asked again.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use osmoda_ipc::{Client, ClientError};
use osmoda_ledger::{
    Event, Ledger, LedgerError, PublicKey, checkpoints_file, keep_cosignature, log_key, to_cosign, trust_witness,
};
use osmoda_schemas::{
    operation::Nothing,
    ops::witness::{AddCheckpoint, AddCheckpointRequest, AddLog, GetWitnessKey, Key, ListWitnessedLogs},
};
use serde_json::json;

/// How often it is looked whether there is a new checkpoint.
const LOOK: Duration = Duration::from_secs(5);
/// How long a witness that did not cosign is left in peace.
const AGAIN: Duration = Duration::from_secs(30);

/// Why a checkpoint was not cosigned.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Aside(#[from] tokio::task::JoinError),
}

/// Has every new checkpoint cosigned, for ever. What goes wrong is said once.
pub(crate) async fn follow(ledger: Ledger, folder: PathBuf, witness: Client) {
    let (mut done, mut said) = (None, String::new());
    loop {
        let signed = changed(&folder);
        if signed.is_none() || signed == done {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        match cosign(&ledger, &folder, &witness).await {
            Ok(()) => {
                (done, said) = (signed, String::new());
            }
            Err(error) => {
                let words = error.to_string();
                if words != said {
                    match error {
                        // It may not be installed, or not be up yet.
                        Failure::Client(ClientError::Unreachable { .. }) => tracing::info!("no witness: {words}"),
                        _ => tracing::error!("the witness did not cosign the ledger: {words}"),
                    }
                    said = words;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Changes with every checkpoint.
fn changed(folder: &Path) -> Option<(u64, SystemTime)> {
    let meta = std::fs::metadata(checkpoints_file(folder)).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

async fn cosign(ledger: &Ledger, folder: &Path, client: &Client) -> Result<(), Failure> {
    let key = client.call::<GetWitnessKey>(&Nothing {}).await?.key;
    if trust_witness(folder, &key)? {
        ledger.append(Event::new("ledger.witness-added", "agentd", json!({ "public": key }))).await?;
    }
    let witness = PublicKey::parse(&key).ok_or_else(|| LedgerError::Cosignature(key))?;
    let own = log_key(folder)?.to_string();
    let logs = client.call::<ListWitnessedLogs>(&Nothing {}).await?.logs;
    let known = match logs.into_iter().find(|log| log.key == own) {
        Some(log) => log.size,
        None => {
            client.call::<AddLog>(&Key { key: own }).await?;
            0
        }
    };
    let (place, by) = (folder.to_owned(), witness.clone());
    let proof = tokio::task::spawn_blocking(move || to_cosign(&place, &by, known)).await??;
    if let Some(proof) = proof {
        let request = AddCheckpointRequest { old: proof.old, proof: proof.hashes, checkpoint: proof.checkpoint };
        let line = client.call::<AddCheckpoint>(&request).await?.cosignature;
        keep_cosignature(folder, &request.checkpoint, &line, &witness)?;
    }
    Ok(())
}
