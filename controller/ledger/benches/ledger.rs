//! Figures of the ledger, each against the least that the machine needs for the same: printed as JSON lines.

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::time::{Duration, Instant};

use osmoda_ledger::{Event, Ledger, Query, Reader, verify};
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;
use sha2::{Digest, Sha256};

const VERIFIED: usize = 400_000;

fn payload(n: usize) -> serde_json::Value {
    json!({ "object": "App/web", "hash": "08b565cdaad4074f4184e29d51edfc61021ad0a00af8856ad38ce8eb70e0ab83", "n": n })
}

/// What came of a run.
struct Run {
    /// Rows a second.
    rate: f64,
    /// The time in milliseconds within which 99 of 100 transactions, or appends, were durable.
    p99: f64,
}

impl Run {
    fn new(rows: usize, started: Instant, mut times: Vec<Duration>) -> Self {
        let rate = rows as f64 / started.elapsed().as_secs_f64();
        times.sort_unstable();
        Self { rate, p99: times[times.len() * 99 / 100].as_secs_f64() * 1e3 }
    }
}

/// The same rows without chain, thread or checkpoint, in transactions of `batch`.
fn bare(rows: usize, batch: usize) -> Run {
    let dir = tempfile::tempdir_in(".").unwrap();
    let mut db = Connection::open(dir.path().join("bare.db")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute_batch("CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, ts TEXT NOT NULL, type TEXT NOT NULL, actor TEXT NOT NULL, payload TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL) STRICT;").unwrap();
    let hash = "0".repeat(64);
    let started = Instant::now();
    let (mut n, mut times) = (0, Vec::new());
    while n < rows {
        let began = Instant::now();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO events (ts, type, actor, payload, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )
                .unwrap();
            for _ in 0..batch {
                let text = payload(n).to_string();
                insert.execute(params!["2026-01-01T00:00:00.000Z", "bench.event", "uid:0", text, hash, hash]).unwrap();
                n += 1;
            }
        }
        transaction.commit().unwrap();
        times.push(began.elapsed());
    }
    Run::new(n, started, times)
}

/// Clients that each append `batch` events at a time and wait until they are durable: group commit makes their
/// transactions, at most of `clients * batch` rows.
fn appended(clients: usize, batch: usize, rows: usize) -> Run {
    let dir = tempfile::tempdir_in(".").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let started = Instant::now();
    let times = runtime.block_on(async {
        let client = async |first: usize| {
            let mut times = Vec::new();
            for start in (first * batch..rows).step_by(clients * batch) {
                let began = Instant::now();
                let events = (start..start + batch).map(|n| Event::new("bench.event", "uid:0", payload(n))).collect();
                ledger.append_all(events).await.unwrap();
                times.push(began.elapsed());
            }
            times
        };
        futures_util::future::join_all((0..clients).map(client)).await.concat()
    });
    Run::new(rows, started, times)
}

fn median(runs: &[Run], figure: fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How long one of 64 clients waits for its event.
fn latency(floor: &[Run], ours: &[Run]) {
    let (p99, least, rate) = (median(ours, |run| run.p99), median(floor, |run| run.p99), median(ours, |run| run.rate));
    let rounded = |ms: f64| (ms * 1000.0).round() / 1000.0;
    let line = json!({
        "name": "ledger append until durable, 64 clients, one event at a time, p99",
        "value": rounded(p99), "unit": "ms",
        "reference": "a bare transaction of 64 rows, p99", "reference_value": rounded(least), "ratio": p99 / least,
        "goal": "<= 10 ms, at >= 20,000 events/s", "met": p99 <= 10.0 && rate >= 20_000.0,
    });
    println!("{line}");
}

fn main() {
    // As many rows as take more than a second, so that what signs checkpoints has its share of the time.
    for (clients, batch, rows, goal) in [(64, 1, 204_800, None), (1, 64, 409_600, None), (16, 64, 819_200, Some(0.9))] {
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        // Alternating, and the median of each: the disk has moods.
        for _ in 0..5 {
            floor.push(bare(rows, clients * batch));
            ours.push(appended(clients, batch, rows));
        }
        if (clients, batch) == (64, 1) {
            latency(&floor, &ours);
        }
        let (floor, ours) = (median(&floor, |run| run.rate), median(&ours, |run| run.rate));
        let line = json!({
            "name": format!("ledger append, {clients} clients, {batch} events at a time"),
            "value": ours.round(), "unit": "events/s",
            "reference": format!("the same rows inserted bare, {} a transaction", clients * batch),
            "reference_value": floor.round(), "ratio": ours / floor,
            "goal": goal.map_or("shown".to_owned(), |goal| format!(">= {goal}")),
            "met": goal.is_none_or(|goal| ours / floor >= goal),
        });
        println!("{line}");
    }

    let dir = tempfile::tempdir_in(".").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    for batch in 0..VERIFIED / 4000 {
        let events = (0..4000).map(|n| Event::new("bench.event", "uid:0", payload(batch * 4000 + n))).collect();
        runtime.block_on(ledger.append_all(events)).unwrap();
    }
    drop(ledger);
    let reader = Reader::open(dir.path()).unwrap();
    let query = Query { limit: usize::MAX, ..Query::default() };
    let mut hashed = Vec::with_capacity(VERIFIED);
    for row in reader.rows(&query).unwrap() {
        hashed.push(format!("{}|{}|{}|{}|{}|{}", row.id, row.ts, row.kind, row.actor, row.payload, row.prev_hash));
    }
    let (mut floor, mut ours) = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        let started = Instant::now();
        let mut sum = 0_u8;
        for text in &hashed {
            sum ^= Sha256::digest(text)[0];
        }
        std::hint::black_box(sum);
        floor = floor.max(hashed.len() as f64 / started.elapsed().as_secs_f64());
        let started = Instant::now();
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_whole());
        ours = ours.max(report.events as f64 / started.elapsed().as_secs_f64());
    }
    let met = ours >= 1e6 || ours / floor >= 0.8;
    let line = json!({ "name": "ledger verify, one core", "value": ours.round(), "unit": "events/s",
        "reference": "bare SHA-256 over the same bytes", "reference_value": floor.round(), "ratio": ours / floor,
        "goal": ">= 1,000,000/s, or >= 0.8", "met": met });
    println!("{line}");
}
