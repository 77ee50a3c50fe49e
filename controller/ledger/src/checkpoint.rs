//! Checkpoints (c2sp.org/tlog-checkpoint): how many rows there were, and the root of the tree over them.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use osmoda_failpoint as failpoint;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::{LedgerError, durable::place, merkle::Hash, note::Note, segments};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Which ledger, and which version of this format: the name of the key.
    pub(crate) origin: String,
    /// Rows that there were.
    pub(crate) size: u64,
    /// The root of the tree over them.
    pub(crate) root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }

    /// Reads the text of a note. Further lines are allowed, and mean nothing to us.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?;
        let exact = number.to_string() == size && !origin.is_empty() && lines.all(|line| !line.is_empty());
        exact.then(|| Self { origin: origin.to_owned(), size: number, root })
    }
}

/// More than a note is long, in bytes.
const LONGEST: usize = 16 * 1024;

/// A file of notes, each followed by an empty line; only ever appended to. When a segment is sealed, what it has by then is
/// put beside that, and it goes on with its last note.
#[derive(Debug)]
pub(crate) struct NoteFile {
    path: PathBuf,
    segments: PathBuf,
}

impl NoteFile {
    /// The checkpoints that the ledger of a folder has signed.
    pub(crate) fn checkpoints(folder: &Path) -> Self {
        Self { path: crate::checkpoints_file(folder), segments: segments::folder(folder) }
    }

    /// Those that a witness has cosigned, with all signatures.
    pub(crate) fn cosigned(folder: &Path) -> Self {
        Self { path: folder.join("cosigned"), segments: segments::folder(folder) }
    }

    /// What the names of the files beside segments end with.
    fn ending(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// Puts what there is beside the segment whose files' names begin with `stem`. The caller has the [`Lock`], and may do
    /// it again after a crash.
    pub(crate) fn rotate(&self, stem: &str) -> Result<(), LedgerError> {
        let Some(last) = self.last()? else { return Ok(()) };
        let to = self.segments.join(stem).with_extension(self.ending());
        let linked = || -> io::Result<bool> {
            match fs::hard_link(&self.path, &to) {
                // What is there is this file, or this one was begun anew already: all that it has stays then.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let (here, there) = (fs::metadata(&self.path)?, fs::metadata(&to)?);
                    if (here.dev(), here.ino()) != (there.dev(), there.ino()) {
                        return Ok(false);
                    }
                }
                linked => linked?,
            }
            // Otherwise a power cut might leave neither name.
            File::open(&self.segments)?.sync_all()?;
            Ok(true)
        };
        if linked().map_err(|e| LedgerError::file(&to, e))? {
            place(&self.path, format!("{last}\n").as_bytes(), 0o640)?;
        }
        Ok(())
    }

    fn failed(&self, error: impl ToString) -> LedgerError {
        LedgerError::file(&self.path, error)
    }

