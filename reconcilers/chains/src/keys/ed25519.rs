//! Ed25519 (RFC 8032), as Solana uses it: whole messages are signed, there is no hash before.

use ed25519_dalek::{Signature as Raw, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// What a key or signature is refused for. It never tells anything of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Both halves of a key pair do not belong together.
    #[error("the second half of this key pair is not the public key of the first")]
    Pair,
    /// Not a point of the curve.
    #[error("this is no public key of ed25519")]
    Public,
    /// It does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// What was signed did not verify: the machine reckons wrongly, and the signature is not given out.
    #[error("the signature did not verify and is withheld: this machine reckons wrongly")]
    Fault,
}

/// A secret key. It is wiped when dropped; it can be neither cloned nor printed.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From 32 bytes, such as fresh entropy (the seed of RFC 8032, 5.1.5). All are good.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// From 64 bytes, as Solana's tools keep a key pair: the seed and the public key.
    ///
    /// # Errors
    /// [`KeyError::Pair`].
    pub fn from_pair(bytes: &[u8; 64]) -> Result<Self, KeyError> {
        SigningKey::from_keypair_bytes(bytes).map(Self).map_err(|_| KeyError::Pair)
    }

    /// The 32 bytes, to be sealed.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs any bytes, and verifies what it signed, so that no wrongly reckoned signature tells the key. The bytes may be
    /// the message of a transaction, and nobody has looked at what it does: [`crate::solana::Transaction::sign`] and
    /// [`crate::solana::offchain::OffchainMessage::sign`] sign what has been read.
    ///
    /// # Errors
    /// [`KeyError::Fault`].
    pub fn sign_raw(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.0.sign(message).to_bytes();
        // A public key of another secret one, which RFC 8032 hashes in, would tell the key: then it does not verify, either, for
        // sB = R + kA holds for the A of this secret key alone.
        self.public().verify(message, &signature).map_err(|_| KeyError::Fault)?;
        Ok(signature)
    }
}

/// A public key, which need not be a point of the curve before something is verified by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Is that this key's signature of the message? Neither points of small order nor `s` beyond the order are taken
    /// (`verify_strict`, as Solana's validators do).
    ///
    /// # Errors
    /// [`KeyError::Public`], [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::Public)?;
        key.verify_strict(message, &Raw::from_bytes(signature)).map_err(|_| KeyError::Signature)
    }

    /// Are the 32 bytes a point of the curve? An address that is none has no secret key (program derived addresses).
    #[must_use]
    pub fn is_on_curve(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok()
    }
}
