//! Moving to other unit files, in NixOS's order: stop, move, daemon-reload, reload, restart, start.

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{ActivationPlan, ActiveState, JobResult, Manager, Move, Step, SystemdError, Verb, transient::KILL};

/// Longest wait for the end of what was killed.
const KILLED: Duration = Duration::from_secs(10);
/// Longest wait for a single daemon-reload.
const RELOAD: Duration = Duration::from_secs(90);

/// What an activation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationReport {
    /// What was planned.
    pub plan: ActivationPlan,
    /// Units that did not do as they were asked.
    pub failures: Vec<UnitFailure>,
    /// Units that did not stop in time and were killed.
    pub killed: Vec<String>,
    /// How long all of it took, in milliseconds.
    pub took_ms: u64,
}

/// A unit that did not do as it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFailure {
    /// The unit.
    pub unit: String,
    /// What it was asked, and what came of it.
    pub reason: String,
}

/// Moves the machine from some unit files to others. `change` puts the new ones in place; it runs when everything that has
/// to be stopped before is stopped. Units that fail are reported, not an error: judging them is the caller's.
///
/// # Errors
/// When systemd cannot be talked to, or `change` fails.
pub async fn activate<E: From<SystemdError>>(
    manager: &Manager,
    units: Move<'_>,
    timeout: Duration,
    change: impl AsyncFnOnce() -> Result<(), E>,
) -> Result<ActivationReport, E> {
    let started = Instant::now();
    let left = || timeout.saturating_sub(started.elapsed()).max(Duration::from_secs(1));
    let mut report = ActivationReport::default();
    let before = manager.snapshot().await?;
    let mut plan = units.plan(&before);
    stop(manager, &plan.stop, left(), &mut report).await?;
    change().await?;
    manager.daemon_reload(RELOAD.max(left())).await?;
    let states = manager.snapshot().await?;
    let late = units.plan_late(&plan, &before, &states);
    stop(manager, &late.stop, left(), &mut report).await?;
    plan.extend(late);
    // A unit that failed before, or was restarted too often, gets a fresh try.
    for step in plan.start.iter().chain(&plan.restart) {
        manager.reset_failed(&step.unit).await?;
    }
    // What is to be reloaded but does not run is started.
    let (reload, start_instead): (Vec<Step>, Vec<Step>) =
        plan.reload.iter().cloned().partition(|step| states.active(&step.unit) == ActiveState::Active);
    let start: Vec<Step> = plan.start.iter().cloned().chain(start_instead).collect();
    let (sockets, services): (Vec<Step>, Vec<Step>) = start.into_iter().partition(|s| s.unit.ends_with(".socket"));
    for (verb, steps) in
        [(Verb::Reload, &reload), (Verb::Restart, &plan.restart), (Verb::Start, &sockets), (Verb::Start, &services)]
    {
        for (unit, result) in jobs(manager, verb, steps, left()).await {
            match result {
                Ok(JobResult::Done | JobResult::Skipped) => {}
                Ok(result) => report
                    .failures
                    .push(UnitFailure { unit, reason: format!("its {verb:?} job ended as {result:?}").to_lowercase() }),
                Err(error @ (SystemdError::Timeout { .. } | SystemdError::Refused { .. })) => {
                    report.failures.push(UnitFailure { unit, reason: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    report.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.plan = plan;
    Ok(report)
}

/// Stops units, and kills those that do not stop in time.
async fn stop(
    manager: &Manager,
    steps: &[Step],
    timeout: Duration,
    report: &mut ActivationReport,
) -> Result<(), SystemdError> {
    for (unit, result) in jobs(manager, Verb::Stop, steps, timeout).await {
        match result {
            Ok(result) if result.is_ok() => {}
            Err(error) if error.is_no_such_unit() => {}
            Ok(result) => {
                report.failures.push(UnitFailure { unit, reason: format!("its stop job ended as {result:?}") })
            }
            Err(SystemdError::Timeout { .. }) => {
                // systemd would wait for TimeoutStopSec, or for ever; an activation does not.
                manager.kill(&unit, KILL).await?;
                match manager.run_job(Verb::Stop, &unit, KILLED).await {
                    Ok(_) => report.killed.push(unit),
                    Err(error) if error.is_no_such_unit() => report.killed.push(unit),
                    Err(error) => report.failures.push(UnitFailure { unit, reason: error.to_string() }),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Runs one job for each unit, all at once; systemd orders them.
async fn jobs(
    manager: &Manager,
    verb: Verb,
    steps: &[Step],
    timeout: Duration,
) -> Vec<(String, Result<JobResult, SystemdError>)> {
    let run = |step: &Step| {
        let unit = step.unit.clone();
        async move {
            let result = manager.run_job(verb, &unit, timeout).await;
            (unit, result)
        }
    };
    join_all(steps.iter().map(run)).await
}
