//! Whatever somebody did to the files of a ledger: checking it never panics, and never calls a changed one whole.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use arbitrary::{Arbitrary, Result, Unstructured};
use osmoda_ledger::{
    Event, Ledger, Trust, Witness, database_file, keep_cosignature, log_key, prove, to_cosign, trust_witness,
    verify_with,
};
use rusqlite::{Connection, OpenFlags, types::Value};
use tempfile::TempDir;

/// Files that nothing is done to: what one has to trust, and what is not looked at.
const LEFT_ALONE: [&str; 4] = ["checkpoint.key", "lock", "lock.seal", "ledger.db-shm"];
/// The write-ahead log.
const LOG: &str = "ledger.db-wal";
/// Events of the ledger that is damaged.
const EVENTS: usize = 12;
/// Rows of a part, where there are several.
const FILL: u64 = 4;
/// Names that a file may be copied to: some that the ledger would write, and some that it would not.
const NAMES: [&str; 10] = [
    "ledger.db",
    "ledger-000002.db",
    "ledger-000009.db",
    "ledger-9.db",
    "ledger-000004.db-wal",
    "segments/000002-6-10.db-journal",
    "segments/000001-1-9.note",
    "segments/000009-1-5.note",
    "segments/9.note",
    "segments/000009.cosigned",
];

/// The state that a ledger is in.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was closed.
    AtRest,
    /// Its last rows are in the write-ahead log.
    InUse,
    /// It has segments, and a witness has cosigned it.
    Sealed,
}

/// Something that is done to a file as a whole.
#[derive(Arbitrary, Clone, Debug)]
enum Move {
    /// It is taken away.
    Remove,
    /// Another one takes its place.
    Replace { by: u8 },
    /// It gets another name, too.
    Copy { to: u8 },
}

/// Something that is done to a file.
#[derive(Arbitrary, Clone, Debug)]
enum Deed {
    /// Bits of a byte are turned over.
    Flip { at: u32, bits: u8 },
    /// Bytes are written over what is there.
    Overwrite { at: u32, bytes: [u8; 4] },
    /// The end is cut off.
    Truncate { at: u32 },
    /// Bytes are put in between.
    Insert { at: u32, bytes: Vec<u8> },
    /// Bytes are taken out.
    Remove { at: u32, length: u8 },
    /// A piece is copied to another place.
    Copy { from: u32, to: u32, length: u16 },
}

/// A row as it is stored.
type Row = Vec<Value>;

/// A file by its name in the ledger's folder.
type Named = (String, Vec<u8>);

/// A ledger as it was written.
struct Original {
    files: Vec<Named>,
    /// Its databases, in order.
    databases: Vec<String>,
    rows: Vec<Row>,
    notes: Vec<String>,
    /// What honest people have kept of it.
    trust: Trust,
    /// Rows that a witness has cosigned, each time.
    cosigned: Vec<i64>,
}

/// All that has to hold for some deeds.
pub fn check(bytes: &[u8]) {
    // Bytes that end too soon are no input, and no surprise.
    let _ = damaged(&mut Unstructured::new(bytes));
}

fn damaged(u: &mut Unstructured<'_>) -> Result<()> {
    static ORIGINALS: [OnceLock<Original>; 3] = [const { OnceLock::new() }; 3];
    let state: State = u.arbitrary()?;
    let original = ORIGINALS[state as usize].get_or_init(|| original(state));
    let mut files = original.files.clone();
    let mut deeds = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        if files.is_empty() {
            break;
        }
        let file = u.choose_index(files.len())?;
        let name = files[file].0.clone();
        if state == State::Sealed && u.ratio(1, 4)? {
            let deed: Move = u.arbitrary()?;
            move_file(&deed, file, &mut files);
            deeds.push(format!("{name}: {deed:?}"));
        } else {
            let deed: Deed = u.arbitrary()?;
            carry_out(&deed, &mut files[file].1);
            deeds.push(format!("{name}: {deed:?}"));
        }
    }
    let folder = folder();
    fs::create_dir(folder.path().join("segments")).unwrap();
    for (name, bytes) in &files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let touched = files != original.files;
    let log = |files: &[Named]| files.iter().find(|(name, _)| name == LOG).cloned();
    let same_log = log(&files) == log(&original.files);
    for trust in [&original.trust, &Trust::default()] {
        let Ok(report) = verify_with(folder.path(), trust) else {
            assert!(touched, "a ledger that nobody touched cannot be read");
            continue;
        };
        assert!(report.is_whole() || touched, "a false alarm: {report:?}");
        if report.is_whole() {
            is_whole(folder.path(), original, same_log, &deeds);
            let until = report.cosigned_until;
            assert!(
                until.is_none_or(|until| original.cosigned.contains(&until)),
                "cosigned until {until:?}: {deeds:?}"
            );
        }
    }
    // It may be refused, and no more.
    let _ = prove(folder.path(), u.int_in_range(0..=20)?);
    Ok(())
}

