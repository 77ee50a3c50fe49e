//! osmoda-keyd: keeps keys, and signs what policies let pass.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use osmoda_keyd::daemon::{Places, rotate, run};
use osmoda_schemas::config::Config;

/// Threads that open keys and wait for the book at a time: more than all the turns that callers have.
const THREADS: usize = 64;

/// The wallet daemon of osModa.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The socket that it answers at, when systemd passes none.
    #[arg(long, default_value = "/run/osmoda/keyd.sock")]
    socket: PathBuf,
    /// Where it keeps the vault, and the book of what was spent.
    #[arg(long, default_value = "/var/lib/osmoda-keyd")]
    state_dir: PathBuf,
    /// The vault's passphrase. Default: the systemd credential `passphrase`.
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
    /// Seal the vault by the passphrase of this file instead, and end. No osmoda-keyd runs meanwhile.
    #[arg(long, value_name = "FILE", conflicts_with = "new_book")]
    rotate_to: Option<PathBuf>,
    /// Begin a new book where the old one is missing: all that was spent is forgotten.
    #[arg(long)]
    new_book: bool,
    /// agentd's configuration: who may call.
    #[arg(long, default_value = "/etc/osmoda/agentd.yaml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    osmoda_ipc::init_logging();
    let arguments = Arguments::parse();
    let run_dir = arguments.socket.parent().map(PathBuf::from).unwrap_or_default();
    let config = osmoda_ipc::config_or_default(&arguments.config);
    let places = Places {
        state: arguments.state_dir,
        passphrase: arguments.passphrase_file,
        generation: run_dir.join("generation"),
        socket: arguments.socket,
        new_book: arguments.new_book,
    };
    let ended = match &arguments.rotate_to {
        Some(to) => rotate(&places, to),
        None => serve(&places, &config),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(places: &Places, config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(THREADS).build()?;
    threads.block_on(run(places, osmoda_ipc::authors_of(config)))
}
