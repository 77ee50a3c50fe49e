//! Parts of the ledger that are full are sealed and archived, while several processes write and are killed.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use common::{Chance, cosign, python, report, tamper, trust};
use osmoda_ledger::{
    Event, Follower, Ledger, LedgerError, Query, Reader, Trust, Witness, archive, database_file, prove, prove_since,
    verify,
};
use rusqlite::Connection;
use serde_json::json;

fn fill(folder: &Path, events: usize, rows_of_a_part: u64) {
    let ledger = Ledger::open_with_fill(folder, rows_of_a_part).unwrap();
    for n in 0..events {
        ledger.append_blocking(Event::new("t", "test", json!(n))).unwrap();
    }
}

/// Files of the segments, by the endings of their names.
fn sealed(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("segments")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|file| file.extension().is_some_and(|e| e == ending)).collect();
    files.sort();
    files
}

fn archived(folder: &Path, number: u32, to: &Path) -> Result<(), LedgerError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(archive(folder, number, to))
}

fn all_rows(folder: &Path, newest_first: bool) -> Vec<i64> {
    let query = Query { limit: usize::MAX, newest_first, ..Query::default() };
    Reader::open(folder).unwrap().rows(&query).unwrap().iter().map(|row| row.id).collect()
}

#[test]
fn a_full_part_becomes_a_segment_and_everything_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let follower = {
        fill(dir.path(), 1, 100);
        Follower::new(dir.path()).unwrap()
    };
    fill(dir.path(), 399, 100);
    let report = verify(dir.path(), None).unwrap();
    assert!(report.is_whole() && report.warnings.is_empty(), "{report:?}");
    let names: Vec<_> = sealed(dir.path(), "db").iter().map(|f| f.file_name().unwrap().to_owned()).collect();
    assert!(names.len() >= 3 && names[0] == "000001-1-101.db", "{names:?}");
    assert_eq!(sealed(dir.path(), "note").len(), names.len());
    assert!(!dir.path().join("ledger.db").exists() && database_file(dir.path()).exists());
    let meta = fs::metadata(&sealed(dir.path(), "db")[0]).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&meta) & 0o777, 0o440);
    // Checkpoints are put beside the segments that they are of, and none is lost.
    assert_eq!(sealed(dir.path(), "checkpoints").len(), names.len());
    let notes = fs::read_to_string(dir.path().join("checkpoints")).unwrap();
    assert!(report.checkpoints > notes.matches('\u{2014}').count(), "{report:?}");
    // One file, without a log: nothing of it changes by being looked at.
    assert_eq!(fs::read(&sealed(dir.path(), "db")[0]).unwrap()[18..20], [1, 1]);

    let head = report.head.unwrap();
    assert_eq!(all_rows(dir.path(), false), (1..=head).collect::<Vec<_>>());
    assert_eq!(all_rows(dir.path(), true), (1..=head).rev().collect::<Vec<_>>());
    // Between them are the ledger's own events, wherever it came to seal a part.
    let rows = |query: Query| Reader::open(dir.path()).unwrap().rows(&query).unwrap();
    let all = rows(Query { limit: usize::MAX, ..Query::default() });
    let wanted: Vec<i64> = all.iter().filter(|row| row.id > 150 && row.kind == "t").map(|row| row.id).collect();
    let some = rows(Query { after: Some(150), kind: Some("t".to_owned()), limit: 90, ..Query::default() });
    assert_eq!(some.iter().map(|row| row.id).collect::<Vec<_>>(), wanted[..90]);
    let asked = std::time::Instant::now();
    while *follower.head().borrow() != head {
        assert!(asked.elapsed() < Duration::from_secs(20), "who follows does not go on to the next file");
        std::thread::sleep(Duration::from_millis(10));
    }
    for id in [1, 100, 101, 102, 250, head.unsigned_abs()] {
        assert_eq!(prove(dir.path(), id).unwrap().row.id.unsigned_abs(), id);
    }
    if let Some((whole, words)) = python(dir.path(), &Trust::default()) {
        assert!(whole && words.contains(&format!("whole: {head} events")), "{words}");
    }
    let reserved = Ledger::open(dir.path()).unwrap().append_blocking(Event::new("ledger.sealed", "x", json!(1)));
    assert!(matches!(reserved, Err(LedgerError::Event(_))));
}

