//! A part of the crash matrix that is small enough for every day; `cargo xtask soak` does all of it.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

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
    let mut tries = Tries::default();
    // Half of the places on this release, the other half on the next one.
    let release = host.sh(". /etc/os-release; echo $VERSION_ID")?.trim().parse::<usize>().unwrap_or_default();
    for (place, times) in explore(host)?.into_iter().skip(release % 2).step_by(2) {
        // Somewhere in the middle of the story.
        tries.take(attempt(host, &place, times.div_ceil(2), Action::Kill));
    }
    tries.end()
}

fn unwritten(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let mut tries = Tries::default();
    for (at, (place, times)) in explore(host)?.into_iter().filter(|(place, _)| place.may_fail()).enumerate() {
        tries.take(attempt(host, &place, times.div_ceil(2), Action::ERRORS[at % Action::ERRORS.len()]));
    }
    tries.end()
}

fn cut_off(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let mut tries = Tries::default();
    for n in 0..CUTS {
        // Spread over the story; the rest is left to chance.
        let chance = Duration::from_nanos(u64::from(SystemTime::UNIX_EPOCH.elapsed()?.subsec_nanos()) % 500_000_000);
        tries.take(cut(host, SPAN * n / CUTS + chance).map(|()| true));
    }
    tries.end()
}

/// How tries went.
#[derive(Default)]
struct Tries {
    done: usize,
    /// The story is never quite the same: a place may not be passed so often.
    not_reached: usize,
    failed: Vec<String>,
}

impl Tries {
    fn take(&mut self, outcome: Result<bool>) {
        self.done += 1;
        match outcome {
            Ok(reached) => self.not_reached += usize::from(!reached),
            Err(error) => {
                println!("      {error:#}");
                self.failed.push(format!("{error:#}"));
            }
        }
    }

    fn end(self) -> Result<()> {
        ensure!(self.failed.is_empty(), "{} of {}: {}", self.failed.len(), self.done, self.failed.join("\n"));
        ensure!(self.not_reached * 5 <= self.done, "{} of {} places were not reached", self.not_reached, self.done);
        Ok(())
    }
}
