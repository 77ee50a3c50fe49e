//! The Merkle tree of RFC 6962 (2.1) and RFC 9162 (2.1.1): one root stands for all rows, and short proofs show that a row
//! is under it, or that a later root has all that an earlier one had.

mod proof;

use sha2::{Digest, Sha256};

pub(crate) use proof::{consistency_ranges, inclusion_ranges, verify_consistency, verify_inclusion};

/// A hash of a leaf, a node or a root: SHA-256.
pub(crate) type Hash = [u8; 32];

/// The hash of a leaf: SHA-256 of a zero byte and what the leaf holds, here the 32 bytes of a row's hash.
pub(crate) fn leaf(data: &Hash) -> Hash {
    let mut bytes = [0; 33];
    bytes[1..].copy_from_slice(data);
    Sha256::digest(bytes).into()
}

/// The hash of a node: SHA-256 of a one byte and both children's hashes.
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// As much of a tree as it takes to go on with it: the hashes of the largest whole subtrees that it is made of, from left
/// to right. There is one for each bit of the size that is set, so at most 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// From what a size and [`Frontier::nodes`] once were; none when they do not fit together.
    pub(crate) fn from_parts(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, nodes })
    }

    /// The subtrees' hashes.
    pub(crate) fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Adds leaves that are less than a power of two that the size is a multiple of.
    pub(crate) fn join(&mut self, part: Self) {
        debug_assert!(self.size == 0 || part.size < 1 << self.size.trailing_zeros(), "a part begins elsewhere");
        self.size += part.size;
        self.nodes.extend(part.nodes);
    }

    /// How many leaves there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Adds `1 << level` leaves by the hash of the whole subtree that they are. The size has to be a multiple of that.
    pub(crate) fn push_subtree(&mut self, level: u32, root: Hash) {
        debug_assert!(self.size.is_multiple_of(1 << level), "a subtree of level {level} begins elsewhere");
        self.size += 1 << level;
        let mut root = root;
        for _ in level..self.size.trailing_zeros() {
            if let Some(left) = self.nodes.pop() {
                root = node(&left, &root);
            }
        }
        self.nodes.push(root);
    }

    /// The root; of no leaves: the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let joined = self.nodes.iter().rev().copied().reduce(|right, left| node(&left, &right));
        joined.unwrap_or_else(|| Sha256::digest([]).into())
    }

    /// The parts from leaf `first` up to leaf `end`, or as far as whole parts go; none when no part begins at `first`.
    pub(crate) fn between(&self, first: u64, end: u64) -> Option<Self> {
        let mut found = Self::default();
        let (mut at, mut left) = (0, self.size);
        for part in &self.nodes {
            let length = 1 << left.ilog2();
            if at >= first && at + length <= end {
                if found.size == 0 && at > first {
                    return None;
                }
                found.size += length;
                found.nodes.push(*part);
            }
            (at, left) = (at + length, left - length);
        }
        (found.size > 0).then_some(found)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 6962, 2.1, as it is written there.
    pub(crate) fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(&naive(left), &naive(right))
            }
        }
    }

    pub(crate) fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf(&Sha256::digest(n.to_be_bytes()).into())).collect()
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        // Leaves and roots of the reference implementation of RFC 6962 (merkle_tree_test of certificate-transparency).
        let data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        assert_eq!(HEXLOWER.encode(&tree.root()), roots[0]);
        for (data, root) in data.iter().zip(&roots[1..]) {
            // Leaves of other lengths than ours.
            let bytes = [vec![0], HEXLOWER.decode(data.as_bytes()).unwrap()].concat();
            tree.push(Sha256::digest(bytes).into());
            assert_eq!(&HEXLOWER.encode(&tree.root()), root);
        }
    }

    #[test]
    fn it_grows_as_the_naive_tree_does_by_leaves_and_by_subtrees() {
        let leaves = leaves(300);
        let mut tree = Frontier::default();
        for (n, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), naive(&leaves[..n]));
            assert_eq!(Frontier::from_parts(tree.size(), tree.nodes().to_vec()).as_ref(), Some(&tree));
            tree.push(*leaf);
        }
        let mut quick = Frontier::default();
        quick.push_subtree(8, naive(&leaves[..256]));
        quick.push_subtree(5, naive(&leaves[256..288]));
        leaves[288..].iter().for_each(|leaf| quick.push(*leaf));
        assert_eq!(quick, tree);
        assert_eq!(Frontier::from_parts(3, vec![[0; 32]]), None);
    }

    #[test]
    fn the_part_from_a_border_on_is_a_tree_of_its_own() {
        let leaves = leaves(110);
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        // 110 = 64 + 32 + 8 + 4 + 2
        for first in [0, 64, 96, 104, 108] {
            let at = usize::try_from(first).unwrap();
            let part = tree.between(first, 110).unwrap();
            assert_eq!(part.root(), naive(&leaves[at..]), "from {first}");
            let mut joined = Frontier::default();
            leaves[..at].iter().for_each(|leaf| joined.push(*leaf));
            joined.join(part);
            assert_eq!(joined, tree, "from {first}");
        }
        for first in [32, 100, 106, 109, 110, 111] {
            assert_eq!(tree.between(first, 110), None, "from {first}");
        }
        assert_eq!(tree.between(64, 105).unwrap().root(), naive(&leaves[64..104]), "as far as whole parts go");
        assert_eq!(tree.between(96, 103), None);
    }
}
