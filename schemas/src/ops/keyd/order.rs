//! What somebody may ask to have signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to be signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Order {
    /// Coins or tokens go to somebody.
    Transfer(Transfer),
    /// A transaction by its fields.
    Build(Build),
    /// A transaction as it is: of Ethereum unsigned (EIP-2718) in hexadecimal, of Solana a message or a transaction in
    /// base64.
    Transaction {
        /// Its bytes.
        bytes: String,
    },
    /// A text: EIP-191, or Solana's messages off the chain.
    Message {
        /// It.
        text: String,
    },
    /// Typed data (EIP-712).
    TypedData {
        /// The JSON object with `types`, `primaryType`, `domain` and `message`, as text, so that no digit is lost.
        json: String,
    },
    /// Ethereum: the account may run the code of another one (EIP-7702).
    #[serde(rename_all = "camelCase")]
    Authorization {
        /// The chain (EIP-155); 0: every chain.
        chain_id: u64,
        /// Whose code.
        delegate: String,
        /// The account's nonce when it takes effect.
        nonce: u64,
    },
    /// A hash of which nobody knows what it stands for, in hexadecimal; of Solana any bytes.
    RawHash {
        /// It.
        bytes: String,
    },
}

/// Coins or tokens go to somebody. Fees, nonce and blockhash are the caller's to know: keyd has no network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Transfer {
    /// Who gets it.
    pub to: String,
    /// How much, in whole coins or tokens, such as `0.05`.
    pub amount: String,
    /// What: `native`, or the name of a token of the wallet's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// Ethereum: the chain, the nonce and the fees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas: Option<Gas>,
    /// Solana: a recent blockhash, in base58.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blockhash: Option<String>,
    /// Solana: the token belongs to Token-2022.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token_2022: bool,
    /// Solana: the one who gets tokens may be an address without a key, such as that of a program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_program: bool,
}

/// What a transaction of Ethereum needs beside what it does. Prices are in wei, in decimal digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Gas {
    /// The chain (EIP-155).
    pub chain_id: u64,
    /// How many transactions the account has sent before.
    pub nonce: u64,
    /// The most gas that it may use. Default: 21000, which a transfer of coins to an account without code takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The price of a unit: makes a legacy transaction, or one of EIP-2930 with an access list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// The most that the price may be (EIP-1559).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fee: Option<String>,
    /// The most of it that goes to who builds the block (EIP-1559).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_fee: Option<String>,
}

/// A transaction by its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Build {
    /// Ethereum: who is called or paid; none: a contract is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Ethereum: what goes with it, in wei, in decimal digits. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Ethereum: what is called, in hexadecimal. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Ethereum: the chain, the nonce and the fees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas: Option<Gas>,
    /// Ethereum: what storage it uses (EIP-2930).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_list: Option<Vec<AccessEntry>>,
    /// Ethereum: accounts whose code is set before (EIP-7702).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorizations: Vec<AuthorizationEntry>,
    /// Solana: what is called, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<InstructionEntry>,
    /// Solana: a recent blockhash, in base58.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blockhash: Option<String>,
}

/// Storage that a transaction uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AccessEntry {
    /// Whose.
    pub address: String,
    /// Places in it, each 32 bytes in hexadecimal.
    #[serde(default)]
    pub storage_keys: Vec<String>,
}

/// A signed authorization of EIP-7702, as `sign` gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthorizationEntry {
    /// The chain (EIP-155); 0: every chain.
    pub chain_id: u64,
    /// Whose code.
    pub delegate: String,
    /// The account's nonce.
    pub nonce: u64,
    /// The signature: r, s, and 27 or 28, 65 bytes in hexadecimal.
    pub signature: String,
}

/// A call of a program of Solana.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstructionEntry {
    /// The program.
    pub program: String,
    /// The accounts that it is called with.
    #[serde(default)]
    pub accounts: Vec<AccountEntry>,
    /// What it is called with, in base64.
    #[serde(default)]
    pub data: String,
}

/// An account of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// It.
    pub address: String,
    /// It has to sign.
    #[serde(default)]
    pub signer: bool,
    /// It may change.
    #[serde(default)]
    pub writable: bool,
}
