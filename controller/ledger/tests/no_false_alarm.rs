//! What an honest machine does to its ledger, power cuts and full disks included, is no damage.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use osmoda_ledger::{Event, Ledger, Reader, verify};
use serde_json::json;

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_ledger.py")
}

fn fill(folder: &Path, events: usize) {
    let ledger = Ledger::open(folder).unwrap();
    for n in 0..events {
        ledger.append_blocking(Event::new("t", "test", json!(n))).unwrap();
    }
}

/// Neither verifier finds anything.
fn assert_whole(folder: &Path, when: &str) {
    let report = verify(folder, None).unwrap();
    assert!(report.is_whole(), "{when}: {report:?}");
    match Command::new("python3").arg(script()).arg(folder).output() {
        Ok(output) => assert!(output.status.success(), "{when}: {output:?}"),
        Err(_) => println!("SKIPPED: the independent verifier needs python3"),
    }
}

#[test]
fn verifying_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let ledger = Ledger::open(dir.path()).unwrap();
                while !done.load(Ordering::Relaxed) {
                    ledger.append_blocking(Event::new("t", "test", json!({}))).unwrap();
                }
            });
        }
        let until = Instant::now() + Duration::from_secs(4);
        let reports = std::iter::from_fn(|| (Instant::now() < until).then(|| verify(dir.path(), None).unwrap()));
        let found: Vec<_> = reports.filter(|report| !report.is_whole()).collect();
        let python = (0..10).all(|_| match Command::new("python3").arg(script()).arg(dir.path()).output() {
            Ok(output) => output.status.success(),
            Err(_) => true,
        });
        done.store(true, Ordering::Relaxed);
        assert!(found.is_empty(), "{} times, such as {:?}", found.len(), found[0]);
        assert!(python, "the independent verifier raised an alarm");
    });
}

#[test]
fn a_checkpoint_that_a_power_cut_tore() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2);
    let notes = dir.path().join("checkpoints");
    let first = fs::read(&notes).unwrap();
    fill(dir.path(), 2);
    let both = fs::read(&notes).unwrap();
    for cut in first.len() + 1..both.len() {
        fs::write(&notes, &both[..cut]).unwrap();
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_whole(), "cut at {cut}: {report:?}");
    }
    for cut in [first.len() + 1, first.len() + 20, both.len() - 40, both.len() - 1] {
        fs::write(&notes, &both[..cut]).unwrap();
        fill(dir.path(), 1);
        assert_whole(dir.path(), &format!("cut at {cut} and written on"));
    }
}

/// Runs `test` of this file in a process of its own.
fn child(test: &str, folder: &Path, limit: Option<u32>) -> Child {
    let mut command = match limit {
        // A limit on the size of files is as good as a full disk: writing fails in the middle.
        Some(kib) => {
            let mut shell = Command::new("sh");
            let limit = kib * 2;
            shell.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {limit}; exec \"$0\" \"$@\"")]);
            shell.arg(std::env::current_exe().unwrap());
            shell
        }
        None => Command::new(std::env::current_exe().unwrap()),
    };
    command.args(["--exact", test, "--nocapture"]).env("OSMODA_LEDGER_OF_TEST", folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Not a test of its own: opens a ledger when it is told to.
#[test]
fn opener() {
    let Some(folder) = std::env::var_os("OSMODA_LEDGER_OF_TEST") else { return };
    std::io::stdin().read_exact(&mut [0]).unwrap();
    fill(Path::new(&folder), 5);
}

#[test]
fn several_processes_that_are_all_the_first() {
    for round in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ledger");
        let mut children: Vec<Child> = (0..6).map(|_| child("opener", &folder, None)).collect();
        for child in &mut children {
            child.stdin.take().unwrap().write_all(b"x").unwrap();
        }
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stdout));
        }
        let report = verify(&folder, None).unwrap();
        assert_eq!((report.events, report.is_whole()), (30, true), "round {round}: {report:?}");
    }
}

/// Not a test of its own: appends until the disk is full, then until there is room again.
#[test]
fn filler() {
    let Some(folder) = std::env::var_os("OSMODA_LEDGER_OF_TEST") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ledger = Ledger::open(Path::new(&folder)).unwrap();
    let event = || Event::new("t", "filler", json!("x".repeat(8000)));
    let mut durable = 0;
    let full = loop {
        match ledger.append_blocking(event()) {
            Ok(receipt) => durable = receipt.id,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, osmoda_ledger::LedgerError::Sqlite(_)), "{full}");
    // Everybody who waits for a batch that fails hears of it.
    let waiting: Vec<_> = (0..8).map(|_| ledger.append_all(vec![event(), event()])).collect();
    for append in waiting {
        assert!(runtime.block_on(append).is_err());
    }
    let head = Reader::open(Path::new(&folder)).unwrap().head().unwrap();
    assert_eq!(head.map(|(id, _)| id), Some(durable), "what failed left a trace");
    let no_limit = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, no_limit).unwrap();
    assert_eq!(ledger.append_blocking(event()).unwrap().id, durable + 1, "there is room again");
}

#[test]
fn a_disk_that_was_full() {
    let dir = tempfile::tempdir().unwrap();
    for kib in [200, 333, 1000] {
        let folder = dir.path().join(kib.to_string());
        let output = child("filler", &folder, Some(kib)).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_whole(&folder, &format!("{kib} KiB"));
    }
}

#[test]
fn appends_that_wait_share_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    // While somebody else writes, events queue up.
    let other = rusqlite::Connection::open(osmoda_ledger::database_file(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let ledger = ledger.clone();
            runtime.spawn(async move { ledger.append(Event::new("t", "test", json!(n))).await.unwrap() })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let size = || fs::metadata(osmoda_ledger::wal_file(dir.path())).unwrap().len();
    let before = size();
    other.execute_batch("COMMIT").unwrap();
    let mut ids: Vec<i64> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap().id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=500).collect::<Vec<_>>());
    // A transaction of its own would write at least a page of 4096 bytes for each.
    let written = size() - before;
    assert!(written < 500 * 4096, "{written} bytes were written");
    drop(ledger);
    assert_whole(dir.path(), "after a group commit");
}
