//! The tree over the rows, with as much of it in a file as makes it quick to go on with, and to prove something of it.
//!
//! The file `tree` has the hashes of all whole subtrees of 256 leaves, 32 bytes each, from left to right. It is a function
//! of the rows, and nobody trusts it before a signed root says that it is right.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{
    LedgerError,
    merkle::{Frontier, Hash},
    rows::Rows,
};

/// Leaves of a subtree whose hash is kept, as a power of two.
const LEVEL: u32 = 8;
const LEAVES: u64 = 1 << LEVEL;

fn file(folder: &Path) -> PathBuf {
    folder.join("tree")
}

/// The tree over the first rows.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Roots of whole subtrees of 256 leaves.
    kept: Vec<Hash>,
    whole: Frontier,
    /// How many of `kept` the file has.
    written: usize,
}

impl Tree {
    /// The tree over the first `size` rows, by the file's word as far as it goes.
    pub(crate) fn load(folder: &Path, rows: &Rows, size: u64) -> Result<Self, LedgerError> {
        let bytes = match std::fs::read(file(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LedgerError::file(&file(folder), error));
            }
            read => read.unwrap_or_default(),
        };
        let mut tree = Self::default();
        for hash in bytes.as_chunks::<32>().0.iter().take(usize::try_from(size >> LEVEL).unwrap_or_default()) {
            tree.whole.push_subtree(LEVEL, *hash);
            tree.kept.push(*hash);
        }
        tree.written = tree.kept.len();
        tree.extend(rows, size)?;
        Ok(tree)
    }

    /// The tree over the first `size` rows, which has that root. A file that has it wrong counts for nothing.
    pub(crate) fn load_as_signed(folder: &Path, rows: &Rows, size: u64, root: &Hash) -> Result<Self, LedgerError> {
        let mut tree = Self::load(folder, rows, size)?;
        if tree.root() != *root {
            tree = Self::default();
            tree.extend(rows, size)?;
        }
        if tree.root() == *root { Ok(tree) } else { Err(LedgerError::Contradiction(size)) }
    }

    /// Takes in rows until there are `size`.
    pub(crate) fn extend(&mut self, rows: &Rows, size: u64) -> Result<(), LedgerError> {
        if let Some(part) = rows.known_part(self.size(), size) {
            self.whole.join(part);
        }
        rows.leaves(self.size()..size, |leaf| self.push(leaf))
    }

    /// Hashes of the whole subtrees at its end that are too small for the file.
    pub(crate) fn edge(&self) -> &[Hash] {
        let nodes = self.whole.nodes();
        &nodes[nodes.len() - (self.size() % LEAVES).count_ones() as usize..]
    }

    /// Takes in a leaf by its hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        if self.size() % LEAVES == LEAVES - 1
            && let Some(mut last) = self.whole.between(self.size() + 1 - LEAVES, self.size())
        {
            last.push(leaf);
            self.kept.push(last.root());
        }
        self.whole.push(leaf);
    }

    /// Rows that it is over.
    pub(crate) fn size(&self) -> u64 {
        self.whole.size()
    }

    /// What goes on without the file.
    pub(crate) fn into_frontier(self) -> Frontier {
        self.whole
    }

    /// Its root.
    pub(crate) fn root(&self) -> Hash {
        self.whole.root()
    }

    /// Writes what the file does not have yet. The caller has the lock.
    pub(crate) fn save(&mut self, folder: &Path) -> Result<(), LedgerError> {
        if self.written == self.kept.len() {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            let new = self.kept[self.written..].as_flattened();
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o640).open(file(folder))?;
            file.write_all_at(new, 32 * self.written as u64)
        };
        write().map_err(|e| LedgerError::file(&file(folder), e))?;
        self.written = self.kept.len();
        Ok(())
    }

    /// The hashes of subtrees, for a proof. Each begins at a multiple of a power of two that is not smaller than itself.
    pub(crate) fn subtrees(&self, rows: &Rows, ranges: &[Range<u64>]) -> Result<Vec<Hash>, LedgerError> {
        ranges.iter().map(|range| self.subtree(rows, range)).collect()
    }

    fn subtree(&self, rows: &Rows, range: &Range<u64>) -> Result<Hash, LedgerError> {
        let (mut inner, mut at) = (Frontier::default(), range.start);
        while at.is_multiple_of(LEAVES) && at + LEAVES <= range.end {
            let kept = usize::try_from(at >> LEVEL).ok().and_then(|n| self.kept.get(n));
            inner.push_subtree(LEVEL, *kept.ok_or(LedgerError::Contradiction(range.end))?);
            at += LEAVES;
        }
        if let Some(part) = rows.known_part(at, range.end) {
            at += part.size();
            inner.join(part);
        }
        rows.leaves(at..range.end, |leaf| inner.push(leaf))?;
        Ok(inner.root())
    }
}

/// Makes what the file has durable.
pub(crate) fn sync(folder: &Path) -> Result<(), LedgerError> {
    match File::open(file(folder)).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LedgerError::file(&file(folder), error)),
        _ => Ok(()),
    }
}
