//! Addresses, written with the checksum of EIP-55.

use std::{fmt, str::FromStr};

use super::{keccak256, rlp};
use crate::{
    hex::{self, HexError},
    keys::secp256k1::PublicKey,
};

/// 20 bytes: the end of the Keccak-256 of a public key, or of what created a contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 20]);

/// A text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `0x` and 40 digits.
    #[error("an address is 0x and 40 hexadecimal digits: {0}")]
    Hex(#[from] HexError),
    /// It is of both cases, and they are not those that EIP-55 asks for.
    #[error("the checksum (EIP-55: which letters are capitals) is wrong: a digit is mistyped")]
    Checksum,
}

impl Address {
    /// That of nobody. Tokens take it for minting and burning, EIP-7702 for no delegate.
    pub const ZERO: Self = Self([0; 20]);

    /// That of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self::end_of(keccak256(&key.to_uncompressed()[1..]))
    }

    /// That of the contract which a transaction of this account creates.
    #[must_use]
    pub fn created(&self, nonce: u64) -> Self {
        let mut list = rlp::Encoder::default();
        list.bytes(&self.0).number(nonce);
        Self::end_of(keccak256(&list.finish_list()))
    }

    fn end_of(hash: [u8; 32]) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash[12..]);
        Self(bytes)
    }
}

/// With the checksum of EIP-55.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = hex::encode(&self.0);
        let hash = keccak256(&plain.as_bytes()[2..]);
        let mut text = String::from("0x");
        for (at, digit) in plain.chars().skip(2).enumerate() {
            let nibble = hash[at / 2] >> (if at % 2 == 0 { 4 } else { 0 }) & 15;
            text.push(if nibble >= 8 { digit.to_ascii_uppercase() } else { digit });
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// All in lower case or all in capitals is taken too: it has no checksum.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = Self(hex::decode_array(text)?);
        let digits = &text[2..];
        let plain = digits == digits.to_ascii_lowercase() || digits == digits.to_ascii_uppercase();
        if plain || address.to_string() == text { Ok(address) } else { Err(AddressError::Checksum) }
    }
}
