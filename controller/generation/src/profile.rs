//! The profile: committed generations by number. Its link is the boot default.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::FlockOperation;

use crate::{durable, store_path::StorePath};

/// A committed generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number, from 1.
    pub number: u64,
    /// Its store path.
    pub path: StorePath,
    /// The NixOS system that it is a part of; none with the backend `profile`.
    pub system: Option<StorePath>,
    /// When it was committed first.
    pub created: SystemTime,
}

impl Committed {
    /// What the profile's link leads to.
    #[must_use]
    pub fn boots(&self) -> &StorePath {
        self.system.as_ref().unwrap_or(&self.path)
    }
}

/// A profile of this machine: `NAME` and `NAME-N-link` in a folder of profiles.
#[derive(Clone, Debug)]
pub struct Profile {
    folder: PathBuf,
    name: &'static str,
}

/// osModa's own profile: its links lead to generations.
const OWN: &str = "osmoda";
/// NixOS's profile: its links lead to systems, and those of osModa's making have a link to their generation.
const SYSTEM: &str = "system";
/// A link of a profile: its number, where it leads, and when it was made.
type Link = (u64, StorePath, SystemTime);

impl Default for Profile {
    fn default() -> Self {
        Self::in_folder("/nix/var/nix/profiles")
    }
}

impl Profile {
    /// osModa's own profile in that folder.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), name: OWN }
    }

    /// The profile of this machine's NixOS systems.
    #[must_use]
    pub fn of_systems() -> Self {
        Self { name: SYSTEM, ..Self::default() }
    }

    /// The link that is the boot default.
    #[must_use]
    pub fn link(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// All committed generations, oldest first. Systems that are not of osModa's making are not among them.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Committed>> {
        Ok(self.links()?.into_iter().filter_map(|link| self.committed(link)).collect())
    }

    /// The generation that the machine boots into; none before the first commit.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub fn current(&self) -> io::Result<Option<Committed>> {
        Ok(self.default_link()?.and_then(|link| self.committed(link)))
    }

    /// What the machine boots into: a generation, or a NixOS system, whoever made it.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub fn boots(&self) -> io::Result<Option<StorePath>> {
        Ok(self.default_link()?.map(|(_, path, _)| path))
    }

    fn links(&self) -> io::Result<Vec<Link>> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let Some(number) = entry.file_name().to_str().and_then(|name| self.number_of(name)) else { continue };
            let Some(path) = read_store_link(&entry.path())? else { continue };
            found.push((number, path, entry.path().symlink_metadata()?.modified()?));
        }
        found.sort_by_key(|(number, ..)| *number);
        Ok(found)
    }

    fn default_link(&self) -> io::Result<Option<Link>> {
        let link = match fs::read_link(self.link()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let Some(number) = link.to_str().and_then(|name| self.number_of(name)) else { return Ok(None) };
        let file = self.numbered(number);
        let Some(path) = read_store_link(&file)? else { return Ok(None) };
        Ok(Some((number, path, file.symlink_metadata()?.modified()?)))
    }

    /// The generation that a link leads to, or that is a part of the system that it leads to.
    fn committed(&self, (number, path, created): Link) -> Option<Committed> {
        if self.name == OWN {
            return Some(Committed { number, path, system: None, created });
        }
        let generation = generation_of(&path)?;
        Some(Committed { number, path: generation, system: Some(path), created })
    }

    /// Makes a generation (or a system) the boot default, under the next number; the one that is the boot default keeps its
    /// number. Durable when it returns; a crash before leaves the former default.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn commit(&self, path: &StorePath) -> io::Result<u64> {
        let _lock = self.lock()?;
        if let Some((number, ..)) = self.default_link()?.filter(|(_, current, _)| current == path) {
            return Ok(number);
        }
        let next = self.links()?.last().map_or(0, |(number, ..)| *number) + 1;
        durable::set_link(&self.numbered(next), path.as_path())?;
        self.set_default(next)?;
        Ok(next)
    }

    /// Makes a generation (or a system) that was committed before the boot default again, under its latest number.
    ///
    /// # Errors
    /// When it was never committed, or the folder cannot be written.
    pub fn go_back(&self, path: &StorePath) -> io::Result<u64> {
        let _lock = self.lock()?;
        let known = self.links()?.into_iter().rfind(|(_, known, _)| known == path);
        let (number, ..) =
            known.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{path} is no generation")))?;
        self.set_default(number)?;
        Ok(number)
    }

    fn set_default(&self, number: u64) -> io::Result<()> {
        durable::set_link(&self.link(), Path::new(&self.link_name(number)))
    }

    /// Forgets generations, oldest first, until `keep` are left. The boot default and those whose paths are `needed`
    /// are never forgotten. Returns the numbers that are.
    ///
    /// # Errors
    /// When a link cannot be removed.
    pub fn prune(&self, keep: usize, needed: &BTreeSet<StorePath>) -> io::Result<Vec<u64>> {
        let _lock = self.lock()?;
        let all = self.list()?;
        let current = self.default_link()?.map(|(number, ..)| number);
        let mut forgotten = Vec::new();
        for old in &all[..all.len().saturating_sub(keep)] {
            if Some(old.number) != current && !needed.contains(&old.path) {
                durable::remove(&self.numbered(old.number))?;
                forgotten.push(old.number);
            }
        }
        Ok(forgotten)
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.folder.join(self.link_name(number))
    }

    fn link_name(&self, number: u64) -> String {
        format!("{}-{number}-link", self.name)
    }

    fn number_of(&self, link: &str) -> Option<u64> {
        link.strip_prefix(self.name)?.strip_prefix('-')?.strip_suffix("-link")?.parse().ok()
    }

    /// The lock that Nix takes, too (`nix-env --profile`).
    fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{}.lock", self.name));
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            // Nix writes into a lock that it has deleted: whoever waited for that one takes the next.
            if file.metadata()?.len() == 0 {
                return Ok(file);
            }
        }
    }
}

