//! osmoda-witness: remembers how far a ledger has grown, and cosigns what goes on from there.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// The witness daemon of osModa.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The socket that it answers at, when systemd passes none.
    #[arg(long, default_value = "/run/osmoda/witness.sock")]
    socket: PathBuf,
    /// Where it keeps its key and what it remembers.
    #[arg(long, default_value = "/var/lib/osmoda-witness")]
    state_dir: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    osmoda_ipc::init_logging();
    let arguments = Arguments::parse();
    match osmoda_witness::run(&arguments.state_dir, &arguments.socket).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
