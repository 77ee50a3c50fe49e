//! `osmoda`: what people and agents type. By the name `agentctl` it is the original's small tool.

mod args;
mod commands;
mod context;
mod print;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use osmoda_safeswitch::Decision;

use crate::{
    args::{Agentctl, AgentctlCommand, Cli, Color, Command, LedgerCommand, SwitchCommand},
    commands::{documents, events, generations, ledger, logs, machine, objects, switch, wallet},
    context::{Context, Failure},
};

/// A wish was refused, or something went wrong.
const ERROR: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let by_name = std::env::args_os().next().map(std::path::PathBuf::from);
    let (context, result) = if by_name.is_some_and(|path| path.ends_with("agentctl")) {
        let arguments = Agentctl::parse();
        let context = Context::new(arguments.output, Color::Auto, "/run/osmoda".into(), arguments.state_dir.clone());
        let result = agentctl(&context, arguments.command).await;
        (context, result)
    } else {
        let cli = Cli::parse();
        let context = Context::new(cli.output, cli.color, cli.run_dir, cli.state_dir);
        let result = run(&context, cli.command).await;
        (context, result)
    };
    match result {
        Ok(status) => ExitCode::from(status),
        // Whoever read our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            context.complain(&failure);
            ExitCode::from(ERROR)
        }
    }
}

async fn run(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Validate(arguments) => documents::validate(context, &arguments),
        Command::Diff(arguments) => documents::diff(context, &arguments).await,
        Command::Apply(arguments) => documents::apply(context, &arguments).await,
        Command::Delete { objects, wait } => documents::delete(context, &objects, wait).await,
        Command::Get(arguments) => objects::get(context, &arguments).await,
        Command::Describe { object } => objects::describe(context, &object).await,
        Command::Explain { path } => machine::explain(context, &path),
        Command::Schema { kind } => machine::schema(context, kind),
        Command::Events(arguments) => events::events(context, &arguments).await,
        Command::Logs(arguments) => logs::logs(context, &arguments),
        Command::Generations => generations::list(context).await,
        Command::Rollback { generation, wait } => generations::rollback(context, generation, wait).await,
        Command::Switch(SwitchCommand::Commit { id }) => switch::decide(context, id.as_deref(), Decision::Commit).await,
        Command::Switch(SwitchCommand::Rollback { id }) => {
            switch::decide(context, id.as_deref(), Decision::Rollback).await
        }
        Command::Gc { keep } => generations::gc(context, keep).await,
        Command::History { limit } => generations::history(context, limit),
        Command::Status => machine::status(context).await,
        Command::Doctor => machine::doctor(context).await,
        Command::Wallet(command) => wallet::wallet(context, command).await,
        Command::Ledger(LedgerCommand::Verify { folder, key, witness, seen }) => {
            ledger::verify(context, folder, key.as_deref(), &witness, &seen).await
        }
        Command::Ledger(LedgerCommand::Prove { id, since, folder }) => match (id, since) {
            (_, Some(since)) => ledger::prove_growth(context, folder, &since),
            (id, None) => ledger::prove(context, folder, id.unwrap_or_default()),
        },
        Command::Ledger(LedgerCommand::Archive { segment, to }) => ledger::archive(context, segment, &to).await,
        Command::Ledger(LedgerCommand::Head) => ledger::head(context),
        Command::Ledger(LedgerCommand::Checkpoint) => ledger::checkpoint(context).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "osmoda", &mut std::io::stdout());
            Ok(0)
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Cli::command(), folder).map_err(Failure::Output)?;
            Ok(0)
        }
    }
}

async fn agentctl(context: &Context, command: AgentctlCommand) -> Result<u8, Failure> {
    match command {
        AgentctlCommand::Events(filter) => events::from_ledger(context, &filter),
        AgentctlCommand::VerifyLedger => ledger::verify(context, None, None, &[], &[]).await,
    }
}
