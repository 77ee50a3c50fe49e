//! What a policy lets through. Each test is an attempt to get something past it.

use crate::common::*;
use osmoda_chains::{
    Effects, U256,
    effects::{Account, Chain},
    ethereum::{Address, Authorization, ChainId, abi::Call, typed_data::TypedData},
};
use osmoda_schemas::kinds::wallet_policy::SigningOperation;
use osmoda_wallet_policy::{TypedDataFacts, What};
use serde_json::{Value, json};

/// Coins to Alice, as far as 0.1 and a fee of 0.001.
fn coins() -> Value {
    json!({
        "name": "coins", "effect": "allow",
        "match": { "to": [text(ALICE)], "assets": ["native"], "maxAmount": "0.1", "maxFee": "0.001" },
    })
}

fn tokens() -> Value {
    json!({
        "name": "tokens", "effect": "allow",
        "match": { "to": [text(ALICE)], "assets": ["usd", "cards"], "maxAmount": "100", "maxFee": "0.001" },
    })
}

#[test]
fn what_no_rule_names_is_refused() {
    let none = policy(json!([]));
    assert_eq!(of(&none, &transaction(ALICE, 1, Vec::new())), "no-rule");
    let coins = policy(json!([coins()]));
    assert_eq!(of(&coins, &transaction(ALICE, COIN / 10, Vec::new())), "allow");
    assert_eq!(of(&coins, &transaction(ALICE, COIN / 10 + 1, Vec::new())), "no-rule", "one wei too much");
    assert_eq!(of(&coins, &transaction(THIEF, 1, Vec::new())), "no-rule");
    assert_eq!(of(&coins, &transaction(THIEF, 0, Vec::new())), "no-rule", "a call of nothing is a call");
    assert_eq!(of(&coins, &transaction(ALICE, 1, vec![1, 2, 3, 4])), "no-rule", "what cannot be read");
    for operation in [SigningOperation::Message, SigningOperation::RawHash, SigningOperation::TypedData] {
        let effects = transaction(ALICE, 1, Vec::new());
        let mut asked = request(&effects);
        asked.operation = operation;
        assert_eq!(verdict(&coins, &asked), "no-rule", "{operation:?}");
    }
}

#[test]
fn fees_have_a_ceiling_and_count() {
    let policy = policy(json!([coins()]));
    let mut effects = transaction(ALICE, COIN / 10, Vec::new());
    effects.max_fee = U256::from(COIN / 1000);
    let decision = policy.decide(&request(&effects)).spends;
    let native = decision.iter().find(|spend| spend.what == What::Native).unwrap();
    assert_eq!(native.amount, U256::from(COIN / 10 + COIN / 1000));
    assert_eq!(of(&policy, &effects), "allow");
    effects.max_fee = U256::from(COIN / 1000 + 1);
    assert_eq!(of(&policy, &effects), "no-rule");
}

#[test]
fn a_batch_passes_where_each_part_does() {
    let policy = policy(json!([coins(), tokens()]));
    let mut effects = transaction(ALICE, 1, Vec::new());
    let bad = transaction(THIEF, 1, Vec::new());
    effects.moves.extend(bad.moves);
    assert_eq!(of(&policy, &effects), "no-rule");
    // Many parts below the ceiling are together above it.
    let mut effects = transaction(ALICE, COIN / 20, Vec::new());
    let more = effects.moves[0].clone();
    effects.moves.push(more.clone());
    assert_eq!(of(&policy, &effects), "allow");
    effects.moves.push(more);
    assert_eq!(of(&policy, &effects), "no-rule");
}

