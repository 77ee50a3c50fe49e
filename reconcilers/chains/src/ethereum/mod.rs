//! Ethereum and the chains that are like it: addresses, transactions, messages, typed data, calls.

pub mod abi;
mod address;
mod authorization;
mod chain_id;
pub mod personal;
pub mod rlp;
pub mod transaction;
pub mod typed_data;

pub use address::{Address, AddressError};
pub use authorization::{Authorization, SignedAuthorization};
pub use chain_id::ChainId;

use sha3::{Digest, Keccak256};

/// Keccak-256, with the padding from before SHA-3 was a standard.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}
