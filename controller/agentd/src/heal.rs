//! Units of the active generation that should run and do not are started again, later with every failure in a row.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use osmoda_generation::Units;
use osmoda_ledger::{Event, Ledger};
use osmoda_runtime::Backoff;
use osmoda_schemas::{
    condition::{ConditionStatus, ConditionType},
    object::ObjectRef,
};
use osmoda_systemd::{ActiveState, JobResult, Manager, UnitFile, UnitSnapshot, Verb};
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};

use crate::{controller::Controller, step_error::StepError};

/// Waits between two tries of a unit.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };
/// Time that a start may take before nobody waits for its result any longer.
const START: Duration = Duration::from_secs(60);
/// A unit that ran so long after a start begins a new row of tries.
const STEADY: Duration = Duration::from_secs(30);
/// Starts that go on at a time.
const AT_A_TIME: usize = 64;
/// Wait for the end of others' starts.
const BUSY: Duration = Duration::from_secs(1);

/// Units of the active generation, as far as they are to run.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The generation that they are of.
    generation: Option<String>,
    units: Units,
    /// Starts of units that did not run.
    tries: HashMap<String, Tries>,
}

/// Starts of a unit in a row.
#[derive(Debug)]
struct Tries {
    count: u32,
    /// The last one.
    at: Instant,
    start: JoinHandle<()>,
}

impl Wanted {
    /// Reads the units anew when another generation is active.
    pub fn follow(&mut self, controller: &Controller) {
        let active = controller.base.path.as_ref().map(ToString::to_string);
        if active == self.generation {
            return;
        }
        let base = &controller.base;
        let read = if base.path.is_some() { Units::read(&base.folder) } else { Ok(Units::default()) };
        match read {
            Ok(units) => {
                self.units = units;
                self.generation = active;
                self.tries.clear();
            }
            Err(error) => tracing::error!("the units of the active generation cannot be read: {error}"),
        }
    }

    /// True when the unit is one that is to run.
    pub fn has(&self, unit: &str) -> bool {
        self.units.wanted.contains(unit)
    }

    /// All units that are to run.
    pub fn all(&self) -> &BTreeSet<String> {
        &self.units.wanted
    }

    /// How long a unit has to wait for its next try; none: it is its turn.
    fn wait(&self, unit: &str, now: Instant) -> Option<Duration> {
        let own = self.tries.get(unit).and_then(|tries| {
            let left = BACKOFF.after(tries.count).saturating_sub(now.duration_since(tries.at));
            let left = if left.is_zero() && !tries.start.is_finished() { BUSY } else { left };
            (!left.is_zero()).then_some(left)
        });
        let is_full = || self.tries.values().filter(|tries| !tries.start.is_finished()).count() >= AT_A_TIME;
        own.or_else(|| is_full().then_some(BUSY))
    }

    /// Remembers a try. Returns when to look at the unit again.
    fn tried(&mut self, unit: &str, start: JoinHandle<()>, now: Instant) -> Duration {
        let before = self.tries.get(unit).filter(|tries| {
            let since = now.duration_since(tries.at);
            since < BACKOFF.after(tries.count) + STEADY
        });
        let count = before.map_or(0, |tries| tries.count) + 1;
        self.tries.insert(unit.to_owned(), Tries { count, at: now, start });
        BACKOFF.after(count)
    }

    /// True when a unit in that state is not as it should be.
    fn is_ill(&self, unit: &str, active: ActiveState) -> bool {
        let restart = self.units.files.get(unit).map(restart_policy);
        match (active, restart) {
            (ActiveState::Failed, Some(Policy::Never)) => false,
            // It came to its end as it was meant to.
            (ActiveState::Inactive, Some(Policy::Never | Policy::OnFailure)) => false,
            (ActiveState::Failed | ActiveState::Inactive, Some(_)) => true,
            _ => false,
        }
    }
}

enum Policy {
    Always,
    OnFailure,
    Never,
}

fn restart_policy(file: &UnitFile) -> Policy {
    match file.values("Service", "Restart").last().map(String::as_str) {
        Some("no") => Policy::Never,
        Some("on-failure" | "on-abnormal" | "on-abort") => Policy::OnFailure,
        // Timers and sockets have no such setting and are to stay.
        _ => Policy::Always,
    }
}

/// Starts a unit, and records how that ended.
async fn begin(manager: Manager, ledger: Ledger, unit: String) {
    let (kind, outcome) = match manager.run_job(Verb::Start, &unit, START).await {
        Ok(JobResult::Done | JobResult::Skipped) => ("heal.started", "started".to_owned()),
        Ok(result) => ("heal.failed", format!("its start job ended as {result:?}")),
        Err(error) => ("heal.failed", error.to_string()),
    };
    if let Err(error) = ledger.append(Event::new(kind, "agentd", json!({ "unit": unit, "outcome": outcome }))).await {
        tracing::error!("the start of {unit} could not be recorded: {error}");
    }
}

