//! agentd: reads what is wished, makes it real through SafeSwitch, keeps it so, and says how it is.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use osmoda_agentd::{
    api,
    controller::Controller,
    follow::{self, DocumentFolders},
    ingest::Judge,
    options::OptionChecks,
    receipts,
    reconcile::{self, Loop},
    renderers, witness,
};
use osmoda_generation::nixos::Nixos;
use osmoda_ipc::{Metrics, Peers};
use osmoda_ledger::{Follower, Ledger};
use osmoda_runtime::WorkQueue;
use osmoda_safeswitch::Machine;
use osmoda_systemd::Manager;
use tokio::{sync::Mutex, task::JoinHandle};

/// The controller daemon of osModa.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The socket that it answers at.
    #[arg(long, default_value = "/run/osmoda/agentd.sock")]
    socket: PathBuf,
    /// Where it keeps its state.
    #[arg(long, default_value = "/var/lib/osmoda")]
    state_dir: PathBuf,
    /// Its configuration.
    #[arg(long, default_value = "/etc/osmoda/agentd.yaml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    osmoda_ipc::init_logging();
    let arguments = Arguments::parse();
    // Two workers: one may be busy with a large plan while the other answers.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(arguments));
    // What still runs is not waited for without end.
    runtime.shutdown_timeout(Duration::from_secs(5));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = osmoda_ipc::read_config(&arguments.config).map_err(|problems| {
        let read = |path: &std::path::Path| std::fs::read_to_string(path).ok();
        format!("the configuration cannot be used:\n{}", osmoda_schemas::diagnostics::render(&problems, false, &read))
    })?;
    let machine = Machine {
        run: arguments.socket.parent().map(PathBuf::from).unwrap_or_default(),
        state: arguments.state_dir,
        ..Machine::default()
    }
    .with_backend(&config);
    std::fs::create_dir_all(machine.journal().folder())?;
    let ledger = Ledger::open(&machine.ledger_folder())?;
    let manager = Manager::connect().await?;
    let peers = Peers::root_only();
    peers.set_authors(osmoda_ipc::authors_of(&config));
    let options = config.nixos.as_ref().map(|_| OptionChecks::default());
    let judge = Judge {
        backend: config.backend,
        authors: config.authors.clone(),
        renderers: renderers(),
        allowed_options: config.nixos.as_ref().and_then(|system| system.allowed_options.clone()),
        options: options.clone(),
    };
    let (debounce, resync) = (config.debounce.as_std(), config.resync.as_std());
    let (for_witness, for_keyd) = (ledger.clone(), ledger.clone());
    let controller = Controller::new(machine.clone(), manager.clone(), ledger, config, judge)?;

    let queue = WorkQueue::new();
    let changed = follow::nothing_changed();
    let _switches = follow::switches(machine.journal().folder(), queue.clone())?;
    let follower = Follower::new(&machine.ledger_folder())?;
    // Last: others make as many folders of these as they like.
    let folders = DocumentFolders::new(controller.roots(), Arc::clone(&changed), queue.clone(), debounce)?;
    let metrics = Metrics::default();
    let controller = Arc::new(Mutex::new(controller));
    tokio::spawn(reconcile::follow_units(manager, queue.clone()));
    tokio::spawn(witness::follow(
        for_witness,
        machine.ledger_folder(),
        osmoda_ipc::Client::new(machine.run.join("witness.sock")),
    ));
    tokio::spawn(receipts::follow(
        for_keyd,
        machine.ledger_folder(),
        machine.state.join("keyd-receipts"),
        osmoda_ipc::Client::new(machine.run.join("keyd.sock")),
    ));
    let loop_ = Loop {
        controller: Arc::clone(&controller),
        queue: queue.clone(),
        changed,
        folders: Some(folders),
        resync,
        metrics: metrics.clone(),
    };
    let turning = tokio::spawn(loop_.run());
    if let (Some(checks), Some(system)) = (options, &machine.nixos) {
        let nixos = Nixos::new(machine.programs.join("nix"), system.clone());
        tokio::spawn(checks.run(nixos, machine.run.clone(), queue.clone()));
    }
    let state = api::Api { controller, queue, machine, head: follower.head() };
    serve_while(turning, osmoda_ipc::serve(api::service(state, peers, metrics), &arguments.socket)).await
}

/// Serves as long as the loop turns. Whatever ends the loop, a panic too, ends the daemon with an error, and systemd starts
/// it again; one that only answers that it is well is worse than none.
async fn serve_while(
    turning: JoinHandle<()>,
    serving: impl Future<Output = Result<(), osmoda_ipc::ServeError>>,
) -> Result<(), Box<dyn std::error::Error>> {
    tokio::select! {
        served = serving => Ok(served?),
        ended = turning => Err(match ended {
            Ok(()) => "the loop ended".into(),
            Err(error) => format!("the loop ended: {error}").into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_ends_ends_the_daemon() {
        for turning in [tokio::spawn(async {}), tokio::spawn(async { panic!("a document that nobody thought of") })] {
            let error = serve_while(turning, std::future::pending()).await.unwrap_err().to_string();
            assert!(error.starts_with("the loop ended"), "{error}");
        }
        let turning = tokio::spawn(std::future::pending());
        serve_while(turning, async { Ok(()) }).await.unwrap();
    }
}
