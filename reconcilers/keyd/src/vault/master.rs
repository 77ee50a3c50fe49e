//! The key that seals all others: Argon2id (RFC 9106) makes it of a passphrase, AES-256-GCM (NIST SP 800-38D) seals by it.
//!
//! Nonces are random and have 96 bits. SP 800-38D, 8.3, allows 2^32 of them for one key; a vault writes some hundreds, and
//! a rotation makes another key.

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::{Passphrase, VaultError, secret::system_entropy};
use crate::bytes::Reader;

/// What deriving a key costs whoever guesses passphrases, and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// A cost is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// Weaker than what we make, or more than a machine should be asked for.
    #[error(
        "Argon2id with {0:?} (KiB) is refused: at least 64 MiB and 3 passes, at most 1 GiB, 16 passes and 4 lanes are taken"
    )]
    Bounds(Cost),
    /// It cannot be had now.
    #[error("there is no memory for Argon2id with {0:?} (KiB)")]
    Memory(Cost),
}

/// RFC 9106, 4, second choice, with one lane: 64 MiB and 3 passes. OWASP's least is 19 MiB and 2.
impl Default for Cost {
    fn default() -> Self {
        Self { memory: Self::LEAST_MEMORY, passes: Self::LEAST_PASSES, lanes: 1 }
    }
}

impl Cost {
    const LEAST_MEMORY: u32 = 64 * 1024;
    const MOST_MEMORY: u32 = 1024 * 1024;
    const LEAST_PASSES: u32 = 3;
    const MOST_PASSES: u32 = 16;
    const MOST_LANES: u32 = 4;

    /// Memory in KiB, passes over it, and lanes, which are filled one after the other.
    ///
    /// # Errors
    /// [`CostError::Bounds`].
    pub fn new(memory: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        let cost = Self { memory, passes, lanes };
        let good = (Self::LEAST_MEMORY..=Self::MOST_MEMORY).contains(&memory)
            && (Self::LEAST_PASSES..=Self::MOST_PASSES).contains(&passes)
            && (1..=Self::MOST_LANES).contains(&lanes);
        if good { Ok(cost) } else { Err(CostError::Bounds(cost)) }
    }
}

/// How a passphrase becomes a key. It is written beside what the key seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kdf {
    cost: Cost,
    salt: [u8; 16],
}

impl Kdf {
    pub(crate) const LEN: usize = 28;

    /// With a new salt.
    pub(crate) fn fresh(cost: Cost) -> Result<Self, VaultError> {
        let mut salt = [0; 16];
        system_entropy(&mut salt)?;
        Ok(Self { cost, salt })
    }

    /// Of the same cost.
    pub(crate) fn renewed(&self) -> Result<Self, VaultError> {
        Self::fresh(self.cost)
    }

    /// Four bytes each for memory, passes and lanes, and the salt.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        for number in [self.cost.memory, self.cost.passes, self.cost.lanes] {
            into.extend_from_slice(&number.to_be_bytes());
        }
        into.extend_from_slice(&self.salt);
    }

    /// None when it is too short.
    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Result<Self, CostError>> {
        let (memory, passes, lanes, salt) = (from.u32()?, from.u32()?, from.u32()?, from.array()?);
        Some(Cost::new(memory, passes, lanes).map(|cost| Self { cost, salt }))
    }
}

/// 32 bytes that are sealed: nonce, ciphertext, tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    nonce: [u8; 12],
    ciphertext: [u8; 32],
    tag: [u8; 16],
}

impl Sealed {
    pub(crate) const LEN: usize = 60;

    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.nonce);
        into.extend_from_slice(&self.ciphertext);
        into.extend_from_slice(&self.tag);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { nonce: from.array()?, ciphertext: from.array()?, tag: from.array()? })
    }
}

/// It was sealed by another key, for another purpose, or was changed.
#[derive(Debug)]
pub(crate) struct Forged;

/// The key that seals all others. It is wiped when dropped.
pub(crate) struct MasterKey {
    key: Box<Zeroizing<[u8; 32]>>,
    kdf: Kdf,
}

impl MasterKey {
    /// Argon2id, version 1.3.
    pub(crate) fn derive(passphrase: &Passphrase, kdf: &Kdf) -> Result<Self, VaultError> {
        let Cost { memory, passes, lanes } = kdf.cost;
        let params = Params::new(memory, passes, lanes, Some(32)).map_err(|_| CostError::Bounds(kdf.cost))?;
        // Memory that cannot be had is an error, not the end of the program. It is wiped, too.
        let mut blocks = Zeroizing::new(Vec::new());
        blocks.try_reserve_exact(params.block_count()).map_err(|_| CostError::Memory(kdf.cost))?;
        blocks.resize(params.block_count(), Block::new());
        let mut key = Box::new(Zeroizing::new([0; 32]));
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase.expose(), &kdf.salt, key.as_mut_slice(), blocks.as_mut_slice())
            .map_err(|_| CostError::Bounds(kdf.cost))?;
        Ok(Self { key, kdf: kdf.clone() })
    }

    #[cfg(test)]
    pub(crate) fn of(byte: u8, kdf: &Kdf) -> Self {
        Self { key: Box::new(Zeroizing::new([byte; 32])), kdf: kdf.clone() }
    }

    /// What it was made with.
    pub(crate) fn kdf(&self) -> &Kdf {
        &self.kdf
    }

    /// Seals 32 bytes, with a new nonce. They open only together with what is associated.
    pub(crate) fn seal(&self, associated: &[u8], secret: &[u8; 32]) -> Result<Sealed, VaultError> {
        let mut sealed = Sealed { nonce: [0; 12], ciphertext: [0; 32], tag: [0; 16] };
        system_entropy(&mut sealed.nonce)?;
        let mut text = Zeroizing::new(*secret);
        let tag = self.cipher().encrypt_inout_detached((&sealed.nonce).into(), associated, text.as_mut_slice().into());
        sealed.tag = tag.expect("less than 2^36 bytes are sealed").into();
        sealed.ciphertext = *text;
        Ok(sealed)
    }

    /// Opens what [`MasterKey::seal`] gave.
    pub(crate) fn open(&self, associated: &[u8], sealed: &Sealed) -> Result<Zeroizing<[u8; 32]>, Forged> {
        let mut text = Zeroizing::new(sealed.ciphertext);
        let buffer = text.as_mut_slice().into();
        match self.cipher().decrypt_inout_detached((&sealed.nonce).into(), associated, buffer, (&sealed.tag).into()) {
            Ok(()) => Ok(text),
            Err(_) => Err(Forged),
        }
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&**self.key).into())
    }
}
