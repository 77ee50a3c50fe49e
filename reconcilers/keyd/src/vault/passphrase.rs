//! The passphrase of a vault, and the file that it is read from.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, openat},
    process::geteuid,
};
use zeroize::Zeroizing;

/// The longest, in bytes.
pub const MOST_PASSPHRASE: usize = 4096;
/// The shortest, in bytes.
const LEAST_PASSPHRASE: usize = 16;

/// A passphrase, or its file, is refused.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Too short.
    #[error(
        "the passphrase has {0} bytes; at least {LEAST_PASSPHRASE} are asked for: \
         `head -c 24 /dev/urandom | base64` makes a good one"
    )]
    Short(usize),
    /// Too long.
    #[error("the passphrase has more than {MOST_PASSPHRASE} bytes")]
    Long,
    /// The file is not one to keep a passphrase in.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what makes it right.
        reason: String,
    },
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// 16 to 4,096 bytes. It is wiped when dropped; it can be neither cloned nor printed.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// All of the bytes, also an end of line.
    ///
    /// # Errors
    /// [`PassphraseError::Short`], [`PassphraseError::Long`].
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, PassphraseError> {
        match bytes.len() {
            length if length < LEAST_PASSPHRASE => Err(PassphraseError::Short(length)),
            length if length > MOST_PASSPHRASE => Err(PassphraseError::Long),
            _ => Ok(Self(bytes)),
        }
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a passphrase: all of a file but one end of line. The file is root's or ours, no link, of nobody else to read, and
/// not in the vault's folder, where a backup of keys would take it along. Of what is below `credentials` (systemd's
/// `$CREDENTIALS_DIRECTORY`) the mode is not looked at: there it shows what an access list allows.
///
/// # Errors
/// See [`PassphraseError`].
pub fn read_passphrase(path: &Path, vault: &Path, credentials: Option<&Path>) -> Result<Passphrase, PassphraseError> {
    let failed = |error: io::Error| PassphraseError::Io { path: path.to_owned(), error };
    let refused = |reason: String| Err(PassphraseError::File { path: path.to_owned(), reason });
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = open_folder(CWD, above).map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(&folder, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => return refused("it is a link; name the file that it leads to".to_owned()),
        file => file.map_err(|error| failed(error.into()))?,
    };
    let stat = fstat(&file).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return refused("it is no regular file".to_owned());
    }
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        return refused(format!("it belongs to uid {}, who so knows the passphrase; give it to root", stat.st_uid));
    }
    if is_below(&folder, vault).map_err(failed)? {
        return refused("it is in the vault's folder, beside what it opens; keep it elsewhere".to_owned());
    }
    let is_credential = credentials.map_or(Ok(false), |credentials| is_below(&folder, credentials)).map_err(failed)?;
    if stat.st_mode & 0o077 != 0 && !is_credential {
        let mode = stat.st_mode & 0o7777;
        return refused(format!("others may read it (mode {mode:04o}); `chmod 0600` it, or use LoadCredential="));
    }
    // Room for all that is taken, with an end of line, and for one byte too many. It does not grow, so that nothing of it
    // stays elsewhere.
    let mut bytes = Zeroizing::new(vec![0; MOST_PASSPHRASE + 2]);
    let (mut file, mut used) = (File::from(file), 0);
    loop {
        match file.read(bytes.get_mut(used..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => used += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(used);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Passphrase::new(bytes)
}

/// Is a folder another one, or below it? By what they are, not by their names.
fn is_below(folder: &OwnedFd, other: &Path) -> io::Result<bool> {
    let other = match open_folder(CWD, other) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => identity(&other?)?,
    };
    let mut at = open_folder(folder, Path::new("."))?;
    loop {
        let (this, above) = (identity(&at)?, open_folder(&at, Path::new(".."))?);
        if this == other {
            return Ok(true);
        }
        if this == identity(&above)? {
            return Ok(false);
        }
        at = above;
    }
}

fn identity(folder: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn open_folder(from: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(from, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
