//! `cargo xtask bench`: figures, each against a reference of the same run.

mod machine;
mod nixos;

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;
use machine_suites::Host;
use serde::{Deserialize, Serialize};

use crate::machine::{Owned, Release, nixos as nixos_machine, up, up_nixos};

/// Measure, and write `target/bench/results.json`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Write the tables into docs/performance.md, too.
    #[arg(long)]
    write: bool,
    /// The tree of nixpkgs that the backend `nixos` is measured with. Default: $OSMODA_NIXPKGS; without one it is skipped.
    #[arg(long)]
    nixpkgs: Option<std::path::PathBuf>,
    /// Only a part; its figures go to a file of its own.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// What is measured together, and has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The ledger, and osModa on a Debian machine.
    Machine,
    /// Signatures, and decisions about them.
    Wallets,
    /// The backend `nixos`.
    Nixos,
}

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Ours.
    pub value: f64,
    /// Of both.
    pub unit: String,
    /// What it is compared with.
    pub reference: String,
    /// That figure.
    pub reference_value: f64,
    /// Ours by the reference's.
    pub ratio: f64,
    /// What was aimed at.
    pub goal: String,
    /// Whether it was met.
    pub met: bool,
}

impl Bench {
    /// Measures.
    pub fn run(&self) -> Result<()> {
        let mut all = Vec::new();
        let is_wanted = |part| self.only.is_none_or(|only| only == part);
        if is_wanted(Part::Machine) {
            let mut figures = of_package("osmoda-ledger", "ledger")?;
            let machine = up("bench", Release::Bookworm, false)?;
            figures.extend(on(machine.as_ref(), machine::measure)?);
            self.show("table", &figures)?;
            all.extend(figures);
        }
        if is_wanted(Part::Wallets) {
            let figures = of_package("osmoda-keyd", "keyd")?;
            self.show("wallets", &figures)?;
            all.extend(figures);
        }
        match nixos_machine::nixpkgs(self.nixpkgs.clone())? {
            _ if !is_wanted(Part::Nixos) => {}
            Some(nixpkgs) => {
                let machine = up_nixos("bench-nixos", Release::Bookworm, &nixpkgs)?;
                let figures = on(machine.as_ref(), nixos::measure)?;
                self.show("nixos", &figures)?;
                all.extend(figures);
            }
            None => println!("SKIPPED: the backend `nixos`: {}", nixos_machine::NO_NIXPKGS),
        }
        let folder = crate::root().join("target/bench");
        std::fs::create_dir_all(&folder)?;
        let part = self.only.map_or_else(String::new, |part| format!("-{part:?}").to_lowercase());
        std::fs::write(folder.join(format!("results{part}.json")), serde_json::to_string_pretty(&all)? + "\n")?;
        let goals = all.iter().filter(|figure| figure.goal != "shown");
        let (met, missed): (Vec<_>, Vec<_>) = goals.partition(|figure| figure.met);
        println!("{} of {} goals met", met.len(), met.len() + missed.len());
        Ok(())
    }

    fn show(&self, part: &str, figures: &[Figure]) -> Result<()> {
        let table = table(figures);
        println!("{table}");
        if self.write { crate::page::write_part("performance.md", part, &table) } else { Ok(()) }
    }
}

/// Installs osModa as it is shipped, measures, and throws the machine away.
fn on(machine: &dyn Owned, measure: impl FnOnce(Host<'_>) -> Result<Vec<Figure>>) -> Result<Vec<Figure>> {
    let measured = crate::install::install(machine, true).and_then(|()| measure(Host { machine }));
    machine.down()?;
    measured
}

/// What a package's own benchmark prints.
fn of_package(package: &str, bench: &str) -> Result<Vec<Figure>> {
    let output = crate::cargo()
        .args(["bench", "--quiet", "--locked", "-p", package, "--bench", bench])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("the benchmark of {package} failed");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn table(figures: &[Figure]) -> String {
    let mut out = String::from("| what | osModa | reference | ratio | goal | met |\n|---|---:|---:|---:|---|---|\n");
    for f in figures {
        let number = |value: f64| match value {
            v if v >= 1000.0 => format!("{v:.0}"),
            v if v >= 10.0 => format!("{v:.1}"),
            v => format!("{v:.3}"),
        };
        out += &format!(
            "| {} | {} {} | {} {} ({}) | {:.2} | {} | {} |\n",
            f.name,
            number(f.value),
            f.unit,
            number(f.reference_value),
            f.unit,
            f.reference,
            f.ratio,
            f.goal,
            match (f.goal.as_str(), f.met) {
                ("shown", _) => "-",
                (_, true) => "yes",
                (_, false) => "no",
            }
        );
    }
    out
}
