//! From a seed to keys: paths, BIP-32 for secp256k1, SLIP-10 for ed25519.

mod bip32;
mod path;
mod slip10;

pub use bip32::ExtendedKey;
pub use path::{Path, PathError, Step};
pub use slip10::ExtendedKey as Ed25519ExtendedKey;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

/// A key cannot be derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// Seeds have 128 to 512 bits (BIP-32).
    #[error("a seed has 16 to 64 bytes, not {0}")]
    Seed(usize),
    /// One in 2^127: the next index is to be taken (BIP-32).
    #[error("there is no key at this place: take the next index")]
    NoKey,
    /// Depth is one byte.
    #[error("there is nothing deeper than 255 steps")]
    Depth,
    /// Ed25519 has hardened steps only (SLIP-10).
    #[error("step {0} of the path is not hardened, which ed25519 cannot derive: write it as {0}'")]
    NotHardened(u32),
    /// The text is no extended secret key.
    #[error("this is no extended secret key: {0}")]
    Text(&'static str),
}

/// The seed's length is one that BIP-32 and SLIP-10 know.
fn check_seed(seed: &[u8]) -> Result<(), DeriveError> {
    if (16..=64).contains(&seed.len()) { Ok(()) } else { Err(DeriveError::Seed(seed.len())) }
}

/// HMAC-SHA512 (RFC 2104), in its two halves.
fn halves(key: &[u8], parts: &[&[u8]]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let (mut left, mut right) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    let mut whole = mac.finalize().into_bytes();
    left.copy_from_slice(&whole[..32]);
    right.copy_from_slice(&whole[32..]);
    zeroize::Zeroize::zeroize(whole.as_mut_slice());
    (left, right)
}
