//! The folders that documents are read from: which files there are, who owns them, which of them changed.

mod folder;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use osmoda_schemas::{
    document::{is_document, is_hidden},
    object::Author,
    problem::Problem,
};
use rustix::fs::FileType;

pub use self::folder::Folder;
use self::folder::{start_of, unreadable};

/// What the paths of files whose names are not UTF-8 end in, as far as anybody else knows them. No document's does.
const MISNAMED: &str = " (not UTF-8)";
/// Folders nested deeper than this are not looked into.
pub const MAX_DEPTH: usize = 16;

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

/// A file that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there, and this is its owner.
    There(Author),
    /// So it is, but its name is not UTF-8.
    Misnamed(Author),
    /// It is gone.
    Gone,
}

/// What a file says.
#[derive(Debug)]
pub enum Content {
    /// It can be read.
    Read {
        /// Its owner.
        author: Author,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// It cannot be read.
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
    /// Files that changed since the last scan; their paths are UTF-8.
    pub changes: BTreeMap<PathBuf, Found>,
    /// Folders that could not be read in whole: nothing below them counts as gone.
    pub problems: Vec<Problem>,
    /// The folders that the problems are about.
    blind: Vec<PathBuf>,
    /// The roots that are there.
    roots: Vec<Folder>,
}

impl Scan {
    /// Reads what a changed file says. That is done file by file, when it is judged: all of them at once may be more than
    /// there is memory for. None when it went away since it was found: the next scan finds that.
    #[must_use]
    pub fn read(&self, path: &Path, found: Found) -> Option<Content> {
        let author = match found {
            Found::There(author) => author,
            Found::Misnamed(author) => {
                let path = Path::new(path.to_str().and_then(|p| p.strip_suffix(MISNAMED))?);
                let problem = unreadable(path, "its name is not UTF-8").hint("give it another name");
                return Some(Content::Unreadable { author, problem: Box::new(problem) });
            }
            Found::Gone => return Some(Content::Gone),
        };
        let (root, below) = self.place(path)?;
        match root.read(below) {
            Ok(None) => None,
            Ok(Some((author, bytes))) => Some(Content::Read { author, bytes }),
            Err(problem) => Some(Content::Unreadable { author, problem }),
        }
    }

    /// The root that a path is in, and its path from there.
    fn place<'a>(&self, path: &'a Path) -> Option<(&Folder, &'a Path)> {
        let root = self.roots.iter().filter(|root| path.starts_with(root.path())).max_by_key(|root| root.path())?;
        Some((root, path.strip_prefix(root.path()).ok()?))
    }

    fn cannot_read(&mut self, path: &Path, error: &io::Error) {
        let problem = Problem::new(503, "source-unreadable", format!("{} cannot be read: {error}", path.display()))
            .hint(
                "everything that it defined stays as it is; bring it back, or delete its objects with `osmoda delete`",
            )
            .at(start_of(path));
        self.problems.push(problem);
        self.blind.push(path.to_owned());
    }
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

    /// What a file says is looked at again, although it has not changed.
    pub fn forget(&mut self, path: &Path) {
        // It stays known: otherwise nobody would notice that it is gone.
        if let Some(fingerprint) = self.seen.get_mut(path) {
            fingerprint.inode = (0, 0);
        }
    }

    /// Looks at everything.
    pub fn scan_all(&mut self) -> Scan {
        self.scan_roots(Scan::default())
    }

    /// Looks at everything, and adds what changed to what was found before.
    fn scan_roots(&mut self, before: Scan) -> Scan {
        let mut scan = Scan { changes: before.changes, ..Scan::default() };
        let mut present = BTreeSet::new();
        for path in self.roots.clone() {
            let root = match Folder::open(&path) {
                Ok(root) => root,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.existed.contains(&path) => continue,
                Err(error) => {
                    scan.cannot_read(&path, &error);
                    continue;
                }
            };
            if let Err(error) = self.scan_folder(&root, 0, &mut scan, &mut present) {
                scan.cannot_read(&path, &error);
            }
            scan.roots.push(root);
            self.existed.insert(path);
        }
        let gone =
            |path: &&PathBuf| !present.contains(*path) && !scan.blind.iter().any(|folder| path.starts_with(folder));
        for path in self.seen.keys().filter(gone).cloned().collect::<Vec<_>>() {
            self.seen.remove(&path);
            scan.changes.insert(key(&path), Found::Gone);
        }
        scan
    }