    /// Appends a note; durable when it returns. The caller has the [`Lock`].
    pub(crate) fn append(&self, note: &Note) -> Result<(), LedgerError> {
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&self.path)?;
            let (length, whole) = whole_notes(&file)?;
            // A power cut or a full disk leaves the beginning of a note at the end of the file; what is written behind it
            // could not be read. Longer remains are not ours, and stay for the verification to report.
            if whole < length && length - whole <= LONGEST as u64 {
                file.set_len(whole)?;
            }
            failpoint::may_fail("ledger.note", self.path.display())?;
            writeln!(file, "{note}")?;
            failpoint::after("ledger.note", self.path.display());
            file.sync_data()
        };
        write().map_err(|e| self.failed(e))
    }

    /// The last whole note.
    pub(crate) fn last(&self) -> Result<Option<Note>, LedgerError> {
        let Some(file) = open(&self.path)? else { return Ok(None) };
        last_of(&file).map_err(|e| self.failed(e))
    }

    /// All files that there are, in order, those beside segments first.
    fn files(&self) -> Result<Vec<(PathBuf, File)>, LedgerError> {
        // It is opened first: what is put beside a segment meanwhile is read twice, and not missed.
        let live = open(&self.path)?;
        let entries = fs::read_dir(&self.segments).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|file| file.extension() == Some(self.ending()));
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            // One that was archived meanwhile is not there.
            files.extend(open(&path)?.map(|file| (path, file)));
        }
        files.extend(live.map(|file| (self.path.clone(), file)));
        Ok(files)
    }

    /// Tells all notes, also those beside segments; of what cannot be read, the beginning. The last one of a file may be
    /// cut off, by a power loss, and is left out then.
    pub(crate) fn each(&self, mut each: impl FnMut(Result<Note, String>)) -> Result<(), LedgerError> {
        let mut before = None;
        for (path, file) in self.files()? {
            for note in Notes::new(file) {
                let note = note.map_err(|e| LedgerError::file(&path, e))?;
                // A file goes on with the last one of the file before.
                if before.as_ref() != Some(&note) {
                    each(note.clone());
                }
                before = Some(note);
            }
        }
        Ok(())
    }

    /// The first checkpoint of so many rows or more. Of files that end before, only the end is read.
    pub(crate) fn covering(&self, size: u64) -> Result<Option<(Note, Checkpoint)>, LedgerError> {
        let read = |note: Note| Checkpoint::parse(&note.text).map(|checkpoint| (note, checkpoint));
        for (path, file) in self.files()? {
            let failed = |e| LedgerError::file(&path, e);
            if last_of(&file).map_err(failed)?.and_then(read).is_some_and(|(_, last)| last.size < size) {
                continue;
            }
            for note in Notes::new(file) {
                let found = note.map_err(failed)?.ok().and_then(read);
                if let Some(found) = found.filter(|(_, checkpoint)| checkpoint.size >= size) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }
}

fn open(path: &Path) -> Result<Option<File>, LedgerError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::file(path, error)),
    }
}

/// The last whole note of a file.
fn last_of(file: &File) -> io::Result<Option<Note>> {
    let (_, whole) = whole_notes(file)?;
    let start = whole.saturating_sub(LONGEST as u64);
    let mut tail = vec![0; usize::try_from(whole - start).unwrap_or_default()];
    file.read_exact_at(&mut tail, start)?;
    // It may begin anywhere in a note, and what is left of that would pair texts with the wrong signatures.
    let cut = (0..tail.len()).find(|at| start > 0 && is_end(&tail, *at)).map_or(0, |at| at + 2);
    let text = String::from_utf8_lossy(&tail[cut..]);
    Ok(split(&text).filter_map(Note::parse).last())
}

/// Notes of a file, one after the other; of what cannot be read, the beginning.
struct Notes {
    file: BufReader<File>,
    ended: bool,
}

impl Notes {
    fn new(file: File) -> Self {
        Self { file: BufReader::new(file), ended: false }
    }

    /// The bytes of the next one; fewer than a note has at the end of the file, or where nothing ends one.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for _ in 0..2 {
            let begin = bytes.len();
            while !bytes[begin..].ends_with(b"\n\n") {
                let room = (LONGEST - bytes.len()) as u64;
                if self.file.by_ref().take(room).read_until(b'\n', &mut bytes)? == 0 {
                    self.ended = true;
                    return Ok(bytes);
                }
            }
        }
        Ok(bytes)
    }
}

impl Iterator for Notes {
    type Item = io::Result<Result<Note, String>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let bytes = match self.read() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.ended = true;
                return Some(Err(error));
            }
        };
        // A power cut leaves less than a note.
        if self.ended && bytes.len() < LONGEST {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let note = Some(&text).filter(|_| !self.ended).and_then(|text| Note::parse(text));
        Some(Ok(note.ok_or_else(|| text.chars().take(60).collect())))
    }
}

/// The length of a file, and of what of it are whole notes.
fn whole_notes(file: &File) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(2 * LONGEST as u64);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or_default()];
    file.read_exact_at(&mut tail, start)?;
    let whole = (0..tail.len()).rev().find(|at| is_end(&tail, *at)).map_or(0, |at| at + 2);
    Ok((length, start + whole as u64))
}

/// Does a note end here? Its last line is a signature, and an empty one follows.
fn is_end(bytes: &[u8], at: usize) -> bool {
    let line = || bytes[..at].rsplit(|b| *b == b'\n').next().unwrap_or_default();
    bytes[at..].starts_with(b"\n\n") && line().starts_with("\u{2014} ".as_bytes())
}

/// Notes: a text, an empty line, signatures, an empty line.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let middle = rest.find("\n\n")? + 2;
        let end = middle + rest[middle..].find("\n\n")? + 2;
        let (note, after) = rest.split_at(end);
        rest = after;
        Some(note)
    })
}

