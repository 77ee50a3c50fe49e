//! `cargo xtask`: every chore of the project.

mod bench;
mod demo;
mod dist;
mod failpoints;
mod host;
mod install;
mod machine;
mod nixos_eval;
mod openapi;
mod page;
mod schemas;
mod soak;
mod stories;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Play the story on a real machine: apply, break, roll back, heal, cut the power.
    Demo(demo::Demo),
    /// Run all tests, from units to machines.
    Test(test::Test),
    /// Measure, each figure against a reference of the same run.
    Bench(bench::Bench),
    /// Run the tests that take hours: the whole crash matrix, power cuts, the ledger's many seeds.
    Soak(soak::Soak),
    /// Boot a machine to play with, and work with it.
    #[command(subcommand)]
    Machine(machine::Command),
    /// Evaluate the NixOS modules with a nixpkgs, and judge what comes of it.
    NixosEval(nixos_eval::NixosEval),
    /// Write the generated files (JSON Schemas, field tables, failpoints), or check that they are fresh.
    Schemas(schemas::Schemas),
    /// Build what is released.
    Dist(dist::Dist),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Demo(demo) => demo.run(),
        Chore::Test(test) => test.run(),
        Chore::Bench(bench) => bench.run(),
        Chore::Soak(soak) => soak.run(),
        Chore::Machine(command) => command.run(),
        Chore::NixosEval(eval) => eval.run(),
        Chore::Schemas(schemas) => schemas.run(),
        Chore::Dist(dist) => dist.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the repository").to_owned()
}

/// The cargo that runs this, in the project's folder.
fn cargo() -> std::process::Command {
    let mut command = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs something and says how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = std::time::Instant::now();
    eprint!("  {what} ... ");
    let result = work();
    match &result {
        Ok(_) => eprintln!("{:.1} s", started.elapsed().as_secs_f64()),
        Err(_) => eprintln!("failed"),
    }
    result
}