    /// Looks at these paths only, as file events name them. A path that is or was a folder is looked into.
    pub fn scan_paths(&mut self, paths: &BTreeSet<PathBuf>) -> Scan {
        let mut scan =
            Scan { roots: self.roots.iter().filter_map(|r| Folder::open(r).ok()).collect(), ..Scan::default() };
        for path in paths {
            if self.roots.iter().any(|root| path.starts_with(root)) && !self.scan_path(path, &mut scan) {
                // What was found already is not found again.
                return self.scan_roots(scan);
            }
        }
        scan
    }

    /// Looks at one path below a root; false when everything has to be looked at.
    fn scan_path(&mut self, path: &Path, scan: &mut Scan) -> bool {
        // Without its root a file is not known to be gone.
        let Some((root, below)) = scan.place(path) else { return false };
        let was_folder = self.seen.range(path.join("")..).next().is_some_and(|(p, _)| p.starts_with(path) && p != path);
        if was_folder || self.roots.iter().any(|root| root == path) {
            return false;
        }
        if below.components().any(|name| is_hidden(name.as_os_str())) {
            return true;
        }
        match root.look(below) {
            Ok(Some(meta)) if meta.is_dir() => return false,
            Ok(Some(meta)) if is_document(path) => self.note(path, &meta, scan),
            Ok(Some(_)) => {}
            Ok(None) => {
                if self.seen.remove(path).is_some() {
                    scan.changes.insert(key(path), Found::Gone);
                }
            }
            Err(error) => scan.cannot_read(path, &error),
        }
        true
    }

    fn scan_folder(
        &mut self,
        folder: &Folder,
        depth: usize,
        scan: &mut Scan,
        present: &mut BTreeSet<PathBuf>,
    ) -> io::Result<()> {
        for (name, kind) in folder.entries()? {
            if is_hidden(&name) {
                continue;
            }
            let path = folder.path().join(&name);
            let name = Path::new(&name);
            let is_folder = match kind {
                FileType::Directory => true,
                FileType::Unknown => folder.look(name)?.is_some_and(|meta| meta.is_dir()),
                _ => false,
            };
            if is_folder {
                let scanned = if depth < MAX_DEPTH {
                    folder.folder(name).and_then(|inner| self.scan_folder(&inner, depth + 1, scan, present))
                } else {
                    Err(io::Error::other(format!("folders are nested more than {MAX_DEPTH} deep")))
                };
                if let Err(error) = scanned {
                    scan.cannot_read(&path, &error);
                }
            } else if is_document(&path) {
                match folder.look(name) {
                    Ok(Some(meta)) => {
                        self.note(&path, &meta, scan);
                        present.insert(path);
                    }
                    // It went away between the listing and the look.
                    Ok(None) => {}
                    Err(error) => scan.cannot_read(&path, &error),
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, meta: &Metadata, scan: &mut Scan) {
        let fingerprint = Fingerprint::of(meta);
        if self.seen.get(path) != Some(&fingerprint) {
            self.seen.insert(path.to_owned(), fingerprint);
            let author = Author { uid: meta.uid() };
            let found = if path.to_str().is_some() { Found::There(author) } else { Found::Misnamed(author) };
            scan.changes.insert(key(path), found);
        }
    }
}

/// What a file is called from here on. Paths end up in JSON and in terminals, and those are UTF-8. A file whose name is
/// not must not be taken for another one whose name looks the same.
fn key(path: &Path) -> PathBuf {
    match path.to_str() {
        Some(_) => path.to_owned(),
        None => PathBuf::from(path.to_string_lossy().into_owned() + MISNAMED),
    }
}

#[cfg(test)]
mod tests;
