//! What NixOS says of its systems: which one runs, which was booted, and whether somebody is switching.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use osmoda_generation::{Committed, read_store_link, store_path::StorePath};

use crate::{Machine, SwitchError};

/// The system that runs (nixpkgs, `nixos/modules/system/activation/top-level.nix`).
const CURRENT_SYSTEM: &str = "/run/current-system";
/// The system that the machine was booted into.
const BOOTED_SYSTEM: &str = "/run/booted-system";

/// What `switch-to-configuration` holds as long as it is at work (flock(2)).
const LOCK: &str = "/run/nixos/switch-to-configuration.lock";

impl Machine {
    /// The NixOS system that runs.
    ///
    /// # Errors
    /// When this is no NixOS.
    pub fn current_system(&self) -> Result<StorePath, SwitchError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "this is no NixOS: backend `nixos` cannot be used");
        let link = read_store_link(Path::new(CURRENT_SYSTEM)).and_then(|path| path.ok_or_else(missing));
        link.map_err(SwitchError::io(CURRENT_SYSTEM))
    }

    /// The NixOS system that the machine was booted into.
    pub(crate) fn booted_system(&self) -> Option<StorePath> {
        read_store_link(Path::new(BOOTED_SYSTEM)).ok().flatten()
    }

    /// True when a NixOS system runs that is not the one which boots: chosen in the boot menu, or tried by somebody with
    /// `nixos-rebuild test`.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub fn runs_on_trial(&self) -> io::Result<bool> {
        if self.nixos.is_none() {
            return Ok(false);
        }
        let (runs, boots) = (read_store_link(Path::new(CURRENT_SYSTEM))?, self.profile.boots()?);
        Ok(boots.is_some() && runs != boots)
    }

    /// True while a `switch-to-configuration` is at work: units are not to be touched, and which generation is the active
    /// one is not decided. The lock is not taken to find that out, for the other one would wait, or give up.
    ///
    /// # Errors
    /// When the kernel's list of locks cannot be read.
    pub fn is_being_switched(&self) -> io::Result<bool> {
        if self.nixos.is_none() { Ok(false) } else { somebody_switches() }
    }

    /// True when this generation is what runs: with the backend `nixos` as a part of that very system.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub fn is_running(&self, committed: &Committed) -> io::Result<bool> {
        match &committed.system {
            None => Ok(self.active()?.as_ref() == Some(&committed.path)),
            Some(system) => Ok(read_store_link(Path::new(CURRENT_SYSTEM))?.as_ref() == Some(system)),
        }
    }
}

/// True while a `switch-to-configuration` is at work.
pub(crate) fn somebody_switches() -> io::Result<bool> {
    match fs::metadata(LOCK) {
        Ok(meta) => Ok(is_locked(&fs::read_to_string("/proc/locks")?, meta.dev(), meta.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// True when somebody holds a lock on that file, by the lines of `/proc/locks` (proc_locks(5)).
fn is_locked(locks: &str, device: u64, inode: u64) -> bool {
    let file = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        // `->` stands before the kind of those that wait.
        words.next() == Some("FLOCK") && words.any(|word| word == file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_seen_and_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("lock")).unwrap();
        let meta = file.metadata().unwrap();
        let is_held = || is_locked(&fs::read_to_string("/proc/locks").unwrap(), meta.dev(), meta.ino());
        assert!(!is_held());
        file.lock().unwrap();
        assert!(is_held());
        file.unlock().unwrap();
        assert!(!is_held());
        assert!(!is_locked("1: -> FLOCK  ADVISORY  WRITE 7 fe:00:12 0 EOF\n", rustix::fs::makedev(0xfe, 0), 12));
    }
}
