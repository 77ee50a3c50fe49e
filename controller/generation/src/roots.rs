//! Garbage-collection roots of what is not (or not yet) in the profile.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{durable, profile::read_store_link, store_path::StorePath};

/// Named roots in a folder that Nix looks into.
#[derive(Clone, Debug)]
pub struct Roots {
    folder: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self::in_folder("/nix/var/nix/gcroots/osmoda")
    }
}

impl Roots {
    /// Roots in that folder.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Keeps a path alive under that name. The path need not be there yet: a root that comes first leaves no gap.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn pin(&self, name: &str, path: &StorePath) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        durable::set_link(&self.folder.join(name), path.as_path())
    }

    /// The link of that name, for whoever makes it itself; its folder is there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn link(&self, name: &str) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        Ok(self.folder.join(name))
    }

    /// Lets go of what is kept alive under that name.
    ///
    /// # Errors
    /// When the link cannot be removed.
    pub fn unpin(&self, name: &str) -> io::Result<()> {
        let link = self.folder.join(name);
        durable::remove(&durable::sibling(&link))?;
        durable::remove(&link)
    }

    /// What is kept alive under that name.
    ///
    /// # Errors
    /// When the link cannot be read.
    pub fn get(&self, name: &str) -> io::Result<Option<StorePath>> {
        read_store_link(&self.folder.join(name))
    }

    /// All names with what they keep alive, also of links that whoever made them was killed over: to Nix they are roots.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<(String, StorePath)>> {
        let mut found = Vec::new();
        if !Path::new(&self.folder).exists() {
            return Ok(found);
        }
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if let (Ok(name), Some(path)) = (entry.file_name().into_string(), read_store_link(&entry.path())?) {
                let half_made = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".new"));
                found.push((half_made.unwrap_or(&name).to_owned(), path));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_was_half_made_is_let_go_of_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::in_folder(dir.path());
        let path: StorePath = format!("/nix/store/{}-osmoda-generation", "1".repeat(32)).parse().unwrap();
        std::os::unix::fs::symlink(path.as_path(), dir.path().join(".switch-1-target.new")).unwrap();
        assert_eq!(roots.list().unwrap(), [("switch-1-target".to_owned(), path.clone())]);
        roots.pin("switch-2-target", &path).unwrap();
        roots.unpin("switch-1-target").unwrap();
        assert_eq!(roots.list().unwrap(), [("switch-2-target".to_owned(), path)]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
