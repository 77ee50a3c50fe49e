//! Addresses: public keys, and those that programs derive, which are no points of the curve and have no secret key.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use super::programs;
use crate::{
    base58::{self, Base58Error},
    keys::ed25519::PublicKey,
};

/// The most seeds of a derived address, with the bump.
const MOST_SEEDS: usize = 16;
/// The longest seed, in bytes.
const MOST_SEED: usize = 32;

/// 32 bytes, written in base58.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 32]);

/// A text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address is 32 bytes in base58: {0}")]
pub struct AddressError(#[from] Base58Error);

impl Address {
    /// That of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(key.0)
    }

    /// Can it have a secret key?
    #[must_use]
    pub fn is_on_curve(&self) -> bool {
        PublicKey(self.0).is_on_curve()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base58::encode(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Ok(Self(base58::decode_array(text)?))
    }
}

/// The address that a program derives from seeds, and its bump: the first from 255 down to 1 that is no point of the
/// curve (Solana does not try 0). None of more than 15 seeds, of one longer than 32 bytes, or (one in 2^255) when there is
/// none.
#[must_use]
pub fn find_program_address(seeds: &[&[u8]], program: &Address) -> Option<(Address, u8)> {
    if seeds.len() >= MOST_SEEDS || seeds.iter().any(|seed| seed.len() > MOST_SEED) {
        return None;
    }
    (1..=u8::MAX).rev().find_map(|bump| {
        let mut hash = Sha256::new();
        seeds.iter().for_each(|seed| hash.update(seed));
        hash.update([bump]);
        hash.update(program.0);
        hash.update(b"ProgramDerivedAddress");
        let address = Address(hash.finalize().into());
        (!address.is_on_curve()).then_some((address, bump))
    })
}

/// Where an owner's tokens of a mint are kept, unless it was said otherwise (Associated Token Account program).
#[must_use]
pub fn associated_token_address(owner: &Address, mint: &Address, token_program: &Address) -> Option<Address> {
    let seeds = [owner.0.as_slice(), &token_program.0, &mint.0];
    find_program_address(&seeds, &programs::ASSOCIATED_TOKEN).map(|(address, _)| address)
}
