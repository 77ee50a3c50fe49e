//! `cargo xtask soak`: the tests that take hours. Its results are the tables of `docs/reliability.md`.

mod ledger;
mod simulation;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use machine_suites::{
    Host,
    crash::{self, Action, Place},
    load::{self, Judgement, Load},
};

use crate::{
    install,
    machine::{self, Release},
    page,
};

/// Run the tests that take hours.
#[derive(Debug, Args)]
pub struct Soak {
    /// Only parts whose name contains this: matrix, cuts, ledger, simulation, load.
    #[arg(long, default_value = "")]
    only: String,
    /// Passages of each place that are tried, spread over the story. Default: all.
    #[arg(long, default_value_t = u32::MAX)]
    passages: u32,
    /// How often the machine is cut off.
    #[arg(long, default_value_t = 200)]
    cuts: u32,
    /// Seeds of each way to tamper with the ledger.
    #[arg(long, default_value_t = 1000)]
    seeds: u32,
    /// Stories of the simulation.
    #[arg(long, default_value_t = 100_000)]
    schedules: u64,
    /// Minutes of edits in the load test.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// The Debian release of the machine.
    #[arg(long, value_enum, default_value_t = Release::Bookworm)]
    release: Release,
    /// Write the tables into docs/reliability.md, too, each of a part that was run.
    #[arg(long)]
    write: bool,
}

/// The part that has a table of its own.
const LOAD: &str = "load";

/// What came of a kind of test.
struct Row {
    case: String,
    tries: u32,
    failures: Vec<String>,
    took: Duration,
}

impl Row {
    fn new(case: impl Into<String>) -> Self {
        Self { case: case.into(), tries: 0, failures: Vec::new(), took: Duration::ZERO }
    }

    fn take(&mut self, began: Instant, result: Result<()>) {
        self.tries += 1;
        self.took += began.elapsed();
        if let Err(error) = result {
            eprintln!("FAILED: {}: {error:#}", self.case);
            self.failures.push(format!("{error:#}"));
        }
    }
}

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
            let (table, failed) = simulation::run(self.schedules)?;
            parts.push(("simulation", table, failed));
        }
        if wants("matrix") || wants("cuts") {
            let machine = machine::up("soak", self.release, false)?;
            install::install(machine.as_ref(), false)?;
            let host = Host { machine: machine.as_ref() };
            let mut add = |part, rows: Vec<Row>| {
                parts.push((part, table(&rows), rows.iter().map(|row| row.failures.len()).sum()));
            };
            if wants("matrix") {
                add("matrix", self.matrix(host)?);
            }
            if wants("cuts") {
                add("cuts", vec![self.cuts(host)]);
            }
            machine.down()?;
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
            if self.write {
                page::write_part("reliability.md", part, table)?;
            }
        }
        let failed: usize = parts.iter().map(|(_, _, failed)| failed).sum();
        if failed > 0 { bail!("{failed} tries failed") } else { Ok(()) }
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

    /// Every passage of every place, killed; and every error of the disk where it may fail.
    fn matrix(&self, host: Host<'_>) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (place, times) in crash::explore(host)? {
            rows.push(self.place(host, &place, times, &[Action::Kill]));
            if place.may_fail() {
                rows.push(self.place(host, &place, times, &Action::ERRORS));
            }
        }
        Ok(rows)
    }

    fn place(&self, host: Host<'_>, place: &Place, times: u32, actions: &[Action]) -> Row {
        let names: Vec<&str> = actions.iter().map(|action| action.name()).collect();
        let mut row = Row::new(format!("{} at `{place}`", names.join(", ")));
        let tries = times.min(self.passages);
        for n in 0..tries {
            let ordinal = 1 + n * times / tries;
            for action in actions {
                let began = Instant::now();
                match crash::attempt(host, place, ordinal, *action) {
                    // The story is never quite the same.
                    Ok(false) => eprintln!("not passed so often: `{place}` number {ordinal}"),
                    other => row.take(began, other.map(drop)),
                }
            }
        }
        eprintln!("{} tries, {} failed: {}", row.tries, row.failures.len(), row.case);
        row
    }

    fn cuts(&self, host: Host<'_>) -> Row {
        let mut row = Row::new("the machine cut off at a random instant");
        for n in 0..self.cuts {
            let mut chance = [0; 4];
            if let Err(error) = getrandom::fill(&mut chance) {
                row.take(Instant::now(), Err(anyhow::anyhow!("{error}")));
                continue;
            }
            let after = crash::SPAN.mul_f64(f64::from(u32::from_le_bytes(chance)) / f64::from(u32::MAX));
            let began = Instant::now();
            row.take(began, crash::cut(host, after));
            eprintln!("cut {} of {}: {} failed", n + 1, self.cuts, row.failures.len());
        }
        row
    }
}

fn table(rows: &[Row]) -> String {
    let mut out = String::from("| case | tries | failed | a try takes |\n|---|---:|---:|---:|\n");
    for row in rows {
        let each = row.took.as_secs_f64() / f64::from(row.tries.max(1));
        out += &format!("| {} | {} | {} | {each:.1} s |\n", row.case, row.tries, row.failures.len());
    }
    let tries: u32 = rows.iter().map(|row| row.tries).sum();
    let failed: usize = rows.iter().map(|row| row.failures.len()).sum();
    out + &format!("| all | {tries} | {failed} | |\n")
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