/// What is called whole has each row and each checkpoint as it was written. What may be missing without anybody's
/// knowing is what a power cut takes, too: a checkpoint at the end, and rows of the log that none covers.
fn is_whole(folder: &Path, original: &Original, same_log: bool, deeds: &[String]) {
    let found = rows(folder, &original.databases).expect("what is called whole can be read");
    let covered: Vec<String> = read_files(folder).iter().filter(|(name, _)| has_notes(name)).flat_map(notes).collect();
    for note in &covered {
        assert!(original.notes.contains(note), "a checkpoint that nobody signed, by {deeds:?}: {note:?}");
    }
    let last = covered.iter().map(|note| note.lines().nth(1).unwrap().parse::<usize>().unwrap()).max().unwrap_or(0);
    let least = if same_log { original.rows.len() } else { last };
    assert!(found.len() >= least, "{} of {least} rows are there, by {deeds:?}", found.len());
    assert_eq!(found.as_slice(), &original.rows[..found.len().min(original.rows.len())], "by {deeds:?}");
}

fn move_file(deed: &Move, file: usize, files: &mut Vec<Named>) {
    match deed {
        Move::Remove => drop(files.remove(file)),
        Move::Replace { by } => files[file].1 = files[usize::from(*by) % files.len()].1.clone(),
        Move::Copy { to } => {
            let (name, bytes) = (NAMES[usize::from(*to) % NAMES.len()], files[file].1.clone());
            match files.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = bytes,
                None => files.push((name.to_owned(), bytes)),
            }
        }
    }
}

