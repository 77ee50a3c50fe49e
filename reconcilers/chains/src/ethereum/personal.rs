//! EIP-191, version 0x45: messages for people (`personal_sign`).

use super::keccak256;
use crate::keys::secp256k1::{KeyError, SecretKey, Signature};

/// What is signed: the Keccak-256 of byte 0x19, `Ethereum Signed Message:`, a line feed, the length in decimal and the
/// message. No transaction and no typed data begins like that.
#[must_use]
pub fn signing_hash(message: &[u8]) -> [u8; 32] {
    let head = format!("\x19Ethereum Signed Message:\n{}", message.len());
    keccak256(&[head.as_bytes(), message].concat())
}

/// Signs a message.
///
/// # Errors
/// [`KeyError::Fault`].
pub fn sign(message: &[u8], key: &SecretKey) -> Result<Signature, KeyError> {
    key.sign_hash(&signing_hash(message))
}
