//! `cargo xtask soak`: the tests that take hours. Its results are the tables of `docs/reliability.md`.

mod crashes;
mod ledger;
mod simulation;
mod wallets;

use anyhow::{Result, bail};
use clap::Args;
use machine_suites::{
    Host,
    load::{self, Judgement, Load},
};

use crate::{
    install,
    machine::{self, Release},
    page,
    soak::crashes::{Row, table},
};

/// Run the tests that take hours.
#[derive(Debug, Args)]
pub struct Soak {
    /// Only parts whose name contains this: matrix, cuts, ledger, simulation, wallets, load.
    #[arg(long, default_value = "")]
    only: String,
    /// Passages of each place that are tried, spread over the story. Default: all.
    #[arg(long, default_value_t = u32::MAX)]
    passages: u32,
    /// How often the machine is cut off.
    #[arg(long, default_value_t = 200)]
    cuts: u32,
    /// Machines that the matrix and the cuts are tried on, side by side.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    machines: u32,
    /// Seeds of each way to tamper with the ledger.
    #[arg(long, default_value_t = 1000)]
    seeds: u32,
    /// Stories of the simulation.
    #[arg(long, default_value_t = 100_000)]
    schedules: u64,
    /// Requests to spend that are made of a wallet's book at the same time.
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Transactions of each form that are held against other implementations.
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// Minutes of edits in the load test.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// The Debian release of the machine.
    #[arg(long, value_enum, default_value_t = Release::Bookworm)]
    release: Release,
    /// Write the tables into docs/reliability.md, too, each of a part that was run, and as it goes on.
    #[arg(long)]
    write: bool,
}

/// The part that has a table of its own.
const LOAD: &str = "load";

impl Soak {
    /// Runs it.
    pub fn run(&self) -> Result<()> {
        let wants = |part: &str| part.contains(&self.only);
        // Each part with its table and what failed.
        let mut parts = Vec::new();
        if wants("ledger") {
            let (table, failed) = ledger::run(self.seeds)?;
            parts.push(("ledger", table, failed));
        }
        if wants("simulation") {
            let (table, failed) = simulation::run(self.schedules, |table| self.keep("simulation", table))?;
            parts.push(("simulation", table, failed));
        }
        if wants("wallets") {
            let (table, failed) = wallets::run(self.requests, self.cases)?;
            parts.push(("wallets", table, failed));
        }
        let mut add = |part, rows: Vec<Row>| {
            parts.push((part, table(&rows), rows.iter().map(|row| row.failures.len()).sum()));
        };
        if wants("matrix") {
            let so_far = |rows: &[Row]| self.keep("matrix", &table(rows));
            add("matrix", crashes::matrix(self.machines, self.release, self.passages, &so_far)?);
        }
        if wants("cuts") {
            let so_far = |rows: &[Row]| self.keep("cuts", &table(rows));
            add("cuts", crashes::cuts(self.machines, self.release, self.cuts, &so_far)?);
        }
        if wants(LOAD) {
            let (table, failed) = self.load()?;
            parts.push((LOAD, table, failed));
        }
        if parts.is_empty() {
            bail!("no part has `{}` in its name", self.only);
        }
        for (part, table, _) in &parts {
            println!("{table}");
            self.keep(part, table)?;
        }
        let failed: usize = parts.iter().map(|(_, _, failed)| failed).sum();
        if failed > 0 { bail!("{failed} tries failed") } else { Ok(()) }
    }

    /// Writes a part's table into the page, if it is to be.
    fn keep(&self, part: &str, table: &str) -> Result<()> {
        if self.write { page::write_part("reliability.md", part, table) } else { Ok(()) }
    }

    /// A large machine that is edited all the time, with programs as they are shipped. Returns its table, and how much does not hold.
    fn load(&self) -> Result<(String, usize)> {
        let machine = machine::up(LOAD, self.release, false)?;
        install::install(machine.as_ref(), true)?;
        let host = Host { machine: machine.as_ref() };
        let load = Load { objects: 10_000, units: 500, rate: 100, seconds: self.minutes * 60, seed: 1 };
        let judgement = load::run(host, load)?;
        for failure in &judgement.failures {
            eprintln!("FAILED: {}: {failure}", judgement.case);
        }
        let table = load_table(&judgement);
        // There are a million files by now: this takes a minute.
        machine.down()?;
        Ok((table, judgement.failures.len()))
    }
}

fn load_table(judgement: &Judgement) -> String {
    let outcome = match judgement.failures.as_slice() {
        [] => "nothing lost, memory flat".to_owned(),
        failures => format!("FAILED: {}", failures.join("; ").replace(['\n', '|'], " ")),
    };
    let mut out = format!("| {} | {outcome} |\n|---|---|\n", judgement.case);
    for (what, words) in &judgement.figures {
        out += &format!("| {what} | {words} |\n");
    }
    out
}
