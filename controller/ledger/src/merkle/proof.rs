//! Proofs: which subtrees' hashes are in one, and how one is verified.

use std::ops::Range;

use super::{Hash, node};

/// The largest power of two that is smaller than the number of leaves, of which there are two at least.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The subtrees whose hashes show that leaf `index` is in the tree of `size` leaves, from the leaf up (PATH of RFC 6962,
/// 2.1.1). Each begins at a multiple of a power of two that is not smaller than itself.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut first, mut end) = (0, size);
    let mut path = Vec::new();
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            path.push(middle..end);
            end = middle;
        } else {
            path.push(first..middle);
            first = middle;
        }
    }
    path.reverse();
    path
}

/// The subtrees whose hashes show that the tree of `new` leaves has all that the one of `old` leaves had (PROOF of RFC
/// 6962, 2.1.2); none of no leaves or as many.
pub(crate) fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let (mut first, mut end, mut known) = (0, new, true);
    let mut path = Vec::new();
    if old == 0 {
        return path;
    }
    while old != end {
        let middle = first + split(end - first);
        if old <= middle {
            path.push(middle..end);
            end = middle;
        } else {
            path.push(first..middle);
            first = middle;
            known = false;
        }
    }
    if !known {
        path.push(first..end);
    }
    path.reverse();
    path
}

/// Is a leaf in the tree of that size and root (RFC 9162, 2.1.3.2)?
pub(crate) fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Does the tree of `new` (size, root) begin with all of the `old` one (RFC 9162, 2.1.4.2)? Every tree begins with the
/// empty one.
pub(crate) fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old, old_root), (new, new_root)) = (old, new);
    if old == 0 {
        return path.is_empty();
    }
    if old >= new {
        return old == new && old_root == new_root && path.is_empty();
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // A whole subtree is its own first step.
    let mut path = if old.is_power_of_two() { Some(old_root) } else { None }.into_iter().chain(path);
    let Some(first) = path.next() else { return false };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node(step, &old_hash);
            new_hash = node(step, &new_hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = node(&new_hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::tests::{leaves, naive};

    fn slice<'a>(leaves: &'a [Hash], range: &Range<u64>) -> &'a [Hash] {
        &leaves[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    }

    fn hashes(leaves: &[Hash], ranges: &[Range<u64>]) -> Vec<Hash> {
        ranges.iter().map(|range| naive(slice(leaves, range))).collect()
    }

    /// RFC 6962, 2.1.1, as it is written there.
    fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut path, sibling) = if index < left.len() {
            (naive_path(index, left), naive(right))
        } else {
            (naive_path(index - left.len(), right), naive(left))
        };
        path.push(sibling);
        path
    }

    /// SUBPROOF of RFC 6962, 2.1.2, as it is written there.
    fn naive_subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if known { Vec::new() } else { vec![naive(leaves)] };
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut path, sibling) = if old <= left.len() {
            (naive_subproof(old, left, known), naive(right))
        } else {
            (naive_subproof(old - left.len(), right, false), naive(left))
        };
        path.push(sibling);
        path
    }

    #[test]
    fn every_proof_of_small_trees_is_that_of_the_rfc_and_verifies() {
        let all = leaves(70);
        for size in 1..=all.len() {
            let (tree, n) = (&all[..size], size as u64);
            let root = naive(tree);
            for index in 0..size {
                let path = hashes(tree, &inclusion_ranges(index as u64, n));
                assert_eq!(path, naive_path(index, tree), "leaf {index} of {size}");
                assert!(verify_inclusion(&tree[index], index as u64, n, &path, &root), "leaf {index} of {size}");
            }
            for old in 1..=size {
                let path = hashes(tree, &consistency_ranges(old as u64, n));
                assert_eq!(path, naive_subproof(old, tree, true), "{old} to {size}");
                assert!(verify_consistency((old as u64, &naive(&tree[..old])), (n, &root), &path), "{old} to {size}");
            }
        }
        assert!(consistency_ranges(0, 9).is_empty());
        assert!(verify_consistency((0, &[0; 32]), (9, &[1; 32]), &[]), "every tree begins with the empty one");
        assert!(!verify_consistency((0, &[0; 32]), (9, &[1; 32]), &[[2; 32]]));
        assert!(!verify_inclusion(&[0; 32], 0, 0, &[], &[0; 32]), "nothing is in the empty tree");
    }

    #[test]
    fn subtrees_begin_where_a_power_of_two_that_holds_them_does() {
        for (index, size) in [(0, 1000), (999, 1000), (300, 777), (511, 513)] {
            for range in inclusion_ranges(index, size).into_iter().chain(consistency_ranges(index + 1, size)) {
                let length = (range.end - range.start).next_power_of_two();
                assert!(range.start.is_multiple_of(length), "{range:?}");
            }
        }
    }

    proptest! {
        /// Whatever is changed in a proof, it no longer verifies.
        #[test]
        fn a_proof_proves_nothing_else(size in 2_u64..200, at in any::<u64>(), step in any::<u64>(), bit in 0_u8..8) {
            let tree = leaves(size);
            let root = naive(&tree);
            let index = at % size;
            let leaf = &tree[usize::try_from(index).unwrap()];
            let path = hashes(&tree, &inclusion_ranges(index, size));
            prop_assert!(verify_inclusion(leaf, index, size, &path, &root));
            let mut bad = path.clone();
            let changed = usize::try_from(step).unwrap_or(7) % bad.len();
            bad[changed][3] ^= 1 << bit;
            prop_assert!(!verify_inclusion(leaf, index, size, &bad, &root));
            prop_assert!(!verify_inclusion(leaf, (index + 1) % size, size, &path, &root));
            prop_assert!(!verify_inclusion(&root, index, size, &path, &root));
            prop_assert!(!verify_inclusion(leaf, index, size, &path[1..], &root));
            prop_assert!(!verify_inclusion(leaf, index, size, &[&path[..], &[root]].concat(), &root));

            let old = 1 + step % (size - 1);
            let old_root = naive(slice(&tree, &(0..old)));
            let path = hashes(&tree, &consistency_ranges(old, size));
            prop_assert!(verify_consistency((old, &old_root), (size, &root), &path));
            let mut bad = path.clone();
            let changed = usize::try_from(at).unwrap_or(7) % bad.len();
            bad[changed][3] ^= 1 << bit;
            prop_assert!(!verify_consistency((old, &old_root), (size, &root), &bad));
            prop_assert!(!verify_consistency((old, &root), (size, &root), &path));
            prop_assert!(!verify_consistency((old, &old_root), (size, &old_root), &path));
            prop_assert!(!verify_consistency((old, &old_root), (size, &root), &path[1..]));
            prop_assert!(!verify_consistency((old, &old_root), (size, &root), &[&path[..], &[root]].concat()));
        }
    }
}
