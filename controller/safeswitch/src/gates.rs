//! Health gates: asked again and again, each at its own pace, until all have passed for long enough or one has failed.

use std::time::Duration;

use osmoda_generation::fragment::Gate;
use osmoda_schemas::{kinds::HealthCheck, switch::GateStatus};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::Prober;

/// What a gate's answers amount to. Pure; the clock is an argument.
#[derive(Clone, Debug)]
pub struct GateRun {
    check: HealthCheck,
    /// When the unit was (re)started.
    started: Duration,
    passes: u32,
    failures: u32,
    verdict: Option<bool>,
}

/// What a new answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Open,
    /// It is healthy.
    Healthy,
    /// It is unhealthy.
    Unhealthy,
}

impl GateRun {
    /// A gate of something that was started at that time.
    #[must_use]
    pub fn new(check: HealthCheck, started: Duration) -> Self {
        Self { check, started, passes: 0, failures: 0, verdict: None }
    }

    /// Takes in an answer. Failures within the grace time do not count until it has been healthy once.
    pub fn answer(&mut self, passed: bool, now: Duration) -> Verdict {
        let in_grace = self.verdict.is_none() && now.saturating_sub(self.started) < self.check.grace.as_std();
        if passed {
            self.failures = 0;
            self.passes = self.passes.saturating_add(1);
            if self.passes >= self.check.success_threshold {
                self.verdict = Some(true);
            }
        } else {
            self.passes = 0;
            if !in_grace {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= self.check.failure_threshold {
                    self.verdict = Some(false);
                }
            }
        }
        match self.verdict {
            None => Verdict::Open,
            Some(true) => Verdict::Healthy,
            Some(false) => Verdict::Unhealthy,
        }
    }

    /// When it should be asked next: at its interval, but faster while it has not been healthy yet.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let interval = self.check.interval.as_std();
        match self.verdict {
            None => interval.min(FIRST_LOOKS),
            Some(_) => interval,
        }
    }
}

/// Until something is healthy for the first time it is asked about this often.
const FIRST_LOOKS: Duration = Duration::from_millis(250);

/// A new answer of one gate.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) index: usize,
    pub(crate) verdict: Verdict,
    pub(crate) message: Option<String>,
}

/// Asks all gates until the set is dropped.
pub(crate) fn ask_all(prober: &Prober, gates: &[Gate]) -> (JoinSet<()>, mpsc::UnboundedReceiver<Answer>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for (index, gate) in gates.iter().cloned().enumerate() {
        let (sender, prober) = (sender.clone(), prober.clone());
        tasks.spawn(async move {
            let mut run = GateRun::new(gate.check.clone(), Duration::ZERO);
            loop {
                let answer = prober.ask(&gate.check.probe, gate.tier, gate.check.timeout.as_std()).await;
                let verdict = run.answer(answer.is_ok(), start.elapsed());
                if sender.send(Answer { index, verdict, message: answer.err() }).is_err() {
                    return;
                }
                tokio::time::sleep(run.pause()).await;
            }
        });
    }
    (tasks, receiver)
}

/// The status of a gate before its first answer.
pub(crate) fn unanswered(gate: &Gate) -> GateStatus {
    GateStatus { object: Some(gate.object.clone()), name: gate.name.clone(), passing: None, answers: 0, message: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> GateRun {
        GateRun::new(serde_json::from_str(text).unwrap(), Duration::ZERO)
    }

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn failures_in_the_grace_time_do_not_count_until_it_was_healthy() {
        let mut gate = run(r#"{"probe":{"type":"tcp","port":1},"grace":"10s"}"#);
        assert_eq!(gate.answer(false, at(9)), Verdict::Open);
        assert_eq!(gate.answer(false, at(10)), Verdict::Unhealthy);
        let mut gate = run(r#"{"probe":{"type":"tcp","port":1},"grace":"10s"}"#);
        assert_eq!(gate.answer(true, at(1)), Verdict::Healthy);
        assert_eq!(gate.answer(false, at(2)), Verdict::Unhealthy, "it was up and is down again");
    }

    #[test]
    fn thresholds_count_in_a_row() {
        let mut gate =
            run(r#"{"probe":{"type":"tcp","port":1},"grace":"0s","successThreshold":2,"failureThreshold":2}"#);
        let answers = [(true, Verdict::Open), (false, Verdict::Open), (true, Verdict::Open), (true, Verdict::Healthy)];
        for (i, (passed, verdict)) in answers.into_iter().enumerate() {
            assert_eq!(gate.answer(passed, at(i as u64)), verdict);
        }
        assert_eq!((gate.answer(false, at(5)), gate.answer(false, at(6))), (Verdict::Healthy, Verdict::Unhealthy));
    }
}
