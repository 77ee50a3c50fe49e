//! A little of the load test; `cargo xtask soak` does all of it.

use anyhow::{Result, ensure};

use super::Case;
use crate::{
    Host,
    load::{Load, run},
};

/// The suite.
pub fn cases() -> Vec<Case> {
    vec![Case::anywhere("load: edits without a pause, and none is lost", edits)]
}

fn edits(host: Host<'_>) -> Result<()> {
    // More units at once than the bus lets one wait for answers (128).
    let judgement = run(host, Load { objects: 500, units: 150, rate: 20, seconds: 25, seed: 1 })?;
    ensure!(judgement.failures.is_empty(), "{:#?}\n{:#?}", judgement.failures, judgement.figures);
    Ok(())
}