impl Controller {
    /// Has a unit started that should run and does not. Nobody waits for it here: a start may take a minute, and its
    /// signals tell how it ends. Returns when the unit has to be looked at again.
    ///
    /// # Errors
    /// When systemd or the ledger cannot be reached.
    pub async fn heal(&mut self, wanted: &mut Wanted, unit: &str) -> Result<Option<Duration>, StepError> {
        let failed = |e: osmoda_systemd::SystemdError| StepError::Io(std::io::Error::other(e));
        if !wanted.has(unit) || self.machine.journal().is_moving()? {
            return Ok(None);
        }
        let status = self.manager.status(unit).await.map_err(failed)?;
        if !wanted.is_ill(unit, status.active) {
            return Ok(None);
        }
        // It may be on its way out.
        if self.machine.is_being_switched()? {
            return Ok(Some(Duration::from_secs(1)));
        }
        if let Some(wait) = wanted.wait(unit, Instant::now()) {
            return Ok(Some(wait));
        }
        let payload = json!({ "unit": unit, "state": status.active, "sub": status.sub });
        self.ledger.append(Event::new("heal.starting", "agentd", payload)).await?;
        self.manager.reset_failed(unit).await.map_err(failed)?;
        let start = tokio::spawn(begin(self.manager.clone(), self.ledger.clone(), unit.to_owned()));
        Ok(Some(wanted.tried(unit, start, Instant::now())))
    }

    /// Says of objects whether their units run.
    pub fn judge_health(&mut self, states: &UnitSnapshot, only: Option<&str>) {
        let now = osmoda_schemas::now();
        let mut changes: Vec<(ObjectRef, bool, String)> = Vec::new();
        for (reference, entry) in &self.base.manifest.objects {
            if entry.units.is_empty() || only.is_some_and(|unit| !entry.units.iter().any(|u| u == unit)) {
                continue;
            }
            // The services of routines run only now and then.
            let resting = |unit: &&String| unit.starts_with("osmoda-routine-") && unit.ends_with(".service");
            let bad: Vec<String> = entry
                .units
                .iter()
                .filter(|unit| {
                    let active = states.active(unit);
                    active == ActiveState::Failed || (!resting(unit) && !active.is_up() && !entry.gates.is_empty())
                })
                .map(|unit| format!("{unit} is {}", states.active(unit)))
                .collect();
            changes.push((reference.clone(), bad.is_empty(), bad.join("; ")));
        }
        for (reference, healthy, message) in changes {
            self.book.edit(&reference, |status| {
                let (healthy_status, degraded, reason) = if healthy {
                    (ConditionStatus::True, ConditionStatus::False, "UnitsRun")
                } else {
                    (ConditionStatus::False, ConditionStatus::True, "UnitNotRunning")
                };
                status.set(ConditionType::Healthy, healthy_status, reason, message.clone(), now);
                status.set(ConditionType::Degraded, degraded, reason, message, now);
            });
        }
        if let Err(error) = self.book.write_files() {
            tracing::error!("status files: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tries_come_later_with_every_one_in_a_row() {
        let second = Duration::from_secs(1);
        let mut wanted = Wanted::default();
        let mut now = Instant::now();
        assert_eq!(wanted.wait("a", now), None);
        for wait in [1, 2, 4, 8] {
            assert_eq!(wanted.tried("a", tokio::spawn(async {}), now), wait * second);
            // The start comes to its end.
            tokio::task::yield_now().await;
            assert_eq!((wanted.wait("a", now), wanted.wait("b", now)), (Some(wait * second), None));
            now += wait * second;
            assert_eq!(wanted.wait("a", now), None);
        }
        now += STEADY;
        assert_eq!(wanted.tried("a", tokio::spawn(async {}), now), second, "it had run in between");
    }

    #[tokio::test]
    async fn a_start_that_goes_on_is_not_doubled_and_only_so_many_go_on() {
        let mut wanted = Wanted::default();
        let now = Instant::now();
        for n in 0..AT_A_TIME {
            assert_eq!(wanted.wait(&n.to_string(), now), None);
            wanted.tried(&n.to_string(), tokio::spawn(std::future::pending()), now);
        }
        let later = now + Duration::from_secs(100);
        assert_eq!((wanted.wait("0", later), wanted.wait("another", later)), (Some(BUSY), Some(BUSY)));
    }
}
