//! Values of EIP-712 and their hashes.

use super::Types;
use crate::{
    U256,
    ethereum::{Address, keccak256},
};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of any `uint`.
    Uint(U256),
    /// Of any `int`, as the complement of two in 256 bits.
    Int(U256),
    /// Of `bool`.
    Bool(bool),
    /// Of `address`.
    Address(Address),
    /// Of `bytes1` to `bytes32`.
    FixedBytes(Vec<u8>),
    /// Of `bytes`.
    Bytes(Vec<u8>),
    /// Of `string`.
    String(String),
    /// Of an array.
    Array(Vec<Value>),
    /// Of a struct type.
    Struct(Struct),
}

/// A value of a struct type.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// The type's name.
    pub name: String,
    /// Its fields in their order.
    pub fields: Vec<(String, Value)>,
}

impl Struct {
    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// hashStruct: the hash of the type's hash and the fields' words.
    pub(super) fn hash(&self, types: &Types) -> [u8; 32] {
        let mut bytes = types.hash(&self.name).to_vec();
        for (_, value) in &self.fields {
            bytes.extend(value.word(types));
        }
        keccak256(&bytes)
    }
}

impl Value {
    /// encodeData of one value: 32 bytes.
    fn word(&self, types: &Types) -> [u8; 32] {
        match self {
            Self::Uint(number) | Self::Int(number) => number.to_be_bytes(),
            Self::Bool(value) => U256::from(u64::from(*value)).to_be_bytes(),
            Self::Address(address) => {
                let mut word = [0; 32];
                word[12..].copy_from_slice(&address.0);
                word
            }
            Self::FixedBytes(bytes) => {
                let mut word = [0; 32];
                for (to, from) in word.iter_mut().zip(bytes) {
                    *to = *from;
                }
                word
            }
            Self::Bytes(bytes) => keccak256(bytes),
            Self::String(text) => keccak256(text.as_bytes()),
            Self::Array(items) => {
                let words: Vec<u8> = items.iter().flat_map(|item| item.word(types)).collect();
                keccak256(&words)
            }
            Self::Struct(inner) => inner.hash(types),
        }
    }
}
