//! SLIP-10: extended secret keys of ed25519, whose children are all hardened.

use zeroize::Zeroizing;

use super::{DeriveError, Path, Step, check_seed, halves};
use crate::keys::ed25519::SecretKey;

/// A secret key and the chain code that its children are derived with. It is wiped when dropped.
pub struct ExtendedKey {
    secret: Zeroizing<[u8; 32]>,
    chain_code: Zeroizing<[u8; 32]>,
}

impl ExtendedKey {
    /// The master key of a seed of 16 to 64 bytes.
    ///
    /// # Errors
    /// [`DeriveError::Seed`].
    pub fn from_seed(seed: &[u8]) -> Result<Self, DeriveError> {
        check_seed(seed)?;
        let (secret, chain_code) = halves(b"ed25519 seed", &[seed]);
        Ok(Self { secret, chain_code })
    }

    /// The child at a hardened step.
    ///
    /// # Errors
    /// [`DeriveError::NotHardened`].
    pub fn child(&self, step: Step) -> Result<Self, DeriveError> {
        if !step.is_hardened() {
            return Err(DeriveError::NotHardened(step.index()));
        }
        let (secret, chain_code) = halves(&*self.chain_code, &[&[0], &*self.secret, &step.to_be_bytes()]);
        Ok(Self { secret, chain_code })
    }

    /// The key at a path from here.
    ///
    /// # Errors
    /// [`DeriveError::NotHardened`].
    pub fn derive(self, path: &Path) -> Result<Self, DeriveError> {
        path.steps().iter().try_fold(self, |key, step| key.child(*step))
    }

    /// The secret key.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        SecretKey::from_bytes(&self.secret)
    }

    /// The chain code, by which test vectors tell a key.
    #[must_use]
    pub fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }
}
