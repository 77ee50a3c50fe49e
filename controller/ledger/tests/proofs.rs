//! Proofs are verified by somebody else's code, with public keys alone; damaged ones prove nothing.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use osmoda_ledger::{
    Event, Ledger, LedgerError, PublicKey, Refusal, Witness, database_file, keep_cosignature, log_key, prove,
    prove_since, to_cosign, trust_witness, verify,
};
use rusqlite::Connection;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use serde_json::json;

const TIME: u64 = 1_700_000_000;

fn fill(folder: &Path, events: usize) {
    let ledger = Ledger::open(folder).unwrap();
    for n in 0..events {
        ledger.append_blocking(Event::new("test.event", "uid:0", json!({ "n": n, "text": "ä|b" }))).unwrap();
    }
}

/// The independent verifier with `arguments`: did it agree, and what did it say? None when it cannot look at signatures.
fn python(arguments: &[&Path]) -> Option<(bool, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_ledger.py");
    common::verdict(Command::new("python3").arg(script).args(arguments))
}

struct Case {
    dir: tempfile::TempDir,
    witness: Witness,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let witness = Witness::open(&dir.path().join("witness")).unwrap();
        Self { dir, witness }
    }

    fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// Does a proof hold, by the keys that were kept?
    fn holds(&self, proof: &str, seen: Option<&Path>) -> Option<(bool, String)> {
        let (proof, key) = (self.file("proof", proof), self.ledger().join("checkpoint.pub"));
        let mut arguments = vec![proof.as_path(), &key];
        if let Some(seen) = seen {
            arguments.extend([Path::new("--seen"), seen]);
        }
        python(&arguments)
    }

    /// Does it hold by the word of the witness, too?
    fn is_witnessed(&self, proof: &str) -> Option<(bool, String)> {
        let (proof, key) = (self.file("proof", proof), self.ledger().join("checkpoint.pub"));
        let witness = self.file("kept-witness.pub", &self.witness.public().to_string());
        python(&[proof.as_path(), &key, Path::new("--witness"), &witness])
    }
}

#[test]
fn rows_are_proved_far_from_the_ledger() {
    let case = Case::new();
    fill(&case.ledger(), 3);
    common::cosign(&case.ledger(), &case.witness, TIME).unwrap();
    fill(&case.ledger(), 597);
    fill(&case.ledger(), 1);
    for (id, size) in [(1, 3), (3, 3), (4, 600), (256, 600), (257, 600), (600, 600), (601, 601)] {
        let proof = prove(&case.ledger(), id).unwrap();
        assert_eq!((proof.row.id.unsigned_abs(), proof.size), (id, size));
        for text in [proof.proof.clone(), serde_json::to_string(&proof).unwrap()] {
            let Some((holds, words)) = case.holds(&text, None) else { return };
            assert!(holds && words.contains(&format!("row: {id}|")), "{words}");
            let (witnessed, words) = case.is_witnessed(&text).unwrap();
            assert_eq!(witnessed, size == 3, "{words}");
            let what = if size == 3 { "which os.moda/witness/v1/" } else { "none of the witnesses" };
            assert!(words.contains(what), "{words}");
        }
    }
    let proof = prove(&case.ledger(), 300).unwrap().proof;
    let other = prove(&case.ledger(), 301).unwrap().proof;
    let lines: Vec<&str> = proof.lines().collect();
    let replaced = |at: usize, with: &str| {
        let mut lines = lines.clone();
        lines[at] = with;
        lines.join("\n") + "\n"
    };
    let damaged = [
        ("another row", replaced(1, other.lines().nth(1).unwrap())),
        ("another index", replaced(2, "index 300")),
        ("another hash", replaced(3, lines[4])),
        ("a hash less", replaced(3, "").replacen("\n\n", "\n", 1)),
        ("another size", proof.replace("\n600\n", "\n601\n")),
        ("another log", proof.replacen("os.moda/ledger/v1/", "os.moda/ledger/v1/0", 2)),
        ("no signature", proof.replace('\u{2014}', "-")),
        ("nothing", String::new()),
    ];
    for (what, text) in damaged {
        assert_ne!(text, proof, "{what}");
        let (holds, words) = case.holds(&text, None).unwrap();
        assert!(!holds && words.starts_with("NOT PROVED"), "{what}: {words}");
    }
    assert!(matches!(prove(&case.ledger(), 0), Err(LedgerError::Missing(0))));
    assert!(matches!(prove(&case.ledger(), 602), Err(LedgerError::Unsigned(602))));
}

