//! osmoda-routines: brings events and calls to routines; `run NAME` is one run of a routine.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use osmoda_safeswitch::Machine;
use osmoda_schemas::name::Name;

/// The routines daemon of osModa.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The socket that it answers at.
    #[arg(long, default_value = "/run/osmoda/routines.sock")]
    socket: PathBuf,
    /// Where osModa keeps its state.
    #[arg(long, default_value = "/var/lib/osmoda")]
    state_dir: PathBuf,
    /// agentd's configuration: who may call.
    #[arg(long, default_value = "/etc/osmoda/agentd.yaml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a routine once, here and now. Its unit does this.
    Run {
        /// Its name.
        name: Name,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    osmoda_ipc::init_logging();
    let arguments = Arguments::parse();
    let machine = Machine {
        run: arguments.socket.parent().map(PathBuf::from).unwrap_or_default(),
        state: arguments.state_dir,
        ..Machine::default()
    };
    let result = match arguments.command {
        Some(Command::Run { name }) => osmoda_routines::run::run(&machine, &name).await.map_err(Into::into),
        None => {
            let authors = osmoda_ipc::authors_of(&osmoda_ipc::config_or_default(&arguments.config));
            osmoda_routines::daemon::run(machine, &arguments.socket, authors).await
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