fn carry_out(deed: &Deed, bytes: &mut Vec<u8>) {
    // Most of a database is empty: every other place is one where something stands.
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let place = |at: u32| match at as usize / 2 {
        at_all if at.is_multiple_of(2) || written.is_empty() => at_all % (bytes.len() + 1),
        at_written => written[at_written % written.len()],
    };
    match deed {
        Deed::Flip { at, bits } => {
            let at = place(*at);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Deed::Overwrite { at, bytes: new } => {
            let at = place(*at);
            bytes.iter_mut().skip(at).zip(new).for_each(|(old, new)| *old = *new);
        }
        Deed::Truncate { at } => bytes.truncate(place(*at)),
        Deed::Insert { at, bytes: new } => {
            let at = place(*at);
            bytes.splice(at..at, new.iter().copied());
        }
        Deed::Remove { at, length } => {
            let at = place(*at);
            let end = (at + usize::from(*length)).min(bytes.len());
            bytes.drain(at..end);
        }
        Deed::Copy { from, to, length } => {
            let (from, to) = (place(*from), place(*to));
            let piece: Vec<u8> = bytes.iter().skip(from).take(usize::from(*length)).copied().collect();
            bytes.iter_mut().skip(to).zip(piece).for_each(|(old, new)| *old = new);
        }
    }
}

fn original(state: State) -> Original {
    let (folder, kept) = (self::folder(), self::folder());
    let (ledger, mut cosigned) = (folder.path(), Vec::new());
    let witness = Witness::open(kept.path()).unwrap();
    for half in 0..2 {
        let fill = if state == State::Sealed { FILL } else { 1_000_000 };
        let open = Ledger::open_with_fill(ledger, fill).unwrap();
        for n in 0..EVENTS / 2 {
            let payload = serde_json::json!({ "half": half, "n": n, "text": "ä|b" });
            open.append_blocking(Event::new("test.event", format!("uid:{n}"), payload)).unwrap();
        }
        if state == State::InUse && half == 1 {
            // While it is open, its last rows are in the log alone.
            return read_original(ledger, Trust::default(), cosigned);
        }
        drop(open);
        if state == State::Sealed {
            // Whoever opens it next does what is left to do.
            drop(Ledger::open(ledger).unwrap());
            cosigned.push(cosign(ledger, &witness, cosigned.last().copied().unwrap_or(0)));
        }
    }
    let seen = witness.logs().unwrap().into_iter().map(|log| log.checkpoint).collect();
    let witnesses = if cosigned.is_empty() { Vec::new() } else { vec![witness.public().to_string()] };
    read_original(ledger, Trust { witnesses, seen, ..Trust::default() }, cosigned)
}

/// What agentd does; returns how many rows are cosigned.
fn cosign(ledger: &Path, witness: &Witness, known: i64) -> i64 {
    trust_witness(ledger, &witness.public().to_string()).unwrap();
    witness.add_log(&log_key(ledger).unwrap().to_string()).unwrap();
    let request = to_cosign(ledger, &witness.public(), known.unsigned_abs()).unwrap().unwrap();
    let line = witness.add_checkpoint(request.old, &request.hashes, &request.checkpoint, 1_700_000_000).unwrap();
    keep_cosignature(ledger, &request.checkpoint, &line, &witness.public()).unwrap();
    request.size.cast_signed()
}

fn read_original(folder: &Path, trust: Trust, cosigned: Vec<i64>) -> Original {
    let files = read_files(folder);
    let mut databases: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    databases.retain(|name| name.starts_with("segments/") && name.ends_with(".db"));
    databases.push(database_file(folder).file_name().unwrap().to_string_lossy().into_owned());
    let rows = rows(folder, &databases).unwrap();
    assert_eq!(rows.iter().filter(|row| row[2] == Value::Text("test.event".to_owned())).count(), EVENTS);
    let notes: Vec<String> = files.iter().filter(|(name, _)| has_notes(name)).flat_map(notes).collect();
    assert!(!notes.is_empty());
    let trust = Trust { key: Some(log_key(folder).unwrap().to_string()), ..trust };
    Original { files, databases, rows, notes, trust, cosigned }
}

/// All files that something may be done to, in order of their names.
fn read_files(folder: &Path) -> Vec<Named> {
    let mut files = Vec::new();
    for (below, prefix) in [(folder.to_owned(), ""), (folder.join("segments"), "segments/")] {
        for entry in fs::read_dir(below).into_iter().flatten().map(|entry| entry.unwrap()) {
            let name = prefix.to_owned() + &entry.file_name().to_string_lossy();
            if entry.file_type().unwrap().is_file() && !LEFT_ALONE.contains(&name.as_str()) {
                files.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Rows as SQLite has them, read by other words than the verification's.
fn rows(folder: &Path, databases: &[String]) -> rusqlite::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for name in databases {
        let db = Connection::open_with_flags(folder.join(name), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = db.prepare("SELECT * FROM events ORDER BY id")?;
        let columns = statement.column_count();
        for row in statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())? {
            rows.push(row?);
        }
    }
    Ok(rows)
}

/// Has a file checkpoints?
fn has_notes(name: &str) -> bool {
    let name = name.strip_prefix("segments/").unwrap_or(name);
    [name, name.rsplit('.').next().unwrap_or_default()].iter().any(|name| ["checkpoints", "cosigned"].contains(name))
}

/// What is signed of each whole note.
fn notes((_, bytes): &Named) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<&str> = text.split("\n\n").collect();
    let whole = parts.len() - 1;
    parts[..whole].chunks_exact(2).map(|note| note[0].to_owned()).collect()
}

/// A folder of its own, in memory where there is such a thing.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}
