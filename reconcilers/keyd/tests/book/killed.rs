//! A process that grants and is killed while it does.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use osmoda_keyd::spending::Spending;

use crate::common::{START, ask, caps_hold, is_known};

/// Names the file to whoever is to grant and die.
const FILE: &str = "OSMODA_TEST_BOOK";
const SEED: &str = "OSMODA_TEST_SEED";

/// What is killed. Four callers; each tells what was granted to it, once it was.
#[test]
fn child() {
    let (Ok(file), Ok(seed)) = (std::env::var(FILE), std::env::var(SEED)) else { return };
    let seed: u64 = seed.parse().unwrap();
    // Each process begins some minutes after the one before.
    let now = Timestamp::from_millisecond(START + i64::try_from(seed).unwrap() * 200_000).unwrap();
    let book = Spending::open(Path::new(&file), move || now).unwrap();
    thread::scope(|scope| {
        for caller in 0..4 {
            let book = &book;
            scope.spawn(move || {
                let mut chance = fastrand::Rng::with_seed(seed * 4 + caller);
                for request in 0.. {
                    let asked = ask(&mut chance, (seed * 4 + caller, request));
                    let line: String = asked.payload.iter().map(|byte| format!("{byte:02x}")).collect();
                    if book.reserve(asked).is_ok() {
                        writeln!(std::io::stdout(), "granted {line}").unwrap();
                    }
                }
            });
        }
    });
}

/// As often as `OSMODA_KILLS` says, 20 times unless it says so.
#[test]
fn what_was_granted_is_written_down_whenever_the_process_dies() {
    let kills = std::env::var("OSMODA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_u64);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("book.db");
    let mut chance = fastrand::Rng::with_seed(7);
    let mut told = Vec::new();
    for seed in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child", "--nocapture"])
            .env(FILE, &file)
            .env(SEED, seed.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = thread::spawn(move || {
            let granted = lines.map_while(Result::ok);
            granted.filter_map(|line| line.split_once("granted ").map(|(_, hex)| hex.to_owned())).collect::<Vec<_>>()
        });
        thread::sleep(Duration::from_millis(20 + chance.u64(..150)));
        child.kill().unwrap();
        child.wait().unwrap();
        told.extend(reader.join().unwrap());
        caps_hold(&file);
    }
    assert!(told.len() > 20, "only {} were granted: the test shows nothing", told.len());
    // The last line may be cut off with its process.
    let whole = told.iter().filter(|line| line.len() == 64);
    for line in whole {
        let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        let payload: Vec<u8> = (0..64).step_by(2).map(byte).collect();
        assert!(is_known(&file, &payload), "{line} was granted and is not written down");
    }
    let rows = caps_hold(&file);
    println!("{kills} kills: {} granted, {rows} written down, no cap exceeded", told.len());
}
