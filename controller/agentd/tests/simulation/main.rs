//! The whole loop under a deterministic simulation: agentd's own loop, the runner of switches, the dead-man and what
//! closes cut-off switches after a boot run in one thread and in virtual time, on a simulated systemd and store, and real
//! files. Each seed is a story of its own ([`script`]), judged by the invariants of DESIGN.md ([`checks`]).
//!
//! `OSMODA_SEEDS=100000` tells more stories, `OSMODA_SEEDS=2000..7000` others, `OSMODA_SEED=n` one of them again, with its
//! trace.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod checks;
mod handle;
mod machine;
mod process;
mod script;
mod store;
mod systemd;

use std::{
    collections::BTreeMap,
    io::Write,
    ops::Range,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use machine::{Outcome, Sim};
use tokio::runtime::Builder;

/// The stories of a normal run.
const STORIES: Range<u64> = 0..2000;
/// One in so many is told twice.
const AGAIN: u64 = 50;

/// One in so many is the one of two authors.
const TWO_AUTHORS: u64 = 25;

/// Tells the story of a seed.
fn tell(seed: u64, parent: &Path) -> Outcome {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let sim = Sim::new(seed, folder.path());
            let shared = std::sync::Arc::clone(&sim);
            if seed % TWO_AUTHORS == 1 && machine::has_authors() {
                script::two_authors(shared).await;
            } else {
                script::story(shared).await;
            }
            let outcome = sim.shared.outcome();
            // Its programs hold it as it holds them.
            sim.power_off();
            outcome
        })
    }));
    osmoda_failpoint::simulated::set(None);
    osmoda_schemas::simulated::set(None);
    told.unwrap_or_else(|_| Outcome { broken: vec!["a program panicked".to_owned()], ..Outcome::default() })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The stories that are told: the environment variable OSMODA_SEEDS, as how many or as FROM..TO.
fn stories() -> Range<u64> {
    let Ok(text) = std::env::var("OSMODA_SEEDS") else { return STORIES };
    let (from, to) = text.split_once("..").unwrap_or(("0", &text));
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn invariants_hold_in_every_schedule() {
    // Files in memory: how long a disk takes is not what this is about.
    let memory = Path::new("/dev/shm");
    let temporary = std::env::temp_dir();
    let parent = if memory.is_dir() { memory } else { &temporary };
    if let Some(seed) = number("OSMODA_SEED") {
        let Outcome { broken, digest, lines, .. } = tell(seed, parent);
        println!("{}\ndigest {digest:016x}", lines.join("\n"));
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
        return;
    }
    let stories = stories();
    let (next, told, failed) = (AtomicU64::new(stories.start), AtomicU64::new(0), Mutex::new(Vec::new()));
    let counts: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= stories.end || failed.lock().unwrap().len() >= 5 {
                return;
            }
            let mut outcome = tell(seed, parent);
            told.fetch_add(1, Ordering::Relaxed);
            if seed % AGAIN == 0 {
                let again = tell(seed, parent);
                if again.digest != outcome.digest {
                    let first = outcome.lines.iter().zip(&again.lines).find(|(one, two)| one != two);
                    outcome.broken.push(format!("told again it is another story: {first:#?}"));
                }
            }
            for (what, count) in &outcome.counts {
                *counts.lock().unwrap().entry(what).or_default() += count;
            }
            if !outcome.broken.is_empty() {
                let last = outcome.lines[outcome.lines.len().saturating_sub(60)..].join("\n");
                failed.lock().unwrap().push((seed, format!("seed {seed}: {:#?}\n{last}", outcome.broken)));
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    // Fewer than were asked for, after too many failures.
    let figures = serde_json::json!({ "stories": told.into_inner(), "failed": failed.len(), "counts": counts });
    if let Some(file) = std::env::var_os("OSMODA_FIGURES") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{figures}").unwrap();
    }
    println!("{figures}");
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "{}\nOSMODA_SEED=n tells one again; failed: {seeds:?}", failed[0].1);
}
