//! What the tests of tampering share.

#![allow(dead_code, reason = "each file of tests uses a part")]

use std::{
    fs,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use osmoda_ledger::{
    Event, Ledger, Refusal, Report, Trust, Witness, database_file, keep_cosignature, log_key, to_cosign, trust_witness,
    verify_with,
};
use rusqlite::Connection;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The seeds that a test with chance in it is run with: the environment variable OSMODA_SEEDS, as how many or as FROM..TO,
/// or `default` many.
pub fn seeds(default: u64) -> Range<u64> {
    let Ok(text) = std::env::var("OSMODA_SEEDS") else { return 0..default };
    let (from, to) = text.split_once("..").unwrap_or(("0", &text));
    from.parse().unwrap()..to.parse().unwrap()
}

/// Adds a line to the figures of a long run, in the file that the environment variable OSMODA_FIGURES names: what was
/// done how often to ledgers, and how often what had to come of it came. `kind` is `tampering` or `honest`.
pub fn tell(kind: &str, case: &str, tries: u64, good: u64) {
    let Some(file) = std::env::var_os("OSMODA_FIGURES") else { return };
    let line = format!("{}\n", json!({ "kind": kind, "case": case, "tries": tries, "good": good }));
    fs::OpenOptions::new().create(true).append(true).open(file).unwrap().write_all(line.as_bytes()).unwrap();
}

/// Numbers that are the same for the same seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of that range, both ends included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub fn coin(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

pub fn append(folder: &Path, events: u64, what: &str) {
    append_and_seal(folder, events, what, 1_000_000);
}

/// Appends in one transaction; a part with so many rows is sealed then.
pub fn append_and_seal(folder: &Path, events: u64, what: &str, fill: u64) {
    let ledger = Ledger::open_with_fill(folder, fill).unwrap();
    let event = |n| Event::new("test.event", format!("uid:{n}"), json!({ "n": n, "what": what, "text": "ä|b" }));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ledger.append_all((0..events).map(event).collect())).unwrap();
}

/// What agentd does after a checkpoint was signed.
pub fn cosign(folder: &Path, witness: &Witness, time: u64) -> Result<(), Refusal> {
    witness.add_log(&log_key(folder)?.to_string())?;
    trust_witness(folder, &witness.public().to_string())?;
    let key = log_key(folder)?.to_string();
    let known = witness.logs()?.into_iter().find(|log| log.key == key).map_or(0, |log| log.size);
    let Some(request) = to_cosign(folder, &witness.public(), known)? else { return Ok(()) };
    let line = witness.add_checkpoint(request.old, &request.hashes, &request.checkpoint, time)?;
    Ok(keep_cosignature(folder, &request.checkpoint, &line, &witness.public())?)
}

/// Copies all files of a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// As root with a database at hand: the triggers are no obstacle.
pub fn tamper(file: &Path, sql: &str) {
    let db = Connection::open(file).unwrap();
    db.execute_batch("DROP TRIGGER IF EXISTS events_never_change; DROP TRIGGER IF EXISTS events_never_go;").unwrap();
    db.execute_batch(sql).unwrap();
}

/// SHA-256 in hex.
pub fn hex(data: impl AsRef<[u8]>) -> String {
    Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

/// Computes all hashes of a database anew, as a forger would, from what comes before it; returns the last one.
pub fn recompute(file: &Path, mut previous: String) -> String {
    let mut db = Connection::open(file).unwrap();
    let transaction = db.transaction().unwrap();
    {
        let mut rows = transaction.prepare("SELECT id, ts, type, actor, payload FROM events ORDER BY id").unwrap();
        let rows: Vec<(i64, String, String, String, String)> = rows
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut update = transaction.prepare("UPDATE events SET prev_hash = ?1, hash = ?2 WHERE id = ?3").unwrap();
        for (id, ts, kind, actor, payload) in rows {
            let hash = hex(format!("{id}|{ts}|{kind}|{actor}|{payload}|{previous}"));
            update.execute((&previous, &hash, id)).unwrap();
            previous = hash;
        }
    }
    transaction.commit().unwrap();
    previous
}

/// What an honest person kept elsewhere.
pub fn trust(folder: &Path, witness: &Witness) -> Trust {
    Trust {
        key: Some(log_key(folder).unwrap().to_string()),
        witnesses: vec![witness.public().to_string()],
        seen: witness.logs().unwrap().into_iter().map(|log| log.checkpoint).filter(|note| !note.is_empty()).collect(),
    }
}

/// Our report.
pub fn report(folder: &Path, trust: &Trust) -> Report {
    verify_with(folder, trust).unwrap()
}

/// The independent verifier's verdict with the same trust; none when it cannot look at signatures.
pub fn python(folder: &Path, trust: &Trust) -> Option<(bool, String)> {
    let kept = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file: PathBuf = kept.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_ledger.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(folder);
    if let Some(key) = &trust.key {
        command.arg(file("key", key));
    }
    for (n, key) in trust.witnesses.iter().enumerate() {
        command.arg("--witness").arg(file(&format!("witness-{n}"), key));
    }
    for (n, note) in trust.seen.iter().enumerate() {
        command.arg("--seen").arg(file(&format!("seen-{n}"), note));
    }
    verdict(&mut command)
}

/// What the independent verifier says: did it agree, and in which words? None when it cannot look at signatures.
pub fn verdict(command: &mut Command) -> Option<(bool, String)> {
    let Ok(output) = command.output() else {
        println!("SKIPPED: the independent verifier needs python3");
        return None;
    };
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if words.contains("SIGNATURES NOT CHECKED") {
        println!("SKIPPED: the independent verifier needs `cryptography` to look at signatures");
        return None;
    }
    Some((output.status.success(), words))
}

/// The database that is written to.
pub fn live(folder: &Path) -> PathBuf {
    database_file(folder)
}