#[test]
fn several_writers_lose_nothing_over_many_seals() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let folder = dir.path();
            scope.spawn(move || {
                let ledger = Ledger::open_with_fill(folder, 40).unwrap();
                let mut last = 0;
                for n in 0..150 {
                    let receipt = ledger.append_blocking(Event::new("t", format!("{writer}"), json!(n))).unwrap();
                    assert!(receipt.id > last);
                    last = receipt.id;
                }
            });
        }
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            for _ in 0..20 {
                let report = verify(dir.path(), None).unwrap();
                assert!(report.is_whole(), "{report:?}");
            }
        });
    });
    // Whoever was last may have left something to do.
    drop(Ledger::open(dir.path()).unwrap());
    let report = verify(dir.path(), None).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert!(sealed(dir.path(), "db").len() >= 10);
    let reader = Reader::open(dir.path()).unwrap();
    for writer in 0..4 {
        let query = Query { actor: Some(format!("{writer}")), limit: usize::MAX, ..Query::default() };
        let numbers: Vec<i64> = reader.rows(&query).unwrap().iter().map(|r| r.payload.as_i64().unwrap()).collect();
        assert_eq!(numbers, (0..150).collect::<Vec<_>>(), "each writer's events are there once, in their order");
    }
}

/// Not a test of its own: the process that the next one kills.
#[test]
fn sealing_appender() {
    let Some(folder) = std::env::var_os("OSMODA_SEAL_IN") else { return };
    let ledger = Ledger::open_with_fill(Path::new(&folder), 7).unwrap();
    for n in 0.. {
        let receipt = ledger.append_blocking(Event::new("t", "appender", json!(n))).unwrap();
        println!("durable {}", receipt.id);
    }
}

#[test]
fn killed_at_any_instant_of_sealing_it_verifies_and_goes_on() {
    use std::io::{BufRead, BufReader};
    let mut dir = tempfile::tempdir().unwrap();
    let rounds = common::seeds(12);
    for round in rounds.clone() {
        let chance = &mut Chance(round);
        if round % 10 == 0 {
            dir = tempfile::tempdir().unwrap();
        }
        let start = || {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sealing_appender", "--nocapture"])
                .env("OSMODA_SEAL_IN", dir.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut children = if chance.coin() { vec![start()] } else { vec![start(), start()] };
        let mut durable = 0;
        for child in &mut children {
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let wanted = usize::try_from(chance.within(8, 30)).unwrap();
            for line in lines.map(Result::unwrap).take(wanted) {
                durable = line.strip_prefix("durable ").and_then(|id| id.parse().ok()).unwrap_or(durable);
            }
        }
        std::thread::sleep(Duration::from_micros(chance.within(0, 20_000)));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_whole(), "round {round}: {report:?}");
        let head = report.head.unwrap_or(0);
        assert!(head >= durable, "round {round}: {durable} is gone: {report:?}");
        assert_eq!(all_rows(dir.path(), false), (1..=head).collect::<Vec<_>>(), "round {round}");
    }
    fill(dir.path(), 9, 7);
    drop(Ledger::open(dir.path()).unwrap());
    let report = verify(dir.path(), None).unwrap();
    assert!(report.is_whole(), "{report:?}");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let databases = left.iter().filter(|name| name.to_str().unwrap().ends_with(".db")).count();
    assert_eq!(databases, 1, "all that is sealed was moved: {left:?}");
    assert_eq!(sealed(dir.path(), "db").len(), sealed(dir.path(), "note").len());
    let tries = rounds.end - rounds.start;
    common::tell("honest", "its writers were killed, with 7 rows to a part", tries, tries);
}

#[test]
fn archived_segments_are_no_damage_and_what_is_left_still_proves() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, away) = (dir.path().join("ledger"), dir.path().join("away"));
    let witness = Witness::open(&dir.path().join("witness")).unwrap();
    fill(&ledger, 90, 300);
    let kept = fs::read_to_string(ledger.join("checkpoints")).unwrap();
    fill(&ledger, 910, 300);
    cosign(&ledger, &witness, 1_700_000_000).unwrap();
    assert!(sealed(&ledger, "db").len() >= 3);
    for number in [1, 2] {
        archived(&ledger, number, &away).unwrap();
        let report = report(&ledger, &trust(&ledger, &witness));
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.archived, (1..=number).collect::<Vec<_>>());
    }
    assert!(matches!(archived(&ledger, 1, &away), Err(LedgerError::Segment(1))));
    assert!(archived(&ledger, 9, &away).is_err());
    if let Some((whole, words)) = python(&ledger, &trust(&ledger, &witness)) {
        assert!(whole, "{words}");
    }
    // A tree is signed and proved over rows that are elsewhere.
    fill(&ledger, 30, 300);
    assert!(verify(&ledger, None).unwrap().is_whole());
    cosign(&ledger, &witness, 1_700_000_000).unwrap();
    let head = Reader::open(&ledger).unwrap().head().unwrap().unwrap().0.unsigned_abs();
    for id in [603, 604, 700, 1000, head] {
        assert!(prove(&ledger, id).is_ok(), "row {id}: {:?}", prove(&ledger, id));
    }
    assert!(matches!(prove(&ledger, 5), Err(LedgerError::Segment(1))), "its rows are elsewhere");
    assert!(matches!(prove_since(&ledger, &kept), Err(LedgerError::Segment(1))));
    // Put back, all is as before.
    for file in fs::read_dir(&away).unwrap().map(|entry| entry.unwrap()) {
        if file.path().extension().unwrap() == "db" {
            fs::copy(file.path(), ledger.join("segments").join(file.file_name())).unwrap();
        }
    }
    assert!(prove(&ledger, 5).is_ok() && prove_since(&ledger, &kept).is_ok());
    let report = verify(&ledger, None).unwrap();
    assert!(report.is_whole() && report.archived.is_empty(), "{report:?}");
}

