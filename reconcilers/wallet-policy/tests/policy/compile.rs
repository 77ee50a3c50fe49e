//! What is wrong with a policy is told all at once, each with its field.

use osmoda_schemas::kinds::WalletPolicy;
use osmoda_wallet_policy::Policy;
use serde_json::{Value, json};

fn faults(document: Value) -> Vec<(String, &'static str)> {
    let document: WalletPolicy = serde_json::from_value(document).unwrap();
    let faults = Policy::compile(&document).err().unwrap_or_default();
    faults.into_iter().map(|fault| (fault.field, fault.rule)).collect()
}

fn rule(more: Value) -> Value {
    let mut rule = json!({ "name": "r", "effect": "allow", "match": { "maxFee": "0.1" } });
    for (key, value) in more.as_object().unwrap() {
        match key.as_str() {
            "effect" | "approvalAbove" => rule[key] = value.clone(),
            _ => rule["match"][key] = value.clone(),
        }
    }
    json!({ "wallets": ["w"], "rules": [rule] })
}

#[test]
fn each_fault_has_its_field() {
    let one = |more: Value| {
        let found = faults(rule(more));
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].0.clone(), found[0].1)
    };
    let at = |field: &str| format!("spec.rules[0].match.{field}");
    // The checksum of the second one is wrong.
    let to =
        json!({ "to": ["0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", "0x9D8A62f656a8d1615C1294fd71e9CFb3E4855A4F"] });
    assert_eq!(one(to), (at("to[1]"), "wallet-address"));
    assert_eq!(one(json!({ "assets": ["usd"] })), (at("assets[0]"), "wallet-asset"));
    assert_eq!(one(json!({ "maxAmount": "1e3" })), (at("maxAmount"), "wallet-amount"));
    assert_eq!(one(json!({ "hours": ["9-17"] })), (at("hours[0]"), "hours"));
    assert_eq!(one(json!({ "functions": ["transfer"] })), (at("functions[0]"), "wallet-function"));
    assert_eq!(one(json!({ "functions": ["erc20.transfr"] })), (at("functions[0]"), "wallet-function"));
    assert_eq!(one(json!({ "maxFee": null })), (at("maxFee"), "rule-ceiling"));
    assert_eq!(one(json!({ "effect": "deny" })), ("spec.rules[0]".to_owned(), "rule-ceiling"));
    let approval = json!({ "effect": "requireApproval", "approvalAbove": "1" });
    assert_eq!(one(approval), ("spec.rules[0].approvalAbove".to_owned(), "rule-ceiling"));
}

#[test]
fn a_key_leaves_by_the_word_of_somebody() {
    let exportable = |approvers: Value| faults(json!({ "wallets": ["w"], "exportable": true, "approvers": approvers }));
    assert_eq!(exportable(json!([])), [("spec.approvers".to_owned(), "no-approver")]);
    assert_eq!(exportable(json!(["ada"])), []);
}

#[test]
fn tokens_and_limits() {
    let token = |more: Value| {
        let mut token = json!({ "name": "usd", "chain": "ethereum", "chainId": 1, "decimals": 6,
            "address": "0x00000000000000000000000000000000000000aa" });
        token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token
    };
    let with = |tokens: Value, limit: Value| {
        let mut whole = json!({ "name": "l", "chain": "ethereum", "amount": "1", "per": { "window": "1h" } });
        whole.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
        faults(json!({ "wallets": ["w"], "tokens": tokens, "limits": [whole] }))
    };
    let one = |field: &str, rule| vec![(format!("spec.{field}"), rule)];
    let good = json!([token(json!({}))]);
    assert_eq!(with(good.clone(), json!({ "asset": "usd" })), []);
    assert_eq!(with(json!([token(json!({ "chainId": null }))]), json!({})), one("tokens[0].chainId", "wallet-token"));
    assert_eq!(with(json!([token(json!({ "items": true }))]), json!({})), one("tokens[0].decimals", "wallet-token"));
    assert_eq!(with(json!([token(json!({ "name": "native" }))]), json!({})), one("tokens[0].name", "wallet-token"));
    let solana = token(json!({ "chain": "solana", "chainId": null }));
    assert_eq!(with(json!([solana]), json!({})), one("tokens[0].address", "wallet-address"));
    assert_eq!(
        with(json!([token(json!({})), token(json!({ "name": "b" }))]), json!({})),
        one("tokens[1].address", "wallet-token")
    );
    assert_eq!(with(good.clone(), json!({ "asset": "eur" })), one("limits[0].asset", "wallet-asset"));
    assert_eq!(
        with(good.clone(), json!({ "asset": "usd", "chain": "solana" })),
        one("limits[0].asset", "wallet-asset")
    );
    assert_eq!(with(good.clone(), json!({ "per": {} })), one("limits[0].per", "limit-period"));
    assert_eq!(with(good.clone(), json!({ "per": { "window": "0s" } })), one("limits[0].per.window", "limit-period"));
    assert_eq!(with(good, json!({ "per": { "window": "400d" } })), one("limits[0].per.window", "limit-period"));
}
