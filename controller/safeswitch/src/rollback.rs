//! The way back, and the proof that it was taken.

use std::time::Duration;

use osmoda_generation::store_path::StorePath;
use osmoda_schemas::switch::{SwitchPurpose, SwitchState};
use serde_json::json;

use crate::{
    Machine, Prober, Runner, SwitchError,
    machine::note,
    runner::{changed_gates, longest_first_look},
    start::runner_unit,
};

/// Time that a runner gets to end before it is killed.
const STOP: Duration = Duration::from_secs(15);

impl Runner {
    /// Brings the old generation back and looks whether it runs.
    ///
    /// # Errors
    /// When the way back could not be taken at all; the record says so, and the dead-man tries again.
    pub(crate) async fn roll_back(mut self, reason: String) -> Result<SwitchState, SwitchError> {
        let touched = self.record.state >= SwitchState::Activating;
        self.record.failure = Some(reason.clone());
        self.record.probation_until = None;
        let id = self.record.id.clone();
        tracing::warn!(switch = id, "rolling back: {reason}");
        if self.record.purpose == SwitchPurpose::Apply && touched {
            self.quarantine(self.record.target.clone(), reason.clone());
        }
        if !touched {
            self.enter(SwitchState::RolledBack);
            let payload = json!({ "switch": id, "reason": reason, "touched": false, "target": self.record.target });
            note(&self.ledger, "switch.refused", &self.record.actor, payload).await;
            // Nothing has happened: even on a full disk, nothing has to be undone.
            let saved = self.save();
            self.finish().await;
            return saved.map(|()| SwitchState::RolledBack);
        }
        let payload = json!({ "switch": id, "reason": reason, "from": self.record.target, "to": self.record.base });
        note(&self.ledger, "switch.rolling-back", &self.record.actor, payload).await;
        self.enter(SwitchState::RollingBack);
        if let Err(error) = self.save() {
            // The way back does not depend on being able to write about it.
            tracing::error!("{error}");
        }
        let problems = self.way_back().await;
        let state = if problems.is_empty() { SwitchState::RolledBack } else { SwitchState::Failed };
        self.enter(state);
        let (kind, words) = match state {
            SwitchState::RolledBack => ("switch.rolled-back", reason),
            _ => ("switch.failed", format!("{reason}; and the way back: {}", problems.join("; "))),
        };
        if state == SwitchState::Failed {
            tracing::error!(switch = id, "THE ROLLBACK FAILED, somebody has to look: {words}");
        }
        self.record.failure = Some(words.clone());
        let payload = json!({ "switch": id, "reason": words, "generation": self.record.base });
        note(&self.ledger, kind, &self.record.actor, payload).await;
        let saved = self.save();
        self.finish().await;
        saved.map(|()| state)
    }

    /// The profile was moved, and then the runner ended: the record follows.
    pub(crate) async fn close_as_committed(mut self) -> Result<SwitchState, SwitchError> {
        self.record.number =
            self.machine.profile.current().map_err(SwitchError::io("the profile"))?.map(|committed| committed.number);
        self.enter(SwitchState::Committed);
        self.save()?;
        let payload =
            json!({ "switch": self.record.id, "generation": self.record.target, "number": self.record.number });
        note(&self.ledger, "switch.committed", &self.record.actor, payload).await;
        self.finish().await;
        Ok(SwitchState::Committed)
    }

    /// What is not as it was before, in words; empty: everything is.
    async fn way_back(&self) -> Vec<String> {
        let (target, base) = match (self.target(), self.base()) {
            (Ok(target), Ok(base)) => (target, base),
            (Err(error), _) | (_, Err(error)) => return vec![error.to_string()],
        };
        let mut problems = Vec::new();
        match self.move_units(Some(&target), base.as_ref()).await {
            Ok(report) => problems.extend(report.failures.iter().map(|f| format!("{}: {}", f.unit, f.reason))),
            Err(error) => return vec![error.to_string()],
        }
        match self.newly_failed().await {
            Ok(None) => {}
            Ok(Some(words)) => problems.push(words),
            Err(error) => problems.push(error.to_string()),
        }
        if let Some(base) = &base {
            problems.extend(self.old_gates(base, &target).await);
        }
        problems
    }

    /// Asks the old generation's gates of what was changed, until each has passed once.
    async fn old_gates(&self, base: &StorePath, target: &StorePath) -> Vec<String> {
        let gates = match changed_gates(base, Some(target)) {
            Ok(gates) => gates,
            Err(error) => return vec![error.to_string()],
        };
        let prober = Prober::new(self.manager.clone());
        let ask = |gate: osmoda_generation::fragment::Gate| {
            let prober = prober.clone();
            async move {
                let began = tokio::time::Instant::now();
                loop {
                    match prober.ask(&gate.check.probe, gate.tier, gate.check.timeout.as_std()).await {
                        Ok(()) => return None,
                        Err(why) if began.elapsed() > longest_first_look(&gate) => {
                            return Some(format!("{}: gate `{}`: {why}", gate.object, gate.name));
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
                    }
                }
            }
        };
        futures_util::future::join_all(gates.into_iter().map(ask)).await.into_iter().flatten().collect()
    }
}

/// What the dead-man timer does: ends the runner, whatever it is doing, and rolls back unless the switch is decided.
///
/// # Errors
/// When the way back could not be taken; systemd starts the dead-man again then.
pub async fn deadman(machine: Machine, id: &str) -> Result<SwitchState, SwitchError> {
    let runner = Runner::open(machine, id).await?;
    runner.manager.stop_for_certain(&runner_unit(&runner.record.id), STOP).await?;
    // It may have come to an end in the meantime.
    let machine = runner.machine.clone();
    let id = runner.record.id.clone();
    drop(runner);
    let runner = Runner::open(machine, &id).await?;
    if runner.record.state.is_final() {
        return Ok(runner.record.state);
    }
    let committed = runner.machine.profile.current().map_err(SwitchError::io("the profile"))?;
    if runner.record.state == SwitchState::Probation
        && committed.is_some_and(|c| c.path.as_str() == runner.record.target)
        && runner.record.base.as_deref() != Some(runner.record.target.as_str())
    {
        return runner.close_as_committed().await;
    }
    runner.roll_back("its runner did not come to an end in time (dead-man)".to_owned()).await
}