/// While it is held, no other process signs or stores cosignatures.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for it.
    pub(crate) fn take(folder: &Path) -> Result<Self, LedgerError> {
        let lock = Self::flock(&folder.join("lock"), FlockOperation::LockExclusive)?;
        lock.ok_or(LedgerError::Closed)
    }

    /// The one that a process holds while it seals, which may take seconds; none when another one does.
    pub(crate) fn sealing(folder: &Path) -> Result<Option<Self>, LedgerError> {
        Self::flock(&folder.join("lock.seal"), FlockOperation::NonBlockingLockExclusive)
    }

    fn flock(path: &Path, operation: FlockOperation) -> Result<Option<Self>, LedgerError> {
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        let file = open.map_err(|e| LedgerError::file(path, e))?;
        match flock(&file, operation) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(LedgerError::file(path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_is_found_wherever_the_tail_begins() {
        let folder = tempfile::tempdir().unwrap();
        let key = crate::key::Place::of_ledger(folder.path()).open(|_| Ok(())).unwrap();
        let notes = NoteFile::checkpoints(folder.path());
        for at in 0..500u32 {
            let size = 10u64.pow(at / 30) + u64::from(at);
            let checkpoint = Checkpoint { origin: key.name.clone(), size, root: [7; 32] };
            let mut note = Note::new(checkpoint.text());
            note.sign(&key.signing, &key.name);
            notes.append(&note).unwrap();
            let last = notes.last().unwrap().and_then(|note| Checkpoint::parse(&note.text));
            assert_eq!(last, Some(checkpoint), "after {at} notes");
        }
    }

    #[test]
    fn what_nobody_could_have_written_is_told_and_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let key = crate::key::Place::of_ledger(folder.path()).open(|_| Ok(())).unwrap();
        let notes = NoteFile::checkpoints(folder.path());
        let mut note = Note::new(Checkpoint { origin: key.name.clone(), size: 1, root: [7; 32] }.text());
        note.sign(&key.signing, &key.name);
        notes.append(&note).unwrap();
        let good = fs::read(&notes.path).unwrap();
        for (behind, told) in
            [("", 1), ("a torn note", 1), ("x\n\ny\n\n", 2), ("\n\n\n\n\n\n", 2), (&"long".repeat(LONGEST), 2)]
        {
            fs::write(&notes.path, [&good, behind.as_bytes()].concat()).unwrap();
            let mut found = Vec::new();
            notes.each(|note| found.push(note)).unwrap();
            assert_eq!((found.len(), &found[0]), (told, &Ok(note.clone())), "{found:?}");
            assert!(found[1..].iter().all(Result::is_err), "{found:?}");
        }
    }

    #[test]
    fn no_note_is_lost_when_a_rotation_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let key = crate::key::Place::of_ledger(folder.path()).open(|_| Ok(())).unwrap();
        let notes = NoteFile::checkpoints(folder.path());
        fs::create_dir(segments::folder(folder.path())).unwrap();
        for size in 1..=3 {
            let mut note = Note::new(Checkpoint { origin: key.name.clone(), size, root: [7; 32] }.text());
            note.sign(&key.signing, &key.name);
            notes.append(&note).unwrap();
            // Killed before the manifest was there, and done again when there is one more.
            if size > 1 {
                notes.rotate("000001-1-2").unwrap();
            }
        }
        let mut sizes = Vec::new();
        notes.each(|note| sizes.push(Checkpoint::parse(&note.unwrap().text).unwrap().size)).unwrap();
        assert_eq!(sizes, [1, 2, 3]);
    }

    #[test]
    fn texts_are_exactly_those_of_the_specification() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!((checkpoint.size, checkpoint.text().as_str()), (20_852_163, text));
        assert_eq!(Checkpoint::parse(&format!("{text}an extension\n")), Some(checkpoint));
        let bad = [
            text.replace("20852163", "020852163"),
            text.replace("20852163", "+20852163"),
            text.replace("example.com/behind-the-sofa", ""),
            text.replace("CsUY", ""),
            text.trim_end().to_owned(),
            format!("{text}\nmore\n"),
        ];
        assert!(bad.iter().all(|text| Checkpoint::parse(text).is_none()));
    }
}
