//! What `osmoda doctor` says of the witness.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use osmoda_ledger::{Event, Ledger, Witness, keep_cosignature, log_key, to_cosign, trust_witness};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What it says of the witness, with what it thinks of it.
fn of_witness(dir: &Path) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osmoda"));
    command.args(["doctor", "-o", "json", "--run-dir"]).arg(dir).arg("--state-dir").arg(dir);
    let output = command.output().unwrap();
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = checks.as_array().unwrap().iter().find(|check| check["what"] == "witness").unwrap();
    let verdict = match (&check["ok"], &check["warning"]) {
        (Value::Bool(true), Value::Null) => "good",
        (Value::Bool(true), Value::Bool(true)) => "warning",
        (Value::Bool(false), Value::Null) => "bad",
        other => panic!("{other:?}"),
    };
    assert_eq!(check.get("advice").is_some(), verdict != "good", "{check}");
    (verdict.to_owned(), check["found"].as_str().unwrap().to_owned())
}

fn append(folder: &Path, events: u32) {
    let ledger = Ledger::open(folder).unwrap();
    for n in 0..events {
        ledger.append_blocking(Event::new("t", "test", json!(n))).unwrap();
    }
}

/// What agentd does.
fn cosign(folder: &Path, witness: &Witness, known: u64) {
    trust_witness(folder, &witness.public().to_string()).unwrap();
    witness.add_log(&log_key(folder).unwrap().to_string()).unwrap();
    let request = to_cosign(folder, &witness.public(), known).unwrap().unwrap();
    let line = witness.add_checkpoint(known, &request.hashes, &request.checkpoint, 1_700_000_000).unwrap();
    keep_cosignature(folder, &request.checkpoint, &line, &witness.public()).unwrap();
}

#[test]
fn the_witness_is_looked_at() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: the witness answers root only");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, ledger, state) = (dir.path(), dir.path().join("ledger"), dir.path().join("witness"));
    append(&ledger, 3);
    let (verdict, found) = of_witness(dir);
    assert_eq!(verdict, "warning", "there never was one: {found}");
    let witness = Witness::open(&state).unwrap();
    cosign(&ledger, &witness, 0);
    let (verdict, found) = of_witness(dir);
    assert_eq!(verdict, "bad", "there was one: {found}");
    assert!(found.contains("witness.sock"), "{found}");

    let socket = dir.join("witness.sock");
    let running = std::thread::spawn({
        let (state, socket) = (state.clone(), socket.clone());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(osmoda_witness::run(&state, &socket)).unwrap();
        }
    });
    let until = Instant::now() + Duration::from_secs(20);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < until && !running.is_finished(), "the witness does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (verdict, found) = of_witness(dir);
    assert_eq!(verdict, "good", "{found}");
    assert!(found.contains("3 of 3 signed rows are cosigned"), "{found}");
    // What has just been signed is no reason for a word.
    append(&ledger, 4);
    let (verdict, found) = of_witness(dir);
    assert_eq!(verdict, "good", "{found}");
    assert!(found.contains("3 of 7 signed rows are cosigned"), "{found}");
    // What was signed long ago is.
    let db = Connection::open(osmoda_ledger::database_file(&ledger)).unwrap();
    db.execute_batch(
        "DROP TRIGGER events_never_change; UPDATE events SET ts = '2024-01-02T03:04:05.678Z' WHERE id = 4;",
    )
    .unwrap();
    drop(db);
    let (verdict, found) = of_witness(dir);
    assert_eq!(verdict, "warning", "{found}");
    assert!(found.contains("3 of 7") && found.contains("waits since 2024-01-02T03:04:05.678Z"), "{found}");
    // A cosignature of a witness that is not known counts for nothing.
    fs::write(ledger.join("witness.pub"), "").unwrap();
    let (_, found) = of_witness(dir);
    assert!(found.contains("0 of 7 signed rows"), "{found}");
}
