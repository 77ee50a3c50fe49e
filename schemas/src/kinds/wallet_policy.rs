//! `WalletPolicy`: which transactions keyd may sign. Default deny; the first rule that matches decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Duration;

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
    /// Rules, first match wins; what no rule matches is refused.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Limits over all that the rules allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// One rule. Every condition that is given has to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What a refusal calls it.
    pub name: String,
    /// What happens to a match.
    pub effect: Effect,
    /// Conditions.
    #[serde(default, rename = "match")]
    pub conditions: Conditions,
    /// Somebody else has to approve a match above this amount (same unit as `maxAmount`).
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

/// Conditions over a decoded transaction or message. An empty list means: any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Conditions {
    /// Chains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Chain>,
    /// EIP-155 chain ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain_ids: Vec<u64>,
    /// What is to be signed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<SigningOperation>,
    /// Destination addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// The asset: `native`, or a token's contract or mint address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<String>,
    /// Most that one transaction may move, in whole coins or tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Amount>,
    /// Most that one transaction may pay in fees, in whole native coins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fee: Option<Amount>,
    /// Contract functions: a 4-byte selector (`0xa9059cbb`) or a known name (`erc20.transfer`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// Solana programs that every instruction has to belong to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// EIP-712 domains (`name` or verifying contract).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed_data_domains: Vec<String>,
    /// EIP-712 primary types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed_data_types: Vec<String>,
    /// EIP-7702 delegates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<String>,
    /// Callers, as user names (peer credentials).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<String>,
    /// Hours of the day, UTC, such as `09:00-17:00`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<String>,
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
    pub name: String,
    /// The chain.
    pub chain: Chain,
    /// The asset: `native`, or a token's contract or mint address.
    #[serde(default = "native")]
    pub asset: String,
    /// Most that may be moved, in whole coins or tokens.
    pub amount: Amount,
    /// The time it holds for.
    pub per: Period,
    /// Most signatures in that time.
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
