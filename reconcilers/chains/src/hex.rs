//! Hexadecimal text with `0x`, as Ethereum writes bytes.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// A text is no such bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// It does not begin with `0x`.
    #[error("it does not begin with 0x")]
    Prefix,
    /// Something else than pairs of digits.
    #[error("it holds something else than pairs of hexadecimal digits")]
    Digits,
    /// More or fewer bytes than asked for.
    #[error("it has {0} bytes, not {1}")]
    Length(usize, usize),
}

/// `0x` and two digits a byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    format!("0x{}", HEXLOWER.encode(bytes))
}

/// The bytes of a text with `0x`; digits of either case.
///
/// # Errors
/// See [`HexError`].
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    let digits = text.strip_prefix("0x").ok_or(HexError::Prefix)?;
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| HexError::Digits)
}

/// As many bytes as asked for.
///
/// # Errors
/// See [`HexError`].
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let bytes = decode(text)?;
    bytes.as_slice().try_into().map_err(|_| HexError::Length(bytes.len(), N))
}
