//! What keyd did and let pass, into the ledger. keyd has written it down before anything was signed; here it is only
//! fetched, each receipt once, whatever ends either of both in between.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use osmoda_generation::durable;
use osmoda_ipc::{Client, ClientError};
use osmoda_ledger::{Event, Ledger, LedgerError, Query, Reader};
use osmoda_schemas::ops::keyd::{ListReceipts, Receipt, Receipts, ReceiptsRequest};
use serde_json::json;

use crate::said::Said;

/// How long keyd waits for a receipt before it says that there is none, in seconds.
const WAIT: u32 = 20;
/// How long a keyd that does not answer is left in peace.
const AGAIN: Duration = Duration::from_secs(5);
/// Types of these events begin so.
const KIND: &str = "wallet.";
/// The type of the event that keyd's book has lost receipts that the ledger has.
const WENT_BACK: &str = "wallet.book-went-back";

/// Why receipts did not get here.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the number of the last receipt cannot be kept: {0}")]
    Io(#[from] io::Error),
}

/// Appends all receipts, for ever. What goes wrong is said once. `file` keeps the number of the last one.
pub async fn follow(ledger: Ledger, folder: PathBuf, file: PathBuf, keyd: Client) {
    let (mut known, mut said) = (None, Said::default());
    loop {
        let step = async {
            let after = match known {
                Some(last) => last,
                None => {
                    let (folder, file) = (folder.clone(), file.clone());
                    tokio::task::spawn_blocking(move || last(&folder, &file)).await.map_err(io::Error::other)??
                }
            };
            known = Some(after);
            fetch(&ledger, &file, &keyd, after, WAIT).await
        };
        match step.await {
            Ok(last) => {
                known = Some(last);
                said.well();
            }
            Err(error) => {
                // The ledger may have what could not be kept: then it tells.
                if !matches!(error, Failure::Client(_)) {
                    known = None;
                }
                said.tell(&error, |words| match &error {
                    // It is not everybody's.
                    Failure::Client(ClientError::Unreachable { .. }) => tracing::debug!("no keyd: {words}"),
                    _ => tracing::error!("receipts of keyd: {words}"),
                });
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// The number of the last receipt that the ledger has: of the file, or of an event that is later.
fn last(folder: &Path, file: &Path) -> Result<i64, Failure> {
    let kept = match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map_err(io::Error::other)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    let query = Query { kind: Some(format!("{KIND}*")), limit: 1, newest_first: true, ..Query::default() };
    let rows = Reader::open(folder)?.rows(&query)?;
    let row = rows.first().map(|row| (row.kind == WENT_BACK, row.payload["receipt"].as_i64().unwrap_or_default()));
    Ok(match row {
        // From there on numbers come again.
        Some((true, number)) => number,
        Some((false, number)) => number.max(kept),
        None => kept,
    })
}

/// Appends what comes after a receipt; gives the number of the last one.
async fn fetch(ledger: &Ledger, file: &Path, keyd: &Client, after: i64, wait: u32) -> Result<i64, Failure> {
    let request = ReceiptsRequest { after: Some(after), limit: None, wait_secs: Some(wait) };
    let Receipts { receipts, last } = keyd.call::<ListReceipts>(&request).await?;
    if last < after {
        tracing::error!("keyd has lost receipts: the ledger has {after}, keyd's book ends with {last}");
        let payload = json!({ "known": after, "receipt": last });
        ledger.append(Event::new(WENT_BACK, "agentd", payload)).await?;
        durable::write(file, last.to_string().as_bytes())?;
        return Ok(last);
    }
    let Some(newest) = receipts.iter().map(|receipt| receipt.id).max() else { return Ok(after) };
    ledger.append_all(receipts.into_iter().map(event).collect()).await?;
    durable::write(file, newest.to_string().as_bytes())?;
    Ok(newest)
}

fn event(receipt: Receipt) -> Event {
    // keyd says what happened to wallets, and nothing else.
    let kind = if receipt.kind.starts_with(KIND) { receipt.kind } else { format!("{KIND}unknown") };
    let payload = json!({
        "receipt": receipt.id, "at": receipt.at, "reservation": receipt.reservation, "said": receipt.payload,
    });
    Event::new(kind, "keyd", payload)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use osmoda_keyd::daemon::{Places, run};
    use osmoda_schemas::ops::keyd::{CreateWallet, CreateWalletRequest};

    use super::*;

    fn told(folder: &Path) -> Vec<(String, i64)> {
        let query = Query { kind: Some("wallet.*".to_owned()), limit: 99, ..Query::default() };
        let rows = Reader::open(folder).unwrap().rows(&query).unwrap();
        rows.into_iter().map(|row| (row.kind, row.payload["receipt"].as_i64().unwrap())).collect()
    }

    #[tokio::test]
    async fn each_receipt_is_there_once_and_lost_ones_are_told() {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: keyd answers root only");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("passphrase"), "correct horse battery staple").unwrap();
        fs::set_permissions(at("passphrase"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(at("state")).unwrap();
        let (folder, file, socket) = (at("ledger"), at("receipts"), at("keyd.sock"));
        let places = Places {
            state: at("state"),
            passphrase: Some(at("passphrase")),
            generation: at("generation"),
            socket: socket.clone(),
            new_book: false,
        };
        let ledger = Ledger::open(&folder).unwrap();
        let keyd = Client::new(&socket);
        assert_eq!(last(&folder, &file).unwrap(), 0);
        let away = fetch(&ledger, &file, &keyd, 0, 0).await.unwrap_err();
        assert!(matches!(away, Failure::Client(ClientError::Unreachable { .. })), "{away}");
        let work = async {
            while !socket.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for wallet in ["a", "b"] {
                let chain = osmoda_schemas::kinds::wallet_policy::Chain::Solana;
                let request = CreateWalletRequest { wallet: wallet.parse().unwrap(), chain };
                keyd.call::<CreateWallet>(&request).await.unwrap();
            }
            assert_eq!(fetch(&ledger, &file, &keyd, 0, 0).await.unwrap(), 2);
            assert_eq!(fetch(&ledger, &file, &keyd, 2, 0).await.unwrap(), 2);
            // Ended after the ledger had them and before the number was kept; or the ledger's part was archived.
            for text in ["0", "2"] {
                fs::write(&file, text).unwrap();
                assert_eq!(last(&folder, &file).unwrap(), 2);
            }
            let two = ["wallet.created", "wallet.created"].map(String::from).into_iter().zip([1, 2]);
            let two: Vec<_> = two.collect();
            assert_eq!(told(&folder), two);
            // Somebody has put an older book in the place of this one.
            assert_eq!(fetch(&ledger, &file, &keyd, 7, 0).await.unwrap(), 2);
            assert_eq!(told(&folder)[2..], [(WENT_BACK.to_owned(), 2)]);
            assert_eq!(last(&folder, &file).unwrap(), 2);
        };
        tokio::select! {
            ended = run(&places, Vec::new()) => panic!("keyd ended: {ended:?}"),
            () = work => {}
        }
    }
}
