//! Chain ids (EIP-155), which tie a signature to one chain.

use std::fmt;

/// The number of a chain: from 1 to the largest that fits `v` of a legacy transaction into 64 bits (EIP-2294).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(u64);

impl ChainId {
    /// Ethereum's own chain.
    pub const MAINNET: Self = Self(1);
    /// The largest.
    pub const MAX: Self = Self(u64::MAX / 2 - 36);

    /// A chain; none of 0 or beyond [`ChainId::MAX`].
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number > 0 && number <= Self::MAX.0).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
