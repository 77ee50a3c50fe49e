//! The domain: for which contract, on which chain, a message is good.

use super::{Struct, Type, TypedDataError, Types, Value};
use crate::{U256, ethereum::Address};

/// The name of its type.
pub(super) const TYPE: &str = "EIP712Domain";

/// A domain. What is not there does not bind the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// What people call it.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The chain.
    pub chain_id: Option<U256>,
    /// The contract that will read the message.
    pub verifying_contract: Option<Address>,
    /// Whatever else tells it from others.
    pub salt: Option<[u8; 32]>,
}

impl Domain {
    /// The five fields that EIP-712 knows, in its order, at least one of them.
    pub(super) fn of(types: &Types, domain: &Struct) -> Result<Self, TypedDataError> {
        const KNOWN: [(&str, Type); 5] = [
            ("name", Type::String),
            ("version", Type::String),
            ("chainId", Type::Uint(256)),
            ("verifyingContract", Type::Address),
            ("salt", Type::FixedBytes(32)),
        ];
        let at = format!("types.{TYPE}");
        let fields = types.get(TYPE).unwrap_or_default();
        if fields.is_empty() {
            return Err(TypedDataError::new(&at, "a domain has at least one field"));
        }
        let mut known = KNOWN.iter();
        for field in fields {
            if !known.any(|(name, kind)| *name == field.name && *kind == field.kind) {
                let fields = "string name, string version, uint256 chainId, address verifyingContract, bytes32 salt";
                let reason = format!("`{} {}` has no place there: {fields}, in this order", field.kind, field.name);
                return Err(TypedDataError::new(&at, reason));
            }
        }
        let mut read = Self::default();
        for (name, value) in &domain.fields {
            match (name.as_str(), value) {
                ("name", Value::String(text)) => read.name = Some(text.clone()),
                ("version", Value::String(text)) => read.version = Some(text.clone()),
                ("chainId", Value::Uint(number)) => read.chain_id = Some(*number),
                ("verifyingContract", Value::Address(address)) => read.verifying_contract = Some(*address),
                ("salt", Value::FixedBytes(bytes)) => read.salt = bytes.as_slice().try_into().ok(),
                _ => return Err(TypedDataError::new(&at, format!("`{name}` has no place there"))),
            }
        }
        Ok(read)
    }
}
