//! A wallet's secret key, what it signs, and signatures, which are verified before anybody gets them.

use std::fmt;

use osmoda_chains::keys::{ed25519, secp256k1};
use zeroize::Zeroizing;

use crate::wallet::{Chain, PublicKey};

/// The longest message, in bytes. Solana's transactions have at most 1,232.
pub const MOST_MESSAGE: usize = 60 * 1024;

/// What is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A hash, by secp256k1.
    Hash([u8; 32]),
    /// A message of at most [`MOST_MESSAGE`] bytes, by ed25519.
    Message(&'a [u8]),
}

/// A signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Of a hash, by secp256k1, with the parity by which the public key is recovered.
    Secp256k1(secp256k1::Signature),
    /// Of a message, by ed25519.
    Ed25519([u8; 64]),
}

/// Something is not signed, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Hashes are signed by keys of Ethereum, messages by keys of Solana.
    #[error("a key of {0} does not sign this: hashes are for ethereum, messages for solana")]
    Payload(Chain),
    /// Too long.
    #[error("the message has {0} bytes, and at most {MOST_MESSAGE} are signed")]
    TooLong(usize),
    /// It is not that key's signature of that.
    #[error("the signature does not verify with the wallet's public key")]
    Signature,
    /// What was signed did not verify.
    #[error("the signature did not verify and is withheld: this machine reckons wrongly")]
    Fault,
}

impl PublicKey {
    /// Can this key sign that?
    ///
    /// # Errors
    /// [`SignError::Payload`], [`SignError::TooLong`].
    pub fn admit(&self, what: &Payload<'_>) -> Result<(), SignError> {
        match (self, what) {
            (Self::Solana(_), Payload::Message(message)) if message.len() > MOST_MESSAGE => {
                Err(SignError::TooLong(message.len()))
            }
            (Self::Ethereum(_), Payload::Hash(_)) | (Self::Solana(_), Payload::Message(_)) => Ok(()),
            _ => Err(SignError::Payload(self.chain())),
        }
    }

    /// Is that this key's signature? One of secp256k1 has to have the lower `s`, and the parity that recovers this key.
    ///
    /// # Errors
    /// [`SignError::Signature`].
    pub fn verify(&self, what: &Payload<'_>, signed: &Signed) -> Result<(), SignError> {
        let good = match (self, what, signed) {
            (Self::Ethereum(key), Payload::Hash(hash), Signed::Secp256k1(signature)) => {
                // A key that is recovered is one that verifies.
                signature.recover(hash).as_ref() == Ok(key)
            }
            (Self::Solana(key), Payload::Message(message), Signed::Ed25519(signature)) => {
                key.verify(message, signature).is_ok()
            }
            _ => false,
        };
        if good { Ok(()) } else { Err(SignError::Signature) }
    }
}

/// A secret key. It is wiped when dropped; it can be neither cloned nor printed.
pub enum Key {
    /// Of Ethereum.
    Ethereum(secp256k1::SecretKey),
    /// Of Solana.
    Solana(ed25519::SecretKey),
}

impl Key {
    /// From 32 bytes; none when they are no key of that chain.
    pub(crate) fn from_bytes(chain: Chain, bytes: &[u8; 32]) -> Option<Self> {
        match chain {
            Chain::Ethereum => secp256k1::SecretKey::from_bytes(bytes).ok().map(Self::Ethereum),
            Chain::Solana => Some(Self::Solana(ed25519::SecretKey::from_bytes(bytes))),
        }
    }

    /// The 32 bytes, to be sealed.
    pub(crate) fn expose(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Ethereum(key) => key.expose(),
            Self::Solana(key) => key.expose(),
        }
    }

    /// The public key, reckoned from the secret one.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Ethereum(key) => PublicKey::Ethereum(key.public()),
            Self::Solana(key) => PublicKey::Solana(key.public()),
        }
    }

    /// Signs, and verifies the signature.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign(&self, what: &Payload<'_>) -> Result<Signed, SignError> {
        self.public().admit(what)?;
        match (self, what) {
            (Self::Ethereum(key), Payload::Hash(hash)) => {
                key.sign_hash(hash).map(Signed::Secp256k1).map_err(|_| SignError::Fault)
            }
            (Self::Solana(key), Payload::Message(message)) => {
                key.sign_raw(message).map(Signed::Ed25519).map_err(|_| SignError::Fault)
            }
            _ => Err(SignError::Payload(self.public().chain())),
        }
    }
}

/// The public key only.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.public())
    }
}
