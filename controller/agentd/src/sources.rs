//! The folders that documents are read from: which files there are, who owns them, which of them changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use osmoda_schemas::{object::Author, problem::Problem};
use rustix::fs::{Mode, OFlags};

/// Folders nested deeper than this are not looked into.
const MAX_DEPTH: usize = 16;
/// A file is read up to one byte more than the reader accepts, so that the reader can say that it is too large.
const MAX_BYTES: u64 = 1024 * 1024 + 1;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    uid: u32,
}

impl Fingerprint {
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            uid: meta.uid(),
        }
    }
}

/// A file whose content may be new.
#[derive(Debug)]
pub enum FileChange {
    /// It is there.
    Read {
        /// Its owner.
        author: Author,
        /// Its content, cut off one byte past the size that documents may have.
        bytes: Vec<u8>,
    },
    /// It is there, but cannot be read.
    Unreadable {
        /// Its owner, as far as known.
        author: Author,
        /// Why.
        problem: Box<Problem>,
    },
    /// It is gone.
    Gone,
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files that changed since the last scan.
    pub changes: BTreeMap<PathBuf, FileChange>,
    /// Folders that could not be read in whole: nothing below them counts as gone.
    pub problems: Vec<Problem>,
}

/// Remembers what it saw, so that only what changed is read.
#[derive(Debug)]
pub struct Sources {
    roots: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, Fingerprint>,
    /// Roots that have existed: one that vanishes is a problem, not a wish.
    existed: BTreeSet<PathBuf>,
}

impl Sources {
    /// Sources below these folders. `existed` names those that have had documents before.
    #[must_use]
    pub fn new(roots: Vec<PathBuf>, existed: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { roots, seen: BTreeMap::new(), existed: existed.into_iter().collect() }
    }

    /// The folders.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Looks at everything.
    pub fn scan_all(&mut self) -> Scan {
        let mut scan = Scan::default();
        let mut present = BTreeSet::new();
        let mut blind: Vec<PathBuf> = Vec::new();
        for root in self.roots.clone() {
            match self.scan_folder(&root, 0, &mut scan, &mut present) {
                Ok(()) => {
                    self.existed.insert(root);
                }
                Err(error) => {
                    let never_was = error.kind() == io::ErrorKind::NotFound && !self.existed.contains(&root);
                    if !never_was {
                        scan.problems.push(folder_problem(&root, &error));
                        blind.push(root);
                    }
                }
            }
        }
        blind.extend(scan.problems.iter().filter_map(|p| p.source.as_ref().map(|s| s.file.clone())));
        let gone: Vec<PathBuf> = self
            .seen
            .keys()
            .filter(|path| !present.contains(*path) && !blind.iter().any(|folder| path.starts_with(folder)))
            .cloned()
            .collect();
        for path in gone {
            self.seen.remove(&path);
            scan.changes.insert(path, FileChange::Gone);
        }
        scan
    }

    /// Looks at these paths only, as file events name them. A path that is or was a folder is looked into.
    pub fn scan_paths(&mut self, paths: &BTreeSet<PathBuf>) -> Scan {
        let mut scan = Scan::default();
        for path in paths {
            if !self.roots.iter().any(|root| path.starts_with(root)) {
                continue;
            }
            let was_folder =
                self.seen.range(path.join("")..).next().is_some_and(|(p, _)| p.starts_with(path) && p != path);
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => return self.scan_all(),
                _ if was_folder || self.roots.contains(path) => return self.scan_all(),
                Ok(meta) => self.scan_file(path, &meta, &mut scan),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.seen.remove(path).is_some() {
                        scan.changes.insert(path.clone(), FileChange::Gone);
                    }
                }
                Err(error) => scan.problems.push(folder_problem(path, &error)),
            }
        }
        scan
    }

    fn scan_folder(
        &mut self,
        folder: &Path,
        depth: usize,
        scan: &mut Scan,
        present: &mut BTreeSet<PathBuf>,
    ) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if is_hidden(&path) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth >= MAX_DEPTH {
                    let error = io::Error::other(format!("folders are nested more than {MAX_DEPTH} deep"));
                    scan.problems.push(folder_problem(&path, &error));
                } else if let Err(error) = self.scan_folder(&path, depth + 1, scan, present) {
                    scan.problems.push(folder_problem(&path, &error));
                }
            } else if is_document(&path) {
                match path.symlink_metadata() {
                    Ok(meta) => {
                        self.scan_file(&path, &meta, scan);
                        present.insert(path);
                    }
                    // It went away between the listing and the look.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        scan.problems.push(folder_problem(&path, &error));
                    }
                }
            }
        }
        Ok(())
    }

    fn scan_file(&mut self, path: &Path, meta: &Metadata, scan: &mut Scan) {
        if !is_document(path) || is_hidden(path) {
            return;
        }
        let fingerprint = Fingerprint::of(meta);
        if self.seen.get(path) == Some(&fingerprint) {
            return;
        }
        self.seen.insert(path.to_owned(), fingerprint);
        let author = Author { uid: meta.uid() };
        let change = match read(path) {
            Ok((author, bytes)) => FileChange::Read { author, bytes },
            Err(error) => {
                let problem =
                    Problem::new(422, "unreadable-file", format!("{} cannot be read: {error}", path.display()))
                        .hint("what the file defined before stays in force until it can be read");
                FileChange::Unreadable { author, problem: Box::new(problem) }
            }
        };
        scan.changes.insert(path.to_owned(), change);
    }
}

