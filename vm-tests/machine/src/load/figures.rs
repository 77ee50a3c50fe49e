//! What was seen under load, and what is thought of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Load;

/// Memory may grow so much from the second fifth of the edits to the last: both of it.
const GROWTH: (f64, f64) = (1.10, 4.0 * MIB);
/// Share of the edits that the pace asks for and that have to be made in its time.
const PACE: f64 = 0.99;
const MIB: f64 = 1024.0 * 1024.0;

/// What `drive.py` writes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    pub(super) problems: Vec<String>,
    /// Seconds.
    written: f64,
    in_force: f64,
    late: f64,
    edited: f64,
    converged: f64,
    edits: u32,
    counts: BTreeMap<String, u32>,
    probes: Vec<Probe>,
    samples: Vec<Sample>,
    generations: u32,
    events: u64,
    /// Bytes and files of the active generation.
    tree: (f64, f64),
    refused: u32,
    running: u32,
    objects: u32,
}

/// Seconds from an edit.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Probe {
    admitted: f64,
    runs: f64,
    active: f64,
}

#[derive(Debug, Deserialize)]
struct Sample {
    /// Seconds since the edits began.
    at: f64,
    daemons: BTreeMap<String, Daemon>,
    metrics: BTreeMap<String, f64>,
    /// Bytes.
    ledger: f64,
    state: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Daemon {
    /// Bytes.
    rss: f64,
    peak: f64,
    threads: f64,
    files: f64,
    watches: f64,
    /// Seconds.
    cpu: f64,
}

/// What was seen, in words: what it is about, and the figures.
pub type Figures = Vec<(String, String)>;

/// What came of it.
#[derive(Debug)]
pub struct Judgement {
    /// How much it was.
    pub case: String,
    /// Edits that were made.
    pub edits: u32,
    /// Everything that does not hold.
    pub failures: Vec<String>,
    /// What was seen.
    pub figures: Figures,
}

impl Seen {
    pub(super) fn judge(self, load: Load) -> Judgement {
        let case = format!(
            "{} objects, {} units, {} edits a second for {} s",
            load.objects, load.units, load.rate, load.seconds
        );
        let mut failures = self.problems.clone();
        let mut figures = Figures::new();
        // Of what was cut off nothing else is known.
        if self.edits > 0 {
            if f64::from(self.edits) / self.edited < PACE * f64::from(load.rate) {
                failures.push(format!("{} edits took {:.0} s", self.edits, self.edited));
            }
            self.tell(load, &mut figures);
            for name in ["agentd", "watch", "routines"] {
                let (words, failure) = self.daemon(name, f64::from(load.seconds));
                figures.push((format!("{name}: memory; CPU; files, inotify watches, threads, at most"), words));
                failures.extend(failure);
            }
        }
        Judgement { case, edits: self.edits, failures, figures }
    }

    fn tell(&self, load: Load, figures: &mut Figures) {
        let mut tell = |what: &str, words: String| figures.push((what.to_owned(), words));
        tell(
            "written and in force at the start",
            format!("{:.1} s, of which writing took {:.1} s", self.in_force, self.written),
        );
        tell(
            "edits, and the longest that one came late",
            format!("{} ({:.1} a second), {:.2} s", self.edits, f64::from(self.edits) / self.edited, self.late),
        );
        let counts: Vec<String> = self.counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        tell("edits by what they did", counts.join(", "));
        tell("an edit followed, until it is admitted: p50, p99, most", self.latency(|probe| probe.admitted));
        tell("until its program runs", self.latency(|probe| probe.runs));
        tell("until its status says so", self.latency(|probe| probe.active));
        tell("edits followed", self.probes.len().to_string());
        tell(
            "generations, and edits a generation",
            format!("{}, {:.0}", self.generations, f64::from(self.edits) / f64::from(self.generations.max(1))),
        );
        tell("from the last edit until all are in force", format!("{:.1} s", self.converged));
        tell(
            "at the end: objects, units that run, documents that are refused",
            format!("{}, {}, {}", self.objects, self.running, self.refused),
        );
        for (metric, what) in
            [("osmoda_admit_microseconds", "admitting"), ("osmoda_changed_plan_microseconds", "planning")]
        {
            let values = self.samples.iter().filter_map(|sample| sample.metrics.get(metric).map(|value| value / 1e3));
            let (median, most) = (percentile(values.clone(), 50), percentile(values, 100));
            tell(&format!("{what}, as agentd says: median, most"), format!("{median:.1} ms, {most:.1} ms"));
        }
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else { return };
        tell(
            "ledger: events, and its size before and after",
            format!("{}, {:.1} and {:.1} MiB", self.events, first.ledger / MIB, last.ledger / MIB),
        );
        tell(
            "state folder (documents, statuses, ledger, records) before and after",
            format!("{:.1} and {:.1} MiB", first.state / MIB, last.state / MIB),
        );
        let made = f64::from(self.generations);
        tell(
            "Nix store: a generation, and all that were made",
            format!(
                "{:.1} MiB in {:.0} files, {:.1} GiB in {:.2} million files",
                self.tree.0 / MIB,
                self.tree.1,
                self.tree.0 * made / MIB / 1024.0,
                self.tree.1 * made / 1e6
            ),
        );
        tell("seed", load.seed.to_string());
    }

