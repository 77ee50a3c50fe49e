//! Whose a change is: a switch makes the wishes of one author real, or of several together.

use std::collections::{BTreeMap, BTreeSet};

use osmoda_schemas::object::{Author, ContentHash, ObjectRef};
use sha2::{Digest, Sha256};

use crate::manifest::Manifest;

/// Users (uid) with the digests of all that each of them wishes.
pub type Wishes = BTreeMap<u32, ContentHash>;

/// The digests of all that these authors wish, of these objects in the order of their names. Who wishes nothing has a digest,
/// too.
pub fn wishes<'a>(
    authors: &BTreeSet<u32>,
    objects: impl IntoIterator<Item = (&'a ObjectRef, ContentHash, Author)>,
) -> Wishes {
    let mut digests: BTreeMap<u32, Sha256> = authors.iter().map(|uid| (*uid, Sha256::new())).collect();
    for (reference, hash, author) in objects {
        if let Some(digest) = digests.get_mut(&author.uid) {
            digest.update(reference.to_string());
            digest.update(b"\0");
            digest.update(hash.as_bytes());
        }
    }
    digests.into_iter().map(|(uid, digest)| (uid, ContentHash::of(digest.finalize()))).collect()
}

/// What those authors wish whose objects are others than in the generation before. Who had an object and who has it now have both
/// changed it.
#[must_use]
pub fn changed_wishes(old: &Manifest, new: &Manifest) -> Wishes {
    let mut authors = BTreeSet::new();
    for reference in old.objects.keys().chain(new.objects.keys()) {
        let of = |manifest: &Manifest| manifest.objects.get(reference).map(|entry| (entry.hash, entry.author));
        let (before, after) = (of(old), of(new));
        if before != after {
            authors.extend([before, after].into_iter().flatten().map(|(_, author)| author.uid));
        }
    }
    wishes(&authors, new.objects.iter().map(|(reference, entry)| (reference, entry.hash, entry.author)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::manifest::ManifestEntry;

    fn manifest(objects: &[(&str, &str, u32)]) -> Manifest {
        let entry = |text: &str, uid| ManifestEntry {
            hash: ContentHash::of(text),
            author: Author { uid },
            units: Vec::new(),
            references: BTreeSet::new(),
            gates: Vec::new(),
            probation: None,
        };
        let objects = objects.iter().map(|(name, text, uid)| (name.parse().unwrap(), entry(text, *uid))).collect();
        Manifest { objects, ..Manifest::default() }
    }

    #[test]
    fn a_change_is_its_authors() {
        let old = manifest(&[("App/a", "1", 1), ("App/b", "1", 2), ("App/c", "1", 3)]);
        let authors = |new: &[_]| changed_wishes(&old, &manifest(new)).into_keys().collect::<Vec<u32>>();
        assert_eq!(authors(&[("App/a", "1", 1), ("App/b", "1", 2), ("App/c", "1", 3)]), Vec::<u32>::new());
        assert_eq!(authors(&[("App/a", "2", 1), ("App/b", "1", 2)]), [1, 3], "changed, and deleted");
        assert_eq!(authors(&[("App/a", "1", 2), ("App/b", "1", 2), ("App/c", "1", 3)]), [1, 2], "taken over");
    }

    #[test]
    fn what_others_wish_does_not_matter() {
        let digest = |new: &[_]| changed_wishes(&Manifest::default(), &manifest(new))[&1];
        let one = digest(&[("App/a", "1", 1), ("App/b", "1", 2)]);
        assert_eq!(one, digest(&[("App/a", "1", 1), ("App/b", "2", 2), ("App/c", "1", 3)]));
        assert_ne!(one, digest(&[("App/a", "2", 1)]));
        assert_ne!(one, digest(&[("App/a", "1", 1), ("App/b", "1", 1)]));
    }
}
