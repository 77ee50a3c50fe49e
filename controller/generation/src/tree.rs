//! A tree of files that will become a store path: what the Nix archive format can hold, and nothing else.

use std::collections::BTreeMap;

/// Files by relative path; folders are implied. Iteration is in byte order of the paths, so that equal trees are equal
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

/// One entry of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Its bytes.
        contents: Vec<u8>,
        /// Executable by everyone.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: String,
    },
}

/// Why a path cannot be in a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Absolute, empty, or with `.`, `..`, an empty component or a NUL.
    #[error("{0:?} is not a relative path of plain components")]
    Path(String),
    /// Twice the same path, or a file where a folder is needed.
    #[error("{0:?} is there already")]
    Taken(String),
}

impl Tree {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the path is not a plain relative one, or taken.
    pub fn insert(&mut self, path: impl Into<String>, entry: Entry) -> Result<(), TreeError> {
        let path = path.into();
        let plain = |c: &str| !c.is_empty() && c != "." && c != ".." && !c.contains('\0') && c.len() <= 255;
        if path.len() > 4096 || !path.split('/').all(plain) {
            return Err(TreeError::Path(path));
        }
        let parent_is_file = path.match_indices('/').any(|(at, _)| self.entries.contains_key(&path[..at]));
        let folder = format!("{path}/");
        let is_folder = self.entries.range(folder.clone()..).next().is_some_and(|(p, _)| p.starts_with(&folder));
        if parent_is_file || is_folder || self.entries.contains_key(&path) {
            return Err(TreeError::Taken(path));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Adds a regular file.
    ///
    /// # Errors
    /// As [`Tree::insert`].
    pub fn file(&mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>) -> Result<(), TreeError> {
        self.insert(path, Entry::File { contents: contents.into(), executable: false })
    }

    /// The entry at that path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All entries in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}
