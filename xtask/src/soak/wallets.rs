//! Wallets: no cap is exceeded by a million requests, and transactions are those of other implementations.

use std::process::Stdio;

use anyhow::{Context, Result};

/// What a line says that a test prints when all of it held.
const HELD: [&str; 2] = ["no cap exceeded", "are the same"];

/// Runs them; returns the table, and how much failed.
pub(super) fn run(requests: u64, cases: u64) -> Result<(String, usize)> {
    let mut table = String::from("| case | outcome |\n|---|---|\n");
    let mut failed = test(&mut table, "osmoda-keyd", "book", "many_callers", ("OSMODA_RESERVATIONS", requests))?;
    if std::env::var_os("OSMODA_PEERS").is_some() {
        failed += test(&mut table, "osmoda-chains", "peers", "", ("OSMODA_CASES", cases))?;
    } else {
        println!("SKIPPED: OSMODA_PEERS names no Python with eth-account and solders");
        table += "| the same as eth-account and solders | SKIPPED: `OSMODA_PEERS` names no Python that has them |\n";
    }
    Ok((table, failed))
}

/// Runs a test, and adds a row for each line in which it tells what held.
fn test(table: &mut String, package: &str, target: &str, name: &str, (variable, count): (&str, u64)) -> Result<usize> {
    let output = crate::cargo()
        .args(["test", "--quiet", "--locked", "--release", "-p", package, "--test", target, "--", "--nocapture", name])
        .env(variable, count.to_string())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    // The harness's own dots come before.
    let lines = text.lines().map(|line| line.trim_start_matches('.'));
    for line in lines.filter(|line| HELD.iter().any(|held| line.ends_with(held))) {
        let (case, outcome) = line.split_once(": ").unwrap_or((line, ""));
        *table += &format!("| {case} | {outcome} |\n");
    }
    if !output.status.success() {
        *table += &format!("| {package} | FAILED |\n");
    }
    Ok(usize::from(!output.status.success()))
}
