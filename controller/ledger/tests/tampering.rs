//! Everything that somebody may do to the files of a ledger is noticed, by our verifier and by the independent one.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::Chance;

use osmoda_ledger::{Event, Ledger, Query, Reader, database_file, verify};
use rusqlite::Connection;
use serde_json::json;
use sha2::{Digest, Sha256};

fn filled(folder: &Path, events: usize) {
    let ledger = Ledger::open(folder).unwrap();
    for n in 0..events {
        ledger.append_blocking(Event::new("test.event", format!("uid:{n}"), json!({ "n": n, "text": "ä|b" }))).unwrap();
    }
}

/// As root with the file at hand: the triggers are no obstacle.
fn tamper(folder: &Path, sql: &str) {
    let db = Connection::open(database_file(folder)).unwrap();
    db.execute_batch("DROP TRIGGER events_never_change; DROP TRIGGER events_never_go;").unwrap();
    db.execute_batch(sql).unwrap();
}

/// Computes all hashes anew, as a forger would.
fn recompute(folder: &Path) {
    let db = Connection::open(database_file(folder)).unwrap();
    let mut rows = db.prepare("SELECT id, ts, type, actor, payload FROM events ORDER BY id").unwrap();
    let rows: Vec<(i64, String, String, String, String)> = rows
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut previous = "0".repeat(64);
    for (id, ts, kind, actor, payload) in rows {
        let digest = Sha256::digest(format!("{id}|{ts}|{kind}|{actor}|{payload}|{previous}"));
        let hash: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        db.execute("UPDATE events SET prev_hash = ?1, hash = ?2 WHERE id = ?3", (&previous, &hash, id)).unwrap();
        previous = hash;
    }
}

/// Our verdict, which the independent verifier has to share.
fn is_whole(folder: &Path) -> bool {
    let report = verify(folder, None).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_ledger.py");
    match Command::new("python3").arg(script).arg(folder).output() {
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            if words.contains("SIGNATURES NOT CHECKED") {
                // It sees less then, but nothing that is not there.
                println!("SKIPPED: the independent verifier needs `cryptography` to look at signatures");
                assert!(output.status.success() || !report.is_whole(), "{words}{report:?}");
            } else {
                assert_eq!(output.status.success(), report.is_whole(), "{words}{report:?}");
            }
        }
        Err(_) => println!("SKIPPED: the independent verifier needs python3"),
    }
    report.is_whole()
}

#[test]
fn an_untouched_ledger_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        filled(dir.path(), 3);
        assert!(is_whole(dir.path()));
    }
    assert_eq!(verify(dir.path(), None).unwrap().signed_until, Some(15), "closing signs a checkpoint");
}

#[test]
fn every_kind_of_tampering_is_noticed() {
    let copy_tail = "INSERT INTO events SELECT id + 1, ts, type, actor, payload, hash, hash FROM events WHERE id = 20;";
    let swap = "UPDATE events SET payload = CASE id WHEN 5 THEN (SELECT payload FROM events WHERE id = 6) ELSE (SELECT \
                payload FROM events WHERE id = 5) END WHERE id IN (5, 6);";
    let cases = [
        ("edit a payload", "UPDATE events SET payload = '{}' WHERE id = 7;", false),
        ("edit an actor", "UPDATE events SET actor = 'uid:0' WHERE id = 7;", false),
        ("edit a time", "UPDATE events SET ts = '2020-01-01T00:00:00.000Z' WHERE id = 7;", false),
        ("edit the last row", "UPDATE events SET payload = '{}' WHERE id = 20;", false),
        ("delete from the middle", "DELETE FROM events WHERE id = 7;", false),
        ("delete the tail", "DELETE FROM events WHERE id > 15;", false),
        (
            "delete the tail and its trace",
            "DELETE FROM events WHERE id > 15; UPDATE sqlite_sequence SET seq = 15;",
            false,
        ),
        ("delete all", "DELETE FROM events; DELETE FROM sqlite_sequence;", false),
        ("swap two rows", swap, false),
        ("append a row", copy_tail, false),
        ("edit and compute anew", "UPDATE events SET payload = '{}' WHERE id = 7;", true),
        ("move a separator", "UPDATE events SET type = 'test.event|x' WHERE id = 7;", true),
    ];
    for (what, sql, anew) in cases {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 20);
        tamper(dir.path(), sql);
        if anew {
            recompute(dir.path());
            let report = verify(dir.path(), None).unwrap();
            assert!(report.problems.iter().any(|damage| damage.what.contains("computed anew")), "{what}: {report:?}");
        }
        assert!(!is_whole(dir.path()), "{what} went unnoticed");
    }
}

#[test]
fn an_old_copy_of_the_database_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let old = fs::read(database_file(dir.path())).unwrap();
    filled(dir.path(), 5);
    fs::write(database_file(dir.path()), old).unwrap();
    assert!(!is_whole(dir.path()));
}

#[test]
fn an_old_copy_that_was_written_on_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let old = fs::read(database_file(dir.path())).unwrap();
    filled(dir.path(), 5);
    fs::write(database_file(dir.path()), old).unwrap();
    // The same rows get other times, and a checkpoint of their own of the same row.
    filled(dir.path(), 5);
    assert!(!is_whole(dir.path()));
}

