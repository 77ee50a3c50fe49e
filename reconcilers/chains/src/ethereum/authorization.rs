//! EIP-7702: an account lets the code of another run as its own.

use super::{
    Address, ChainId, keccak256,
    rlp::{Decoder, Encoder},
    transaction::DecodeError,
};
use crate::{
    U256,
    keys::secp256k1::{KeyError, SecretKey, Signature},
};

/// The first byte of what is hashed.
const MAGIC: u8 = 5;

/// Who signs it gives all of the account to the code at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authorization {
    /// The chain; none: every chain.
    pub chain_id: Option<ChainId>,
    /// Whose code; [`Address::ZERO`]: no more code.
    pub delegate: Address,
    /// The signing account's nonce when it takes effect.
    pub nonce: u64,
}

impl Authorization {
    fn write(&self, list: &mut Encoder) {
        list.number(self.chain_id.map_or(0, ChainId::get)).bytes(&self.delegate.0).number(self.nonce);
    }

    fn read(list: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let chain_id = match list.u64()? {
            0 => None,
            number => Some(ChainId::new(number).ok_or(DecodeError::ChainId)?),
        };
        Ok(Self { chain_id, delegate: Address(list.array()?), nonce: list.u64()? })
    }

    /// What is signed: Keccak-256 of 5 and the list of the three fields.
    #[must_use]
    pub fn signing_hash(&self) -> [u8; 32] {
        let mut list = Encoder::default();
        self.write(&mut list);
        keccak256(&[&[MAGIC], list.finish_list().as_slice()].concat())
    }

    /// From the list of the three fields, without a signature.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut list = Decoder::of_list(bytes)?;
        let authorization = Self::read(&mut list)?;
        list.finish()?;
        Ok(authorization)
    }

    /// The list of the three fields.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut list = Encoder::default();
        self.write(&mut list);
        list.finish_list()
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`KeyError::Fault`].
    pub fn sign(self, key: &SecretKey) -> Result<SignedAuthorization, KeyError> {
        Ok(SignedAuthorization { authorization: self, signature: key.sign_hash(&self.signing_hash())? })
    }
}

/// An authorization and its signature, as a transaction carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedAuthorization {
    /// What was signed.
    pub authorization: Authorization,
    /// By whom: see [`SignedAuthorization::authority`].
    pub signature: Signature,
}

impl SignedAuthorization {
    /// The account whose code it sets.
    ///
    /// # Errors
    /// [`KeyError::Signature`], [`KeyError::Recovery`]: it sets none.
    pub fn authority(&self) -> Result<Address, KeyError> {
        self.signature.recover(&self.authorization.signing_hash()).map(|key| Address::of(&key))
    }

    pub(super) fn write(&self, list: &mut Encoder) {
        list.list(|list| {
            self.authorization.write(list);
            write_signature(&self.signature, list.number(u64::from(self.signature.y_parity)));
        });
    }

    pub(super) fn read(list: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut fields = list.list()?;
        let authorization = Authorization::read(&mut fields)?;
        let signature = read_signature(&mut fields)?;
        fields.finish()?;
        Ok(Self { authorization, signature })
    }
}

/// Writes r and s.
pub(super) fn write_signature(signature: &Signature, list: &mut Encoder) {
    list.number(U256::from_be_bytes(&signature.r)).number(U256::from_be_bytes(&signature.s));
}

/// Reads the parity, r and s, and checks that they are in range.
pub(super) fn read_signature(list: &mut Decoder<'_>) -> Result<Signature, DecodeError> {
    let y_parity = match list.u64()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::Parity),
    };
    let signature = Signature { r: list.u256()?.to_be_bytes(), s: list.u256()?.to_be_bytes(), y_parity };
    signature.check()?;
    Ok(signature)
}
