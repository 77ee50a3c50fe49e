//! The crash matrix and the cuts, on several machines side by side: they wait more than they work.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use machine_suites::{
    Host,
    crash::{self, Action, Place},
};

use crate::{
    install,
    machine::{self, Owned, Release},
};

/// What came of a kind of test.
pub(super) struct Row {
    case: String,
    tries: u32,
    pub(super) failures: Vec<String>,
    took: Duration,
}

impl Row {
    fn new(case: impl Into<String>) -> Self {
        Self { case: case.into(), tries: 0, failures: Vec::new(), took: Duration::ZERO }
    }
}

/// Something that is tried on any of the machines.
struct Try {
    /// Its row in the table.
    row: usize,
    what: What,
}

enum What {
    Passage { place: Place, ordinal: u32, action: Action },
    Cut { after: Duration },
}

impl What {
    /// False when it did not come to it: no story is quite the same as another one.
    fn attempt(&self, host: Host<'_>) -> Result<bool> {
        match self {
            Self::Passage { place, ordinal, action } => crash::attempt(host, place, *ordinal, *action),
            Self::Cut { after } => crash::cut(host, *after).map(|()| true),
        }
    }
}

/// What is done with the rows as they are so far.
pub(super) type SoFar<'a> = &'a (dyn Fn(&[Row]) -> Result<()> + Sync);

/// Every passage of every place, at most so many of each: killed, and refused by the disk where it may be.
pub(super) fn matrix(machines: u32, release: Release, passages: u32, so_far: SoFar<'_>) -> Result<Vec<Row>> {
    let first = fresh(1, release)?;
    let (mut rows, mut tries) = (Vec::new(), Vec::new());
    for (place, times) in crash::explore(Host { machine: first.as_ref() })? {
        let errors: &[Action] = if place.may_fail() { &Action::ERRORS } else { &[] };
        for actions in [&[Action::Kill], errors] {
            if actions.is_empty() {
                continue;
            }
            let names: Vec<&str> = actions.iter().map(|action| action.name()).collect();
            rows.push(Row::new(format!("{} at `{place}`, passed {times} times", names.join(", "))));
            let tried = times.min(passages);
            for (n, &action) in (0..tried).flat_map(|n| actions.iter().map(move |action| (n, action))) {
                let ordinal = 1 + n * times / tried;
                tries.push(Try { row: rows.len() - 1, what: What::Passage { place: place.clone(), ordinal, action } });
            }
        }
    }
    first.down()?;
    carry_out(machines, release, rows, tries, so_far)
}

/// The machine cut off at so many random instants.
pub(super) fn cuts(machines: u32, release: Release, cuts: u32, so_far: SoFar<'_>) -> Result<Vec<Row>> {
    let mut tries = Vec::new();
    for _ in 0..cuts {
        let mut chance = [0; 4];
        getrandom::fill(&mut chance).map_err(|e| anyhow!("no chance: {e}"))?;
        let after = crash::SPAN.mul_f64(f64::from(u32::from_le_bytes(chance)) / f64::from(u32::MAX));
        tries.push(Try { row: 0, what: What::Cut { after } });
    }
    carry_out(machines, release, vec![Row::new("the machine cut off at a random instant")], tries, so_far)
}

fn fresh(number: u32, release: Release) -> Result<Box<dyn Owned>> {
    let machine = machine::up(&format!("soak-{number}"), release, false)?;
    install::install(machine.as_ref(), false)?;
    // With short probations.
    Host { machine: machine.as_ref() }.clear()?;
    Ok(machine)
}

/// Tries it all, each on the machine that is free.
fn carry_out(machines: u32, release: Release, rows: Vec<Row>, tries: Vec<Try>, so_far: SoFar<'_>) -> Result<Vec<Row>> {
    let all = tries.len();
    let (rows, left) = (Mutex::new(rows), Mutex::new(VecDeque::from(tries)));
    let work = |number: u32| -> Result<()> {
        let mut machine = fresh(number, release).context("a machine")?;
        while let Some(next) = { lock(&left).pop_front() } {
            let began = Instant::now();
            let outcome = next.what.attempt(Host { machine: machine.as_ref() });
            let mut rows = lock(&rows);
            let row = &mut rows[next.row];
            match &outcome {
                Ok(false) => eprintln!("it did not come to it: {}", row.case),
                Ok(true) => (row.tries, row.took) = (row.tries + 1, row.took + began.elapsed()),
                Err(error) => {
                    (row.tries, row.took) = (row.tries + 1, row.took + began.elapsed());
                    eprintln!("FAILED: {}: {error:#}", row.case);
                    row.failures.push(format!("{error:#}"));
                }
            }
            let failed: usize = rows.iter().map(|row| row.failures.len()).sum();
            let to_come = lock(&left).len();
            if to_come.is_multiple_of(10) {
                eprintln!("{to_come} of {all} to come, {failed} failed");
                so_far(&rows)?;
            }
            drop(rows);
            if outcome.is_err() {
                let words = ["/usr/bin/journalctl", "-q", "-n", "60", "--no-pager", "-o", "short-precise"];
                let journal = Host { machine: machine.as_ref() }.end(&words).map(|(_, out, _)| out);
                eprintln!("{}", journal.unwrap_or_default());
                // What one has spoilt is not the next one's fault.
                let _ = machine.down();
                // One that does not come up leaves its tries to the others.
                machine = fresh(number, release).inspect_err(|error| eprintln!("machine {number}: {error:#}"))?;
            }
        }
        machine.down()
    };
    // What all of them need is built once.
    install::build(false)?;
    let work = &work;
    let ended: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=machines).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    });
    let left = lock(&left).len();
    if left > 0 {
        ended.into_iter().collect::<Result<Vec<()>>>().context("a machine")?;
        bail!("{left} tries were not made");
    }
    Ok(rows.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table of these rows.
pub(super) fn table(rows: &[Row]) -> String {
    let mut out = String::from("| case | tries | failed | a try takes |\n|---|---:|---:|---:|\n");
    for row in rows {
        let each = row.took.as_secs_f64() / f64::from(row.tries.max(1));
        out += &format!("| {} | {} | {} | {each:.1} s |\n", row.case, row.tries, row.failures.len());
    }
    let tries: u32 = rows.iter().map(|row| row.tries).sum();
    let failed: usize = rows.iter().map(|row| row.failures.len()).sum();
    out + &format!("| all | {tries} | {failed} | |\n")
}