#[test]
fn checkpoints_that_somebody_edited_are_noticed() {
    let edits: [fn(&str) -> String; 4] = [
        |notes| notes.replace("\n5\n", "\n4\n"),
        |notes| notes.replacen("os.moda/ledger/v1", "os.moda/ledger/v2", 1),
        |notes| notes.replacen("\n\u{2014} os.moda", "\n\u{2014} AAAA", 1),
        |notes| notes.replacen('\n', "\r", 1),
    ];
    for (n, edit) in edits.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 5);
        let file = dir.path().join("checkpoints");
        fs::write(&file, edit(&fs::read_to_string(&file).unwrap())).unwrap();
        assert!(!is_whole(dir.path()), "edit {n}");
    }
}

#[test]
fn a_lost_key_is_said_and_its_replacement_is_an_event() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    assert!(verify(dir.path(), None).unwrap().warnings.is_empty());
    fs::remove_file(dir.path().join("checkpoint.key")).unwrap();
    let report = verify(dir.path(), None).unwrap();
    assert!(report.is_whole() && report.warnings[0].contains("checkpoint.key"), "{report:?}");
    filled(dir.path(), 1);
    let query = Query { kind: Some("ledger.*".to_owned()), limit: 9, ..Query::default() };
    let rows = Reader::open(dir.path()).unwrap().rows(&query).unwrap();
    let public = fs::read_to_string(dir.path().join("checkpoint.pub")).unwrap();
    assert_eq!((rows.len(), rows[0].id, rows[0].payload["public"].as_str()), (1, 4, Some(public.trim())));
    assert!(!is_whole(dir.path()), "what the lost key signed cannot be checked any more");
}

#[test]
fn without_a_public_key_nothing_is_proved() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    fs::remove_file(dir.path().join("checkpoint.pub")).unwrap();
    assert!(!is_whole(dir.path()));
}

#[test]
fn another_key_is_noticed_by_who_kept_the_first_one() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let trusted = fs::read_to_string(dir.path().join("checkpoint.pub")).unwrap();
    assert!(verify(dir.path(), Some(&trusted)).unwrap().is_whole());
    for file in ["checkpoint.pub", "checkpoint.key", "checkpoints"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    tamper(dir.path(), "UPDATE events SET payload = '{}' WHERE id = 2;");
    recompute(dir.path());
    filled(dir.path(), 1);
    assert!(verify(dir.path(), None).unwrap().is_whole(), "with its own key a forgery looks whole");
    assert!(!verify(dir.path(), Some(&trusted)).unwrap().is_whole());
}

#[test]
fn rows_cannot_be_changed_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let db = Connection::open(database_file(dir.path())).unwrap();
    for sql in ["UPDATE events SET actor = 'x'", "DELETE FROM events"] {
        assert!(db.execute_batch(sql).unwrap_err().to_string().contains("append-only"));
    }
}

#[test]
fn words_that_would_blur_the_preimage_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    for (kind, actor) in [("a|b", "x"), ("a", "x|y"), ("a\n", "x"), ("", "x"), ("a", "")] {
        ledger.append_blocking(Event::new(kind, actor, json!(null))).unwrap_err();
    }
    assert_eq!(Reader::open(dir.path()).unwrap().head().unwrap(), None);
}

#[test]
fn several_writers_make_one_chain_and_readers_see_whole_rows() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let folder = dir.path();
            scope.spawn(move || {
                let ledger = Ledger::open(folder).unwrap();
                std::thread::scope(|inner| {
                    for part in 0..4 {
                        let ledger = &ledger;
                        inner.spawn(move || {
                            for n in 0..50 {
                                let event = Event::new("t", format!("{writer}.{part}"), json!(n));
                                ledger.append_blocking(event).unwrap();
                            }
                        });
                    }
                });
            });
        }
    });
    let report = verify(dir.path(), None).unwrap();
    assert_eq!((report.events, report.is_whole()), (800, true), "{report:?}");
    let reader = Reader::open(dir.path()).unwrap();
    let query = Query { actor: Some("1.2".to_owned()), limit: 100, ..Query::default() };
    let numbers: Vec<i64> = reader.rows(&query).unwrap().iter().map(|r| r.payload.as_i64().unwrap()).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "each writer's events keep their order");
}

/// Not a test of its own: the process that the next one kills.
#[test]
fn appender() {
    let Some(folder) = std::env::var_os("OSMODA_APPEND_TO") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ledger = Ledger::open(Path::new(&folder)).unwrap();
    for n in 0.. {
        let receipt = ledger.append_blocking(Event::new("t", "appender", json!(n))).unwrap();
        println!("durable {}", receipt.id);
        if n % 5 == 4 {
            runtime.block_on(ledger.checkpoint()).unwrap();
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_was_told_is_durable_and_raises_no_alarm() {
    use std::io::{BufRead, BufReader};
    let mut dir = tempfile::tempdir().unwrap();
    let mut signed = 0;
    let rounds = common::seeds(12);
    for round in rounds.clone() {
        let chance = &mut Chance(round);
        if round % 20 == 0 {
            dir = tempfile::tempdir().unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "appender", "--nocapture"])
            .env("OSMODA_APPEND_TO", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut durable = 0;
        let wanted = usize::try_from(chance.within(3, 80)).unwrap();
        for line in lines.by_ref().map(Result::unwrap).take(wanted) {
            durable = line.strip_prefix("durable ").and_then(|id| id.parse().ok()).unwrap_or(durable);
        }
        std::thread::sleep(Duration::from_micros(chance.within(0, 3000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_whole(), "round {round}: {report:?}");
        assert!(report.head.unwrap_or(0) >= durable, "round {round}: {durable} is gone: {report:?}");
        signed += report.checkpoints;
    }
    assert!(signed > 0, "no checkpoint was ever signed");
    let tries = rounds.end - rounds.start;
    common::tell("honest", "its writer was killed", tries, tries);
}
