//! `WalletPolicy`: which transactions keyd may sign. Default deny; the first rule that matches decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{name::Name, quantity::Duration};

/// Rules over decoded transactions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WalletPolicy {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Wallets (by name or address) that the policy governs. `*` stands for all that no other policy names.
    #[schemars(length(min = 1))]
    pub wallets: Vec<String>,
    /// Tokens that rules and limits speak of by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
    /// Rules, first match wins; what no rule matches is refused.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Limits over all that the rules allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Users that may approve, as user names or uids, beside root. Nobody approves what they ask for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Root may take the wallets' keys out of keyd, each time with an approval of one of `approvers`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exportable: bool,
}

/// A token, and how its amounts are to be read: no transaction tells that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Token {
    /// What rules and limits call it, such as `usdc`.
    pub name: Name,
    /// The chain.
    pub chain: Chain,
    /// The EIP-155 chain id that its contract is on; Ethereum only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// Its contract or mint.
    pub address: String,
    /// Digits after the point.
    #[schemars(range(max = 18))]
    pub decimals: u8,
    /// It keeps items (ERC-721, ERC-1155): amounts are numbers of items, and `decimals` is 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub items: bool,
}

/// One rule. Every condition that is given has to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What a refusal calls it.
    pub name: Name,
    /// What happens to a match.
    pub effect: Effect,
    /// Conditions.
    #[serde(default, rename = "match")]
    pub conditions: Conditions,
    /// Somebody else has to approve what moves more than this of one asset (same unit as `maxAmount`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_above: Option<Amount>,
}

/// What a matching rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Sign.
    Allow,
    /// Refuse.
    Deny,
    /// Sign once it has been approved.
    RequireApproval,
}

/// Conditions over a decoded transaction or message. An empty list means any, except where it says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Conditions {
    /// Chains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Chain>,
    /// EIP-155 chain ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain_ids: Vec<u64>,
    /// What is to be signed. To `allow`, or to have approved, an empty list means transactions alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<SigningOperation>,
    /// Destination addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Assets: `native`, or names of `tokens`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<String>,
    /// Most that one transaction may move of each asset, in whole coins or tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Amount>,
    /// Most that one transaction may pay in fees, in whole native coins. What allows transactions has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fee: Option<Amount>,
    /// Functions: a known name (`erc20.transfer`, `system.transfer`, `erc2612.permit`) or a 4-byte selector
    /// (`0x12345678`). To `allow`, all that are called have to be in it, and whoever is given rights over assets is only
    /// where the function is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// Contracts and Solana programs that are called. To `allow`, all of them have to be in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// EIP-712 domains (`name` or verifying contract).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed_data_domains: Vec<String>,
    /// EIP-712 primary types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed_data_types: Vec<String>,
    /// EIP-7702 delegates. To `allow`, an empty list means none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<String>,
    /// Callers, as user names (peer credentials).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<String>,
    /// Hours of the day, UTC, such as `09:00-17:00`, or `22:00-06:00` over midnight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<String>,
    /// Parts that keyd cannot read, by the reason. To `allow`, or to have approved, an empty list means none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undecoded: Vec<Undecoded>,
}

/// Why a part of a transaction or message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Undecoded {
    /// A contract function that is not known, or arguments that it does not take.
    Call,
    /// Data that is handed to whoever receives an item, who may act on it.
    HookData,
    /// A contract is created.
    Creation,
    /// An account runs code that it has delegated to (EIP-7702).
    OwnCode,
    /// The signature is good on any chain.
    AnyChain,
    /// Typed data of a type that is not known.
    TypedData,
    /// Typed data for a contract that it is not known of.
    Domain,
    /// A program that is not known.
    Program,
    /// An instruction of a known program.
    Instruction,
    /// Accounts that only the chain tells.
    Lookup,
    /// A token that is not told: `transfer` instead of `transferChecked`.
    Mint,
    /// Token-2022: a token that may charge fees or call programs.
    Extensions,
    /// A durable nonce: it can be sent at any later time.
    DurableNonce,
    /// An account is closed in somebody else's favour.
    Close,
    /// A token account that is not the associated one of its owner.
    NotAssociated,
}

/// A chain family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Chain {
    /// Ethereum and EVM chains: secp256k1.
    Ethereum,
    /// Solana: ed25519.
    Solana,
}

impl Chain {
    /// As documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ethereum => "ethereum",
            Self::Solana => "solana",
        }
    }
}

/// What a signature is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SigningOperation {
    /// A transaction that keyd can decode.
    Transaction,
    /// A plain message (EIP-191, Solana off-chain).
    Message,
    /// EIP-712 typed data.
    TypedData,
    /// An EIP-7702 authorization.
    Authorization,
    /// Bytes that keyd cannot decode.
    RawHash,
}

/// Most of one asset within a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limit {
    /// What a refusal calls it.
    pub name: Name,
    /// The chain.
    pub chain: Chain,
    /// EIP-155 chain ids whose sums it is over, all together; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain_ids: Vec<u64>,
    /// The asset: `native` (with fees), or the name of one of `tokens`.
    #[serde(default = "native")]
    pub asset: String,
    /// Most that may be moved, in whole coins or tokens.
    pub amount: Amount,
    /// The time it holds for.
    pub per: Period,
    /// Most signatures on the chain in that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<u32>,
}

/// A sliding window, or a calendar day, week or month in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Period {
    /// A sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// A calendar unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
}

/// A calendar unit, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Calendar {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
}

/// A decimal amount with at most 18 decimals, written as text so that no digit is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Amount(#[schemars(regex(pattern = "^[0-9]{1,40}([.][0-9]{1,18})?$"))] pub String);

fn native() -> String {
    "native".to_owned()
}
