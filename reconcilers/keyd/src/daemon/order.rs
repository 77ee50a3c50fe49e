//! From what somebody asks for to the bytes that are signed, and to what these would do.

use data_encoding::BASE64;
use osmoda_chains::{
    Effects, base58,
    effects::{Account, Chain},
    ethereum::{
        self, Authorization, ChainId, keccak256, personal,
        transaction::{SignedTransaction, Transaction},
        typed_data::TypedData,
    },
    hex,
    solana::{self, offchain::OffchainMessage},
};
use osmoda_schemas::{kinds::wallet_policy::SigningOperation, ops::keyd::Order, problem::Problem};
use osmoda_wallet_policy::{Policy, TypedDataFacts};
use sha2::{Digest, Sha256};

use super::fields;
use crate::{
    key::{Payload, Signed},
    wallet::{PublicKey, WalletId},
};

/// Something that can be decided about, and signed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub operation: SigningOperation,
    pub effects: Effects,
    pub facts: Option<TypedDataFacts>,
    body: Body,
    form: Form,
}

/// What is signed.
#[derive(Debug)]
enum Body {
    Hash([u8; 32]),
    Message(Vec<u8>),
}

/// What the signature becomes a part of.
#[derive(Debug)]
enum Form {
    Nothing,
    Ethereum(Box<Transaction>),
    Solana(Box<solana::Transaction>),
}

/// What comes of a signature.
#[derive(Debug)]
pub(super) struct Finished {
    pub signature: String,
    pub signed_hash: Option<String>,
    pub transaction: Option<String>,
    pub transaction_hash: Option<String>,
    pub missing_signers: Vec<String>,
}

/// The account of a public key.
pub(super) fn account(public: &PublicKey) -> Account {
    match public {
        PublicKey::Ethereum(key) => Account::Ethereum(ethereum::Address::of(key)),
        PublicKey::Solana(key) => Account::Solana(solana::Address::of(key)),
    }
}

/// Something in a request that cannot be.
pub(super) fn wrong(field: &str, detail: impl std::fmt::Display) -> Problem {
    Problem::new(422, "invalid-order", detail.to_string()).field(format!("order.{field}"))
}

