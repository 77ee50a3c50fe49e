//! Having checkpoints of the ledger cosigned, after they were signed: nobody waits for a witness, and one that is away is
//! asked again.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use osmoda_ipc::{Client, ClientError};
use osmoda_ledger::{
    Event, Ledger, LedgerError, PublicKey, Query, Reader, checkpoints_file, keep_cosignature, knows_witness, log_key,
    to_cosign, trust_witness,
};
use osmoda_schemas::{
    operation::Nothing,
    ops::witness::{AddCheckpoint, AddCheckpointRequest, AddLog, GetWitnessKey, Key, ListWitnessedLogs},
};
use serde_json::json;

use crate::said::Said;

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
pub async fn follow(ledger: Ledger, folder: PathBuf, witness: Client) {
    let (mut done, mut said) = (None, Said::default());
    loop {
        let signed = changed(&folder);
        if signed.is_none() || signed == done {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        match cosign(&ledger, &folder, &witness).await {
            Ok(()) => {
                done = signed;
                said.well();
            }
            Err(error) => {
                said.tell(&error, |words| match &error {
                    // It may not be installed, or not be up yet.
                    Failure::Client(ClientError::Unreachable { .. }) => tracing::info!("no witness: {words}"),
                    _ => tracing::error!("the witness did not cosign the ledger: {words}"),
                });
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
    add(ledger, folder, &key).await?;
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
    if let Some(proof) = aside(move || to_cosign(&place, &by, known)).await? {
        let request = AddCheckpointRequest { old: proof.old, proof: proof.hashes, checkpoint: proof.checkpoint };
        let line = client.call::<AddCheckpoint>(&request).await?.cosignature;
        let place = folder.to_owned();
        aside(move || keep_cosignature(&place, &request.checkpoint, &line, &witness)).await?;
    }
    Ok(())
}

/// The type of the event that a witness was added.
const ADDED: &str = "ledger.witness-added";

/// Makes a witness known to the ledger that knows none: the event comes first, and once, whatever ends this in between.
async fn add(ledger: &Ledger, folder: &Path, key: &str) -> Result<(), Failure> {
    let (place, by) = (folder.to_owned(), key.to_owned());
    if aside(move || knows_witness(&place, &by)).await? {
        return Ok(());
    }
    let payload = json!({ "public": key });
    let place = folder.to_owned();
    let query = Query { kind: Some(ADDED.to_owned()), limit: 1, newest_first: true, ..Query::default() };
    let last = aside(move || Reader::open(&place)?.rows(&query)).await?;
    if last.first().is_none_or(|row| row.payload != payload) {
        ledger.append(Event::new(ADDED, "agentd", payload)).await?;
    }
    let (place, by) = (folder.to_owned(), key.to_owned());
    aside(move || trust_witness(&place, &by)).await?;
    Ok(())
}

/// Does what waits for the disk where nobody else waits for it.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Failure> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

#[cfg(test)]
mod tests {
    use osmoda_ledger::{Report, verify};

    use super::*;

    /// Rows that are signed for, and rows that are cosigned.
    fn covered(folder: &Path) -> (Option<i64>, Option<i64>) {
        let report: Report = verify(folder, None).unwrap();
        assert!(report.is_whole(), "{report:?}");
        (report.signed_until, report.cosigned_until)
    }

    #[tokio::test]
    async fn checkpoints_are_cosigned_as_soon_as_there_is_a_witness() {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: the witness answers root only");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (folder, socket) = (dir.path().join("ledger"), dir.path().join("witness.sock"));
        let ledger = Ledger::open(&folder).unwrap();
        let append = async || {
            ledger.append(Event::new("t", "test", json!({}))).await.unwrap();
            ledger.checkpoint().await.unwrap();
        };
        append().await;
        let client = Client::new(&socket);
        let away = cosign(&ledger, &folder, &client).await.unwrap_err();
        assert!(matches!(away, Failure::Client(ClientError::Unreachable { .. })), "{away}");
        assert_eq!(covered(&folder), (Some(1), None));

        let state = dir.path().join("witness");
        let witness = osmoda_witness::run(&state, &socket);
        let work = async {
            while !socket.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            cosign(&ledger, &folder, &client).await.unwrap();
            assert_eq!(covered(&folder), (Some(1), Some(1)));
            // The event of the witness is signed for with the next checkpoint.
            append().await;
            cosign(&ledger, &folder, &client).await.unwrap();
            assert_eq!(covered(&folder), (Some(3), Some(3)));
            cosign(&ledger, &folder, &client).await.unwrap();
            // An answer that did not arrive is asked for again.
            std::fs::remove_file(folder.join("cosigned")).unwrap();
            cosign(&ledger, &folder, &client).await.unwrap();
            assert_eq!(covered(&folder), (Some(3), Some(3)));
        };
        tokio::select! {
            ended = witness => panic!("the witness ended: {ended:?}"),
            () = work => {}
        }
    }

    #[tokio::test]
    async fn a_witness_is_told_of_before_it_is_known_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ledger");
        let witness = osmoda_ledger::Witness::open(&dir.path().join("witness")).unwrap();
        let key = witness.public().to_string();
        let query = Query { kind: Some(ADDED.to_owned()), limit: 9, ..Query::default() };
        let told = || Reader::open(&folder).unwrap().rows(&query).unwrap();
        // Ended when the event is there and the key is not.
        std::fs::create_dir_all(folder.join("witness.new")).unwrap();
        let ledger = Ledger::open(&folder).unwrap();
        assert!(add(&ledger, &folder, &key).await.is_err());
        assert_eq!((told().len(), knows_witness(&folder, &key).unwrap()), (1, false));
        drop(ledger);
        // The next start.
        std::fs::remove_dir(folder.join("witness.new")).unwrap();
        let ledger = Ledger::open(&folder).unwrap();
        for _ in 0..2 {
            add(&ledger, &folder, &key).await.unwrap();
            assert!(knows_witness(&folder, &key).unwrap());
            assert_eq!((told().len(), &told()[0].payload), (1, &json!({ "public": key })));
        }
        // One that has lost its key is refused without an event, until an operator has removed the old one.
        let other = osmoda_ledger::Witness::open(&dir.path().join("other")).unwrap().public().to_string();
        assert!(add(&ledger, &folder, &other).await.is_err());
        assert_eq!(told().len(), 1);
        for (n, next) in [&other, &key].into_iter().enumerate() {
            std::fs::remove_file(folder.join("witness.pub")).unwrap();
            add(&ledger, &folder, next).await.unwrap();
            assert_eq!(told().len(), n + 2);
        }
    }
}