#[test]
fn growth_is_proved_from_any_checkpoint_that_was_kept() {
    let case = Case::new();
    let mut kept = Vec::new();
    for events in [1, 2, 5, 248, 44, 300, 1] {
        fill(&case.ledger(), events);
        let notes = fs::read_to_string(case.ledger().join("checkpoints")).unwrap();
        kept.push(
            notes
                .trim_end()
                .rsplit("\n\n")
                .take(2)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("\n\n")
                + "\n",
        );
    }
    for old in &kept {
        let proof = prove_since(&case.ledger(), old).unwrap();
        let seen = case.file("kept", old);
        let Some((holds, words)) = case.holds(&proof.proof, Some(&seen)) else { return };
        assert!(holds && words.contains("601 rows"), "{words}");
        let other = if old == &kept[3] { &kept[2] } else { &kept[3] };
        let (holds, _) = case.holds(&proof.proof, Some(&case.file("kept", other))).unwrap();
        assert!(!holds, "it is about another checkpoint");
        if let Some(hash) = proof.hashes.first() {
            let mut damaged = hash.clone().into_bytes();
            damaged[5] ^= 1;
            let text = proof.proof.replace(hash, &String::from_utf8(damaged).unwrap());
            let (holds, words) = case.holds(&text, Some(&case.file("kept", old))).unwrap();
            assert!(!holds, "{words}");
        }
    }
    assert!(matches!(prove_since(&case.ledger(), "no checkpoint"), Err(LedgerError::NoCheckpoint)));
    let of_another = kept[0].replace("os.moda/ledger/v1", "os.moda/ledger/v1/other");
    assert!(matches!(prove_since(&case.ledger(), &of_another), Err(LedgerError::NoCheckpoint)));
}

#[test]
fn what_was_changed_gets_no_proof() {
    let case = Case::new();
    fill(&case.ledger(), 600);
    let db = Connection::open(database_file(&case.ledger())).unwrap();
    db.execute_batch("DROP TRIGGER events_never_change; UPDATE events SET payload = '{}' WHERE id = 7;").unwrap();
    assert!(matches!(prove(&case.ledger(), 7), Err(LedgerError::Contradiction(600))));
    assert!(prove(&case.ledger(), 8).is_ok(), "the other rows are still those that were signed");
    db.execute_batch("UPDATE events SET hash = prev_hash WHERE id = 7;").unwrap();
    assert!(matches!(prove(&case.ledger(), 8), Err(LedgerError::Contradiction(600))));
}

#[test]
fn the_file_of_the_tree_counts_for_nothing_when_it_is_wrong() {
    let case = Case::new();
    fill(&case.ledger(), 600);
    let tree = case.ledger().join("tree");
    let right = fs::read(&tree).unwrap();
    assert_eq!(right.len(), 64);
    for wrong in [vec![], vec![0; 64], right[..40].to_vec(), [&right[..], &[1; 320]].concat()] {
        fs::write(&tree, &wrong).unwrap();
        assert!(prove(&case.ledger(), 300).is_ok());
        fill(&case.ledger(), 1);
        assert!(verify(&case.ledger(), None).unwrap().is_whole(), "a wrong tree was signed");
    }
    fs::remove_file(&tree).unwrap();
    fill(&case.ledger(), 300);
    assert!(verify(&case.ledger(), None).unwrap().is_whole());
    assert_eq!(fs::read(&tree).unwrap()[..64], right);
}

