//! A digest of all that is wished. Objects are in buckets, so that it costs what changed and not what there is.

use std::collections::{BTreeMap, BTreeSet};

use osmoda_schemas::object::{Author, ContentHash, ObjectRef};
use sha2::{Digest, Sha256};

/// Enough that a bucket of a large machine has a few dozen objects at most.
const BUCKETS: usize = 1024;

type Hash = [u8; 32];

/// The digest of a set of objects, each with the hash of its document and its author. The same set has the same digest,
/// however it came about.
#[derive(Clone, Debug)]
pub struct Desired {
    buckets: Vec<BTreeMap<ObjectRef, Hash>>,
    digests: Vec<Hash>,
    stale: BTreeSet<usize>,
}

impl Default for Desired {
    fn default() -> Self {
        let empty = Sha256::digest(b"").into();
        Self { buckets: vec![BTreeMap::new(); BUCKETS], digests: vec![empty; BUCKETS], stale: BTreeSet::new() }
    }
}

impl Desired {
    /// An object is wished like this.
    pub fn set(&mut self, reference: &ObjectRef, hash: ContentHash, author: Author) {
        let mut leaf = Sha256::new();
        leaf.update(reference.to_string());
        leaf.update(b"\0");
        leaf.update(hash.as_bytes());
        leaf.update(author.uid.to_le_bytes());
        let bucket = bucket_of(reference);
        self.buckets[bucket].insert(reference.clone(), leaf.finalize().into());
        self.stale.insert(bucket);
    }

    /// An object is no longer wished.
    pub fn remove(&mut self, reference: &ObjectRef) {
        let bucket = bucket_of(reference);
        self.buckets[bucket].remove(reference);
        self.stale.insert(bucket);
    }

    /// The digest of all of them.
    pub fn digest(&mut self) -> ContentHash {
        for bucket in std::mem::take(&mut self.stale) {
            let mut digest = Sha256::new();
            self.buckets[bucket].values().for_each(|leaf| digest.update(leaf));
            self.digests[bucket] = digest.finalize().into();
        }
        ContentHash::of(self.digests.as_flattened())
    }
}

fn bucket_of(reference: &ObjectRef) -> usize {
    let hash = Sha256::digest(reference.to_string());
    usize::from(u16::from_le_bytes([hash[0], hash[1]])) % BUCKETS
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    fn reference(n: u32) -> ObjectRef {
        format!("App/a{n}").parse().unwrap()
    }

    #[test]
    fn the_way_does_not_matter_but_the_set_does() {
        let author = |uid| Author { uid };
        let (mut one, mut other) = (Desired::default(), Desired::default());
        assert_eq!(one.digest(), other.digest());
        for n in 0..3000 {
            one.set(&reference(n), ContentHash::of(n.to_string()), author(0));
        }
        for n in (0..4000).rev() {
            other.set(&reference(n), ContentHash::of("first"), author(1));
            other.digest();
            other.set(&reference(n), ContentHash::of(n.to_string()), author(0));
        }
        (3000..4000).for_each(|n| other.remove(&reference(n)));
        let all = one.digest();
        assert_eq!(all, other.digest());
        one.set(&reference(7), ContentHash::of("7"), author(5));
        assert_ne!(one.digest(), all, "another author is another wish");
        one.set(&reference(7), ContentHash::of("8"), author(0));
        assert_ne!(one.digest(), all);
        one.remove(&reference(7));
        assert_ne!(one.digest(), all);
        one.set(&reference(7), ContentHash::of("7"), author(0));
        assert_eq!(one.digest(), all);
    }
}
