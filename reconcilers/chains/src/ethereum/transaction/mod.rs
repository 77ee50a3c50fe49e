//! Transactions: legacy (with and without EIP-155), EIP-2930, EIP-1559 and EIP-7702, in envelopes of EIP-2718.

mod decode;
mod encode;

use super::{Address, ChainId, SignedAuthorization, keccak256, rlp::RlpError};
use crate::{
    U256,
    keys::secp256k1::{KeyError, SecretKey, Signature},
};

/// The longest transaction that is read, in bytes: what nodes take into their pool.
pub const MOST_BYTES: usize = 128 * 1024;
/// The most entries of an access list, and the most keys of all of them together.
pub const MOST_ACCESSES: usize = 4096;
/// The most authorizations.
pub const MOST_AUTHORIZATIONS: usize = 128;

/// Bytes are no transaction of a kind that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are no RLP, or other fields than expected.
    #[error("it is no transaction: {0}")]
    Rlp(#[from] RlpError),
    /// There are none.
    #[error("there are no bytes")]
    Empty,
    /// Too many.
    #[error("it is longer than {MOST_BYTES} bytes")]
    TooLong,
    /// The first byte is of no known type.
    #[error("transactions of type {0} are not known here (known: legacy, 1, 2, 4)")]
    Type(u8),
    /// As many fields as no form of a legacy transaction has.
    #[error("a legacy transaction has 6 fields, or 9, not {0}")]
    Fields(usize),
    /// Zero, or too large.
    #[error("the chain id is 0 or larger than EIP-2294 allows")]
    ChainId,
    /// The largest nonce is never used (EIP-2681).
    #[error("the nonce is the largest of all, which no transaction may have")]
    Nonce,
    /// `v` of a legacy transaction.
    #[error("v is neither 27 nor 28 nor 35 and more")]
    V,
    /// Of a typed one.
    #[error("the parity is neither 0 nor 1")]
    Parity,
    /// Signed where unsigned was expected, or the other way round.
    #[error("a signature is there where none may be, or is missing")]
    Signed,
    /// Too many entries.
    #[error("it has more accesses or authorizations than are read here")]
    TooMany,
    /// EIP-7702 forbids it.
    #[error("a transaction that sets code has at least one authorization")]
    NoAuthorization,
    /// Its signature is out of range.
    #[error("{0}")]
    Signature(#[from] KeyError),
}

/// What all types have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// How many transactions the account has sent before.
    pub nonce: u64,
    /// The most gas that it may use.
    pub gas_limit: u64,
    /// What goes to the recipient, in wei.
    pub value: U256,
    /// What a contract is called with, or created by.
    pub data: Vec<u8>,
}

/// An address and its storage that will be used (EIP-2930). It costs gas and does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The address.
    pub address: Address,
    /// Places in its storage.
    pub keys: Vec<[u8; 32]>,
}

/// A transaction without its signature. Prices are in wei for a unit of gas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// The first form.
    Legacy {
        /// See [`Common`].
        common: Common,
        /// Price.
        gas_price: U256,
        /// The recipient; none: a contract is created.
        to: Option<Address>,
        /// The chain (EIP-155); none: it is good on every chain.
        chain_id: Option<ChainId>,
    },
    /// Type 1, EIP-2930.
    AccessList {
        /// See [`Common`].
        common: Common,
        /// Price.
        gas_price: U256,
        /// The recipient; none: a contract is created.
        to: Option<Address>,
        /// The chain.
        chain_id: ChainId,
        /// See [`Access`].
        accesses: Vec<Access>,
    },
    /// Type 2, EIP-1559.
    DynamicFee {
        /// See [`Common`].
        common: Common,
        /// The most of the price that goes to who builds the block.
        max_priority_fee: U256,
        /// The most that the price may be.
        max_fee: U256,
        /// The recipient; none: a contract is created.
        to: Option<Address>,
        /// The chain.
        chain_id: ChainId,
        /// See [`Access`].
        accesses: Vec<Access>,
    },
    /// Type 4, EIP-7702.
    SetCode {
        /// See [`Common`].
        common: Common,
        /// The most of the price that goes to who builds the block.
        max_priority_fee: U256,
        /// The most that the price may be.
        max_fee: U256,
        /// The recipient.
        to: Address,
        /// The chain.
        chain_id: ChainId,
        /// See [`Access`].
        accesses: Vec<Access>,
        /// Accounts whose code is set before the call.
        authorizations: Vec<SignedAuthorization>,
    },
}

impl Transaction {
    /// What all types have.
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Legacy { common, .. }
            | Self::AccessList { common, .. }
            | Self::DynamicFee { common, .. }
            | Self::SetCode { common, .. } => common,
        }
    }

    /// The recipient; none: a contract is created.
    #[must_use]
    pub fn to(&self) -> Option<&Address> {
        match self {
            Self::Legacy { to, .. } | Self::AccessList { to, .. } | Self::DynamicFee { to, .. } => to.as_ref(),
            Self::SetCode { to, .. } => Some(to),
        }
    }

    /// The chain; none: every chain.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        match self {
            Self::Legacy { chain_id, .. } => *chain_id,
            Self::AccessList { chain_id, .. } | Self::DynamicFee { chain_id, .. } | Self::SetCode { chain_id, .. } => {
                Some(*chain_id)
            }
        }
    }

    /// The most that a unit of gas may cost, in wei.
    #[must_use]
    pub fn max_gas_price(&self) -> U256 {
        match self {
            Self::Legacy { gas_price, .. } | Self::AccessList { gas_price, .. } => *gas_price,
            Self::DynamicFee { max_fee, .. } | Self::SetCode { max_fee, .. } => *max_fee,
        }
    }

    /// The authorizations that it carries.
    #[must_use]
    pub fn authorizations(&self) -> &[SignedAuthorization] {
        match self {
            Self::SetCode { authorizations, .. } => authorizations,
            _ => &[],
        }
    }

    /// What is signed: the Keccak-256 of [`Transaction::encode`].
    #[must_use]
    pub fn signing_hash(&self) -> [u8; 32] {
        keccak256(&self.encode())
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`KeyError::Fault`].
    pub fn sign(self, key: &SecretKey) -> Result<SignedTransaction, KeyError> {
        let signature = key.sign_hash(&self.signing_hash())?;
        Ok(SignedTransaction { transaction: self, signature })
    }
}

/// A transaction as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What was signed.
    pub transaction: Transaction,
    /// Whose: see [`SignedTransaction::signer`].
    pub signature: Signature,
}

impl SignedTransaction {
    /// The account that pays.
    ///
    /// # Errors
    /// [`KeyError::Signature`], [`KeyError::Recovery`].
    pub fn signer(&self) -> Result<Address, KeyError> {
        self.signature.recover(&self.transaction.signing_hash()).map(|key| Address::of(&key))
    }

    /// What the network calls it: the Keccak-256 of [`SignedTransaction::encode`].
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&self.encode())
    }
}
