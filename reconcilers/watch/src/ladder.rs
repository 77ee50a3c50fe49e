//! The ladder: which remedy comes next. Pure; the clock is an argument.

use std::{collections::VecDeque, time::Duration};

use osmoda_schemas::kinds::{
    Watcher,
    watcher::{Remedy, Step},
};

/// Where a watcher stands.
#[derive(Clone, Debug)]
pub struct Ladder {
    steps: Vec<Step>,
    failure_threshold: u32,
    success_threshold: u32,
    flap_limit: usize,
    flap_window: Duration,
    failures: u32,
    passes: u32,
    /// The rung, and how often it was tried; none while standing on the ground.
    rung: Option<(usize, u32)>,
    /// Until then the last remedy gets time to work and failures do not count.
    patience: Option<Duration>,
    /// Times of remedies within the window, oldest first.
    remedies: VecDeque<Duration>,
    flapping: bool,
    exhausted: bool,
}

/// What an answer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Carry out the remedy of this rung.
    Climb {
        /// The rung, from 0.
        rung: usize,
        /// Which try of it, from 1.
        attempt: u32,
        /// What to do.
        remedy: Remedy,
    },
    /// Too many remedies: only tell, until the window is over. Said once.
    Flapping {
        /// Remedies within the window.
        remedies: usize,
    },
    /// Every rung was tried. Said once.
    Exhausted,
    /// It passes again after remedies.
    Recovered,
}

impl Ladder {
    /// The ladder of a watcher. `remedies` are the times of those that the ledger remembers, so that a restart of the
    /// daemon does not make it forget that it flaps. All times are since the same arbitrary start.
    #[must_use]
    pub fn new(watcher: &Watcher, remedies: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            steps: watcher.ladder.clone(),
            failure_threshold: watcher.failure_threshold,
            success_threshold: watcher.success_threshold,
            flap_limit: watcher.flap.limit as usize,
            flap_window: watcher.flap.window.as_std(),
            failures: 0,
            passes: 0,
            rung: None,
            patience: None,
            remedies: remedies.into_iter().collect(),
            flapping: false,
            exhausted: false,
        }
    }

    /// True while the check fails often enough to count.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures >= self.failure_threshold
    }

    /// True while the flap limit holds remedies back.
    #[must_use]
    pub fn is_flapping(&self) -> bool {
        self.flapping
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the check should be asked again because a remedy has had its time.
    #[must_use]
    pub fn ask_again_at(&self) -> Option<Duration> {
        self.patience
    }

    /// Takes in that the check passes.
    pub fn passed(&mut self) -> Option<Decision> {
        self.passes = self.passes.saturating_add(1);
        if self.passes < self.success_threshold {
            return None;
        }
        self.failures = 0;
        self.patience = None;
        self.flapping = false;
        self.exhausted = false;
        self.rung.take().map(|_| Decision::Recovered)
    }

    /// Takes in that the check fails.
    pub fn failed(&mut self, now: Duration) -> Option<Decision> {
        self.passes = 0;
        if self.patience.is_some_and(|until| now < until) {
            return None;
        }
        self.patience = None;
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.failure_threshold {
            return None;
        }
        let (rung, attempt) = match self.rung {
            None => (0, 1),
            Some((rung, tries)) if tries < self.steps[rung].attempts => (rung, tries + 1),
            Some((rung, _)) => (rung + 1, 1),
        };
        let Some(step) = self.steps.get(rung) else {
            let first_time = !self.exhausted;
            self.exhausted = true;
            return first_time.then_some(Decision::Exhausted);
        };
        if step.action != Remedy::Notify {
            while self.remedies.front().is_some_and(|at| now.saturating_sub(*at) >= self.flap_window) {
                self.remedies.pop_front();
            }
            if self.remedies.len() >= self.flap_limit {
                let first_time = !self.flapping;
                self.flapping = true;
                return first_time.then_some(Decision::Flapping { remedies: self.remedies.len() });
            }
            self.remedies.push_back(now);
        }
        self.flapping = false;
        self.rung = Some((rung, attempt));
        self.patience = Some(now + step.wait.as_std());
        Some(Decision::Climb { rung, attempt, remedy: step.action })
    }
}

