//! The way back, and the proof that it was taken.

use std::{ops::ControlFlow, time::Duration};

use osmoda_generation::store_path::StorePath;
use osmoda_ledger::Event;
use osmoda_schemas::switch::SwitchState;
use serde_json::json;

use crate::{
    Prober, Runner, SwitchError,
    backend::{Way, is_superseded},
    conclude::{judge, record_once},
    runner::{SUPERSEDED, changed_gates, longest_first_look},
    start::runner_unit,
};

/// Runners that try the way back before it is given up: something that they need (the bus, the disk) may come back.
const WAYS_BACK: u32 = 20;
/// Time that a runner gets to end before it is killed.
const STOP: Duration = Duration::from_secs(15);

impl Runner {
    /// Brings the old generation back and looks whether it runs.
    ///
    /// # Errors
    /// When the way back could not be taken at all; the record says so, and the dead-man tries again.
    pub(crate) async fn roll_back(mut self, reason: String) -> Result<SwitchState, SwitchError> {
        self.record.failure = Some(reason.clone());
        self.record.probation_until = None;
        let id = self.record.id.clone();
        tracing::warn!(switch = id, "rolling back: {reason}");
        if !self.record.touched() {
            return self.conclude(SwitchState::RolledBack).await;
        }
        if is_superseded(&self.machine, &self.record)? {
            tracing::warn!(switch = id, "{SUPERSEDED}: it stays");
            self.record.failure = Some(SUPERSEDED.to_owned());
            return self.conclude(SwitchState::RolledBack).await;
        }
        self.enter(SwitchState::RollingBack);
        // Before the way back, which may be interrupted: the generation is not tried again, whatever comes of it. The
        // record comes first: whoever takes it up from there judges again. Neither does the way back depend on.
        for written in [self.save(), judge(&self.machine, &self.record)] {
            if let Err(error) = written {
                tracing::error!("{error}");
            }
        }
        let payload = json!({ "switch": id, "reason": reason, "from": self.record.target, "to": self.record.base });
        let intent = Event::new("switch.rolling-back", self.record.actor.clone(), payload);
        if let Err(error) = record_once(&self.machine, &mut self.ledger, &["switch.rolling-back"], intent).await {
            tracing::error!("the rollback cannot be recorded: {error}");
        }
        let problems = match self.way_back().await {
            Ok(problems) => problems,
            // systemd starts the next runner, with connections of its own; and there is the dead-man.
            Err(error) if self.record.resumes < WAYS_BACK => return Err(error),
            Err(error) => vec![error.to_string()],
        };
        if problems.is_empty() {
            return self.conclude(SwitchState::RolledBack).await;
        }
        let words = format!("{reason}; and the way back: {}", problems.join("; "));
        tracing::error!(switch = id, "THE ROLLBACK FAILED, somebody has to look: {words}");
        self.record.failure = Some(words);
        self.conclude(SwitchState::Failed).await
    }

    /// What is not as it was before, in words; empty: everything is.
    async fn way_back(&self) -> Result<Vec<String>, SwitchError> {
        let (target, base) = (self.target()?, self.base()?);
        let report = self.move_machine(Way::Back).await?;
        let mut problems: Vec<String> = report.failures.iter().map(|f| format!("{}: {}", f.unit, f.reason)).collect();
        problems.extend(self.newly_failed().await?);
        if let Some(base) = &base {
            problems.extend(self.old_gates(base, &target).await);
        }
        Ok(problems)
    }

    /// Asks the old generation's gates of what was changed, until each has passed once.
    async fn old_gates(&self, base: &StorePath, target: &StorePath) -> Vec<String> {
        let gates = match changed_gates(&self.machine, base, Some(target)) {
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
pub async fn deadman(mut runner: Runner) -> Result<SwitchState, SwitchError> {
    let id = runner.record.id.clone();
    runner.manager.stop_for_certain(&runner_unit(&id), STOP).await?;
    // It may have come to an end in the meantime.
    runner.record = runner.journal.read(&id).map_err(SwitchError::io(format!("the record of switch {id}")))?;
    match runner.close_if_decided().await? {
        ControlFlow::Break(state) => Ok(state),
        ControlFlow::Continue(runner) => {
            let known = runner.record.failure.clone().filter(|_| runner.record.state == SwitchState::RollingBack);
            let late = || "its runner did not come to an end in time (dead-man)".to_owned();
            runner.roll_back(known.unwrap_or_else(late)).await
        }
    }
}
