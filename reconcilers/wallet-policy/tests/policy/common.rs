//! Policies and requests for tests.

use jiff::Timestamp;
use osmoda_chains::{
    Effects, U256,
    ethereum::{
        Address, ChainId,
        abi::Call,
        transaction::{Common, Transaction},
    },
};
use osmoda_schemas::kinds::{WalletPolicy, wallet_policy::SigningOperation};
use osmoda_wallet_policy::{Policy, Request, Verdict};
use serde_json::{Value, json};

pub const WALLET: Address = Address([0x11; 20]);
pub const TOKEN: Address = Address([0x22; 20]);
pub const ITEMS: Address = Address([0x33; 20]);
pub const ALICE: Address = Address([0xaa; 20]);
pub const THIEF: Address = Address([0x66; 20]);
/// 1 ETH.
pub const COIN: u128 = 1_000_000_000_000_000_000;

pub fn text(address: Address) -> String {
    address.to_string().to_lowercase()
}

/// A policy with two tokens, these rules, and limits over all that there is.
pub fn policy(rules: Value) -> Policy {
    let limit = |name: &str, asset: &str, amount: &str| json!({ "name": name, "chain": "ethereum", "asset": asset, "amount": amount, "per": { "calendar": "day" } });
    let document = json!({
        "wallets": ["w"],
        "tokens": [
            { "name": "usd", "chain": "ethereum", "chainId": 1, "address": text(TOKEN), "decimals": 6 },
            { "name": "cards", "chain": "ethereum", "chainId": 1, "address": text(ITEMS), "decimals": 0, "items": true },
        ],
        "rules": rules,
        "limits": [limit("coins", "native", "1"), limit("usd", "usd", "500"), limit("cards", "cards", "2")],
    });
    compile(document)
}

pub fn compile(document: Value) -> Policy {
    let document: WalletPolicy = serde_json::from_value(document).unwrap();
    Policy::compile(&document).unwrap()
}

pub fn transaction(to: Address, value: u128, data: Vec<u8>) -> Effects {
    let transaction = Transaction::DynamicFee {
        common: Common { nonce: 1, gas_limit: 21_000, value: U256::from(value), data },
        max_priority_fee: U256::from(1_u64),
        max_fee: U256::from(1_000_000_000_u64),
        to: Some(to),
        chain_id: ChainId::MAINNET,
        accesses: Vec::new(),
    };
    Effects::of_ethereum(&transaction, WALLET)
}

pub fn call(contract: Address, call: &Call) -> Effects {
    transaction(contract, 0, call.encode())
}

pub fn request(effects: &Effects) -> Request<'_> {
    Request {
        operation: SigningOperation::Transaction,
        effects,
        typed_data: None,
        callers: vec!["agent".to_owned(), "4711".to_owned()],
        now: "2026-03-04T12:00:00Z".parse::<Timestamp>().unwrap(),
    }
}

/// What comes of it, in one word: `allow`, `approval RULE`, or the code of the refusal.
pub fn verdict(policy: &Policy, request: &Request<'_>) -> String {
    match policy.decide(request).verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::NeedsApproval { rule, .. } => format!("approval {rule}"),
        Verdict::Refuse(refusal) => refusal.code.to_owned(),
    }
}

pub fn of(policy: &Policy, effects: &Effects) -> String {
    verdict(policy, &request(effects))
}
