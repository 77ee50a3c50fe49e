//! `osmoda-switch`: carries switches out, in units of their own, outside of every daemon.

use std::{path::Path, process::ExitCode};

use clap::{Parser, Subcommand};
use osmoda_safeswitch::{Machine, Runner, SwitchError, boot, deadman};

/// Carries out, undoes and closes switches. People use `osmoda`.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry out a switch, from whatever state it stands in.
    Run {
        /// Its id.
        id: String,
    },
    /// End the runner of a switch and roll back.
    Deadman {
        /// Its id.
        id: String,
    },
    /// After a boot: close what was cut off.
    Boot,
}

fn main() -> ExitCode {
    osmoda_ipc::init_logging();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments.command)) {
        // Every final state is a success for systemd: it must not start the runner again.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), SwitchError> {
    let config = osmoda_ipc::config_or_default(Path::new("/etc/osmoda/agentd.yaml"));
    let machine = Machine::default().with_backend(&config);
    match command {
        Command::Run { id } => Runner::open(machine, &id).await?.run().await.map(drop),
        Command::Deadman { id } => deadman(Runner::open(machine, &id).await?).await.map(drop),
        Command::Boot => boot::boot(&machine).await,
    }
}