#[test]
fn archiving_waits_for_the_witness_and_goes_on_where_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, away) = (dir.path().join("ledger"), dir.path().join("away"));
    let witness = Witness::open(&dir.path().join("witness")).unwrap();
    fill(&ledger, 50, 100);
    cosign(&ledger, &witness, 1_700_000_000).unwrap();
    fill(&ledger, 100, 100);
    assert!(matches!(archived(&ledger, 1, &away), Err(LedgerError::Unwitnessed(1))));
    assert!(!away.exists());
    cosign(&ledger, &witness, 1_700_000_000).unwrap();
    // Killed before: a whole file, and half of another.
    fs::create_dir(&away).unwrap();
    let (note, file) = (sealed(&ledger, "note").remove(0), sealed(&ledger, "db").remove(0));
    let (name, other) = (away.join(note.file_name().unwrap()), away.join(file.file_name().unwrap()));
    fs::write(&other, "another").unwrap();
    assert!(archived(&ledger, 1, &away).unwrap_err().to_string().contains("there is another file of that name"));
    assert!(file.exists() && name.exists());
    fs::rename(&other, away.join("000001-1-101.db.new")).unwrap();
    archived(&ledger, 1, &away).unwrap();
    assert!(other.exists() && !file.exists() && !away.join("000001-1-101.db.new").exists());
    assert!(report(&ledger, &trust(&ledger, &witness)).is_whole());
}

#[test]
fn what_the_witness_has_seen_cannot_be_hidden_in_an_archived_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, forged, away) = (dir.path().join("ledger"), dir.path().join("forged"), dir.path().join("away"));
    let witness = Witness::open(&dir.path().join("witness")).unwrap();
    fill(&ledger, 30, 1000);
    cosign(&ledger, &witness, 1_700_000_000).unwrap();
    // All anew, with the ledger's own key, and the part that the witness has seen is said to be elsewhere.
    fs::create_dir(&forged).unwrap();
    for file in ["checkpoint.key", "checkpoint.pub"] {
        fs::copy(ledger.join(file), forged.join(file)).unwrap();
    }
    fill(&forged, 150, 100);
    archived(&forged, 1, &away).unwrap();
    let trust = trust(&ledger, &witness);
    let report = report(&forged, &trust);
    let words = "rows up to 30 could not be compared with those that the witness os.moda/witness/v1/";
    assert!(report.problems.iter().any(|damage| damage.what.starts_with(words)), "{report:?}");
    assert_eq!(report.cosigned_until, None);
    if let Some((whole, words)) = python(&forged, &trust) {
        assert!(!whole && words.contains("rows up to 30 could not be compared"), "{words}");
    }
    assert!(verify(&forged, None).unwrap().is_whole(), "nothing that is beside it tells");
}

#[test]
fn a_segment_that_is_gone_without_a_word_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 300, 100);
    let says = |words: &str| {
        let report = verify(dir.path(), None).unwrap();
        assert!(report.problems.iter().any(|damage| damage.what.contains(words)), "{words}: {report:?}");
    };
    let (file, note) = (sealed(dir.path(), "db").swap_remove(1), sealed(dir.path(), "note").swap_remove(1));
    let rows = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    says("segment 2 is missing, and no event says that it was archived");
    fs::write(&file, &rows).unwrap();
    assert!(verify(dir.path(), None).unwrap().is_whole());
    let manifest = fs::read_to_string(&note).unwrap();
    fs::remove_file(&note).unwrap();
    fs::write(&note, manifest.replace("\"last\":", "\"last\":9")).unwrap();
    says("the manifest of segment 2 is not signed by the key");
    fs::remove_file(&note).unwrap();
    says("all of part 2 is missing");
    fs::write(&note, manifest).unwrap();
    let other = fs::read(&sealed(dir.path(), "db")[0]).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, other).unwrap();
    says("the file of segment 2 is not the one that was sealed");
}