#[test]
fn a_witness_cosigns_what_grows_and_nothing_else() {
    let case = Case::new();
    let (ledger, witness) = (case.ledger(), &case.witness);
    fill(&ledger, 5);
    let first = to_cosign(&ledger, &witness.public(), 0).unwrap().unwrap();
    let submit = |old, hashes: &[String], checkpoint: &str| witness.add_checkpoint(old, hashes, checkpoint, TIME);
    assert!(matches!(submit(0, &[], &first.checkpoint), Err(Refusal::UnknownLog(_))));
    common::cosign(&ledger, witness, TIME).unwrap();
    assert!(submit(5, &[], &first.checkpoint).is_ok(), "the same again gets a new signature");
    assert!(matches!(submit(0, &[], &first.checkpoint), Err(Refusal::OtherSize { known: 5, .. })));
    assert!(matches!(submit(9, &[], &first.checkpoint), Err(Refusal::Malformed(_))));
    assert!(matches!(submit(5, &[], "nonsense"), Err(Refusal::Malformed(_))));
    let forged = first.checkpoint.replace("\n5\n", "\n6\n");
    assert!(matches!(submit(5, &[], &forged), Err(Refusal::Unsigned(_))));

    fill(&ledger, 7);
    let next = to_cosign(&ledger, &witness.public(), 5).unwrap().unwrap();
    assert!(matches!(submit(5, &[], &next.checkpoint), Err(Refusal::Inconsistent { known: 5, size: 12 })));
    let long = vec![next.hashes[0].clone(); 64];
    assert!(matches!(submit(5, &long, &next.checkpoint), Err(Refusal::Malformed(_))));
    common::cosign(&ledger, witness, TIME).unwrap();
    assert!(matches!(submit(12, &[], &first.checkpoint), Err(Refusal::Malformed(_))), "an older one is refused");
    assert!(to_cosign(&ledger, &witness.public(), 12).unwrap().is_none());
    let behind = to_cosign(&ledger, &witness.public(), 13);
    assert!(matches!(behind, Err(LedgerError::Behind { seen: 13, signed: 12 })), "{behind:?}");

    // It remembers when it comes back, and the first key of a log stays.
    let again = Witness::open(&case.dir.path().join("witness")).unwrap();
    assert_eq!(again.public(), witness.public());
    let logs = again.logs().unwrap();
    assert_eq!((logs.len(), logs[0].size, logs[0].key.as_str()), (1, 12, &*log_key(&ledger).unwrap().to_string()));
    let other = case.dir.path().join("other");
    fill(&other, 1);
    let key = log_key(&other).unwrap();
    assert!(matches!(again.add_log("nonsense"), Err(Refusal::Malformed(_))));
    assert!(again.add_log(&key.to_string()).is_ok());
    fs::copy(ledger.join("checkpoint.pub"), other.join("checkpoint.pub")).unwrap();
    fs::remove_file(other.join("checkpoint.key")).unwrap();
    fill(&other, 1);
    let replaced = log_key(&other).unwrap();
    assert_eq!(replaced.name(), log_key(&ledger).unwrap().name());
    assert!(matches!(again.add_log(&replaced.to_string()), Err(Refusal::OtherKey(_))));
    let report = verify(&ledger, None).unwrap();
    assert_eq!((report.is_whole(), report.cosigned_until), (true, Some(12)), "{report:?}");
}

#[test]
fn a_witness_that_has_forgotten_says_so() {
    let case = Case::new();
    fill(&case.ledger(), 5);
    common::cosign(&case.ledger(), &case.witness, TIME).unwrap();
    let logs = case.dir.path().join("witness/logs");
    let last = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path().join("last");
    fs::write(&last, "").unwrap();
    fill(&case.ledger(), 5);
    assert!(matches!(common::cosign(&case.ledger(), &case.witness, TIME), Err(Refusal::State(_))));
}

#[test]
fn one_witness_is_known_until_an_operator_says_otherwise() {
    let case = Case::new();
    fill(&case.ledger(), 1);
    let other = Witness::open(&case.dir.path().join("other")).unwrap();
    assert!(trust_witness(&case.ledger(), &case.witness.public().to_string()).unwrap());
    assert!(!trust_witness(&case.ledger(), &case.witness.public().to_string()).unwrap());
    assert!(trust_witness(&case.ledger(), &other.public().to_string()).is_err());
    assert!(trust_witness(&case.ledger(), &log_key(&case.ledger()).unwrap().to_string()).is_err());
    let request = to_cosign(&case.ledger(), &case.witness.public(), 0).unwrap().unwrap();
    other.add_log(&log_key(&case.ledger()).unwrap().to_string()).unwrap();
    let line = other.add_checkpoint(0, &[], &request.checkpoint, TIME).unwrap();
    let keep = |line: &str, key: &PublicKey| keep_cosignature(&case.ledger(), &request.checkpoint, line, key);
    assert!(keep(&line, &case.witness.public()).is_err());
    assert!(keep("nonsense", &other.public()).is_err());
    assert!(keep(&line, &other.public()).is_ok());
}

