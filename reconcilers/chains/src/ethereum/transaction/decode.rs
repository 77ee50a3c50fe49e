//! Reading transactions. What is read is written as the same bytes, for RLP has one form of each value.

use super::{
    Access, Common, DecodeError, MOST_ACCESSES, MOST_AUTHORIZATIONS, MOST_BYTES, SignedTransaction, Transaction,
};
use crate::{
    U256,
    ethereum::{Address, ChainId, SignedAuthorization, authorization::read_signature, rlp::Decoder},
    keys::secp256k1::Signature,
};

impl Transaction {
    /// Reads a transaction that is not signed yet: the bytes whose hash will be.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, mut list) = open(bytes)?;
        let transaction = match kind {
            0 => match list.count(10)? {
                6 => legacy(&mut list, None)?,
                9 => {
                    let (common, gas_price, to) = legacy_fields(&mut list)?;
                    let chain_id = Some(chain_id(&mut list)?);
                    if !(list.bytes()?.is_empty() && list.bytes()?.is_empty()) {
                        return Err(DecodeError::Signed);
                    }
                    Self::Legacy { common, gas_price, to, chain_id }
                }
                fields => return Err(DecodeError::Fields(fields)),
            },
            _ => typed(kind, &mut list)?,
        };
        if list.is_empty() { Ok(transaction) } else { Err(DecodeError::Signed) }
    }
}

impl SignedTransaction {
    /// Reads a transaction as it is sent. That its signature is somebody's is told by [`SignedTransaction::signer`].
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, mut list) = open(bytes)?;
        let (transaction, signature) = if kind == 0 {
            match list.count(10)? {
                9 => {}
                6 => return Err(DecodeError::Signed),
                fields => return Err(DecodeError::Fields(fields)),
            }
            let (common, gas_price, to) = legacy_fields(&mut list)?;
            let (chain_id, y_parity) = read_v(list.u64()?)?;
            let (r, s) = (list.u256()?, list.u256()?);
            if r.is_zero() && s.is_zero() {
                return Err(DecodeError::Signed);
            }
            let signature = Signature { r: r.to_be_bytes(), s: s.to_be_bytes(), y_parity };
            signature.check()?;
            (Transaction::Legacy { common, gas_price, to, chain_id }, signature)
        } else {
            let transaction = typed(kind, &mut list)?;
            if list.is_empty() {
                return Err(DecodeError::Signed);
            }
            (transaction, read_signature(&mut list)?)
        };
        list.finish()?;
        Ok(Self { transaction, signature })
    }
}

/// The type (0 of legacy ones) and the fields.
fn open(bytes: &[u8]) -> Result<(u8, Decoder<'_>), DecodeError> {
    if bytes.len() > MOST_BYTES {
        return Err(DecodeError::TooLong);
    }
    match bytes.split_first().ok_or(DecodeError::Empty)? {
        (0xc0.., _) => Ok((0, Decoder::of_list(bytes)?)),
        (kind @ (1 | 2 | 4), list) => Ok((*kind, Decoder::of_list(list)?)),
        (kind, _) => Err(DecodeError::Type(*kind)),
    }
}

fn legacy_fields(list: &mut Decoder<'_>) -> Result<(Common, U256, Option<Address>), DecodeError> {
    let (nonce, gas_price) = (nonce(list)?, list.u256()?);
    let (common, to) = rest(list, nonce)?;
    Ok((common, gas_price, to))
}

fn legacy(list: &mut Decoder<'_>, chain_id: Option<ChainId>) -> Result<Transaction, DecodeError> {
    let (common, gas_price, to) = legacy_fields(list)?;
    Ok(Transaction::Legacy { common, gas_price, to, chain_id })
}

fn typed(kind: u8, list: &mut Decoder<'_>) -> Result<Transaction, DecodeError> {
    let (chain_id, nonce) = (chain_id(list)?, nonce(list)?);
    if kind == 1 {
        let gas_price = list.u256()?;
        let (common, to) = rest(list, nonce)?;
        return Ok(Transaction::AccessList { common, gas_price, to, chain_id, accesses: accesses(list)? });
    }
    let (max_priority_fee, max_fee) = (list.u256()?, list.u256()?);
    let (common, to) = rest(list, nonce)?;
    let accesses = accesses(list)?;
    if kind == 2 {
        return Ok(Transaction::DynamicFee { common, max_priority_fee, max_fee, to, chain_id, accesses });
    }
    // It cannot create a contract: an empty recipient has the wrong length.
    let to = to.ok_or(crate::ethereum::rlp::RlpError::Length(0, 20))?;
    let mut items = list.list()?;
    let mut authorizations = Vec::new();
    while !items.is_empty() {
        if authorizations.len() == MOST_AUTHORIZATIONS {
            return Err(DecodeError::TooMany);
        }
        authorizations.push(SignedAuthorization::read(&mut items)?);
    }
    if authorizations.is_empty() {
        return Err(DecodeError::NoAuthorization);
    }
    Ok(Transaction::SetCode { common, max_priority_fee, max_fee, to, chain_id, accesses, authorizations })
}

fn chain_id(list: &mut Decoder<'_>) -> Result<ChainId, DecodeError> {
    ChainId::new(list.u64()?).ok_or(DecodeError::ChainId)
}

fn nonce(list: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    match list.u64()? {
        u64::MAX => Err(DecodeError::Nonce),
        nonce => Ok(nonce),
    }
}

/// From the limit of gas to the data.
fn rest(list: &mut Decoder<'_>, nonce: u64) -> Result<(Common, Option<Address>), DecodeError> {
    let gas_limit = list.u64()?;
    let mut again = *list;
    let to = if list.bytes()?.is_empty() { None } else { Some(Address(again.array()?)) };
    Ok((Common { nonce, gas_limit, value: list.u256()?, data: list.bytes()?.to_vec() }, to))
}

fn accesses(list: &mut Decoder<'_>) -> Result<Vec<Access>, DecodeError> {
    let (mut items, mut accesses, mut count) = (list.list()?, Vec::new(), 0);
    while !items.is_empty() {
        let mut item = items.list()?;
        let (address, mut storage) = (Address(item.array()?), item.list()?);
        item.finish()?;
        let mut keys = Vec::new();
        while !storage.is_empty() {
            keys.push(storage.array()?);
        }
        count += 1 + keys.len();
        if count > MOST_ACCESSES {
            return Err(DecodeError::TooMany);
        }
        accesses.push(Access { address, keys });
    }
    Ok(accesses)
}

/// `v` of a legacy transaction: the chain and the parity (EIP-155).
fn read_v(v: u64) -> Result<(Option<ChainId>, bool), DecodeError> {
    match v {
        27 => Ok((None, false)),
        28 => Ok((None, true)),
        35.. => Ok((Some(ChainId::new((v - 35) / 2).ok_or(DecodeError::ChainId)?), (v - 35) % 2 == 1)),
        _ => Err(DecodeError::V),
    }
}