/// Reads the file that is at `path` now. Links are not followed and devices and pipes not waited for: a document is a
/// regular file, and its author is the owner of that very file.
fn read(path: &Path) -> io::Result<(Author, Vec<u8>)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::LOOP => io::Error::other("it is a symbolic link; documents are regular files"),
        other => other.into(),
    })?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(MAX_BYTES)).unwrap_or(0));
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok((Author { uid: meta.uid() }, bytes))
}

fn is_document(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "yaml" | "yml" | "json"))
}

/// Editors keep half-written files under hidden names.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn folder_problem(path: &Path, error: &io::Error) -> Problem {
    Problem::new(503, "source-unreadable", format!("{} cannot be read: {error}", path.display()))
        .hint("everything that it defined stays as it is; bring it back, or delete its objects with `osmoda delete`")
        .at(osmoda_schemas::object::SourcePosition { file: path.to_owned(), line: 1, column: 1 })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(scan: &Scan) -> Vec<String> {
        scan.changes.keys().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn only_documents_that_changed_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("desired");
        fs::create_dir_all(folder.join("team")).unwrap();
        fs::write(folder.join("a.yaml"), "a").unwrap();
        fs::write(folder.join("team/b.json"), "b").unwrap();
        fs::write(folder.join(".c.yaml"), "hidden").unwrap();
        fs::write(folder.join("notes.txt"), "other").unwrap();
        let mut sources = Sources::new(vec![folder.clone()], []);
        assert_eq!(names(&sources.scan_all()), ["a.yaml", "b.json"]);
        assert!(sources.scan_all().changes.is_empty());
        fs::write(folder.join("a.yaml"), "aa").unwrap();
        fs::remove_file(folder.join("team/b.json")).unwrap();
        let scan = sources.scan_all();
        assert!(matches!(&scan.changes[&folder.join("a.yaml")], FileChange::Read { bytes, .. } if bytes == b"aa"));
        assert!(matches!(scan.changes[&folder.join("team/b.json")], FileChange::Gone));
    }

    #[test]
    fn a_folder_that_vanishes_is_a_problem_and_none_of_its_files_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("desired");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.yaml"), "a").unwrap();
        let mut sources = Sources::new(vec![folder.clone()], []);
        sources.scan_all();
        fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        let scan = sources.scan_all();
        assert!(scan.changes.is_empty());
        assert_eq!(scan.problems[0].code, "source-unreadable");
    }

    #[test]
    fn a_folder_that_never_was_is_no_problem_unless_it_had_documents() {
        let missing = PathBuf::from("/nonexistent/desired");
        assert!(Sources::new(vec![missing.clone()], []).scan_all().problems.is_empty());
        assert_eq!(Sources::new(vec![missing.clone()], [missing]).scan_all().problems.len(), 1);
    }

    #[test]
    fn links_and_pipes_are_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/shadow", dir.path().join("link.yaml")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe.yaml"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        let scan = Sources::new(vec![dir.path().to_owned()], []).scan_all();
        for change in scan.changes.values() {
            assert!(matches!(change, FileChange::Unreadable { .. }), "{change:?}");
        }
        assert_eq!(scan.changes.len(), 2);
    }

    #[test]
    fn file_events_look_only_at_what_they_name() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        let mut sources = Sources::new(vec![dir.path().to_owned()], []);
        sources.scan_all();
        fs::write(&a, "aa").unwrap();
        fs::remove_file(&b).unwrap();
        assert_eq!(names(&sources.scan_paths(&BTreeSet::from([a]))), ["a.yaml"]);
        assert!(matches!(sources.scan_paths(&BTreeSet::from([b.clone()])).changes[&b], FileChange::Gone));
    }
}
