//! The daemon: what is asked for over its socket, decided by the policies of the active generation. It keeps no policy of
//! its own, opens no connection but to signers that documents name, and starts nothing.

mod api;
mod custody;
mod fields;
mod force;
mod keyd;
mod order;
mod signing;
mod users;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use osmoda_ipc::{Metrics, Peers};

use crate::{
    memory,
    spending::Spending,
    vault::{Cost, Vault, VaultError, read_passphrase},
};

/// How long a key stays in memory after it was opened.
const KEEP: Duration = Duration::from_secs(60);
/// How often keys in memory, and what is in force, are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where things are.
#[derive(Debug)]
pub struct Places {
    /// The vault's folder, and the book's.
    pub state: PathBuf,
    /// The passphrase's file; none: the systemd credential `passphrase`.
    pub passphrase: Option<PathBuf>,
    /// The link to the active generation.
    pub generation: PathBuf,
    /// The socket, when systemd passes none.
    pub socket: PathBuf,
    /// A book that is missing is begun anew: what was spent is forgotten.
    pub new_book: bool,
}

/// Answers until it is told to stop. The vault is made when there is neither a vault nor a book: a vault that has gone
/// missing is never replaced by an empty one.
///
/// # Errors
/// When the vault, the book or the socket cannot be used.
pub async fn run(places: &Places, authors: Vec<u32>) -> Result<(), Box<dyn std::error::Error>> {
    let unprotected: Vec<String> = memory::protect().iter().map(ToString::to_string).collect();
    unprotected.iter().for_each(|said| tracing::warn!("{said}"));
    let (vault, book) = open(places)?;
    let keyd = Arc::new(keyd::Keyd::new(vault, book, places.generation.clone(), unprotected)?);
    let look = tokio::spawn(look(Arc::clone(&keyd)));
    let peers = Peers::root_only();
    peers.set_authors(authors);
    let served = osmoda_ipc::serve(api::service(keyd, peers, Metrics::default()), &places.socket).await;
    look.abort();
    Ok(served?)
}

/// Seals the vault by the passphrase of another file. No daemon runs meanwhile. Done before, it is done: a kill leaves one of
/// both in force, and this may be called again.
///
/// # Errors
/// When neither passphrase opens the vault, or it cannot be written.
pub fn rotate(places: &Places, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    memory::protect().iter().for_each(|said| tracing::warn!("{said}"));
    let vault = places.state.join("vault");
    let (file, credentials) = passphrase(places)?;
    let old = read_passphrase(&file, &vault, credentials.as_deref())?;
    let new = read_passphrase(to, &vault, credentials.as_deref())?;
    match Vault::open(&vault, &old, Duration::ZERO) {
        Ok(opened) => Ok(opened.rotate(&old, &new)?),
        Err(VaultError::Passphrase { .. }) if Vault::open(&vault, &new, Duration::ZERO).is_ok() => {
            tracing::info!("it goes by that passphrase already");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The file with the passphrase, and the folder of systemd's credentials.
fn passphrase(places: &Places) -> Result<(PathBuf, Option<PathBuf>), &'static str> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let named = places.passphrase.clone().or_else(|| Some(credentials.as_ref()?.join("passphrase")));
    let file = named.ok_or("there is no passphrase: give --passphrase-file, or the credential `passphrase`")?;
    Ok((file, credentials))
}

fn open(places: &Places) -> Result<(Vault, Spending), Box<dyn std::error::Error>> {
    let (file, credentials) = passphrase(places)?;
    let (vault, book) = (places.state.join("vault"), places.state.join("book.db"));
    if !book.exists() {
        // The first start.
        match fs::DirBuilder::new().mode(0o700).create(&vault) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    let passphrase = read_passphrase(&file, &vault, credentials.as_deref())?;
    let opened = match Vault::open(&vault, &passphrase, KEEP) {
        Err(VaultError::Missing(_)) if !book.exists() => {
            tracing::info!("making a vault in {}", vault.display());
            Vault::init(&vault, &passphrase, Cost::default())?;
            Vault::open(&vault, &passphrase, KEEP)?
        }
        other => other?,
    };
    if !book.exists() && !places.new_book && !opened.list()?.is_empty() {
        let said = format!(
            "there are keys, and {} is missing: nobody knows what they have spent. Put it back, or, to forget all that was \
             spent, start osmoda-keyd once with --new-book",
            book.display()
        );
        return Err(said.into());
    }
    Ok((opened, Spending::open(&book, Timestamp::now)?))
}

/// Wipes keys whose time has come, and makes those of documents that came into force.
async fn look(keyd: Arc<keyd::Keyd>) {
    let mut said = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        keyd.vault.sweep(Instant::now());
        let keyd = Arc::clone(&keyd);
        let looked = osmoda_ipc::aside(move || keyd.make_declared()).await;
        let problem = looked.err().map(|problem| problem.to_string()).unwrap_or_default();
        if problem != said {
            if !problem.is_empty() {
                tracing::error!("a declared wallet has no key: {problem}");
            }
            said = problem;
        }
    }
}
