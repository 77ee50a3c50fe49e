//! Classes of tampering at random places, over as many seeds as OSMODA_SEEDS says: each is found, and for what it is.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::{
    fs,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use common::{Chance, append, append_and_seal, copy, cosign, hex, live, python, recompute, report, tamper, trust};
use osmoda_ledger::{Ledger, LedgerError, Reader, Refusal, Report, Trust, Witness};
use rusqlite::Connection;

/// Seconds since 1970, now.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A ledger with a past, and what honest people have of it.
struct Past {
    dir: tempfile::TempDir,
    witness: Witness,
    trust: Trust,
    /// Rows when the first copy was made, rows that the witness has seen, rows in all.
    sizes: [u64; 3],
}

impl Past {
    /// With parts of that many rows.
    fn new(chance: &mut Chance, fill: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        let witness = Witness::open(&dir.path().join("witness")).unwrap();
        let grow = |chance: &mut Chance, low, high| {
            let events = chance.within(low, high);
            append_and_seal(&ledger, events, "past", fill);
            let head = Reader::open(&ledger).unwrap().head().unwrap();
            head.map_or(0, |(id, _)| id.unsigned_abs())
        };
        let mut first = grow(chance, 4, 20);
        if chance.coin() {
            first = grow(chance, 1, 300);
        }
        if chance.coin() {
            cosign(&ledger, &witness, now()).unwrap();
        }
        copy(&ledger, &dir.path().join("old"));
        let seen = grow(chance, 2, 300);
        cosign(&ledger, &witness, now()).unwrap();
        let all = grow(chance, 2, 20);
        let trust = trust(&ledger, &witness);
        Self { dir, witness, trust, sizes: [first, seen, all] }
    }

    /// A copy of the ledger, to be damaged.
    fn ledger(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        copy(&self.dir.path().join("ledger"), dir.path());
        dir
    }

    /// One of the first copy.
    fn old(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        copy(&self.dir.path().join("old"), dir.path());
        dir
    }
}

fn says(report: &Report, id: Option<u64>, words: &str) {
    let found = report.problems.iter().any(|d| d.id.map(i64::unsigned_abs) == id && d.what.contains(words));
    assert!(found, "nothing says {words:?} of {id:?}: {report:?}");
}

/// Damages a copy, has it verified, and asserts that what is said is what was done. Returns the damaged copy with what the
/// verifiers may go by, or none where it is no damage but a warning.
type Class = fn(&mut Chance, &Past) -> Option<(tempfile::TempDir, Trust)>;

const CLASSES: [(&str, Class); 11] = [
    ("edit", edit),
    ("delete", delete),
    ("insert", insert),
    ("reorder", reorder),
    ("truncate the tail", truncate),
    ("compute the whole chain anew", compute_anew),
    ("restore an old snapshot", restore),
    ("split view", split_view),
    ("clock step", clock_step),
    ("replay of a witness's signature", replay),
    ("key swap", key_swap),
];

/// Those that need a ledger of several parts.
const CLASSES_OF_SEGMENTS: [(&str, Class); 3] = [
    ("swap the file that is not sealed", swap_unsealed),
    ("seal anew with the current key", seal_anew),
    ("epoch gap", epoch_gap),
];

#[test]
fn every_class_of_tampering_is_found_for_what_it_is() {
    check(common::seeds(3), |_| 1_000_000, &CLASSES);
}

#[test]
fn every_class_of_tampering_with_segments_is_found_for_what_it_is() {
    check(common::seeds(3), |chance| chance.within(2, 4), &CLASSES_OF_SEGMENTS);
}