#[test]
fn the_first_rule_decides_and_the_strictest_part_counts() {
    let deny = json!({ "name": "never", "effect": "deny", "match": { "to": [text(THIEF)] } });
    let all = json!({ "name": "all", "effect": "allow", "match": { "assets": ["native"], "maxFee": "1" } });
    let ask = json!({ "name": "ask", "effect": "requireApproval", "match": { "to": [text(ALICE)] } });
    let both = {
        let mut effects = transaction(ALICE, 1, Vec::new());
        effects.moves.extend(transaction(THIEF, 1, Vec::new()).moves);
        effects
    };
    assert_eq!(of(&policy(json!([deny, all])), &both), "denied");
    assert_eq!(of(&policy(json!([all, deny])), &both), "allow", "whoever writes it so wants it so");
    assert_eq!(of(&policy(json!([ask, all])), &both), "approval ask");
    assert_eq!(of(&policy(json!([ask, deny, all])), &both), "denied");
    let above = json!({
        "name": "above", "effect": "allow", "approvalAbove": "0.5", "match": { "assets": ["native"], "maxFee": "1" },
    });
    let policy = policy(json!([above]));
    assert_eq!(of(&policy, &transaction(ALICE, COIN / 2, Vec::new())), "allow");
    assert_eq!(of(&policy, &transaction(ALICE, COIN / 2 + 1, Vec::new())), "approval above");
}

#[test]
fn tokens_are_those_of_the_policy() {
    let policy = policy(json!([coins(), tokens()]));
    let transfer = |to, amount: u64| Call::Erc20Transfer { to, amount: U256::from(amount) };
    assert_eq!(of(&policy, &call(TOKEN, &transfer(ALICE, 100_000_000))), "allow");
    assert_eq!(of(&policy, &call(TOKEN, &transfer(ALICE, 100_000_001))), "no-rule", "in its own decimals");
    assert_eq!(of(&policy, &call(TOKEN, &transfer(THIEF, 1))), "no-rule");
    assert_eq!(of(&policy, &call(THIEF, &transfer(ALICE, 1))), "no-rule", "a contract that nobody names");
    // The same address on another chain is another contract.
    let mut elsewhere = call(TOKEN, &transfer(ALICE, 1));
    elsewhere.chain_id = Some(8453);
    assert_eq!(of(&policy, &elsewhere), "no-rule");
    // What looks like an amount is the number of an item.
    let item = |contract, id: u64| {
        call(contract, &Call::Erc20TransferFrom { from: WALLET, to: ALICE, amount: U256::from(id) })
    };
    assert_eq!(of(&policy, &item(ITEMS, u64::MAX)), "allow");
    let effects = item(ITEMS, 42);
    let spends = policy.decide(&request(&effects)).spends;
    assert!(spends.iter().any(|spend| matches!(spend.what, What::Token(_)) && spend.amount == U256::ONE), "{spends:?}");
    let safe = Call::Erc721SafeTransferFrom { from: WALLET, to: ALICE, id: U256::from(7_u64) };
    assert_eq!(of(&policy, &call(ITEMS, &safe)), "allow");
    assert_eq!(of(&policy, &call(TOKEN, &safe)), "no-rule", "coins have no items");
}

#[test]
fn rights_are_given_only_where_the_function_is_named() {
    let approve = Call::Erc20Approve { spender: ALICE, amount: U256::from(5_u64) };
    assert_eq!(of(&policy(json!([tokens()])), &call(TOKEN, &approve)), "no-rule");
    let named = json!({
        "name": "approve", "effect": "allow",
        "match": { "to": [text(ALICE)], "assets": ["usd"], "maxAmount": "1", "functions": ["erc20.approve"], "maxFee": "0.001" },
    });
    let with = policy(json!([named]));
    assert_eq!(of(&with, &call(TOKEN, &approve)), "allow");
    let unlimited = Call::Erc20Approve { spender: ALICE, amount: U256::MAX };
    assert_eq!(of(&with, &call(TOKEN, &unlimited)), "no-rule");
    let thief = Call::Erc20Approve { spender: THIEF, amount: U256::ONE };
    assert_eq!(of(&with, &call(TOKEN, &thief)), "no-rule");
    // The right to take something counts as if it were taken.
    let effects = call(TOKEN, &approve);
    assert!(
        with.decide(&request(&effects))
            .limits
            .iter()
            .any(|(limit, amount)| { limit.name.as_str() == "usd" && *amount == U256::from(5_u64) })
    );
    let all = Call::SetApprovalForAll { operator: ALICE, approved: true };
    let every = json!({
        "name": "all", "effect": "allow", "match": { "functions": ["erc721.setApprovalForAll"], "maxFee": "0.001", "to": [text(ALICE)] },
    });
    let effects = call(ITEMS, &all);
    let policy = policy(json!([every]));
    let decision = policy.decide(&request(&effects));
    let (_, amount) = decision.limits.iter().find(|(limit, _)| limit.name.as_str() == "cards").unwrap();
    assert_eq!(*amount, U256::MAX, "no limit lets all items pass");
}

