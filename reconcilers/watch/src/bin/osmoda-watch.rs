//! osmoda-watch: runs the watchers of the active generation, and answers for them and for switches.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use osmoda_safeswitch::Machine;

/// The watching daemon of osModa.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The socket that it answers at.
    #[arg(long, default_value = "/run/osmoda/watch.sock")]
    socket: PathBuf,
    /// Where osModa keeps its state.
    #[arg(long, default_value = "/var/lib/osmoda")]
    state_dir: PathBuf,
    /// agentd's configuration: who may call.
    #[arg(long, default_value = "/etc/osmoda/agentd.yaml")]
    config: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    osmoda_ipc::init_logging();
    let arguments = Arguments::parse();
    let config = osmoda_ipc::config_or_default(&arguments.config);
    let machine = Machine {
        run: arguments.socket.parent().map(PathBuf::from).unwrap_or_default(),
        state: arguments.state_dir,
        ..Machine::default()
    }
    .with_backend(&config);
    match osmoda_watch::daemon::run(machine, &arguments.socket, osmoda_ipc::authors_of(&config)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
