//! Store paths: computed from content before anything is written, as Nix computes them.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{nar, tree::Tree};

/// Where the Nix store is. Every machine that shares binaries has it there, and so do we.
pub const STORE_DIR: &str = "/nix/store";

/// An absolute path directly below the store: `/nix/store/<32 base-32 digits>-<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(Box<str>);

/// Why a text is not a [`StorePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a store path: {STORE_DIR}/<hash>-<name>")]
pub struct InvalidStorePath(pub String);

impl StorePath {
    /// The whole path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as the file system takes it.
    #[must_use]
    pub fn as_path(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }

    /// `<hash>-<name>`.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.0[STORE_DIR.len() + 1..]
    }

    /// What follows the digits, such as `hello-2.12.1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.base_name()[HASH_DIGITS + 1..]
    }

    /// The 32 digits that identify it.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.base_name()[..HASH_DIGITS]
    }
}

const HASH_DIGITS: usize = 32;
/// Nix's base-32 digits: no e, o, t, u.
const DIGITS: &str = "0123456789abcdfghijklmnpqrsvwxyz";

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"+-._?=".contains(&b)
}

/// The length of the store path that `text` begins with, if it begins with one.
pub(crate) fn prefix_len(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(STORE_DIR.as_bytes())?.strip_prefix(b"/")?;
    let digits = rest.get(..HASH_DIGITS)?;
    let name = rest.get(HASH_DIGITS..)?.strip_prefix(b"-")?;
    let name_len = name.iter().take_while(|b| is_name_byte(**b)).count();
    let valid = digits.iter().all(|d| DIGITS.as_bytes().contains(d)) && (1..=211).contains(&name_len);
    valid.then(|| STORE_DIR.len() + 1 + HASH_DIGITS + 1 + name_len)
}

impl FromStr for StorePath {
    type Err = InvalidStorePath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if prefix_len(text.as_bytes()) == Some(text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidStorePath(text.chars().take(300).collect()))
        }
    }
}

impl TryFrom<String> for StorePath {
    type Error = InvalidStorePath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0.into()
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that is to be a store path: a tree, its name, and the store paths it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreObject {
    path: StorePath,
    nar: Vec<u8>,
    nar_hash: [u8; 32],
    references: BTreeSet<StorePath>,
}

impl StoreObject {
    /// The tree as a content-addressed store object. Every store path that any of its files or links names is a
    /// reference.
    ///
    /// # Panics
    /// When `name` is not a store path name; names are ours.
    #[must_use]
    pub fn new(name: &str, tree: &Tree) -> Self {
        let nar = nar::encode(tree);
        let nar_hash: [u8; 32] = Sha256::digest(&nar).into();
        let references = references(&nar);
        let path = content_address(name, &nar_hash, &references);
        Self { path, nar, nar_hash, references }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// Its Nix archive.
    #[must_use]
    pub fn nar(&self) -> &[u8] {
        &self.nar
    }

    /// SHA-256 of the archive.
    #[must_use]
    pub fn nar_hash(&self) -> &[u8; 32] {
        &self.nar_hash
    }

    /// What it refers to.
    #[must_use]
    pub fn references(&self) -> &BTreeSet<StorePath> {
        &self.references
    }
}

/// Every store path that the bytes name.
#[must_use]
pub fn references(bytes: &[u8]) -> BTreeSet<StorePath> {
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(STORE_DIR.len()).position(|w| w == STORE_DIR.as_bytes()) {
        at += next;
        let length = prefix_len(&bytes[at..]).unwrap_or(0);
        if let Some(path) = std::str::from_utf8(&bytes[at..at + length]).ok().and_then(|p| p.parse().ok()) {
            found.insert(path);
        }
        at += length.max(1);
    }
    found
}

/// The path of a recursive SHA-256 "source" object with references (Nix manual, "Store Object Content Address":
/// fingerprint `source:<references>:sha256:<base-16>:<store dir>:<name>`, its SHA-256 folded to 160 bits, in base 32).
fn content_address(name: &str, nar_hash: &[u8; 32], references: &BTreeSet<StorePath>) -> StorePath {
    let mut kind = "source".to_owned();
    for reference in references {
        kind.push(':');
        kind.push_str(reference.as_str());
    }
    let hex: String = nar_hash.iter().map(|b| format!("{b:02x}")).collect();
    let fingerprint = Sha256::digest(format!("{kind}:sha256:{hex}:{STORE_DIR}:{name}"));
    let mut folded = [0_u8; 20];
    for (i, byte) in fingerprint.iter().enumerate() {
        folded[i % 20] ^= byte;
    }
    let path = format!("{STORE_DIR}/{}-{name}", nix_base32::to_nix_base32(&folded));
    path.parse().expect("the name is one of ours and the hash is base 32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_are_recognised_inside_text() {
        let path = "/nix/store/0c2i7v4bl0yscb9zbp8c2bjm4vlxh6hq-nginx-1.24.0";
        let found = references(format!("ExecStart={path}/bin/nginx -c /nix/store/short\n/nix/store{path}").as_bytes());
        assert_eq!(found.into_iter().map(String::from).collect::<Vec<_>>(), [path]);
    }
}