#[test]
fn code_is_run_only_of_delegates_that_are_named() {
    let authorization = |chain_id| Authorization { chain_id, delegate: ALICE, nonce: 0 };
    let effects = |chain_id| Effects::of_authorization(&authorization(chain_id), WALLET);
    let ask = |policy: &osmoda_wallet_policy::Policy, effects: &Effects| {
        let mut asked = request(effects);
        asked.operation = SigningOperation::Authorization;
        verdict(policy, &asked)
    };
    let operations = json!({ "name": "a", "effect": "allow", "match": { "operations": ["authorization"] } });
    assert_eq!(ask(&policy(json!([operations])), &effects(ChainId::new(1))), "no-rule");
    let named = |delegate: Address| json!({ "name": "a", "effect": "allow", "match": { "operations": ["authorization"], "delegates": [text(delegate)] } });
    assert_eq!(ask(&policy(json!([named(THIEF)])), &effects(ChainId::new(1))), "no-rule");
    let good = policy(json!([named(ALICE)]));
    assert_eq!(ask(&good, &effects(ChainId::new(1))), "allow");
    assert_eq!(ask(&good, &effects(None)), "no-rule", "on every chain");
}

#[test]
fn what_cannot_be_read_has_to_be_named() {
    let unknown = || transaction(ALICE, 0, vec![0x12, 0x34, 0x56, 0x78, 0xff]);
    let rule = |more: Value| {
        let mut rule =
            json!({ "name": "blind", "effect": "allow", "match": { "maxFee": "0.001", "to": [text(ALICE)] } });
        rule["match"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy(json!([rule]))
    };
    assert_eq!(of(&rule(json!({})), &unknown()), "no-rule");
    assert_eq!(of(&rule(json!({ "functions": ["0x12345678"] })), &unknown()), "no-rule", "a name is no capability");
    let capable = json!({ "functions": ["0x12345678"], "undecoded": ["call"] });
    assert_eq!(of(&rule(capable.clone()), &unknown()), "allow");
    let elsewhere = transaction(THIEF, 0, vec![0x12, 0x34, 0x56, 0x78, 0xff]);
    assert_eq!(of(&rule(capable.clone()), &elsewhere), "no-rule");
    let other = transaction(ALICE, 0, vec![0x12, 0x34, 0x56, 0x79, 0xff]);
    assert_eq!(of(&rule(capable), &other), "no-rule");
    // Messages and hashes by their operation.
    let account = Account::Ethereum(WALLET);
    for (operation, name, effects) in [
        (SigningOperation::Message, "message", Effects::of_message(Chain::Ethereum, account)),
        (SigningOperation::RawHash, "rawHash", Effects::of_hash(Chain::Ethereum, account)),
    ] {
        let mut asked = request(&effects);
        asked.operation = operation;
        let named = json!({ "name": "m", "effect": "allow", "match": { "operations": [name] } });
        assert_eq!(verdict(&policy(json!([named])), &asked), "allow");
        let ask = json!({ "name": "m", "effect": "requireApproval", "match": {} });
        assert_eq!(verdict(&policy(json!([ask])), &asked), "no-rule");
    }
}

#[test]
fn some_things_no_policy_lets_through() {
    // Whoever is called without coins is seen by what refuses.
    let never = json!({ "name": "never", "effect": "deny", "match": { "to": [text(TOKEN)] } });
    let transfer = Call::Erc20Transfer { to: ALICE, amount: U256::ONE };
    assert_eq!(of(&policy(json!([never, tokens()])), &call(TOKEN, &transfer)), "denied");
    let all = json!({ "name": "all", "effect": "requireApproval", "match": {} });
    let mut effects = transaction(ALICE, 1, Vec::new());
    effects.moves[0].amount = U256::MAX;
    let more = effects.moves[0].clone();
    effects.moves.push(more);
    assert_eq!(of(&policy(json!([all])), &effects), "not-signable");
}

#[test]
fn typed_data_is_named_by_domain_and_type() {
    let data = json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" }, { "name": "chainId", "type": "uint256" },
                { "name": "verifyingContract", "type": "address" },
            ],
            "Permit": [
                { "name": "owner", "type": "address" }, { "name": "spender", "type": "address" },
                { "name": "value", "type": "uint256" }, { "name": "nonce", "type": "uint256" },
                { "name": "deadline", "type": "uint256" },
            ],
        },
        "primaryType": "Permit",
        "domain": { "name": "USD", "chainId": 1, "verifyingContract": text(TOKEN) },
        "message": { "owner": text(WALLET), "spender": text(ALICE), "value": "50", "nonce": 0, "deadline": "1" },
    });
    let data = TypedData::parse(&data.to_string()).unwrap();
    let effects = Effects::of_typed_data(&data, WALLET);
    let ask = |conditions: Value| {
        let mut conditions = conditions;
        conditions["operations"] = json!(["typedData"]);
        let policy = policy(json!([{ "name": "t", "effect": "allow", "match": conditions }]));
        let mut asked = request(&effects);
        asked.operation = SigningOperation::TypedData;
        asked.typed_data = Some(TypedDataFacts {
            domain: data.domain().name.clone(),
            contract: data.domain().verifying_contract.map(Account::Ethereum),
            primary_type: data.primary_type().to_owned(),
        });
        verdict(&policy, &asked)
    };
    assert_eq!(ask(json!({ "to": [text(ALICE)] })), "no-rule", "a right has to be named");
    assert_eq!(ask(json!({ "to": [text(ALICE)], "functions": ["erc2612.permit"] })), "allow");
    let named = json!({ "to": [text(ALICE)], "typedDataTypes": ["Permit"], "typedDataDomains": [text(TOKEN)] });
    assert_eq!(ask(named), "allow");
    assert_eq!(ask(json!({ "typedDataTypes": ["Permit"], "typedDataDomains": ["EUR"] })), "no-rule");
    assert_eq!(ask(json!({ "typedDataTypes": ["Order"] })), "no-rule");
    assert_eq!(ask(json!({ "to": [text(THIEF)], "typedDataTypes": ["Permit"] })), "no-rule");
}

