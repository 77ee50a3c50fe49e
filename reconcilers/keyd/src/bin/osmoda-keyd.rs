//! osmoda-keyd: keeps keys, and signs what policies let pass.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use osmoda_keyd::daemon::{Places, run};

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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(THREADS).build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(&places, osmoda_ipc::authors_of(&config))),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