fn check(seeds: Range<u64>, fill: fn(&mut Chance) -> u64, classes: &[(&'static str, Class)]) {
    let tries = seeds.end - seeds.start;
    let mut missed: Vec<(u64, &str)> = Vec::new();
    for seed in seeds {
        let chance = &mut Chance(seed);
        let fill = fill(chance);
        let past = Past::new(chance, fill);
        // What panics has told why.
        let mut attempt = |name, work: &mut dyn FnMut()| {
            println!("seed {seed}: {name}");
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                missed.push((seed, name));
            }
        };
        attempt(UNTOUCHED, &mut || untouched(seed, &past));
        for (name, class) in classes {
            attempt(name, &mut || {
                // It takes its time, and what it looks at depends little on the seed.
                if let Some((damaged, trust)) = class(chance, &past)
                    && seed < 2
                    && let Some((whole, words)) = python(damaged.path(), &trust)
                {
                    assert!(!whole, "the independent verifier found nothing: {words}");
                }
            });
        }
    }
    let good = |name: &str| tries - missed.iter().filter(|(_, missed)| *missed == name).count() as u64;
    common::tell("honest", UNTOUCHED, tries, good(UNTOUCHED));
    for (name, _) in classes {
        common::tell("tampering", name, tries, good(name));
    }
    assert!(missed.is_empty(), "seeds and what was missed: {missed:?}");
}

const UNTOUCHED: &str = "nobody touched it";

fn untouched(seed: u64, past: &Past) {
    let ledger = past.ledger();
    let report = report(ledger.path(), &past.trust);
    assert!(report.is_whole() && report.warnings.is_empty(), "a false alarm: {report:?}");
    assert_eq!(report.cosigned_until, Some(past.sizes[1].cast_signed()));
    if seed < 2
        && let Some((whole, words)) = python(ledger.path(), &past.trust)
    {
        assert!(whole, "a false alarm: {words}");
    }
}

fn forget(folder: &Path, files: &[&str]) {
    for file in files {
        let _ = fs::remove_file(folder.join(file));
    }
}

fn edit(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let id = chance.within(1, past.sizes[2]);
    let change = match chance.within(0, 3) {
        0 => "ts = '2020-01-01T00:00:00.000Z'",
        1 => "type = type || 'x'",
        2 => "actor = 'uid:0x'",
        _ => "payload = payload || ' '",
    };
    tamper(&live(dir.path()), &format!("UPDATE events SET {change} WHERE id = {id}"));
    says(&report(dir.path(), &Trust::default()), Some(id), "its content does not have its hash");
    Some((dir, past.trust.clone()))
}

fn delete(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let first = chance.within(1, past.sizes[2] - 1);
    let last = chance.within(first, (first + 3).min(past.sizes[2] - 1));
    tamper(&live(dir.path()), &format!("DELETE FROM events WHERE id BETWEEN {first} AND {last}"));
    let words = format!("rows {first} to {last} are missing");
    says(&report(dir.path(), &Trust::default()), Some(last + 1), &words);
    Some((dir, past.trust.clone()))
}

fn insert(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let id = chance.within(2, past.sizes[2]);
    // The one that is put in follows from the one before, as it should; those behind it move.
    let move_rest = format!(
        "UPDATE events SET id = -id WHERE id >= {id}; UPDATE events SET id = 1 - id WHERE id < 0;
         INSERT INTO events SELECT {id}, ts, type, actor, payload, hash, '' FROM events WHERE id = {id} - 1;"
    );
    tamper(&live(dir.path()), &move_rest);
    let db = Connection::open(live(dir.path())).unwrap();
    let sql = "SELECT id || '|' || ts || '|' || type || '|' || actor || '|' || payload || '|' || prev_hash FROM events \
               WHERE id = ?1";
    let preimage: String = db.query_row(sql, [id.cast_signed()], |row| row.get(0)).unwrap();
    db.execute("UPDATE events SET hash = ?1 WHERE id = ?2", (hex(preimage), id.cast_signed())).unwrap();
    let report = report(dir.path(), &Trust::default());
    assert!(!report.problems.iter().any(|d| d.id == Some(id.cast_signed())), "it was put in well: {report:?}");
    says(&report, Some(id + 1), "its content does not have its hash");
    Some((dir, past.trust.clone()))
}

fn reorder(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let a = chance.within(1, past.sizes[2] - 1);
    let b = chance.within(a + 1, past.sizes[2]);
    let sql = format!(
        "UPDATE events SET id = -1 WHERE id = {a}; UPDATE events SET id = {a} WHERE id = {b};
         UPDATE events SET id = {b} WHERE id = -1;"
    );
    tamper(&live(dir.path()), &sql);
    let report = report(dir.path(), &Trust::default());
    says(&report, Some(a), "it does not follow from the row before");
    says(&report, Some(b), "its content does not have its hash");
    Some((dir, past.trust.clone()))
}

fn truncate(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let last = chance.within(0, past.sizes[2] - 1);
    let trace = if chance.coin() { format!("UPDATE sqlite_sequence SET seq = {last}") } else { String::new() };
    tamper(&live(dir.path()), &format!("DELETE FROM events WHERE id > {last}; {trace}"));
    let words = format!("rows after {last} are missing: there is a checkpoint of {} rows", past.sizes[2]);
    says(&report(dir.path(), &Trust::default()), None, &words);
    Some((dir, past.trust.clone()))
}

fn compute_anew(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let id = chance.within(1, past.sizes[1]);
    tamper(&live(dir.path()), &format!("UPDATE events SET payload = '{{}}' WHERE id = {id}"));
    recompute(&live(dir.path()), "0".repeat(64));
    says(&report(dir.path(), &Trust::default()), None, "it was computed anew");
    // With the ledger's own key at hand, new checkpoints are signed: nothing here is wrong then.
    forget(dir.path(), &["checkpoints", "cosigned", "tree"]);
    append(dir.path(), chance.within(1, 9), "anew");
    assert!(report(dir.path(), &Trust::default()).is_whole(), "a good forgery");
    let report = report(dir.path(), &past.trust);
    says(&report, None, "that the witness os.moda/witness/v1/");
    says(&report, None, "it was computed anew");
    Some((dir, past.trust.clone()))
}

fn restore(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.old();
    let [first, seen, _] = past.sizes;
    if chance.coin() {
        append(dir.path(), seen - first + chance.within(0, 5), "after it was restored");
        says(&report(dir.path(), &past.trust), None, &format!("rows {} to {seen} are not those that", first + 1));
    } else {
        let words = format!("rows after {first} are missing: the witness os.moda/witness/v1/");
        says(&report(dir.path(), &past.trust), None, &words);
    }
    assert!(report(dir.path(), &Trust::default()).is_whole(), "without a witness it is a whole ledger");
    Some((dir, past.trust.clone()))
}

fn split_view(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let (dir, other) = (past.ledger(), past.ledger());
    let events = chance.within(1, 20);
    append(dir.path(), events, "for one");
    append(other.path(), if chance.coin() { events } else { chance.within(1, 20) }, "for the other");
    // Whoever was shown the other view kept its checkpoint.
    let shown = fs::read_to_string(other.path().join("checkpoints")).unwrap();
    let shown = shown.trim_end().rsplitn(3, "\n\n").take(2).collect::<Vec<_>>();
    let trust = Trust { seen: vec![format!("{}\n\n{}\n", shown[1], shown[0])], ..past.trust.clone() };
    let mine = report(dir.path(), &trust);
    let words = ["two different trees", "were signed in a checkpoint that was kept elsewhere", "was kept elsewhere"];
    assert!(mine.problems.iter().any(|d| words.iter().any(|words| d.what.contains(words))), "{mine:?}");
    // And the witness cosigns one of them only.
    let witness = tempfile::tempdir().unwrap();
    copy(&past.dir.path().join("witness"), witness.path());
    let witness = Witness::open(witness.path()).unwrap();
    cosign(dir.path(), &witness, now()).unwrap();
    let refusal = cosign(other.path(), &witness, now()).unwrap_err();
    assert!(matches!(refusal, Refusal::Inconsistent { .. } | Refusal::State(LedgerError::Behind { .. })), "{refusal}");
    Some((dir, trust))
}

fn clock_step(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let db = Connection::open(live(dir.path())).unwrap();
    let (id, hash): (i64, String) = db
        .query_row("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1", [], |r| Ok((r.get(0)?, r.get(1)?)))
        .unwrap();
    // What osModa itself would have written with the clock set back, or forward.
    let back = chance.coin();
    let ts = if back { "2020-02-02T02:02:02.000Z" } else { "2099-02-02T02:02:02.000Z" };
    let digest = hex(format!("{}|{ts}|t|a|{{}}|{hash}", id + 1));
    let sql = "INSERT INTO events VALUES (?1, ?2, 't', 'a', '{}', ?3, ?4)";
    db.execute(sql, (id + 1, ts, hash, digest)).unwrap();
    drop(db);
    append(dir.path(), 1, "after it");
    let report = report(dir.path(), &past.trust);
    assert!(report.is_whole(), "a clock that was wrong is no damage: {report:?}");
    let row = if back { id + 1 } else { id + 2 };
    let found = report.warnings.iter().any(|w| w.contains("set back by") && w.contains(&format!("row {row}:")));
    assert!(found, "{report:?}");
    // A row of the future that a witness has seen was not written then.
    let witness = tempfile::tempdir().unwrap();
    copy(&past.dir.path().join("witness"), witness.path());
    cosign(dir.path(), &Witness::open(witness.path()).unwrap(), now()).unwrap();
    let warnings = common::report(dir.path(), &past.trust).warnings;
    assert_eq!(warnings.iter().any(|w| w.contains("one clock was wrong")), !back, "{warnings:?}");
    None
}

fn replay(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let cosigned = fs::read_to_string(dir.path().join("cosigned")).unwrap();
    let signature = cosigned.trim_end().lines().last().unwrap();
    // The witness's signature is put below a checkpoint that it has not seen.
    append(dir.path(), chance.within(1, 20), "unseen");
    let notes = fs::read_to_string(dir.path().join("checkpoints")).unwrap();
    let own = notes.trim_end().rsplitn(3, "\n\n").take(2).collect::<Vec<_>>();
    let forged = format!("{}\n\n{}\n{signature}\n\n", own[1], own[0]);
    fs::write(dir.path().join("cosigned"), cosigned + &forged).unwrap();
    says(&report(dir.path(), &past.trust), None, "does not verify");
    Some((dir, past.trust.clone()))
}

fn key_swap(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let id = chance.within(1, past.sizes[1]);
    tamper(&live(dir.path()), &format!("UPDATE events SET payload = '{{}}' WHERE id = {id}"));
    recompute(&live(dir.path()), "0".repeat(64));
    let keep_name = chance.coin();
    forget(dir.path(), &["checkpoint.key", "checkpoints", "cosigned", "tree"]);
    if !keep_name {
        forget(dir.path(), &["checkpoint.pub"]);
    }
    append(dir.path(), chance.within(1, 5), "with another key");
    assert!(report(dir.path(), &Trust::default()).is_whole(), "a good forgery");
    says(&report(dir.path(), &past.trust), None, "the public key beside the ledger is not the trusted one");
    // Who kept nothing of the ledger, but asks the witness, finds it, too.
    let only_witness = Trust { key: None, ..past.trust.clone() };
    let words = if keep_name { "it was replaced" } else { "is of another ledger" };
    says(&report(dir.path(), &only_witness), None, words);
    check_that_the_witness_is_not_fooled(dir.path(), past, keep_name);
    Some((dir, only_witness))
}

fn check_that_the_witness_is_not_fooled(folder: &Path, past: &Past, same_name: bool) {
    let added = past.witness.add_log(&osmoda_ledger::log_key(folder).unwrap().to_string());
    assert_eq!(matches!(added, Err(Refusal::OtherKey(_))), same_name, "{added:?}");
}

/// A segment by chance: its number, its file and its manifest.
fn a_segment(chance: &mut Chance, folder: &Path) -> (u32, PathBuf, PathBuf) {
    let files = fs::read_dir(folder.join("segments")).unwrap().map(|entry| entry.unwrap().path());
    let mut manifests: Vec<PathBuf> = files.filter(|file| file.extension().unwrap() == "note").collect();
    manifests.sort();
    let number = chance.within(1, manifests.len() as u64);
    let manifest = manifests.swap_remove(usize::try_from(number).unwrap() - 1);
    (u32::try_from(number).unwrap(), manifest.with_extension("db"), manifest)
}

fn swap_unsealed(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    // A file that the ledger itself has written: of an earlier time, or of another machine.
    let other = if chance.coin() { Past::new(chance, 2).ledger() } else { past.old() };
    let name = live(dir.path());
    fs::copy(live(other.path()), &name).unwrap();
    says(&report(dir.path(), &Trust::default()), None, "does not follow from the one before");
    Some((dir, past.trust.clone()))
}

fn seal_anew(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let (number, file, note) = a_segment(chance, dir.path());
    let text = fs::read_to_string(&note).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    let id = chance.within(manifest["first"].as_u64().unwrap(), manifest["last"].as_u64().unwrap() - 1);
    tamper(&file, &format!("UPDATE events SET actor = 'uid:0x' WHERE id = {id}"));
    let before: String = {
        let db = Connection::open(&file).unwrap();
        db.query_row("SELECT hash FROM start", [], |row| row.get(0)).unwrap()
    };
    // All that can be computed is computed anew, and signed with the ledger's own key.
    manifest["head"] = recompute(&file, before).into();
    manifest["sha256"] = hex(fs::read(&file).unwrap()).into();
    manifest["root"] = root_up_to(dir.path(), number).into();
    fs::remove_file(&note).unwrap();
    fs::write(&note, sign(dir.path(), &format!("os.moda/ledger-segment/v1\n{manifest}\n"))).unwrap();
    let report = report(dir.path(), &Trust::default());
    let words = format!("segment {number} is not the one that an event tells of: it was sealed anew");
    says(&report, None, &words);
    says(&report, None, "does not follow from the one before");
    let forged_badly = [
        format!("the file of segment {number} is not the one that was sealed"),
        format!("the manifest of segment {number} is not signed by the key"),
        format!("segment {number} has not the rows of its manifest"),
    ];
    assert!(
        !report.problems.iter().any(|d| forged_badly.contains(&d.what)),
        "the manifest was forged well: {report:?}"
    );
    Some((dir, past.trust.clone()))
}

/// The root over the rows of the first segments, by RFC 6962 as it is written.
fn root_up_to(folder: &Path, number: u32) -> String {
    fn naive(leaves: &[[u8; 32]]) -> [u8; 32] {
        if let [leaf] = leaves {
            return *leaf;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        Sha256::digest([&[1][..], &naive(left), &naive(right)].concat()).into()
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().unwrap() == "db");
    files.sort();
    let mut leaves: Vec<[u8; 32]> = Vec::new();
    for file in &files[..number as usize] {
        let db = Connection::open(file).unwrap();
        let mut hashes = db.prepare("SELECT hash FROM events ORDER BY id").unwrap();
        let hashes = hashes.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        for hash in hashes {
            leaves.push(Sha256::digest([vec![0], HEXLOWER.decode(hash.as_bytes()).unwrap()].concat()).into());
        }
    }
    HEXLOWER.encode(&naive(&leaves))
}

/// A note, signed with the ledger's key.
fn sign(folder: &Path, text: &str) -> String {
    let seed: [u8; 32] = fs::read(folder.join("checkpoint.key")).unwrap().try_into().unwrap();
    let public = fs::read_to_string(folder.join("checkpoint.pub")).unwrap();
    let mut parts = public.split('+');
    let (name, id) = (parts.next().unwrap(), HEXLOWER.decode(parts.next().unwrap().as_bytes()).unwrap());
    let signature = SigningKey::from_bytes(&seed).sign(text.as_bytes()).to_bytes();
    format!("{text}\n\u{2014} {name} {}\n", BASE64.encode(&[&id[..], &signature].concat()))
}

fn epoch_gap(chance: &mut Chance, past: &Past) -> Option<(tempfile::TempDir, Trust)> {
    let dir = past.ledger();
    let (number, file, note) = a_segment(chance, dir.path());
    fs::remove_file(&file).unwrap();
    fs::remove_file(&note).unwrap();
    let report = report(dir.path(), &Trust::default());
    says(&report, None, &format!("all of part {number} is missing"));
    says(&report, None, "does not follow from the one before");
    let refused = Ledger::open(dir.path());
    assert!(
        matches!(refused, Err(LedgerError::Gap { first, last }) if (first, last) == (number, number)),
        "{refused:?}"
    );
    Some((dir, past.trust.clone()))
}