    fn latency(&self, of: impl Fn(&Probe) -> f64) -> String {
        let at = |percent| percentile(self.probes.iter().map(&of), percent);
        format!("{:.2} s, {:.2} s, {:.2} s", at(50), at(99), at(100))
    }

    /// A daemon's figures, and what is wrong with them.
    fn daemon(&self, name: &str, seconds: f64) -> (String, Option<String>) {
        let seen: Vec<(f64, Daemon)> =
            self.samples.iter().filter_map(|sample| Some((sample.at, *sample.daemons.get(name)?))).collect();
        let fifth = |n: f64| {
            let inside = |at: f64| at >= seconds * (n - 1.0) / 5.0 && at < seconds * n / 5.0;
            percentile(seen.iter().filter(|(at, _)| inside(*at)).map(|(_, daemon)| daemon.rss), 50)
        };
        let most = |of: fn(&Daemon) -> f64| percentile(seen.iter().map(|(_, daemon)| of(daemon)), 100);
        let cpu = |daemon: Option<&(f64, Daemon)>| daemon.map_or(0.0, |(_, daemon)| daemon.cpu);
        let (early, late) = (fifth(2.0), fifth(5.0));
        let words = format!(
            "{:.1} MiB in the second fifth, {:.1} MiB in the last, at most {:.1} MiB; {:.0} % of a core; {}, {}, {}",
            early / MIB,
            late / MIB,
            most(|d| d.peak) / MIB,
            (cpu(seen.last()) - cpu(seen.first())) / seconds * 100.0,
            most(|d| d.files),
            most(|d| d.watches),
            most(|d| d.threads),
        );
        let grows = late > early * GROWTH.0 && late - early > GROWTH.1;
        let unseen = early.is_nan() || late.is_nan();
        (words.clone(), (grows || unseen).then(|| format!("the memory of {name} is not flat: {words}")))
    }
}

/// The value that so many percent of the others are not above; not a number when there is none.
fn percentile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { objects: 10, units: 1, rate: 10, seconds: 100, seed: 1 };

    fn seen(rss: impl Fn(u32) -> f64) -> Seen {
        let daemon = |at: u32| Daemon { rss: rss(at), peak: 0.0, threads: 0.0, files: 0.0, watches: 0.0, cpu: 0.0 };
        let sample = |at: u32| Sample {
            at: f64::from(at),
            daemons: ["agentd", "watch", "routines"].map(|name| (name.to_owned(), daemon(at))).into(),
            metrics: BTreeMap::new(),
            ledger: 0.0,
            state: 0.0,
        };
        Seen { edits: 1000, edited: 100.0, samples: (0..20).map(|n| sample(n * 5)).collect(), ..Seen::default() }
    }

    #[test]
    fn memory_that_grows_is_a_failure_and_a_peak_is_none() {
        assert_eq!(seen(|_| 50.0 * MIB).judge(LOAD).failures, [""; 0]);
        // What is needed once at the beginning is no growth.
        assert_eq!(seen(|at| if at < 20 { 20.0 * MIB } else { 60.0 * MIB }).judge(LOAD).failures, [""; 0]);
        assert_eq!(seen(|at| if at == 90 { 90.0 * MIB } else { 50.0 * MIB }).judge(LOAD).failures, [""; 0]);
        let leak = seen(|at| (50.0 + f64::from(at) / 5.0) * MIB).judge(LOAD);
        assert_eq!(leak.failures.len(), 3, "{leak:?}");
        // A little is not told from chance.
        assert_eq!(seen(|at| (10.0 + f64::from(at) / 50.0) * MIB).judge(LOAD).failures, [""; 0]);
    }

    #[test]
    fn what_was_not_seen_or_not_done_is_a_failure() {
        assert_eq!(Seen { samples: Vec::new(), ..seen(|_| MIB) }.judge(LOAD).failures.len(), 3);
        assert_eq!(Seen { edited: 110.0, ..seen(|_| MIB) }.judge(LOAD).failures.len(), 1);
        let cut_off = Seen { problems: vec!["no answer".to_owned()], ..Seen::default() };
        assert_eq!(cut_off.judge(LOAD).failures, ["no answer"]);
    }

    #[test]
    fn percentiles() {
        let values = || (1..=200).map(f64::from);
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(values(), percent)), [1.0, 100.0, 198.0, 200.0]);
        assert!(percentile(std::iter::empty(), 50).is_nan());
    }
}
