//! The witness daemon: what the ledger's `Witness` does, on a socket, under a user that the ledger's writers are not.

mod api;

use std::{path::Path, sync::Arc};

use osmoda_ipc::{Metrics, Peers};
use osmoda_ledger::Witness;

/// Runs until it is told to stop.
///
/// # Errors
/// When its state or the socket cannot be used.
pub async fn run(state: &Path, socket: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let witness = Arc::new(Witness::open(state)?);
    tracing::info!("cosigning as {}", witness.public());
    osmoda_ipc::serve(api::service(witness, Peers::root_only(), Metrics::default()), socket).await?;
    Ok(())
}
