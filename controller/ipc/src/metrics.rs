//! Figures in the Prometheus text format.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// All figures of a daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    all: Arc<Mutex<BTreeMap<String, Metric>>>,
}

#[derive(Clone, Debug)]
struct Metric {
    kind: &'static str,
    help: &'static str,
    value: Arc<AtomicU64>,
}

/// A figure that only grows.
#[derive(Clone, Debug)]
pub struct Counter(Arc<AtomicU64>);

/// A figure that is set.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The counter of that name, such as `osmoda_switches_total`; labels may follow in braces.
    #[must_use]
    pub fn counter(&self, name: &str, help: &'static str) -> Counter {
        Counter(self.value(name, "counter", help))
    }

    /// The gauge of that name.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &'static str) -> Gauge {
        Gauge(self.value(name, "gauge", help))
    }

    fn value(&self, name: &str, kind: &'static str, help: &'static str) -> Arc<AtomicU64> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Metric { kind, help, value: Arc::default() };
        Arc::clone(&all.entry(name.to_owned()).or_insert_with(fresh).value)
    }

    /// All figures as text.
    #[must_use]
    pub fn render(&self) -> String {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut family = "";
        for (name, metric) in &*all {
            let base = name.split('{').next().unwrap_or(name);
            if base != family {
                let _ = writeln!(text, "# HELP {base} {}\n# TYPE {base} {}", metric.help, metric.kind);
                family = base;
            }
            let _ = writeln!(text, "{name} {}", metric.value.load(Ordering::Relaxed));
        }
        text
    }
}