/// The generation that is a part of a NixOS system; none in one that is not of osModa's making.
#[must_use]
pub fn generation_of(system: &StorePath) -> Option<StorePath> {
    read_store_link(&system.as_path().join("osmoda")).ok().flatten()
}

/// The store path that a link points to; none when it points elsewhere or is gone.
///
/// # Errors
/// When it cannot be read.
pub fn read_store_link(link: &Path) -> io::Result<Option<StorePath>> {
    match fs::read_link(link) {
        Ok(target) => Ok(target.to_str().and_then(|t| t.parse().ok())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(digit: char) -> StorePath {
        format!("/nix/store/{}-osmoda-generation", digit.to_string().repeat(32)).parse().unwrap()
    }

    #[test]
    fn a_change_gets_the_next_number_and_a_rollback_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::in_folder(dir.path().join("profiles"));
        assert_eq!(profile.current().unwrap(), None);
        assert_eq!((profile.commit(&path('1')).unwrap(), profile.commit(&path('2')).unwrap()), (1, 2));
        assert_eq!(profile.commit(&path('2')).unwrap(), 2, "it is the default already");
        assert_eq!(profile.go_back(&path('1')).unwrap(), 1, "a rollback is no new generation");
        assert_eq!(profile.current().unwrap().unwrap().path, path('1'));
        profile.go_back(&path('9')).unwrap_err();
        assert_eq!(profile.commit(&path('3')).unwrap(), 3);
        assert_eq!(profile.commit(&path('1')).unwrap(), 4, "the same state again is a new generation");
        assert_eq!(profile.list().unwrap().iter().map(|c| c.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn pruning_never_takes_what_a_rollback_needs() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::in_folder(dir.path());
        for digit in '1'..='6' {
            profile.commit(&path(digit)).unwrap();
        }
        profile.go_back(&path('2')).unwrap();
        assert_eq!(profile.prune(2, &BTreeSet::from([path('3')])).unwrap(), [1, 4]);
        assert_eq!(profile.list().unwrap().iter().map(|c| c.number).collect::<Vec<_>>(), [2, 3, 5, 6]);
    }
}