#[test]
fn callers_and_hours_are_asked() {
    let effects = transaction(ALICE, 1, Vec::new());
    let with = |more: Value| {
        let mut rule = coins();
        rule["match"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of(&policy(json!([rule])), &effects)
    };
    assert_eq!(with(json!({ "callers": ["agent"], "hours": ["11:00-13:00"] })), "allow");
    assert_eq!(with(json!({ "callers": ["4711"], "chains": ["ethereum"], "chainIds": [8453, 1] })), "allow");
    assert_eq!(with(json!({ "callers": ["root"] })), "no-rule");
    assert_eq!(with(json!({ "hours": ["13:00-11:00"] })), "no-rule");
    assert_eq!(with(json!({ "chains": ["solana"] })), "no-rule");
    assert_eq!(with(json!({ "chainIds": [8453] })), "no-rule");
}

#[test]
fn what_is_allowed_is_under_a_limit() {
    let bare = compile(json!({ "wallets": ["w"], "rules": [coins()] }));
    assert_eq!(of(&bare, &transaction(ALICE, 1, Vec::new())), "no-limit");
    let elsewhere = compile(json!({
        "wallets": ["w"], "rules": [coins()],
        "limits": [{ "name": "base", "chain": "ethereum", "chainIds": [8453], "amount": "1", "per": { "window": "1h" } }],
    }));
    assert_eq!(of(&elsewhere, &transaction(ALICE, 1, Vec::new())), "no-limit");
}
