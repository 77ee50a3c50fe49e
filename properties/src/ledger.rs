//! Whatever somebody did to the files of a ledger: checking it never panics, and never calls a changed one whole.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use arbitrary::{Arbitrary, Result, Unstructured};
use osmoda_ledger::{Event, Ledger, database_file, verify};
use rusqlite::{Connection, OpenFlags, types::Value};
use tempfile::TempDir;

/// Files that something is done to. The key of the checkpoints is what one has to trust.
const DATABASE: &str = "ledger.db";
const LOG: &str = "ledger.db-wal";
const CHECKPOINTS: &str = "checkpoints";
const PUBLIC_KEY: &str = "checkpoint.pub";
/// Events of the ledger that is damaged.
const EVENTS: usize = 12;

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

/// A ledger as it was written.
struct Original {
    files: Vec<(&'static str, Vec<u8>)>,
    rows: Vec<Row>,
    notes: Vec<String>,
    key: String,
}

/// All that has to hold for some deeds.
pub fn check(bytes: &[u8]) {
    // Bytes that end too soon are no input, and no surprise.
    let _ = damaged(&mut Unstructured::new(bytes));
}

fn damaged(u: &mut Unstructured<'_>) -> Result<()> {
    static AT_REST: OnceLock<Original> = OnceLock::new();
    static IN_USE: OnceLock<Original> = OnceLock::new();
    // A ledger that was closed, or one whose last rows are in the write-ahead log.
    let in_use = u.arbitrary()?;
    let original = if in_use { IN_USE.get_or_init(|| original(true)) } else { AT_REST.get_or_init(|| original(false)) };
    let mut files = original.files.clone();
    let mut deeds = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let file = u.choose_index(files.len())?;
        let deed: Deed = u.arbitrary()?;
        carry_out(&deed, &mut files[file].1);
        deeds.push((files[file].0, deed));
    }
    let folder = folder();
    for (name, bytes) in &files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let changed: Vec<&str> = files.iter().zip(&original.files).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
    for key in [Some(original.key.as_str()), None] {
        let Ok(report) = verify(folder.path(), key) else {
            assert!(!changed.is_empty(), "a ledger that nobody touched cannot be read");
            continue;
        };
        assert!(report.is_whole() || !changed.is_empty(), "a false alarm: {report:?}");
        if report.is_whole() {
            is_whole(folder.path(), original, &changed, &deeds);
        }
    }
    Ok(())
}

/// What is called whole has each row and each checkpoint as it was written. What may be missing without anybody's
/// knowing is what a power cut takes, too: a checkpoint at the end, and rows of the log that none covers.
fn is_whole(folder: &Path, original: &Original, changed: &[&str], deeds: &[(&str, Deed)]) {
    let found = rows(folder).expect("what is called whole can be read");
    let covered = notes(&fs::read(folder.join(CHECKPOINTS)).unwrap());
    for note in &covered {
        assert!(original.notes.contains(note), "a checkpoint that nobody signed, by {deeds:?}: {note:?}");
    }
    let last = covered.iter().map(|note| note.lines().nth(1).unwrap().parse::<usize>().unwrap()).max().unwrap_or(0);
    let least = if changed.contains(&LOG) { last } else { original.rows.len() };
    assert!(found.len() >= least, "{} of {least} rows are there, by {deeds:?}", found.len());
    assert_eq!(found.as_slice(), &original.rows[..found.len().min(original.rows.len())], "by {deeds:?}");
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

fn original(in_use: bool) -> Original {
    let folder = folder();
    for half in 0..2 {
        let ledger = Ledger::open(folder.path()).unwrap();
        for n in 0..EVENTS / 2 {
            let payload = serde_json::json!({ "half": half, "n": n, "text": "ä|b" });
            ledger.append_blocking(Event::new("test.event", format!("uid:{n}"), payload)).unwrap();
        }
        if in_use && half == 1 {
            // While it is open, its last rows are in the log alone.
            return read_original(folder.path(), &[DATABASE, CHECKPOINTS, PUBLIC_KEY, LOG]);
        }
    }
    read_original(folder.path(), &[DATABASE, CHECKPOINTS, PUBLIC_KEY])
}

fn read_original(folder: &Path, names: &[&'static str]) -> Original {
    let files: Vec<_> = names.iter().map(|name| (*name, fs::read(folder.join(name)).unwrap())).collect();
    let rows = rows(folder).unwrap();
    assert_eq!(rows.len(), EVENTS);
    let notes = notes(&files[1].1);
    assert!(!notes.is_empty());
    Original { files, rows, notes, key: fs::read_to_string(folder.join(PUBLIC_KEY)).unwrap() }
}

/// Rows as SQLite has them, read by other words than the verification's.
fn rows(folder: &Path) -> rusqlite::Result<Vec<Row>> {
    let db = Connection::open_with_flags(database_file(folder), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = db.prepare("SELECT * FROM events ORDER BY id")?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    rows.collect()
}

/// What is signed of each whole note.
fn notes(bytes: &[u8]) -> Vec<String> {
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