#[test]
fn a_proof_reads_no_notes_of_segments_that_end_before() {
    let case = Case::new();
    let ledger = Ledger::open_with_fill(&case.ledger(), 100).unwrap();
    for n in 0..250 {
        ledger.append_blocking(Event::new("t", "test", json!(n))).unwrap();
    }
    drop(ledger);
    let beside = case.ledger().join("segments/000001-1-101.checkpoints");
    let notes = fs::read_to_string(&beside).unwrap();
    let first = notes.split_inclusive("\n\n").take(2).collect::<String>();
    fs::write(&beside, first.repeat((16 << 20) / first.len()) + &notes).unwrap();
    let bytes = || {
        let text = fs::read_to_string("/proc/thread-self/io").unwrap();
        text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse::<u64>().ok()).unwrap()
    };
    let (before, head) = (bytes(), verify(&case.ledger(), None).unwrap().head.unwrap().unsigned_abs());
    let all = bytes() - before;
    assert!(all > 16 << 20, "verifying reads all of it: {all}");
    let before = bytes();
    let proof = prove(&case.ledger(), head).unwrap();
    let read = bytes() - before;
    assert!(proof.size >= head && read < 8 << 20, "{read} bytes were read");
    // Of the file that has it, no more than up to it.
    let before = bytes();
    prove(&case.ledger(), 1).unwrap();
    let read = bytes() - before;
    assert!(read < 8 << 20, "{read} bytes were read");
}

#[test]
fn a_witness_says_nothing_that_it_could_not_make_durable() {
    let case = Case::new();
    fill(&case.ledger(), 5);
    let key = log_key(&case.ledger()).unwrap().to_string();
    let logs = case.dir.path().join("witness/logs");
    // Root's right to read everything goes, for this thread: in a folder of mode 0300 names can be written, and not be
    // made durable, which takes reading.
    let mut rights = capabilities(None).unwrap();
    rights.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
    set_capabilities(None, rights).unwrap();
    let mode = |folder: &Path, mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    mode(&logs, 0o300);
    for _ in 0..2 {
        let added = case.witness.add_log(&key);
        assert!(matches!(added, Err(Refusal::State(_))), "{added:?}");
    }
    mode(&logs, 0o700);
    case.witness.add_log(&key).unwrap();
    let log = fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
    // One that was killed has made the log's folder, and no more.
    fs::remove_file(log.join("key")).unwrap();
    mode(&logs, 0o300);
    let added = case.witness.add_log(&key);
    assert!(matches!(added, Err(Refusal::State(_))), "{added:?}");
    mode(&logs, 0o700);
    case.witness.add_log(&key).unwrap();
    let first = to_cosign(&case.ledger(), &case.witness.public(), 0).unwrap().unwrap();
    mode(&log, 0o300);
    let added = case.witness.add_log(&key);
    assert!(matches!(added, Err(Refusal::State(_))), "known, and perhaps not for long: {added:?}");
    let cosigned = case.witness.add_checkpoint(0, &[], &first.checkpoint, TIME);
    assert!(matches!(cosigned, Err(Refusal::State(_))), "{cosigned:?}");
    // What the one before has left is made durable first.
    let state = case.dir.path().join("witness");
    assert!(Witness::open(&state).is_err());
    mode(&log, 0o700);
    assert_eq!(Witness::open(&state).unwrap().logs().unwrap()[0].size, 5, "it was written, and not answered");
    // Its folder itself.
    let above = case.dir.path().join("above");
    fs::create_dir(&above).unwrap();
    mode(&above, 0o300);
    for _ in 0..2 {
        assert!(Witness::open(&above.join("witness")).is_err());
        assert!(Ledger::open(&above.join("ledger")).is_err());
    }
    mode(&above, 0o700);
    Witness::open(&above.join("witness")).unwrap();
    Ledger::open(&above.join("ledger")).unwrap();
}