impl Prepared {
    /// Reads an order for a wallet.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn new(order: &Order, wallet: &PublicKey, policy: &Policy) -> Result<Self, Problem> {
        match (order, account(wallet)) {
            (Order::Transfer(transfer), Account::Ethereum(from)) => {
                Ok(Self::ethereum(fields::ethereum_transfer(transfer, policy)?, from))
            }
            (Order::Transfer(transfer), Account::Solana(from)) => {
                Ok(Self::solana(solana::Transaction::new(fields::solana_transfer(transfer, from, policy)?), from))
            }
            (Order::Build(build), Account::Ethereum(from)) => Ok(Self::ethereum(fields::ethereum(build)?, from)),
            (Order::Build(build), Account::Solana(from)) => {
                Ok(Self::solana(solana::Transaction::new(fields::solana(build, from)?), from))
            }
            (Order::Transaction { bytes }, Account::Ethereum(from)) => {
                let bytes = hex::decode(bytes).map_err(|error| wrong("bytes", error))?;
                let transaction = Transaction::decode(&bytes).map_err(|error| wrong("bytes", error))?;
                Ok(Self::ethereum(transaction, from))
            }
            (Order::Transaction { bytes }, Account::Solana(signer)) => Ok(Self::solana(solana_bytes(bytes)?, signer)),
            (Order::Message { text }, signer) => Self::message(text, signer),
            (Order::TypedData { json }, Account::Ethereum(signer)) => {
                let data = TypedData::parse(json).map_err(|error| wrong("json", error))?;
                let domain = data.domain();
                let facts = TypedDataFacts {
                    domain: domain.name.clone(),
                    contract: domain.verifying_contract.map(Account::Ethereum),
                    primary_type: data.primary_type().to_owned(),
                };
                Ok(Self {
                    operation: SigningOperation::TypedData,
                    effects: Effects::of_typed_data(&data, signer),
                    facts: Some(facts),
                    body: Body::Hash(data.signing_hash()),
                    form: Form::Nothing,
                })
            }
            (Order::Authorization { chain_id, delegate, nonce }, Account::Ethereum(signer)) => {
                let chain_id = match chain_id {
                    0 => None,
                    number => Some(ChainId::new(*number).ok_or_else(|| wrong("chainId", "there is no such chain id"))?),
                };
                let delegate = delegate.parse().map_err(|error| wrong("delegate", error))?;
                let authorization = Authorization { chain_id, delegate, nonce: *nonce };
                Ok(Self {
                    operation: SigningOperation::Authorization,
                    effects: Effects::of_authorization(&authorization, signer),
                    facts: None,
                    body: Body::Hash(authorization.signing_hash()),
                    form: Form::Nothing,
                })
            }
            (Order::RawHash { bytes }, signer) => {
                let (chain, body) = match signer {
                    Account::Ethereum(_) => {
                        let hash = hex::decode_array(bytes).map_err(|error| wrong("bytes", error))?;
                        (Chain::Ethereum, Body::Hash(hash))
                    }
                    Account::Solana(_) => {
                        let bytes = hex::decode(bytes).map_err(|error| wrong("bytes", error))?;
                        (Chain::Solana, Body::Message(bytes))
                    }
                };
                Ok(Self {
                    operation: SigningOperation::RawHash,
                    effects: Effects::of_hash(chain, signer),
                    facts: None,
                    body,
                    form: Form::Nothing,
                })
            }
            (Order::TypedData { .. } | Order::Authorization { .. }, Account::Solana(_)) => {
                Err(wrong("type", "wallets of Solana sign no typed data and no authorizations"))
            }
        }
    }

    fn ethereum(transaction: Transaction, signer: ethereum::Address) -> Self {
        let effects = Effects::of_ethereum(&transaction, signer);
        let body = Body::Hash(transaction.signing_hash());
        let form = Form::Ethereum(Box::new(transaction));
        Self { operation: SigningOperation::Transaction, effects, facts: None, body, form }
    }

    fn solana(transaction: solana::Transaction, signer: solana::Address) -> Self {
        let effects = Effects::of_solana(transaction.message(), signer);
        let body = Body::Message(transaction.message().encode());
        let form = Form::Solana(Box::new(transaction));
        Self { operation: SigningOperation::Transaction, effects, facts: None, body, form }
    }

    fn message(text: &str, signer: Account) -> Result<Self, Problem> {
        let (chain, body) = match signer {
            Account::Ethereum(_) => (Chain::Ethereum, Body::Hash(personal::signing_hash(text.as_bytes()))),
            Account::Solana(address) => {
                let message = OffchainMessage::new([0; 32], vec![address], text.to_owned());
                (Chain::Solana, Body::Message(message.map_err(|error| wrong("text", error))?.encode()))
            }
        };
        let effects = Effects::of_message(chain, signer);
        Ok(Self { operation: SigningOperation::Message, effects, facts: None, body, form: Form::Nothing })
    }

    /// What a signer gets.
    pub fn payload(&self) -> Payload<'_> {
        match &self.body {
            Body::Hash(hash) => Payload::Hash(*hash),
            Body::Message(message) => Payload::Message(message),
        }
    }

    /// What the book and approvals know it by: SHA-256 of the operation, the wallet's public key and what is signed.
    pub fn digest(&self, wallet: &WalletId) -> [u8; 32] {
        let operation = match self.operation {
            SigningOperation::Transaction => 1,
            SigningOperation::Message => 2,
            SigningOperation::TypedData => 3,
            SigningOperation::Authorization => 4,
            SigningOperation::RawHash => 5,
        };
        let mut key = vec![operation];
        wallet.public.encode(&mut key);
        let mut hasher = Sha256::new_with_prefix(b"osmoda-keyd order v1\n");
        hasher.update(&key);
        match &self.body {
            Body::Hash(hash) => hasher.update(hash),
            Body::Message(message) => hasher.update(message),
        }
        hasher.finalize().into()
    }

    /// Puts the signature where it belongs. It has been verified.
    ///
    /// # Errors
    /// When it is one of another chain.
    pub fn finish(self, wallet: &PublicKey, signed: &Signed) -> Result<Finished, Problem> {
        let fault = |error: &dyn std::fmt::Display| Problem::new(500, "internal-error", error.to_string());
        let mut finished = Finished {
            signature: match signed {
                Signed::Secp256k1(signature) => hex::encode(&signature.to_bytes()),
                Signed::Ed25519(signature) => base58::encode(signature),
            },
            signed_hash: match &self.body {
                Body::Hash(hash) => Some(hex::encode(hash)),
                Body::Message(_) => None,
            },
            transaction: None,
            transaction_hash: None,
            missing_signers: Vec::new(),
        };
        match (self.form, signed, account(wallet)) {
            (Form::Nothing, ..) => {}
            (Form::Ethereum(transaction), Signed::Secp256k1(signature), _) => {
                let signed = SignedTransaction { transaction: *transaction, signature: *signature };
                let bytes = signed.encode();
                finished.transaction_hash = Some(hex::encode(&keccak256(&bytes)));
                finished.transaction = Some(hex::encode(&bytes));
            }
            (Form::Solana(mut transaction), Signed::Ed25519(signature), Account::Solana(address)) => {
                transaction.insert(address, *signature).map_err(|error| fault(&error))?;
                // The network knows a transaction by the signature of who pays.
                let first = transaction.signatures().first().filter(|first| **first != [0; 64]);
                finished.transaction_hash = first.map(|first| base58::encode(first));
                finished.missing_signers = transaction.missing().map(ToString::to_string).collect();
                finished.transaction = Some(transaction.to_base64());
            }
            _ => return Err(fault(&"a signature of another chain")),
        }
        Ok(finished)
    }
}

/// A transaction with places for its signatures, or a message alone.
fn solana_bytes(text: &str) -> Result<solana::Transaction, Problem> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| wrong("bytes", "it is no base64 with padding"))?;
    match solana::Transaction::decode(&bytes) {
        Ok(transaction) => Ok(transaction),
        Err(error) => match solana::Message::decode(&bytes) {
            Ok(message) => Ok(solana::Transaction::new(message)),
            Err(_) => Err(wrong("bytes", error)),
        },
    }
}
