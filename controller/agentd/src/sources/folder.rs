//! A folder that is held open: whatever is done to names in it meanwhile, nothing outside of it is reached.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Metadata},
    io::{self, Read},
    os::{
        fd::OwnedFd,
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

    /// Opens a folder in it.
    ///
    /// # Errors
    /// When it is not there, no folder, or behind a link.
    pub fn folder(&self, below: &Path) -> io::Result<Self> {
        let fd = self.below(below, OFlags::RDONLY | OFlags::DIRECTORY)?;
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
            Err(errno) => Err(errno.into()),
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
        let fd = self.below(name, OFlags::RDONLY | OFlags::NONBLOCK).map_err(|errno| match errno {
            Errno::LOOP => io::Error::other("it is a symbolic link; documents are regular files"),
            // What opening a socket gives.
            Errno::NXIO => io::Error::other("it is not a regular file"),
            other => other.into(),
        })?;
        let file = File::from(fd);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if meta.nlink() > 1 && !self.is_kept_by(meta.uid())? {
            return Err(io::Error::other(
                "it has several names (hard links), so its owner need not be who put it here; write a copy instead",
            ));
        }
        // One byte more is read than is accepted: it may have grown since.
        let limit = MAX_FILE_BYTES as u64 + 1;
        if meta.len() >= limit {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some((Author { uid: meta.uid() }, bytes)))
    }

    /// Whether nobody but root and this user can have given a name in this folder to anything. So it is in the Nix store,
    /// whose equal files may be one file with many names.
    fn is_kept_by(&self, uid: u32) -> io::Result<bool> {
        let stat = File::from(self.below(Path::new("."), OFlags::PATH)?).metadata()?;
        Ok((stat.uid() == 0 || stat.uid() == uid) && stat.mode() & 0o022 == 0)
    }

    /// Opens what is beneath this folder by way of no link at all (openat2(2): Linux 5.6 or later is needed).
    fn below(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.fd, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
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
