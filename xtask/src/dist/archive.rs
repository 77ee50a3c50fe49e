//! Archives whose bytes are a function of what is in them: names sorted, owners and times fixed, no names of this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// What is in it.
        bytes: Vec<u8>,
        /// Whether it is a program.
        executable: bool,
    },
    /// A symbolic link.
    Link(String),
}

/// A tree of files, by their paths from `/` without the first slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Adds a file.
    ///
    /// # Errors
    /// When something has the path already, or the path is one that the installer's shell would have to quote.
    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.add(path, Entry::File { bytes: bytes.into(), executable: false })
    }

    /// Adds a program.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub fn program(&mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.add(path, Entry::File { bytes: bytes.into(), executable: true })
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.add(path, Entry::Link(target.to_owned()))
    }

    fn add(&mut self, path: &str, entry: Entry) -> Result<()> {
        let is_plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'))
        };
        ensure!(path.split('/').all(is_plain), "`{path}` is not a plain path");
        ensure!(self.0.insert(path.to_owned(), entry).is_none(), "`{path}` is there twice");
        Ok(())
    }

    /// The same with something else in its files, by their paths.
    #[must_use]
    pub fn map(self, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Self {
        let changed = self.0.into_iter().map(|(path, entry)| match entry {
            Entry::File { bytes, executable } => {
                let bytes = change(&path, bytes);
                (path, Entry::File { bytes, executable })
            }
            link @ Entry::Link(_) => (path, link),
        });
        Self(changed.collect())
    }

    /// All paths with what stands there, sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Regular files with what is in them, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries().filter_map(|(path, entry)| match entry {
            Entry::File { bytes, .. } => Some((path, bytes.as_slice())),
            Entry::Link(_) => None,
        })
    }

    /// Every folder that is needed, parents first.
    fn folders(&self) -> BTreeSet<&str> {
        self.0.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at])).collect()
    }
}

/// A tar archive (POSIX ustar): all is root's, folders and programs 0755, files 0644, every time is `epoch`.
///
/// `prefix` comes before every path: `osmoda-1.0/`, or `./` as in Debian's packages.
///
/// # Errors
/// When a path is too long for the format.
pub fn tar(tree: &Tree, prefix: &str, epoch: u64) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let header = |kind, mode, size| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(epoch);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root").and_then(|()| header.set_groupname("root")).map(|()| header)
    };
    let folder = |builder: &mut tar::Builder<Vec<u8>>, path: &str| -> Result<()> {
        let mut header = header(tar::EntryType::Directory, 0o755, 0)?;
        builder.append_data(&mut header, path, &[][..]).with_context(|| path.to_owned())
    };
    folder(&mut builder, prefix)?;
    let mut all: BTreeMap<&str, Option<&Entry>> = tree.folders().into_iter().map(|path| (path, None)).collect();
    all.extend(tree.entries().map(|(path, entry)| (path, Some(entry))));
    for (path, entry) in all {
        let full = format!("{prefix}{path}");
        match entry {
            None => folder(&mut builder, &format!("{full}/"))?,
            Some(Entry::File { bytes, executable }) => {
                let mode = if *executable { 0o755 } else { 0o644 };
                let mut header = header(tar::EntryType::Regular, mode, bytes.len() as u64)?;
                builder.append_data(&mut header, &full, bytes.as_slice()).with_context(|| full.clone())?;
            }
            Some(Entry::Link(target)) => {
                let mut header = header(tar::EntryType::Symlink, 0o777, 0)?;
                builder.append_link(&mut header, &full, target).with_context(|| full.clone())?;
            }
        }
    }
    Ok(builder.into_inner()?)
}

/// How hard gzip tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For what is given away.
    Best,
    /// For tests.
    Quick,
}

/// Bytes as gzip has them: no name, no time.
///
/// # Errors
/// None is known: it writes to memory.
pub fn gzip(bytes: &[u8], effort: Effort) -> Result<Vec<u8>> {
    let level = if effort == Effort::Best { Compression::best() } else { Compression::fast() };
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), level);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// An archive of `ar`, as deb(5) has it: members in the order that is given.
///
/// # Errors
/// When a name is too long for the format.
pub fn ar(members: &[(&str, &[u8])], epoch: u64) -> Result<Vec<u8>> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        ensure!(name.len() <= 16, "`{name}` is too long for ar");
        writeln!(archive, "{name:<16}{epoch:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, "100644", bytes.len())?;
        archive.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    Ok(archive)
}
