//! The ledger's tests with chance in them, with many seeds.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Seeds of one run of the tests, so that one sees how far it is.
const PIECE: u32 = 250;
/// What the names of those tests contain.
const TESTS: [&str; 2] = ["every_class_of_tampering", "killed"];

/// What the tests say of a case, in a line of JSON.
#[derive(Debug, Deserialize)]
struct Figure {
    kind: Kind,
    case: String,
    tries: u64,
    good: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// It has to be found.
    Tampering,
    /// It has to raise no alarm.
    Honest,
}

/// Runs them; returns the tables, and how much failed.
pub(super) fn run(seeds: u32) -> Result<(String, usize)> {
    let folder = crate::root().join("target/soak");
    fs::create_dir_all(&folder)?;
    let file = folder.join("ledger.jsonl");
    fs::write(&file, "")?;
    let mut failed = 0;
    for from in (0..seeds).step_by(PIECE as usize) {
        let to = seeds.min(from + PIECE);
        let status = crate::cargo()
            .args(["test", "--quiet", "--locked", "--release", "-p", "osmoda-ledger", "--tests", "--"])
            .args(TESTS)
            .env("OSMODA_SEEDS", format!("{from}..{to}"))
            .env("OSMODA_FIGURES", &file)
            .status()
            .context("cargo cannot be run")?;
        failed += usize::from(!status.success());
        eprintln!("seeds up to {to} of {seeds}: {failed} runs failed");
    }
    let text = fs::read_to_string(&file)?;
    let figures = text.lines().map(serde_json::from_str).collect::<Result<Vec<Figure>, _>>();
    Ok((tables(&figures.context("the tests' figures")?), failed))
}

fn tables(figures: &[Figure]) -> String {
    let found = "| tampering | tries | found |\n|---|---:|---:|\n".to_owned();
    let alarms = "| no tampering | tries | false alarms |\n|---|---:|---:|\n".to_owned();
    let found = rows(found, figures, Kind::Tampering, |tries, good| good.min(tries));
    let alarms = rows(alarms, figures, Kind::Honest, |tries, good| tries - good.min(tries));
    format!("{found}\n{alarms}")
}

/// A row for each case of a kind, in the order in which they come first.
fn rows(head: String, figures: &[Figure], kind: Kind, told: fn(u64, u64) -> u64) -> String {
    let mut cases: Vec<(&str, u64, u64)> = Vec::new();
    for Figure { case, tries, good, .. } in figures.iter().filter(|figure| figure.kind == kind) {
        match cases.iter_mut().find(|(known, _, _)| known == case) {
            Some((_, all, well)) => (*all, *well) = (*all + tries, *well + good),
            None => cases.push((case, *tries, *good)),
        }
    }
    cases
        .iter()
        .fold(head, |out, (case, tries, good)| out + &format!("| {case} | {tries} | {} |\n", told(*tries, *good)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_added_up() {
        let figure = |kind, case: &str, tries, good| Figure { kind, case: case.to_owned(), tries, good };
        let (edit, kill) = ((Kind::Tampering, "edit"), (Kind::Honest, "killed"));
        let figures = [
            figure(edit.0, edit.1, 50, 50),
            figure(kill.0, kill.1, 50, 48),
            figure(edit.0, edit.1, 50, 49),
            figure(kill.0, kill.1, 50, 50),
        ];
        let tables = tables(&figures);
        assert!(tables.contains("| edit | 100 | 99 |\n") && tables.contains("| killed | 100 | 2 |\n"), "{tables}");
    }
}
