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
use osmoda_schemas::{
    canonical_json,
    object::ContentHash,
    ops::keyd::{ListReceipts, Receipt, Receipts, ReceiptsRequest},
};
use serde_json::{Value, json};

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

/// The last receipt that the ledger has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// Its number; 0: none.
    number: i64,
    /// SHA-256 of what the ledger says of it, as canonical JSON, in hexadecimal. By it another book is told that goes on from the same number.
    digest: Option<String>,
}

/// Appends all receipts, for ever. What goes wrong is said once. `file` keeps the last one.
pub async fn follow(ledger: Ledger, folder: PathBuf, file: PathBuf, keyd: Client) {
    let (mut known, mut said) = (None, Said::default());
    // A keyd that was away may come back with another book: that is looked at before anything is waited for.
    let mut wait = 0;
    loop {
        let step = async {
            let after = match known.clone() {
                Some(last) => last,
                None => {
                    let (folder, file) = (folder.clone(), file.clone());
                    tokio::task::spawn_blocking(move || last(&folder, &file)).await.map_err(io::Error::other)??
                }
            };
            known = Some(after.clone());
            fetch(&ledger, &file, &keyd, after, wait).await
        };
        match step.await {
            Ok(last) => {
                (known, wait) = (Some(last), WAIT);
                said.well();
            }
            Err(error) => {
                wait = 0;
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

/// The last receipt that the ledger has: that of the file, or of an event that is later.
fn last(folder: &Path, file: &Path) -> Result<Known, Failure> {
    let kept = match fs::read_to_string(file) {
        Ok(text) => {
            let (number, digest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            let digest = Some(digest.to_owned()).filter(|digest| !digest.is_empty());
            Known { number: number.parse().map_err(io::Error::other)?, digest }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Known::default(),
        Err(error) => return Err(error.into()),
    };
    let query = Query { kind: Some(format!("{KIND}*")), limit: 1, newest_first: true, ..Query::default() };
    let rows = Reader::open(folder)?.rows(&query)?;
    Ok(match rows.first() {
        // From the first on, they come again. The file may be of the book before, if that was cut off.
        Some(row) if row.kind == WENT_BACK => {
            keep(file, &Known::default())?;
            Known::default()
        }
        Some(row) if row.payload["receipt"].as_i64() >= Some(kept.number) => known_by(&row.payload),
        _ => kept,
    })
}

/// What an event of a receipt is known by.
fn known_by(payload: &Value) -> Known {
    let digest = ContentHash::of(canonical_json(payload)).to_string();
    Known { number: payload["receipt"].as_i64().unwrap_or_default(), digest: Some(digest) }
}

fn keep(file: &Path, known: &Known) -> io::Result<()> {
    let text = format!("{} {}", known.number, known.digest.as_deref().unwrap_or_default());
    durable::write(file, text.as_bytes())
}

/// Appends what comes after a receipt; gives the last one.
async fn fetch(ledger: &Ledger, file: &Path, keyd: &Client, after: Known, wait: u32) -> Result<Known, Failure> {
    let request = ReceiptsRequest { after: Some(after.number), limit: None, wait_secs: Some(wait) };
    let Receipts { receipts, before, last } = keyd.call::<ListReceipts>(&request).await?;
    let is_another = match before.map(|receipt| known_by(&payload(&receipt))) {
        Some(there) => after.digest.is_some() && there != after,
        // An older keyd does not tell it.
        None => last < after.number,
    };
    if is_another {
        let number = after.number;
        tracing::error!(
            "keyd goes by another book, or an older one: its receipt {number} is not the one of the ledger"
        );
        let payload = json!({ "known": number, "last": last });
        ledger.append(Event::new(WENT_BACK, "agentd", payload)).await?;
        // Nobody knows from where on they differ.
        keep(file, &Known::default())?;
        return Ok(Known::default());
    }
    let Some(newest) = receipts.last().map(|receipt| known_by(&payload(receipt))) else { return Ok(after) };
    ledger.append_all(receipts.into_iter().map(event).collect()).await?;
    keep(file, &newest)?;
    Ok(newest)
}

/// What an event says of a receipt.
fn payload(receipt: &Receipt) -> Value {
    json!({
        "receipt": receipt.id, "at": receipt.at, "reservation": receipt.reservation, "said": receipt.payload,
    })
}

fn event(receipt: Receipt) -> Event {
    // keyd says what happened to wallets, and nothing else.
    let payload = payload(&receipt);
    let kind = if receipt.kind.starts_with(KIND) { receipt.kind } else { format!("{KIND}unknown") };
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
        rows.into_iter().map(|row| (row.kind, row.payload["receipt"].as_i64().unwrap_or_default())).collect()
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
        assert_eq!(last(&folder, &file).unwrap(), Known::default());
        let away = fetch(&ledger, &file, &keyd, Known::default(), 0).await.unwrap_err();
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
            let second = fetch(&ledger, &file, &keyd, Known::default(), 0).await.unwrap();
            assert_eq!(second.number, 2);
            assert_eq!(fetch(&ledger, &file, &keyd, second.clone(), 0).await.unwrap(), second);
            assert_eq!(last(&folder, &file).unwrap(), second);
            // Ended after the ledger had them and before the last one was kept.
            fs::write(&file, "0").unwrap();
            assert_eq!(last(&folder, &file).unwrap(), second);
            // The ledger's part was archived.
            let kept = Known { number: 7, digest: Some("ab".to_owned()) };
            keep(&file, &kept).unwrap();
            assert_eq!(last(&folder, &file).unwrap(), kept);
            let two = ["wallet.created", "wallet.created"].map(String::from).into_iter().zip([1, 2]);
            let two: Vec<_> = two.collect();
            assert_eq!(told(&folder), two);
            // Somebody has put an older book in the place of this one, or one that has grown as long.
            let other = Known { number: 1, ..second.clone() };
            for lost in [kept, other] {
                let events = told(&folder).len();
                assert_eq!(fetch(&ledger, &file, &keyd, lost, 0).await.unwrap(), Known::default());
                assert_eq!(told(&folder).len(), events + 1);
                // Ended before that was kept.
                keep(&file, &Known { number: 7, digest: None }).unwrap();
                assert_eq!(last(&folder, &file).unwrap(), Known::default());
                assert_eq!(fs::read_to_string(&file).unwrap(), "0 ");
                // All of it comes again.
                assert_eq!(fetch(&ledger, &file, &keyd, Known::default(), 0).await.unwrap(), second);
                assert_eq!(told(&folder)[events..], [&[(WENT_BACK.to_owned(), 0)], &two[..]].concat());
            }
        };
        tokio::select! {
            ended = run(&places, Vec::new()) => panic!("keyd ended: {ended:?}"),
            () = work => {}
        }
    }
}