#[cfg(test)]
mod tests {
    use osmoda_schemas::object::{Kind, Spec};
    use serde_json::json;

    use super::*;

    fn ladder(spec: serde_json::Value) -> Ladder {
        let mut full = json!({ "check": { "type": "tcp", "port": 1 } });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        match Kind::Watcher.read_spec(&full).unwrap() {
            Spec::Watcher(watcher) => Ladder::new(&watcher, []),
            other => panic!("{other:?} is no watcher"),
        }
    }

    fn climb(rung: usize, attempt: u32, remedy: Remedy) -> Option<Decision> {
        Some(Decision::Climb { rung, attempt, remedy })
    }

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn every_rung_is_tried_as_often_as_it_says_and_then_the_next_one() {
        let mut ladder = ladder(json!({ "ladder": [
            { "action": "restart", "attempts": 2, "wait": "10s" },
            { "action": "rollback", "wait": "60s" },
            { "action": "notify" },
        ]}));
        assert_eq!(ladder.failed(at(0)), climb(0, 1, Remedy::Restart));
        assert_eq!(ladder.failed(at(9)), None, "the remedy still has time to work");
        assert_eq!(ladder.failed(at(10)), climb(0, 2, Remedy::Restart));
        assert_eq!(ladder.failed(at(20)), climb(1, 1, Remedy::Rollback));
        assert_eq!(ladder.failed(at(80)), climb(2, 1, Remedy::Notify));
        assert_eq!(ladder.failed(at(90)), Some(Decision::Exhausted));
        assert_eq!(ladder.failed(at(100)), None, "it is said once");
        assert_eq!(ladder.passed(), Some(Decision::Recovered));
        assert_eq!(ladder.failed(at(110)), climb(0, 1, Remedy::Restart), "it starts from the foot again");
    }

    #[test]
    fn thresholds_count_answers_in_a_row() {
        let mut ladder = ladder(json!({ "failureThreshold": 3, "successThreshold": 2 }));
        assert_eq!((ladder.failed(at(0)), ladder.failed(at(1))), (None, None));
        assert_eq!((ladder.passed(), ladder.passed()), (None, None));
        assert_eq!((ladder.failed(at(2)), ladder.failed(at(3))), (None, None));
        assert_eq!(ladder.failed(at(4)), climb(0, 1, Remedy::Restart));
        assert_eq!(ladder.passed(), None, "one pass is not enough");
        assert_eq!(ladder.passed(), Some(Decision::Recovered));
    }

    #[test]
    fn a_flapping_service_is_left_alone_until_the_window_is_over() {
        let mut ladder = ladder(json!({
            "ladder": [{ "action": "restart", "attempts": 1, "wait": "1s" }],
            "flap": { "limit": 2, "window": "100s" },
        }));
        for start in [0, 10] {
            assert_eq!(ladder.failed(at(start)), climb(0, 1, Remedy::Restart));
            assert_eq!(ladder.passed(), Some(Decision::Recovered));
        }
        assert_eq!(ladder.failed(at(20)), Some(Decision::Flapping { remedies: 2 }));
        assert_eq!(ladder.failed(at(30)), None, "it is said once");
        assert_eq!(ladder.failed(at(100)), climb(0, 1, Remedy::Restart), "the first remedy has left the window");
    }

    #[test]
    fn remedies_from_before_a_restart_of_the_daemon_count() {
        let Spec::Watcher(watcher) = Kind::Watcher
            .read_spec(&json!({ "check": { "type": "tcp", "port": 1 }, "flap": { "limit": 1, "window": "60s" } }))
            .unwrap()
        else {
            panic!("it is a watcher");
        };
        let mut ladder = Ladder::new(&watcher, [at(5)]);
        assert_eq!(ladder.failed(at(10)), Some(Decision::Flapping { remedies: 1 }));
    }
}
