//! Units of the active generation that should run and do not are started again, later with every failure in a row.

use std::{collections::BTreeSet, time::Duration};

use osmoda_generation::Units;
use osmoda_ledger::Event;
use osmoda_runtime::Backoff;
use osmoda_schemas::{
    condition::{ConditionStatus, ConditionType},
    object::ObjectRef,
};
use osmoda_systemd::{ActiveState, JobResult, UnitFile, UnitSnapshot, Verb};
use serde_json::json;

use crate::{controller::Controller, step_error::StepError};

/// Waits between two tries of a unit.
pub const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };
/// Time that a start may take.
const START: Duration = Duration::from_secs(60);

/// Units of the active generation, as far as they are to run.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The generation that they are of.
    generation: Option<String>,
    units: Units,
}

/// What became of a unit.
#[derive(Debug, PartialEq, Eq)]
pub enum Healed {
    /// It runs, or is not to run.
    Fine,
    /// It was started.
    Started,
    /// It could not be started.
    Failed,
}

impl Wanted {
    /// Reads the units anew when another generation is active.
    pub fn follow(&mut self, controller: &Controller) {
        let active = controller.base.path.as_ref().map(ToString::to_string);
        if active == self.generation {
            return;
        }
        let read = controller.base.path.as_ref().map_or(Ok(Units::default()), |path| Units::read(path.as_path()));
        match read {
            Ok(units) => {
                self.units = units;
                self.generation = active;
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

impl Controller {
    /// Starts a unit that should run and does not.
    ///
    /// # Errors
    /// When systemd or the ledger cannot be reached.
    pub async fn heal(&mut self, wanted: &Wanted, unit: &str) -> Result<Healed, StepError> {
        let failed = |e: osmoda_systemd::SystemdError| StepError::Io(std::io::Error::other(e));
        if !wanted.has(unit) || self.in_flight()?.is_some() {
            return Ok(Healed::Fine);
        }
        let status = self.manager.status(unit).await.map_err(failed)?;
        if !wanted.is_ill(unit, status.active) {
            return Ok(Healed::Fine);
        }
        let payload = json!({ "unit": unit, "state": status.active, "sub": status.sub });
        self.ledger.append(Event::new("heal.starting", "agentd", payload)).await?;
        self.manager.reset_failed(unit).await.map_err(failed)?;
        let result = self.manager.run_job(Verb::Start, unit, START).await;
        let (healed, outcome) = match result {
            Ok(JobResult::Done | JobResult::Skipped) => (Healed::Started, "started".to_owned()),
            Ok(result) => (Healed::Failed, format!("its start job ended as {result:?}")),
            Err(error) => (Healed::Failed, error.to_string()),
        };
        let kind = if healed == Healed::Started { "heal.started" } else { "heal.failed" };
        self.ledger.append(Event::new(kind, "agentd", json!({ "unit": unit, "outcome": outcome }))).await?;
        Ok(healed)
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
