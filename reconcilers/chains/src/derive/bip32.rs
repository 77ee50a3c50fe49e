//! BIP-32: extended secret keys of secp256k1.

use k256::elliptic_curve::{ff::PrimeField, subtle::ConstantTimeEq, zeroize::Zeroize};
use zeroize::Zeroizing;

use super::{DeriveError, Path, Step, check_seed, halves};
use crate::{base58, keys::secp256k1::SecretKey};

/// The version of extended secret keys of the main network, whose text begins with `xprv`.
const VERSION: [u8; 4] = [0x04, 0x88, 0xad, 0xe4];

/// A secret key, the chain code that its children are derived with, and where it stands. It is wiped when dropped.
pub struct ExtendedKey {
    key: SecretKey,
    chain_code: Zeroizing<[u8; 32]>,
    depth: u8,
    index: [u8; 4],
}

impl ExtendedKey {
    /// The master key of a seed of 16 to 64 bytes.
    ///
    /// # Errors
    /// See [`DeriveError`].
    pub fn from_seed(seed: &[u8]) -> Result<Self, DeriveError> {
        check_seed(seed)?;
        let (left, chain_code) = halves(b"Bitcoin seed", &[seed]);
        let key = SecretKey::from_bytes(&left).map_err(|_| DeriveError::NoKey)?;
        Ok(Self { key, chain_code, depth: 0, index: [0; 4] })
    }

    /// From the text of one (`xprv...`), as other wallets export it.
    ///
    /// # Errors
    /// [`DeriveError::Text`].
    pub fn from_text(text: &str) -> Result<Self, DeriveError> {
        let bytes =
            base58::decode_check(text, 78).map_err(|_| DeriveError::Text("its digits or checksum are wrong"))?;
        let bytes: &[u8; 78] = bytes.as_slice().try_into().map_err(|_| DeriveError::Text("it has not 78 bytes"))?;
        if bytes[..4] != VERSION {
            return Err(DeriveError::Text("its version is not that of xprv"));
        }
        let (depth, parent, mut index) = (bytes[4], &bytes[5..9], [0; 4]);
        index.copy_from_slice(&bytes[9..13]);
        if depth == 0 && (parent != [0; 4] || index != [0; 4]) {
            return Err(DeriveError::Text("a master key has neither parent nor index"));
        }
        if bytes[45] != 0 {
            return Err(DeriveError::Text("its key does not begin with a zero byte"));
        }
        let (mut chain_code, mut secret) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        chain_code.copy_from_slice(&bytes[13..45]);
        secret.copy_from_slice(&bytes[46..]);
        let key = SecretKey::from_bytes(&secret).map_err(|_| DeriveError::Text("its key is no key of secp256k1"))?;
        Ok(Self { key, chain_code, depth, index })
    }

    /// The child at a step (CKDpriv).
    ///
    /// # Errors
    /// See [`DeriveError`].
    pub fn child(&self, step: Step) -> Result<Self, DeriveError> {
        let depth = self.depth.checked_add(1).ok_or(DeriveError::Depth)?;
        let index = step.to_be_bytes();
        let (left, chain_code) = if step.is_hardened() {
            halves(&*self.chain_code, &[&[0], &*self.key.expose(), &index])
        } else {
            halves(&*self.chain_code, &[&self.key.public().to_compressed(), &index])
        };
        let tweak = Option::<k256::Scalar>::from(k256::Scalar::from_repr((*left).into())).ok_or(DeriveError::NoKey)?;
        let mut tweak = Zeroizing::new(tweak);
        let mut sum = *tweak + **self.key.scalar();
        let secret = Zeroizing::new(<[u8; 32]>::from(sum.to_repr()));
        sum.zeroize();
        tweak.zeroize();
        let key = SecretKey::from_bytes(&secret).map_err(|_| DeriveError::NoKey)?;
        Ok(Self { key, chain_code, depth, index })
    }

    /// The key at a path from here.
    ///
    /// # Errors
    /// See [`DeriveError`].
    pub fn derive(self, path: &Path) -> Result<Self, DeriveError> {
        path.steps().iter().try_fold(self, |key, step| key.child(*step))
    }

    /// The secret key.
    #[must_use]
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The secret key, without what children are derived with.
    #[must_use]
    pub fn into_key(self) -> SecretKey {
        self.key
    }

    /// Has another the same key and chain code, at the same depth and index? The time does not tell where secrets differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let keys = self.key.expose().as_slice().ct_eq(other.key.expose().as_slice());
        let secrets = keys & self.chain_code.as_slice().ct_eq(other.chain_code.as_slice());
        bool::from(secrets) && (self.depth, self.index) == (other.depth, other.index)
    }
}
