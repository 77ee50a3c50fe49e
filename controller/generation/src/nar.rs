//! The Nix archive format (Nix manual, "Nix Archive (NAR) format"), written only: trees go in, bytes come out.

use std::collections::BTreeMap;

use crate::tree::{Entry, Tree};

enum Node<'a> {
    Folder(BTreeMap<&'a str, Node<'a>>),
    Entry(&'a Entry),
}

/// The tree as an archive. An empty tree is an empty folder.
pub(crate) fn encode(tree: &Tree) -> Vec<u8> {
    // The order of names in a folder is not the order of whole paths (`a-b` sorts before `a/b`), so folders are built.
    let mut root = BTreeMap::new();
    for (path, entry) in tree.iter() {
        insert(&mut root, path, entry);
    }
    let mut out = Vec::with_capacity(tree.iter().map(|(p, e)| p.len() + size(e) + 256).sum());
    text(&mut out, "nix-archive-1");
    node(&mut out, &Node::Folder(root));
    out
}

fn insert<'a>(folder: &mut BTreeMap<&'a str, Node<'a>>, path: &'a str, entry: &'a Entry) {
    match path.split_once('/') {
        None => {
            folder.insert(path, Node::Entry(entry));
        }
        Some((name, rest)) => {
            let inner = folder.entry(name).or_insert_with(|| Node::Folder(BTreeMap::new()));
            if let Node::Folder(inner) = inner {
                insert(inner, rest, entry);
            }
        }
    }
}

fn size(entry: &Entry) -> usize {
    match entry {
        Entry::File { contents, .. } => contents.len(),
        Entry::Symlink { target } => target.len(),
    }
}

fn node(out: &mut Vec<u8>, node_: &Node<'_>) {
    text(out, "(");
    text(out, "type");
    match node_ {
        Node::Folder(entries) => {
            text(out, "directory");
            for (name, inner) in entries {
                text(out, "entry");
                text(out, "(");
                text(out, "name");
                text(out, name);
                text(out, "node");
                node(out, inner);
                text(out, ")");
            }
        }
        Node::Entry(Entry::File { contents, executable }) => {
            text(out, "regular");
            if *executable {
                text(out, "executable");
                text(out, "");
            }
            text(out, "contents");
            bytes(out, contents);
        }
        Node::Entry(Entry::Symlink { target }) => {
            text(out, "symlink");
            text(out, "target");
            text(out, target);
        }
    }
    text(out, ")");
}

fn text(out: &mut Vec<u8>, text: &str) {
    bytes(out, text.as_bytes());
}

/// Length as a little-endian 64-bit number, the bytes, zeros up to a multiple of eight.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(8), 0);
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

    use proptest::prelude::*;

    use super::*;

    /// Writes a tree as files, for other programs to read.
    fn unpack(tree: &Tree, root: &Path) {
        fs::create_dir_all(root).unwrap();
        for (path, entry) in tree.iter() {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry {
                Entry::File { contents, executable } => {
                    fs::write(&path, contents).unwrap();
                    let mode = if *executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                }
                Entry::Symlink { target } => std::os::unix::fs::symlink(target, &path).unwrap(),
            }
        }
    }

    fn tree(entries: Vec<(String, Vec<u8>, u8)>) -> Tree {
        let mut tree = Tree::new();
        for (path, contents, kind) in entries {
            let entry = match kind {
                0 => Entry::Symlink { target: "../x".to_owned() },
                k => Entry::File { contents, executable: k == 1 },
            };
            // Paths that are taken are passed over.
            let _ = tree.insert(path, entry);
        }
        tree
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Nix itself says what the archive of a folder is.
        #[test]
        fn archives_are_those_that_nix_writes(
            entries in prop::collection::vec(("[a-c.-]{1,2}(/[a-c-]{1,2}){0,2}", prop::collection::vec(any::<u8>(), 0..40), 0..3_u8), 0..8)
        ) {
            if Command::new("nix-store").arg("--version").output().is_err() {
                println!("SKIPPED: nix-store is not installed");
                return Ok(());
            }
            let tree = tree(entries);
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("tree");
            unpack(&tree, &root);
            let nix = Command::new("nix-store").arg("--dump").arg(&root).output().unwrap();
            prop_assert!(nix.status.success());
            prop_assert_eq!(encode(&tree), nix.stdout);
        }
    }
}
