//! Messages that are signed off the chain (Solana's proposal "Off-chain message signing", version 0): a preamble, which
//! tells for which application and by whom, and a text. The first byte is 0xff, with which no message of a transaction
//! begins.
//!
//! Solana's own tools before version 3 wrote a shorter preamble of the same version, without application and signers. It
//! is neither written nor read here.

use std::collections::BTreeSet;

use super::Address;
use crate::keys::ed25519::{KeyError, PublicKey, SecretKey};

/// What every one begins with; the byte after it is the version.
const PREFIX: &[u8; 16] = b"\xffsolana offchain";
/// The longest, in bytes, with the preamble.
pub const MOST_BYTES: usize = 65_535;
/// The longest that hardware wallets read.
pub const MOST_BYTES_OF_HARDWARE: usize = 1232;

/// What the text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Printed characters of ASCII (0x20 to 0x7e), at most [`MOST_BYTES_OF_HARDWARE`] with the preamble.
    RestrictedAscii,
    /// UTF-8, as short.
    LimitedUtf8,
    /// UTF-8, at most [`MOST_BYTES`] with the preamble.
    ExtendedUtf8,
}

/// Bytes or parts are no message, or it cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffchainError {
    /// It begins with something else.
    #[error("it does not begin with the byte 0xff and `solana offchain`")]
    Prefix,
    /// The bytes end too early.
    #[error("it ends in the middle of a field")]
    Short,
    /// A version that is not known here.
    #[error("messages of version {0} are not known here (known: 0)")]
    Version(u8),
    /// A format that is not known.
    #[error("it has the format {0}, of 0, 1 and 2")]
    Format(u8),
    /// One has to sign, and 255 can.
    #[error("it has {0} signers, not 1 to 255")]
    Signers(usize),
    /// The same signer twice.
    #[error("signer {0} is listed twice")]
    Duplicate(Address),
    /// A text of another length than the preamble says.
    #[error("its text has {0} bytes, not {1}")]
    Length(usize, usize),
    /// There is no text.
    #[error("it has no text")]
    Empty,
    /// Too long.
    #[error("it is longer than {MOST_BYTES} bytes")]
    TooLong,
    /// No UTF-8, or not what its format allows.
    #[error("its text is not what its format allows")]
    Text,
    /// The key is not one of the signers.
    #[error("{0} is no signer of this message")]
    NoSigner(Address),
    /// See [`KeyError`].
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// A message whose text is of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffchainMessage {
    application: [u8; 32],
    format: Format,
    signers: Vec<Address>,
    text: String,
}

impl OffchainMessage {
    /// A text for an application, in the first format that allows it. The application is any 32 bytes, such as the
    /// address of a program; zeros for none. All signers have to sign.
    ///
    /// # Errors
    /// See [`OffchainError`].
    pub fn new(application: [u8; 32], signers: Vec<Address>, text: String) -> Result<Self, OffchainError> {
        let format = least(signers.len(), &text)?;
        Self { application, format, signers, text }.checked()
    }

    fn checked(self) -> Result<Self, OffchainError> {
        if self.signers.is_empty() || self.signers.len() > usize::from(u8::MAX) {
            return Err(OffchainError::Signers(self.signers.len()));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.signers.iter().find(|signer| !seen.insert(**signer)) {
            return Err(OffchainError::Duplicate(*twice));
        }
        if self.text.is_empty() {
            return Err(OffchainError::Empty);
        }
        if least(self.signers.len(), &self.text)? > self.format {
            return Err(OffchainError::Text);
        }
        Ok(self)
    }

    /// Reads the bytes that are signed.
    ///
    /// # Errors
    /// See [`OffchainError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OffchainError> {
        if bytes.len() > MOST_BYTES {
            return Err(OffchainError::TooLong);
        }
        let short = OffchainError::Short;
        let rest = bytes.strip_prefix(PREFIX).ok_or(OffchainError::Prefix)?;
        let ([version], rest) = rest.split_first_chunk().ok_or(short)?;
        if *version != 0 {
            return Err(OffchainError::Version(*version));
        }
        let (application, rest) = rest.split_first_chunk::<32>().ok_or(short)?;
        let ([format, count], rest) = rest.split_first_chunk().ok_or(short)?;
        let format = match format {
            0 => Format::RestrictedAscii,
            1 => Format::LimitedUtf8,
            2 => Format::ExtendedUtf8,
            other => return Err(OffchainError::Format(*other)),
        };
        let (signers, rest) = rest.split_at_checked(usize::from(*count) * 32).ok_or(short)?;
        let (signers, _) = signers.as_chunks::<32>();
        let (length, text) = rest.split_first_chunk().ok_or(short)?;
        let length = usize::from(u16::from_le_bytes(*length));
        if text.len() != length {
            return Err(OffchainError::Length(text.len(), length));
        }
        let text = String::from_utf8(text.to_vec()).map_err(|_| OffchainError::Text)?;
        let signers = signers.iter().copied().map(Address).collect();
        Self { application: *application, format, signers, text }.checked()
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = [PREFIX.as_slice(), &[0], &self.application].concat();
        // Both numbers fit: it was checked.
        bytes.extend([self.format as u8, u8::try_from(self.signers.len()).unwrap_or(u8::MAX)]);
        bytes.extend(self.signers.iter().flat_map(|signer| signer.0));
        bytes.extend(u16::try_from(self.text.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }

    /// For which application it is; zeros: for none.
    #[must_use]
    pub fn application(&self) -> &[u8; 32] {
        &self.application
    }

    /// What the text may be.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Who has to sign.
    #[must_use]
    pub fn signers(&self) -> &[Address] {
        &self.signers
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature of a key, which is one of the signers.
    ///
    /// # Errors
    /// [`OffchainError::NoSigner`], [`OffchainError::Key`].
    pub fn sign(&self, key: &SecretKey) -> Result<[u8; 64], OffchainError> {
        let address = Address::of(&key.public());
        if !self.signers.contains(&address) {
            return Err(OffchainError::NoSigner(address));
        }
        Ok(key.sign_raw(&self.encode())?)
    }

    /// Is that a signer's signature?
    ///
    /// # Errors
    /// [`OffchainError::NoSigner`], [`OffchainError::Key`].
    pub fn verify(&self, signer: &Address, signature: &[u8; 64]) -> Result<(), OffchainError> {
        if !self.signers.contains(signer) {
            return Err(OffchainError::NoSigner(*signer));
        }
        Ok(PublicKey(signer.0).verify(&self.encode(), signature)?)
    }
}

/// The first format that allows a text.
fn least(signers: usize, text: &str) -> Result<Format, OffchainError> {
    // Prefix, version, application, format, number of signers, signers, length, text.
    let length =
        (PREFIX.len() + 1 + 32 + 1 + 1 + 2).saturating_add(signers.saturating_mul(32)).saturating_add(text.len());
    if length > MOST_BYTES {
        return Err(OffchainError::TooLong);
    }
    Ok(match (length <= MOST_BYTES_OF_HARDWARE, text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))) {
        (true, true) => Format::RestrictedAscii,
        (true, false) => Format::LimitedUtf8,
        (false, _) => Format::ExtendedUtf8,
    })
}
