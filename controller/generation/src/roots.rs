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

    /// Lets go of what is kept alive under that name.
    ///
    /// # Errors
    /// When the link cannot be removed.
    pub fn unpin(&self, name: &str) -> io::Result<()> {
        durable::remove(&self.folder.join(name))
    }

    /// What is kept alive under that name.
    ///
    /// # Errors
    /// When the link cannot be read.
    pub fn get(&self, name: &str) -> io::Result<Option<StorePath>> {
        read_store_link(&self.folder.join(name))
    }

    /// All names with what they keep alive.
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
                found.push((name, path));
            }
        }
        found.sort();
        Ok(found)
    }
}
