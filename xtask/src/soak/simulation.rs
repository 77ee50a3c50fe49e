//! The simulation of the whole loop, with many schedules.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Stories of one run of the test, so that one sees how far it is, and has what was told when it is cut off.
const PIECE: u64 = 5000;

/// What the test says of its stories, in a line of JSON.
#[derive(Debug, Default, Deserialize)]
struct Figures {
    stories: u64,
    failed: usize,
    counts: BTreeMap<String, u64>,
}

/// Runs it, and hands over the table after each piece; returns the last one, and how much failed.
pub(super) fn run(schedules: u64, so_far: impl Fn(&str) -> Result<()>) -> Result<(String, usize)> {
    let folder = crate::root().join("target/soak");
    fs::create_dir_all(&folder)?;
    let file = folder.join("simulation.jsonl");
    fs::write(&file, "")?;
    let (mut all, mut pieces) = (Figures::default(), 0);
    for from in (0..schedules).step_by(usize::try_from(PIECE)?) {
        let to = schedules.min(from + PIECE);
        crate::cargo()
            .args(["test", "--quiet", "--locked", "--release", "-p", "osmoda-agentd", "--test", "simulation"])
            .env("OSMODA_SEEDS", format!("{from}..{to}"))
            .env("OSMODA_FIGURES", &file)
            .status()
            .context("cargo cannot be run")?;
        let lines = fs::read_to_string(&file)?;
        pieces += 1;
        ensure!(lines.lines().count() == pieces, "the simulation has left no figures");
        all = added_up(&lines)?;
        eprintln!("{} of {schedules} stories, {} failed", all.stories, all.failed);
        so_far(&table(&all))?;
    }
    Ok((table(&all), all.failed))
}

fn added_up(lines: &str) -> Result<Figures> {
    let mut all = Figures::default();
    for line in lines.lines() {
        let piece: Figures = serde_json::from_str(line).context("the simulation's figures")?;
        (all.stories, all.failed) = (all.stories + piece.stories, all.failed + piece.failed);
        for (what, count) in piece.counts {
            *all.counts.entry(what).or_default() += count;
        }
    }
    Ok(all)
}

fn table(figures: &Figures) -> String {
    let mut table = String::from("| | |\n|---|---:|\n");
    table += &format!("| stories | {} |\n", figures.stories);
    for (what, count) in &figures.counts {
        table += &format!("| {what} | {count} |\n");
    }
    table += &format!("| stories in which something did not hold | {} |\n", figures.failed);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_added_up() {
        let lines = "{\"stories\":5,\"failed\":0,\"counts\":{\"power cuts\":3}}\n\
                     {\"stories\":4,\"failed\":1,\"counts\":{\"power cuts\":2,\"clock steps\":1}}\n";
        let table = table(&added_up(lines).unwrap());
        for row in ["| stories | 9 |", "| power cuts | 5 |", "| clock steps | 1 |", "not hold | 1 |"] {
            assert!(table.contains(row), "{table}");
        }
    }
}
