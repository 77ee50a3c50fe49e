//! Transactions: a message and the signatures of its signers.

use data_encoding::BASE64;

use super::{
    Address, Message, MessageError,
    compact::{Reader, write_length},
    message::MOST_BYTES,
};
use crate::{
    base58,
    keys::ed25519::{KeyError, PublicKey, SecretKey},
};

/// What is there for a signature that is still missing.
const MISSING: [u8; 64] = [0; 64];

/// Bytes are no transaction, or it cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// See [`MessageError`].
    #[error("{0}")]
    Message(#[from] MessageError),
    /// One for each signer.
    #[error("it has {0} signatures for {1} signers")]
    Signatures(usize, usize),
    /// The text is neither.
    #[error("the text is no base64 with padding, or no base58")]
    Text,
    /// The key is not one of the signers.
    #[error("{0} is no signer of this message")]
    NoSigner(Address),
    /// See [`KeyError`].
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A signature is missing.
    #[error("{0} has not signed")]
    NotSigned(Address),
}

/// A transaction, of which signatures may still be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    signatures: Vec<[u8; 64]>,
    message: Message,
}

impl Transaction {
    /// Without any signature.
    #[must_use]
    pub fn new(message: Message) -> Self {
        Self { signatures: vec![MISSING; message.signers().len()], message }
    }

    /// Reads a transaction, which has one signature for each signer, of zeros where it is missing.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TransactionError> {
        if bytes.len() > MOST_BYTES {
            return Err(MessageError::TooLong.into());
        }
        let mut reader = Reader(bytes);
        let signatures = reader.arrays()?;
        let message = Message::decode(reader.0)?;
        if signatures.len() != message.signers().len() {
            return Err(TransactionError::Signatures(signatures.len(), message.signers().len()));
        }
        Ok(Self { signatures, message })
    }

    /// Reads base64 with padding.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub fn from_base64(text: &str) -> Result<Self, TransactionError> {
        Self::decode(&BASE64.decode(text.as_bytes()).map_err(|_| TransactionError::Text)?)
    }

    /// Reads base58.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub fn from_base58(text: &str) -> Result<Self, TransactionError> {
        Self::decode(&base58::decode(text, MOST_BYTES).map_err(|_| TransactionError::Text)?)
    }

    /// The bytes that are sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_length(&mut bytes, self.signatures.len());
        bytes.extend(self.signatures.iter().flatten());
        bytes.extend(self.message.encode());
        bytes
    }

    /// In base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.encode())
    }

    /// In base58.
    #[must_use]
    pub fn to_base58(&self) -> String {
        base58::encode(&self.encode())
    }

    /// What is signed.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// One for each signer, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[[u8; 64]] {
        &self.signatures
    }

    /// Adds the signature of a key.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub fn sign(&mut self, key: &SecretKey) -> Result<(), TransactionError> {
        let address = Address::of(&key.public());
        if !self.message.signers().contains(&address) {
            return Err(TransactionError::NoSigner(address));
        }
        self.insert(address, key.sign_raw(&self.message.encode())?)
    }

    /// Adds a signature that somebody else has made.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub fn insert(&mut self, signer: Address, signature: [u8; 64]) -> Result<(), TransactionError> {
        PublicKey(signer.0).verify(&self.message.encode(), &signature)?;
        let place = self.message.signers().iter().position(|known| *known == signer);
        let slot = place.and_then(|place| self.signatures.get_mut(place));
        *slot.ok_or(TransactionError::NoSigner(signer))? = signature;
        Ok(())
    }

    /// Signers whose signatures are missing.
    pub fn missing(&self) -> impl Iterator<Item = &Address> {
        self.message.signers().iter().zip(&self.signatures).filter(|(_, s)| **s == MISSING).map(|(signer, _)| signer)
    }

    /// Has every signer signed?
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub fn verify(&self) -> Result<(), TransactionError> {
        let bytes = self.message.encode();
        for (signer, signature) in self.message.signers().iter().zip(&self.signatures) {
            if *signature == MISSING {
                return Err(TransactionError::NotSigned(*signer));
            }
            PublicKey(signer.0).verify(&bytes, signature)?;
        }
        Ok(())
    }
}
