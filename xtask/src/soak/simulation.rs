//! The simulation of the whole loop, with many schedules.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use serde::Deserialize;

/// What the test says of all stories.
#[derive(Debug, Deserialize)]
struct Figures {
    stories: u64,
    failed: usize,
    counts: BTreeMap<String, u64>,
}

/// Runs it; returns the table, and how much failed.
pub(super) fn run(schedules: u64) -> Result<(String, usize)> {
    let folder = crate::root().join("target/soak");
    fs::create_dir_all(&folder)?;
    let file = folder.join("simulation.json");
    let _ = fs::remove_file(&file);
    crate::cargo()
        .args(["test", "--quiet", "--locked", "--release", "-p", "osmoda-agentd", "--test", "simulation"])
        .env("OSMODA_SCHEDULES", schedules.to_string())
        .env("OSMODA_FIGURES", &file)
        .status()
        .context("cargo cannot be run")?;
    let text = fs::read_to_string(&file).context("the simulation has left no figures")?;
    let figures: Figures = serde_json::from_str(&text)?;
    let mut table = String::from("| | |\n|---|---:|\n");
    table += &format!("| stories | {} |\n", figures.stories);
    for (what, count) in &figures.counts {
        table += &format!("| {what} | {count} |\n");
    }
    table += &format!("| stories in which something did not hold | {} |\n", figures.failed);
    Ok((table, figures.failed))
}
