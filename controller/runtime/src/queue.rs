//! A queue of keys to look at, each at most once at a time.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::Backoff;

/// Most reasons that are kept for one piece of work; they are for the log.
const REASONS: usize = 16;

/// Delays and deduplicates keys. Clones share the queue.
#[derive(Debug)]
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    /// The canonical holder of what is scheduled; `order` only indexes it by time.
    scheduled: HashMap<K, Entry>,
    order: BTreeMap<(Instant, u64), K>,
    failures: HashMap<K, u32>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry {
    due: (Instant, u64),
    reasons: Vec<&'static str>,
}

/// A key whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Work<K> {
    /// What to look at.
    pub key: K,
    /// Why, in the order in which the reasons came; at most 16 are kept. For the log only.
    pub reasons: Vec<&'static str>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Clone + Eq + Hash> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        let state = State { scheduled: HashMap::new(), order: BTreeMap::new(), failures: HashMap::new(), sequence: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Schedules a key. One that is scheduled already keeps the earlier of both times.
    pub fn add(&self, key: K, reason: &'static str, delay: Duration) {
        let mut state = self.state();
        let due = Instant::now() + delay;
        let sequence = state.sequence;
        state.sequence += 1;
        let mut reasons = Vec::new();
        if let Some(entry) = state.scheduled.get_mut(&key) {
            if entry.reasons.len() < REASONS {
                entry.reasons.push(reason);
            }
            if entry.due.0 <= due {
                return;
            }
            let old = entry.due;
            reasons = std::mem::take(&mut entry.reasons);
            state.order.remove(&old);
        } else {
            reasons.push(reason);
        }
        state.order.insert((due, sequence), key.clone());
        state.scheduled.insert(key, Entry { due: (due, sequence), reasons });
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Schedules a key after a failure, later with every failure in a row. Only [`WorkQueue::succeeded`] ends the row;
    /// new events neither lengthen nor shorten it. Returns the wait.
    pub fn retry(&self, key: K, backoff: Backoff) -> Duration {
        let failures = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            *failures += 1;
            *failures
        };
        let wait = backoff.after(failures);
        self.add(key, "retry", wait);
        wait
    }

    /// Ends the row of failures of a key.
    pub fn succeeded(&self, key: &K) {
        self.state().failures.remove(key);
    }

    /// Keys that are scheduled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().scheduled.len()
    }

    /// True when nothing is scheduled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next key whose time has come. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&self) -> Work<K> {
        loop {
            let changed = self.shared.changed.notified();
            let due = {
                let mut state = self.state();
                match state.order.first_key_value().map(|(due, _)| *due) {
                    Some(due) if due.0 <= Instant::now() => {
                        let key = state.order.remove(&due).expect("it is the first of the index");
                        let entry = state.scheduled.remove(&key).expect("the index names scheduled keys only");
                        return Work { key, reasons: entry.reasons };
                    }
                    due => due,
                }
            };
            match due {
                Some((at, _)) => tokio::select! { () = sleep_until(at) => {} () = changed => {} },
                None => changed.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn events_for_one_key_coalesce_and_the_earlier_time_wins() {
        let queue = WorkQueue::new();
        let start = Instant::now();
        queue.add("a", "slow", 5 * SECOND);
        queue.add("a", "quick", SECOND);
        queue.add("a", "slow again", 9 * SECOND);
        let work = queue.next().await;
        assert_eq!(work, Work { key: "a", reasons: vec!["slow", "quick", "slow again"] });
        assert_eq!(start.elapsed(), SECOND);
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_come_in_order_of_their_times_then_of_their_arrival() {
        let queue = WorkQueue::new();
        queue.add("late", "", 2 * SECOND);
        queue.add("first", "", SECOND);
        queue.add("second", "", SECOND);
        for expected in ["first", "second", "late"] {
            assert_eq!(queue.next().await.key, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_key_wakes_a_waiting_reader() {
        let queue = WorkQueue::new();
        queue.add("late", "", 60 * SECOND);
        let start = Instant::now();
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next().await.key }
        });
        tokio::task::yield_now().await;
        queue.add("soon", "", SECOND);
        assert_eq!(waiting.await.unwrap(), "soon");
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_by_key_and_success_ends_the_row() {
        let queue = WorkQueue::new();
        let backoff = Backoff { first: SECOND, most: 60 * SECOND };
        assert_eq!(queue.retry("a", backoff), SECOND);
        queue.next().await;
        assert_eq!(queue.retry("a", backoff), 2 * SECOND);
        queue.next().await;
        queue.succeeded(&"a");
        assert_eq!(queue.retry("a", backoff), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_does_not_lengthen_the_row_of_failures() {
        let queue = WorkQueue::new();
        let backoff = Backoff { first: SECOND, most: 60 * SECOND };
        queue.retry("a", backoff);
        for _ in 0..10 {
            queue.add("a", "event", SECOND);
        }
        queue.next().await;
        assert_eq!(queue.retry("a", backoff), 2 * SECOND);
    }
}
