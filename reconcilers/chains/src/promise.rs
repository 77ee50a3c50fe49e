//! What every decoder promises, one function for each, so that fuzzing and property tests ask the same: what is read
//! encodes to the same bytes, and its effects can be told. `true` says that the promise was kept, by refusing too.

use crate::{
    Effects, base58,
    ethereum::{
        Address, Authorization,
        abi::Call,
        transaction::{SignedTransaction, Transaction},
        typed_data::TypedData,
    },
    hex,
    mnemonic::Mnemonic,
    solana,
};

/// Every decoder of bytes.
#[must_use]
pub fn bytes(bytes: &[u8]) -> bool {
    unsigned(bytes)
        && signed(bytes)
        && authorization(bytes)
        && call(bytes)
        && solana_message(bytes)
        && solana_transaction(bytes)
        && solana_offchain(bytes)
}

/// Every decoder of text.
#[must_use]
pub fn text(text: &str) -> bool {
    let _ = hex::decode(text);
    let _ = Mnemonic::parse(text);
    let _ = crate::derive::ExtendedKey::from_text(text);
    let path = text.parse::<crate::derive::Path>().map_or(true, |path| path.to_string() == text);
    let number = text.parse::<crate::U256>().map_or(true, |number| number.to_string() == text);
    let address = text.parse::<Address>().map_or(true, |address| address.to_string().eq_ignore_ascii_case(text));
    let digits = base58::decode(text, 64).map_or(true, |bytes| base58::encode(&bytes) == text);
    let base64 = solana::Transaction::from_base64(text).map_or(true, |transaction| transaction.to_base64() == text);
    typed_data(text) && path && number && address && digits && base64
}

/// See [`Transaction::decode`].
#[must_use]
pub fn unsigned(bytes: &[u8]) -> bool {
    Transaction::decode(bytes).map_or(true, |transaction| {
        let effects = Effects::of_ethereum(&transaction, Address([7; 20]));
        // Whoever is called is told, whatever else is not.
        transaction.encode() == bytes && !effects.moves.is_empty()
    })
}

/// See [`SignedTransaction::decode`].
#[must_use]
pub fn signed(bytes: &[u8]) -> bool {
    SignedTransaction::decode(bytes).map_or(true, |signed| {
        let _ = signed.signer().map(|signer| Effects::of_ethereum(&signed.transaction, signer));
        signed.encode() == bytes
    })
}

/// See [`Authorization::decode`].
#[must_use]
pub fn authorization(bytes: &[u8]) -> bool {
    Authorization::decode(bytes).map_or(true, |authorization| authorization.encode() == bytes)
}

/// See [`Call::decode`].
#[must_use]
pub fn call(bytes: &[u8]) -> bool {
    Call::decode(bytes).map_or(true, |call| call.encode() == bytes)
}

/// See [`TypedData::parse`].
#[must_use]
pub fn typed_data(text: &str) -> bool {
    TypedData::parse(text).map_or(true, |data| {
        let effects = Effects::of_typed_data(&data, Address([7; 20]));
        // It is a spend that is known, or it is not read.
        !effects.is_decoded() || !effects.moves.is_empty() || !effects.grants.is_empty()
    })
}

/// See [`solana::Message::decode`].
#[must_use]
pub fn solana_message(bytes: &[u8]) -> bool {
    solana::Message::decode(bytes).map_or(true, |message| {
        let payer = message.signers().first().copied().unwrap_or(solana::Address([7; 32]));
        let _ = Effects::of_solana(&message, payer);
        message.encode() == bytes
    })
}

/// See [`solana::Transaction::decode`].
#[must_use]
pub fn solana_transaction(bytes: &[u8]) -> bool {
    solana::Transaction::decode(bytes).map_or(true, |transaction| {
        let _ = transaction.verify();
        transaction.encode() == bytes
    })
}

/// See [`solana::offchain::OffchainMessage::decode`].
#[must_use]
pub fn solana_offchain(bytes: &[u8]) -> bool {
    solana::offchain::OffchainMessage::decode(bytes).map_or(true, |message| {
        // Nobody can take it for a transaction.
        let other = solana::Message::decode(bytes).is_err() && solana::Transaction::decode(bytes).is_err();
        other && message.encode() == bytes
    })
}