/// Both verifiers find that, or that nothing is wrong.
fn both_find(folder: &Path, words: Option<&str>) {
    let report = verify(folder, None).unwrap();
    let found = report.problems.iter().any(|damage| words.is_some_and(|words| damage.what.contains(words)));
    assert_eq!((report.is_whole(), found), (words.is_none(), words.is_some()), "{words:?}: {report:?}");
    if let Some((whole, told)) = python(folder, &Trust::default()) {
        assert_eq!(whole, words.is_none(), "{told}");
    }
}

#[test]
fn files_with_names_that_nobody_writes_are_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 25, 10);
    let live = database_file(dir.path());
    let (rows, note) = (fs::read(&live).unwrap(), sealed(dir.path(), "note").swap_remove(0));
    for name in
        ["ledger-9.db", "ledger-0000009.db", "ledger-000001.db", "ledger-+00009.db", "ledger-x.db", "ledger-.db"]
    {
        fs::write(dir.path().join(name), &rows).unwrap();
    }
    for name in ["9-1-11.note", "000009-01-11.note", "000000-1-11.note", "000009-1.note", "000009-1-11.note.old"] {
        fs::copy(&note, note.with_file_name(name)).unwrap();
    }
    assert_eq!(database_file(dir.path()), live);
    both_find(dir.path(), None);
    fill(dir.path(), 1, 1000);
    assert_eq!(database_file(dir.path()), live);
    both_find(dir.path(), None);
}

#[test]
fn a_gap_in_the_numbers_is_told_and_nothing_is_appended_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 25, 10);
    let live = database_file(dir.path());
    let away = |file: &Path| fs::rename(file, dir.path().join("away")).unwrap();
    let back = |file: &Path| fs::rename(dir.path().join("away"), file).unwrap();
    let refused = |gap: (u32, u32), words: &str| {
        both_find(dir.path(), Some(words));
        let files = || fs::read_dir(dir.path()).unwrap().count();
        let before = files();
        let error = Ledger::open(dir.path()).unwrap_err();
        assert!(matches!(error, LedgerError::Gap { first, last } if (first, last) == gap), "{error}");
        assert_eq!(files(), before, "nothing is made");
    };
    let next: u32 = live.file_stem().unwrap().to_str().unwrap()[7..].parse().unwrap();
    // The file that is written to is gone, and is not begun anew.
    away(&live);
    refused((next, next), &format!("all of part {next} is missing"));
    // It does not follow the last segment.
    let far = dir.path().join("ledger-000123.db");
    back(&far);
    refused((next, 122), &format!("all of parts {next} to 122 are missing"));
    fs::rename(&far, &live).unwrap();
    both_find(dir.path(), None);
    // However far away, it is told at once.
    let far = dir.path().join("ledger-4294967294.db");
    fs::copy(&live, &far).unwrap();
    refused((next + 1, 4_294_967_293), "to 4294967293 are missing");
    fs::remove_file(&far).unwrap();
    // A segment is not there, nor is what is known of it.
    let (file, note) = (sealed(dir.path(), "db").swap_remove(0), sealed(dir.path(), "note").swap_remove(0));
    fs::rename(&file, dir.path().join("away.db")).unwrap();
    away(&note);
    refused((1, 1), "all of part 1 is missing");
    back(&note);
    fs::rename(dir.path().join("away.db"), &file).unwrap();
    both_find(dir.path(), None);
    // Which of two manifests is the right one, nobody can tell.
    let other = note.with_file_name("000001-1-99.note");
    fs::copy(&note, &other).unwrap();
    both_find(dir.path(), Some("there are several manifests of segment 1"));
    fs::remove_file(other).unwrap();
    fill(dir.path(), 1, 10);
    both_find(dir.path(), None);
}

#[test]
fn a_part_that_is_full_takes_no_more_rows() {
    let dir = tempfile::tempdir().unwrap();
    let idle = Ledger::open_with_fill(dir.path(), 10).unwrap();
    idle.append_blocking(Event::new("t", "idle", json!(1))).unwrap();
    fill(dir.path(), 25, 10);
    // It has had the first file open all the time.
    let receipt = idle.append_blocking(Event::new("t", "idle", json!(2))).unwrap();
    assert_eq!(Some(receipt.id), Reader::open(dir.path()).unwrap().head().unwrap().map(|(id, _)| id));
    drop(idle);
    let db = Connection::open(&sealed(dir.path(), "db")[0]).unwrap();
    let last: String = db.query_row("SELECT type FROM events ORDER BY id DESC LIMIT 1", [], |row| row.get(0)).unwrap();
    assert_eq!(last, "ledger.sealed");
    drop(db);
    assert!(verify(dir.path(), None).unwrap().is_whole());
    tamper(&database_file(dir.path()), "UPDATE start SET id = 3");
    assert!(!verify(dir.path(), None).unwrap().is_whole());
}
