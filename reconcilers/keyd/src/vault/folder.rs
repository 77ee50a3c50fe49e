//! Files in a folder that is held open: each is whole or not there, also after a power cut; and nobody but us may read or
//! write it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use osmoda_failpoint as failpoint;
use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, fchmod, flock, fstat, fsync,
        mkdirat, openat, renameat_with, unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use super::{VaultError, secret::system_entropy};

/// The most files that a folder is read with.
const MOST_ENTRIES: usize = 4096;
const OPEN_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const OPEN_FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// An open folder. Its path is for messages only.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// A folder of ours. Links on the way are the operator's; what they lead to is looked at.
    pub(crate) fn open(path: &Path) -> Result<Self, VaultError> {
        let failed = |error: Errno| VaultError::Io { path: path.to_owned(), error: error.into() };
        let fd = openat(CWD, path, OPEN_FOLDER, Mode::empty()).map_err(failed)?;
        Self { fd, path: path.to_owned() }.checked()
    }

    /// A folder in this one; none when there is none.
    pub(crate) fn folder(&self, name: &str) -> Result<Option<Self>, VaultError> {
        match openat(&self.fd, name, OPEN_FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Self { fd, path: self.path.join(name) }.checked().map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(self.refused(name, "it is no folder".to_owned())),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    fn checked(self) -> Result<Self, VaultError> {
        let refused = |reason| VaultError::Access { path: self.path.clone(), reason };
        let failed = |error: Errno| VaultError::Io { path: self.path.clone(), error: error.into() };
        let stat = fstat(&self.fd).map_err(failed)?;
        match owner_or_mode(&stat, 0o700) {
            Some(reason) => Err(refused(reason)),
            None => Ok(self),
        }
    }

    /// Keeps other processes away while the folder is open here.
    pub(crate) fn lock(&self) -> Result<(), VaultError> {
        match flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => Err(VaultError::InUse(self.path.clone())),
            Err(error) => Err(self.failed("", error)),
        }
    }

    /// Makes a folder, which has not been there.
    pub(crate) fn make_folder(&self, name: &str) -> Result<Self, VaultError> {
        let made = || {
            failpoint::may_fail("vault.mkdir", name)?;
            mkdirat(&self.fd, name, Mode::RWXU)?;
            failpoint::after("vault.mkdir", name);
            let fd = openat(&self.fd, name, OPEN_FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
            fchmod(&fd, Mode::RWXU)?;
            io::Result::Ok(fd)
        };
        let fd = made().map_err(|error| self.failed(name, error))?;
        self.sync()?;
        Self { fd, path: self.path.join(name) }.checked()
    }

    /// Removes a folder that is empty.
    pub(crate) fn remove_folder(&self, name: &str) -> Result<(), VaultError> {
        failpoint::may_fail("vault.rmdir", name).map_err(|error| self.failed(name, error))?;
        unlinkat(&self.fd, name, AtFlags::REMOVEDIR).map_err(|error| self.failed(name, error))?;
        failpoint::after("vault.rmdir", name);
        self.sync()
    }

    /// What is in it.
    pub(crate) fn names(&self) -> Result<Vec<String>, VaultError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(|error| self.failed("", error))? {
            let entry = entry.map_err(|error| self.failed("", error))?;
            let name = entry.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            // What is no text has another name now, and is as unknown as it was.
            if names.len() == MOST_ENTRIES || name.contains(char::REPLACEMENT_CHARACTER) {
                return Err(VaultError::Unknown(self.path(&name)));
            }
            names.push(name.into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// A file of at most so many bytes; none when there is none.
    pub(crate) fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, VaultError> {
        let Some(mut file) = self.file(name, OFlags::RDONLY)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        (&mut file).take(limit).read_to_end(&mut bytes).map_err(|error| self.failed(name, error))?;
        if bytes.len() > most {
            return Err(VaultError::Damaged { path: self.path(name), reason: "it is too long" });
        }
        Ok(Some(bytes))
    }

    /// Writes a file that has not been there. It is durable once the folder is.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OPEN_FILE;
        let mode = Mode::RUSR | Mode::WUSR;
        let written = || {
            let fd = openat(&self.fd, name, flags, mode)?;
            fchmod(&fd, mode)?;
            let mut file = File::from(fd);
            file.write_all(bytes)?;
            failpoint::may_fail("vault.write", name)?;
            file.sync_all()
        };
        written().map_err(|error| self.failed(name, error))?;
        failpoint::after("vault.write", name);
        Ok(())
    }

    /// Gives a file another name, durably; false when that name is taken.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<bool, VaultError> {
        failpoint::may_fail("vault.rename", to).map_err(|error| self.failed(to, error))?;
        match renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(self.failed(to, error)),
        }
        failpoint::after("vault.rename", to);
        self.sync().map(|()| true)
    }

    /// Exchanges two names in one step, which is durable after [`Folder::sync`].
    pub(crate) fn exchange(&self, one: &str, other: &str) -> Result<(), VaultError> {
        failpoint::may_fail("vault.exchange", other).map_err(|error| self.failed(other, error))?;
        renameat_with(&self.fd, one, &self.fd, other, RenameFlags::EXCHANGE)
            .map_err(|error| self.failed(other, error))?;
        failpoint::after("vault.exchange", other);
        Ok(())
    }

    /// Removes a file once random bytes are where it was; whether the medium forgets what was there is its own business.
    pub(crate) fn erase(&self, name: &str) -> Result<(), VaultError> {
        let Some(mut file) = self.file(name, OFlags::WRONLY)? else { return Ok(()) };
        let failed = |error: io::Error| self.failed(name, error);
        let mut left = file.metadata().map_err(failed)?.len();
        failpoint::may_fail("vault.erase", name).map_err(failed)?;
        let mut chance = [0; 512];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(chance.len());
            let part = chance.get_mut(..count).unwrap_or_default();
            system_entropy(part)?;
            file.write_all(part).map_err(failed)?;
            left -= u64::try_from(count).unwrap_or(left);
        }
        file.sync_all().map_err(failed)?;
        failpoint::after("vault.erase", name);
        failpoint::may_fail("vault.unlink", name).map_err(failed)?;
        unlinkat(&self.fd, name, AtFlags::empty()).map_err(|error| self.failed(name, error))?;
        failpoint::after("vault.unlink", name);
        self.sync()
    }

    /// Makes its names durable.
    pub(crate) fn sync(&self) -> Result<(), VaultError> {
        let synced = failpoint::may_fail("vault.sync", self.path.display()).and_then(|()| Ok(fsync(&self.fd)?));
        synced.map_err(|error| self.failed("", error))
    }

    /// A file that is there, and ours alone.
    fn file(&self, name: &str, access: OFlags) -> Result<Option<File>, VaultError> {
        let fd = match openat(&self.fd, name, access | OPEN_FILE, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.refused(name, "it is a link, which no vault has".to_owned())),
            Err(error) => return Err(self.failed(name, error)),
        };
        let stat = fstat(&fd).map_err(|error| self.failed(name, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.refused(name, "it is no regular file".to_owned()));
        }
        if stat.st_nlink != 1 {
            return Err(
                self.refused(name, "it has a second name (a hard link), by which others may keep it".to_owned())
            );
        }
        match owner_or_mode(&stat, 0o600) {
            Some(reason) => Err(self.refused(name, reason)),
            None => Ok(Some(File::from(fd))),
        }
    }

    /// After it has got another name.
    pub(crate) fn called(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// For messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path.clone() } else { self.path.join(name) }
    }

    pub(crate) fn failed(&self, name: &str, error: impl Into<io::Error>) -> VaultError {
        VaultError::Io { path: self.path(name), error: error.into() }
    }

    fn refused(&self, name: &str, reason: String) -> VaultError {
        VaultError::Access { path: self.path(name), reason }
    }
}

/// What is wrong with the owner or the mode, and what makes it right.
fn owner_or_mode(stat: &Stat, most: u32) -> Option<String> {
    let (uid, mode) = (geteuid().as_raw(), stat.st_mode & 0o777);
    if stat.st_uid != uid {
        return Some(format!("it belongs to uid {}, and this is uid {uid}: `chown` it", stat.st_uid));
    }
    let wider = mode & !most != 0;
    wider.then(|| {
        format!("its mode is {mode:04o}, and {most:04o} is asked for: `chmod` it, once it is known who read it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut stat = fstat(File::open(folder.path()).unwrap()).unwrap();
        assert_eq!(owner_or_mode(&stat, 0o777), None);
        stat.st_uid += 1;
        assert!(owner_or_mode(&stat, 0o777).is_some_and(|reason| reason.contains("uid")));
    }
}
