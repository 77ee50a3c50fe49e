//! Sealing: what is left to do when a file has had its last row. All of it can be done again after a crash at any instant,
//! by whoever opens the ledger next.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use data_encoding::HEXLOWER;
use osmoda_failpoint as failpoint;
use rusqlite::Connection;
use rustix::fs::statvfs;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Event, Ledger, LedgerError, Query, Reader,
    checkpoint::{Checkpoint, Lock, NoteFile},
    database,
    durable::{make_folder, place, sync_folder},
    key::Key,
    merkle::Hash,
    note::Note,
    rows::Rows,
    segments::{self, Manifest},
    tree::{self, Tree},
    writer,
};

/// What a copy leaves of the disk, in bytes.
const RESERVE: u64 = 32 << 20;

/// What came of [`finish`].
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// There are new events about segments.
    pub(crate) announced: bool,
    /// Files that are segments now stay for those who still read them.
    pub(crate) busy: bool,
}

/// Moves all files that are sealed to the segments.
pub(crate) fn finish(folder: &Path, key: &Key) -> Result<Finished, LedgerError> {
    // The next file comes first: where it begins is read from the last one.
    drop(database::open(folder)?);
    // Whoever else is at it does it all; signing waits for none of it but the last step.
    let Some(_sealing) = Lock::sealing(folder)? else { return Ok(Finished::default()) };
    database::sweep(folder);
    let mut finished = Finished::default();
    for number in database::leftovers(folder) {
        if segments::manifest(folder, number).is_err() {
            let manifest = seal(folder, key, number)?;
            if !is_announced(folder, &manifest)? {
                let payload = json!({
                    "segment": number, "first": manifest.first, "last": manifest.last, "sha256": manifest.sha256,
                });
                writer::append_own(folder, Event::new("ledger.segment", "ledger", payload))?;
                finished.announced = true;
            }
            let mut note = Note::new(manifest.text());
            note.sign(&key.signing, &key.name);
            let stem = segments::stem(number, manifest.first, manifest.last);
            let _lock = Lock::take(folder)?;
            NoteFile::checkpoints(folder).rotate(&stem)?;
            NoteFile::cosigned(folder).rotate(&stem)?;
            place(&segments::folder(folder).join(stem + ".note"), note.to_string().as_bytes(), 0o440)?;
        }
        match database::fold(folder, number) {
            Ok(()) => database::remove(folder, number)?,
            Err(LedgerError::Busy(file)) => {
                tracing::debug!("others are still reading {file}, whose rows are in a segment");
                finished.busy = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(finished)
}

/// Makes the file of a segment, and what its manifest says.
fn seal(folder: &Path, key: &Key, number: u32) -> Result<Manifest, LedgerError> {
    let to = segments::folder(folder);
    make_folder(&to, 0o755)?;
    let db = database::open_read_only(&database::file(folder, number))?;
    let head = database::head(&db)?;
    if !head.sealed {
        return Err(LedgerError::Segment(number));
    }
    let start: i64 = db.query_row("SELECT id FROM start", [], |row| row.get(0))?;
    let (first, last) = (start.unsigned_abs() + 1, head.id.unsigned_abs());
    let (root, edge) = signed_tree(folder, key, last)?;
    let file = to.join(segments::stem(number, first, last) + ".db");
    if !file.exists() {
        let new = to.join(format!("{number:06}.new"));
        // What is half made would fill a disk that has no room for it.
        copy(&db, &new, &file).inspect_err(|_| drop(discard(&new)))?;
        sync_folder(&to)?;
        sync_folder(folder)?;
    }
    Ok(Manifest {
        origin: key.name.clone(),
        number,
        first,
        last,
        sha256: file_hash(&file)?,
        head: head.hash,
        root: HEXLOWER.encode(&root),
        edge: edge.iter().map(|hash| HEXLOWER.encode(hash)).collect(),
    })
}

/// The root and the edge of the tree over the first `last` rows, by which a checkpoint has the root that was signed. What
/// the file of the tree says is signed for no other reason; where it is wrong, it is made anew.
fn signed_tree(folder: &Path, key: &Key, last: u64) -> Result<(Hash, Vec<Hash>), LedgerError> {
    let checkpoint = NoteFile::checkpoints(folder).last()?.and_then(|note| Checkpoint::parse(&note.text));
    let covers = |checkpoint: &Checkpoint| checkpoint.origin == key.name && checkpoint.size >= last;
    let checkpoint = checkpoint.filter(covers).ok_or(LedgerError::Unsigned(last))?;
    let rows = Rows::new(folder);
    for by_the_file in [true, false] {
        let mut tree = if by_the_file { Tree::load(folder, &rows, last)? } else { Tree::default() };
        tree.extend(&rows, last)?;
        let found = (tree.root(), tree.edge().to_vec());
        tree.extend(&rows, checkpoint.size)?;
        if tree.root() == checkpoint.root {
            tree.save(folder)?;
            tree::sync(folder)?;
            return Ok(found);
        }
    }
    Err(LedgerError::Contradiction(checkpoint.size))
}

/// Copies a database to one file, without a log, by way of `new`; the old file goes on to be what those have open who
/// still do.
fn copy(db: &Connection, new: &Path, file: &Path) -> Result<(), LedgerError> {
    let failed = |e: io::Error| LedgerError::file(new, e);
    discard(new).map_err(failed)?;
    let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let page: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    look_for_room(new, pages.saturating_mul(page).unsigned_abs())?;
    db.execute("VACUUM INTO ?1", [new.display().to_string()])?;
    let copy = File::open(new).map_err(failed)?;
    copy.set_permissions(fs::Permissions::from_mode(0o440)).map_err(failed)?;
    copy.sync_all().map_err(failed)?;
    failpoint::may_fail("ledger.seal", file.display()).map_err(failed)?;
    fs::rename(new, file).map_err(failed)?;
    failpoint::after("ledger.seal", file.display());
    Ok(())
}

/// Removes what there is of a copy that is not finished.
fn discard(new: &Path) -> io::Result<()> {
    for file in [new.to_owned(), new.with_extension("new-journal")] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Fails when a file of so many bytes would take what events need that come meanwhile.
fn look_for_room(file: &Path, bytes: u64) -> Result<(), LedgerError> {
    let stat = statvfs(file.parent().unwrap_or(file)).map_err(|e| LedgerError::file(file, e))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= bytes.saturating_add(RESERVE) {
        return Ok(());
    }
    let words = format!("{bytes} bytes are needed for a copy and {RESERVE} more to go on with, and {free} are free");
    Err(LedgerError::file(file, words))
}

/// Was the segment's event written before a crash? It comes after its rows.
fn is_announced(folder: &Path, manifest: &Manifest) -> Result<bool, LedgerError> {
    let (kind, after) = (Some("ledger.segment".to_owned()), Some(manifest.last.cast_signed()));
    let query = Query { kind, after, limit: usize::MAX, ..Query::default() };
    Ok(Reader::open(folder)?.rows(&query)?.iter().any(|row| row.payload["segment"] == json!(manifest.number)))
}

/// SHA-256 of a file, in hex.
pub(crate) fn file_hash(file: &Path) -> Result<String, LedgerError> {
    let hash = || -> io::Result<String> {
        let (mut file, mut hasher, mut buffer) = (File::open(file)?, Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(HEXLOWER.encode(&hasher.finalize())),
                n => hasher.update(&buffer[..n]),
            }
        }
    };
    hash().map_err(|e| LedgerError::file(file, e))
}

/// Moves a segment's file to another folder, with a copy of its manifest: the rows are proved by what stays here, and
/// looked at where they are. An event says so.
///
/// # Errors
/// When there is no such segment here, a witness that is known has not cosigned all of it, it is not what its manifest says,
/// or it cannot be written.
pub async fn archive(folder: &Path, number: u32, to: &Path) -> Result<(), LedgerError> {
    let ledger = Ledger::open(folder)?;
    let manifest = segments::manifest(folder, number)?;
    let file = segments::file_of(folder, number).ok_or(LedgerError::Segment(number))?;
    // What it has seen last could not be compared with anything then.
    let cosigned = NoteFile::cosigned(folder).last()?.and_then(|note| Checkpoint::parse(&note.text));
    if folder.join("witness.pub").exists() && cosigned.is_none_or(|cosigned| cosigned.size < manifest.last) {
        return Err(LedgerError::Unwitnessed(number));
    }
    let stem = segments::stem(number, manifest.first, manifest.last);
    make_folder(to, 0o755)?;
    // The manifest stays here, too.
    for ending in ["note", "checkpoints", "cosigned", "db"] {
        copy_durably(&segments::folder(folder).join(&stem).with_extension(ending), to)?;
    }
    let copy = to.join(&stem).with_extension("db");
    if file_hash(&copy)? != manifest.sha256 {
        return Err(LedgerError::file(&copy, "it is not the file that was sealed"));
    }
    // All that are gone: an event about an earlier one may be in a segment that is gone itself.
    let missing = segments::parts(folder).into_iter().filter(|part| part.file.is_none()).map(|part| part.number);
    let archived: Vec<u32> = missing.chain([number]).collect();
    let payload = json!({ "segments": archived, "sha256": manifest.sha256, "to": to.display().to_string() });
    ledger.append(Event::new("ledger.archived", "ledger", payload)).await?;
    ledger.checkpoint().await?;
    for ending in ["checkpoints", "cosigned"] {
        let _ = fs::remove_file(file.with_extension(ending));
    }
    fs::remove_file(&file).map_err(|e| LedgerError::file(&file, e))
}

/// Copies a file, if there is one, to a folder that has no other one of its name; durable when it returns.
fn copy_durably(file: &Path, to: &Path) -> Result<(), LedgerError> {
    let Some(name) = file.file_name().filter(|_| file.exists()) else { return Ok(()) };
    let (target, mut new) = (to.join(name), to.join(name).into_os_string());
    new.push(".new");
    // An archiving that was killed may have got so far.
    if target.exists() && file_hash(&target)? != file_hash(file)? {
        return Err(LedgerError::file(&target, "there is another file of that name"));
    }
    let copy = || -> io::Result<()> {
        if !target.exists() {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut out = File::options().write(true).create_new(true).open(&new)?;
            io::copy(&mut File::open(file)?, &mut out)?;
            out.set_permissions(fs::Permissions::from_mode(0o440))?;
            out.sync_all()?;
            fs::rename(&new, &target)?;
        }
        File::open(to)?.sync_all()
    };
    copy().map_err(|e| LedgerError::file(&target, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::Place, verify};

    #[test]
    fn a_manifest_has_the_root_of_the_rows_whatever_the_file_of_the_tree_says() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = Lock::sealing(dir.path()).unwrap().unwrap();
        let ledger = Ledger::open_with_fill(dir.path(), 300).unwrap();
        for n in 0..310 {
            ledger.append_blocking(Event::new("t", "test", json!(n))).unwrap();
        }
        drop((ledger, elsewhere));
        assert!(segments::manifest(dir.path(), 1).is_err());
        let file = dir.path().join("tree");
        let tree = fs::read(&file).unwrap();
        fs::write(&file, vec![7; tree.len()]).unwrap();
        finish(dir.path(), &Place::of_ledger(dir.path()).open(|_| Ok(())).unwrap()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), tree);
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_whole() && segments::manifest(dir.path(), 1).is_ok(), "{report:?}");
    }

    #[test]
    fn nothing_is_left_of_a_copy_that_could_not_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let db = database::open(dir.path()).unwrap().db;
        let (new, file) = (dir.path().join("000001.new"), dir.path().join("full"));
        // A folder that is not empty is not replaced.
        fs::create_dir_all(file.join("x")).unwrap();
        fs::write(dir.path().join("000001.new-journal"), "of an earlier one").unwrap();
        assert!(copy(&db, &new, &file).is_err());
        drop(discard(&new));
        assert!(!new.exists() && !dir.path().join("000001.new-journal").exists());
        let error = look_for_room(&new, u64::MAX >> 1).unwrap_err();
        assert!(error.to_string().contains("bytes are needed for a copy"), "{error}");
        look_for_room(&new, 1).unwrap();
    }
}
