//! EIP-712: typed data, read from JSON as wallets get it (`eth_signTypedData_v4`).
//!
//! Every field of every type has to be there and no other, every value has to be of its type, and a JSON object may name
//! nothing twice; so what a person or a policy sees is all that is signed.

mod domain;
mod json;
mod read;
mod types;
mod value;

pub use domain::Domain;
pub use types::{Field, Type, Types};
pub use value::{Struct, Value};

use super::keccak256;
use crate::{
    keys::secp256k1::{KeyError, SecretKey, Signature},
    shown::shown,
};

/// The longest text, in bytes.
pub const MOST_BYTES: usize = 256 * 1024;
/// The most struct types.
pub const MOST_TYPES: usize = 64;
/// The most fields of one.
pub const MOST_FIELDS: usize = 128;
/// The most dimensions of an array.
pub const MOST_DIMENSIONS: usize = 4;
/// How deep structs and arrays may lie in each other.
pub const MOST_DEPTH: usize = 24;

/// A text is no typed data. `at` is the path of the value, such as `message.orders[3].maker`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedDataError {
    /// Too long.
    #[error("it is longer than {MOST_BYTES} bytes")]
    TooLong,
    /// No JSON, or an object that names something twice, or a number with a fraction.
    #[error("it is no JSON that can be read exactly: {0}")]
    Json(String),
    /// A part is missing, of the wrong kind, or of no use.
    #[error("{at}: {reason}")]
    Value {
        /// Where.
        at: String,
        /// What is wrong, and what would do.
        reason: String,
    },
}

impl TypedDataError {
    fn new(at: &str, reason: impl Into<String>) -> Self {
        Self::Value { at: at.to_owned(), reason: reason.into() }
    }
}

/// Typed data whose every value is of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedData {
    types: Types,
    domain: Domain,
    domain_separator: [u8; 32],
    message: Struct,
}

impl TypedData {
    /// Reads the JSON object with `types`, `primaryType`, `domain` and `message`.
    ///
    /// # Errors
    /// See [`TypedDataError`].
    pub fn parse(text: &str) -> Result<Self, TypedDataError> {
        let mut root = json::parse(text)?.object("the whole")?;
        let mut take = |name: &str| {
            let found = root.iter().position(|(key, _)| key == name);
            found.map(|at| root.remove(at).1).ok_or_else(|| TypedDataError::new(name, "it is missing"))
        };
        let (types, primary) = (take("types")?, take("primaryType")?.text("primaryType")?);
        let (domain, message) = (take("domain")?, take("message")?);
        if let Some((name, _)) = root.first() {
            return Err(TypedDataError::new(
                &shown(name),
                "typed data has types, primaryType, domain and message only",
            ));
        }
        let types = Types::read(types)?;
        if primary == domain::TYPE {
            return Err(TypedDataError::new("primaryType", "a domain alone is not signed"));
        }
        let domain = read::structure(&types, domain::TYPE, domain, "domain", 0)?;
        let domain_separator = domain.hash(&types);
        let domain = Domain::of(&types, &domain)?;
        if types.get(&primary).is_none() {
            return Err(TypedDataError::new("primaryType", format!("there is no struct type `{}`", shown(&primary))));
        }
        let message = read::structure(&types, &primary, message, "message", 0)?;
        Ok(Self { types, domain, domain_separator, message })
    }

    /// The type of the message.
    #[must_use]
    pub fn primary_type(&self) -> &str {
        &self.message.name
    }

    /// The type of the message, with all that it holds, as it is hashed (encodeType).
    #[must_use]
    pub fn type_text(&self) -> String {
        self.types.encode(&self.message.name)
    }

    /// For whom it is.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What it says.
    #[must_use]
    pub fn message(&self) -> &Struct {
        &self.message
    }

    /// The hash of the domain.
    #[must_use]
    pub fn domain_separator(&self) -> &[u8; 32] {
        &self.domain_separator
    }

    /// The hash of the message (hashStruct).
    #[must_use]
    pub fn message_hash(&self) -> [u8; 32] {
        self.message.hash(&self.types)
    }

    /// What is signed: the Keccak-256 of 0x19, 0x01 and both hashes.
    #[must_use]
    pub fn signing_hash(&self) -> [u8; 32] {
        keccak256(&[&[0x19, 0x01][..], &self.domain_separator, &self.message_hash()].concat())
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`KeyError::Fault`].
    pub fn sign(&self, key: &SecretKey) -> Result<Signature, KeyError> {
        key.sign_hash(&self.signing_hash())
    }
}
