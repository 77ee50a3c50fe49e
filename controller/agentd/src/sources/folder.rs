//! A folder that is held open: whatever is done to names in it meanwhile, nothing outside of it is reached.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Metadata},
    io::{self, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use osmoda_schemas::{
    document::{MAX_FILE_BYTES, too_large},
    object::{Author, SourcePosition},
    problem::Problem,
};
use rustix::{
    fs::{Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// A folder, and the path that it was opened by.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    /// Opens a folder by its path, which may lead through links: where documents are is the operator's choice.
    ///
    /// # Errors
    /// When it is not there, or no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { path: path.to_owned(), fd })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path that leads to this very folder, whatever is under its name now (proc(5)).
    pub fn itself(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// When it is not there, no folder, behind a link, or of another mount.
    pub fn folder(&self, below: &Path) -> io::Result<Self> {
        let fd = self.below(below, OFlags::RDONLY | OFlags::DIRECTORY).map_err(told)?;
        Ok(Self { path: self.path.join(below), fd })
    }

    /// The names in it, with what they are as far as the file system tells.
    ///
    /// # Errors
    /// When not all of them can be read.
    pub fn entries(&self) -> io::Result<Vec<(OsString, FileType)>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                entries.push((OsStr::from_bytes(name).to_owned(), entry.file_type()));
            }
        }
        Ok(entries)
    }

    /// What is there now; none when nothing is, or only by way of a link. It is not opened: that would be an event for
    /// whoever follows the folder.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn look(&self, below: &Path) -> io::Result<Option<Metadata>> {
        match self.below(below, OFlags::PATH) {
            Ok(fd) => File::from(fd).metadata().map(Some),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(told(errno)),
        }
    }

    /// Reads a document in it; none when it is gone. Links are not followed and devices and pipes not waited for: a
    /// document is a regular file, and its author is the owner of that very file.
    ///
    /// # Errors
    /// Why it is not read.
    pub fn read(&self, below: &Path) -> Result<Option<(Author, Vec<u8>)>, Box<Problem>> {
        let failed = |error: &io::Error| Box::new(unreadable(&self.path.join(below), &error.to_string()));
        let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else { return Ok(None) };
        let inner = if parent.as_os_str().is_empty() { None } else { Some(self.folder(parent)) };
        let folder = match &inner {
            None => self,
            Some(Ok(folder)) => folder,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Some(Err(error)) => return Err(failed(error)),
        };
        match folder.read_own(Path::new(name)) {
            Ok(None) => Err(Box::new(too_large().at(start_of(&self.path.join(below))))),
            Ok(read) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Reads a document right in this folder; none when it is too large.
    fn read_own(&self, name: &Path) -> io::Result<Option<(Author, Vec<u8>)>> {
        let fd = self.below(name, OFlags::RDONLY | OFlags::NONBLOCK).map_err(told)?;
        let mut file = File::from(fd);
        let meta = file.metadata()?;
        let refuse = |why: &str| Err(io::Error::other(why));
        if !meta.is_file() {
            return refuse("it is not a regular file");
        }
        self.is_said_by_owner(&meta)?;
        // One byte more is read than is accepted: it may have grown since.
        let limit = MAX_FILE_BYTES as u64 + 1;
        if meta.len() >= limit {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        (&mut file).take(limit).read_to_end(&mut bytes)?;
        // Root may have given it away meanwhile; then what was read may be what either wrote. That is a change, too, so
        // that it is read again.
        if file.metadata()?.uid() != meta.uid() {
            return refuse("it was given to another user while it was read");
        }
        Ok(Some((Author { uid: meta.uid() }, bytes)))
    }

    /// Whether nobody but root and its owner can have put a file here, or have written it; the file's group counts as its
    /// owner, who lets it write. A file of somebody else's comes
    /// into a folder by a hard link or a move; how many names it has tells nothing, for the others may be gone by now.
    fn is_said_by_owner(&self, file: &Metadata) -> io::Result<()> {
        if file.mode() & 0o002 != 0 {
            return Err(io::Error::other(
                "everybody may write it, so its owner need not be who did; take that away (chmod o-w)",
            ));
        }
        let folder = File::from(self.below(Path::new("."), OFlags::PATH)?).metadata()?;
        let why = if folder.uid() != 0 && folder.uid() != file.uid() {
            format!("it belongs to uid {}, and its folder to uid {}", file.uid(), folder.uid())
        } else if folder.mode() & 0o022 != 0 {
            "others than its owner may write in its folder (chmod go-w)".to_owned()
        } else {
            return Ok(());
        };
        Err(io::Error::other(format!(
            "{why}, so its owner need not be who put it here; each author has a folder of their own"
        )))
    }

    /// Opens what is beneath this folder by way of no link, and in the same mount: a file system that a user has mounted
    /// (FUSE) says of its files what it likes, also that they are root's. (openat2(2): Linux 5.6 or later is needed.)
    fn below(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.fd, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}

/// Why something is not opened, in words.
fn told(errno: Errno) -> io::Error {
    match errno {
        Errno::LOOP => io::Error::other("it is a symbolic link; documents are regular files"),
        Errno::XDEV => io::Error::other("it is a mount of its own; documents are where their folder is"),
        // What opening a socket gives.
        Errno::NXIO => io::Error::other("it is not a regular file"),
        // Its owner holds it with a lease (fcntl(2)).
        Errno::AGAIN => io::Error::other("its owner keeps others from opening it"),
        other => other.into(),
    }
}

/// Why a file is not read.
pub fn unreadable(path: &Path, why: &str) -> Problem {
    Problem::new(422, "unreadable-file", format!("{} cannot be read: {why}", path.display()))
        .hint("what the file defined before stays in force until it can be read")
        .at(start_of(path))
}

/// The start of a file, as problems name it: in UTF-8, whatever its name is.
pub fn start_of(path: &Path) -> SourcePosition {
    SourcePosition { file: PathBuf::from(path.to_string_lossy().into_owned()), line: 1, column: 1 }
}
