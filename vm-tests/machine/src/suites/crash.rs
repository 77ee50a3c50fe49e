//! A part of the crash matrix that is small enough for every day; `cargo xtask soak` does all of it.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};

use super::Case;
use crate::{
    Host,
    crash::{Action, SPAN, attempt, cut, explore},
};

/// Cuts of every day.
const CUTS: u32 = 6;

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("crash: killed at each kind of step", killed),
        case("crash: each kind of thing that cannot be written", unwritten),
        Case::better_whole("crash: the machine cut off in the middle of changes", cut_off),
    ]
}

fn killed(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let mut failed = Vec::new();
    // Half of the places on this release, the other half on the next one.
    let release = host.sh(". /etc/os-release; echo $VERSION_ID")?.trim().parse::<usize>().unwrap_or_default();
    for (place, times) in explore(host)?.into_iter().skip(release % 2).step_by(2) {
        // Somewhere in the middle of the story.
        report(&mut failed, attempt(host, &place, times.div_ceil(2), Action::Kill));
    }
    end(&failed)
}

fn unwritten(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let mut failed = Vec::new();
    for (at, (place, times)) in explore(host)?.into_iter().filter(|(place, _)| place.may_fail()).enumerate() {
        report(&mut failed, attempt(host, &place, times.div_ceil(2), Action::ERRORS[at % Action::ERRORS.len()]));
    }
    end(&failed)
}

fn cut_off(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let mut failed = Vec::new();
    for n in 0..CUTS {
        // Spread over the story; the rest is left to chance.
        let chance = Duration::from_nanos(u64::from(SystemTime::UNIX_EPOCH.elapsed()?.subsec_nanos()) % 500_000_000);
        report(&mut failed, cut(host, SPAN * n / CUTS + chance).map(|()| true));
    }
    end(&failed)
}

fn report(failed: &mut Vec<String>, outcome: Result<bool>) {
    if let Err(error) = outcome {
        println!("      {error:#}");
        failed.push(format!("{error:#}"));
    }
}

fn end(failed: &[String]) -> Result<()> {
    if failed.is_empty() { Ok(()) } else { bail!("{} places: {}", failed.len(), failed.join("\n")) }
}
