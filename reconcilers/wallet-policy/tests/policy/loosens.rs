//! What is called no looser signs nothing that was not signed before.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::*;
use osmoda_chains::{Effects, U256, ethereum::abi::Call};
use osmoda_schemas::kinds::WalletPolicy;
use osmoda_wallet_policy::{Policy, Verdict, loosens};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Value, json};

fn document(value: &Value) -> WalletPolicy {
    serde_json::from_value(value.clone()).unwrap()
}

fn example() -> Value {
    json!({
        "wallets": ["w"],
        "tokens": [{ "name": "usd", "chain": "ethereum", "chainId": 1, "address": text(TOKEN), "decimals": 6 }],
        "rules": [
            { "name": "never", "effect": "deny", "match": { "to": [text(THIEF)] } },
            { "name": "asked", "effect": "requireApproval", "match": { "assets": ["usd"], "maxFee": "0.01" } },
            { "name": "coins", "effect": "allow",
              "match": { "to": [text(ALICE)], "maxAmount": "0.1", "maxFee": "0.01", "callers": ["agent"] } },
        ],
        "limits": [{ "name": "day", "chain": "ethereum", "amount": "1", "per": { "calendar": "day" } }],
        "approvers": ["ada"],
    })
}

#[test]
fn each_loosening_is_one_and_each_tightening_is_none() {
    let old = document(&example());
    assert!(loosens(None, Some(&old)) && loosens(Some(&old), None) && !loosens(Some(&old), Some(&old)));
    let nothing = document(&json!({ "wallets": ["w"] }));
    assert!(!loosens(None, Some(&nothing)), "what lets nothing pass");
    let leaves = document(&json!({ "wallets": ["w"], "exportable": true }));
    assert!(loosens(None, Some(&leaves)) && loosens(Some(&nothing), Some(&leaves)), "a key may leave");
    assert!(!loosens(Some(&leaves), Some(&nothing)));
    let is_looser = |change: &dyn Fn(&mut Value)| {
        let mut new = example();
        change(&mut new);
        loosens(Some(&old), Some(&document(&new)))
    };
    let looser: [&dyn Fn(&mut Value); 20] = [
        &|p| p["wallets"] = json!(["w", "v"]),
        &|p| p["tokens"][0]["decimals"] = json!(8),
        &|p| p["approvers"] = json!(["ada", "eve"]),
        &|p| p["exportable"] = json!(true),
        &|p| p["limits"][0]["amount"] = json!("1.000000000000000001"),
        &|p| p["limits"][0]["per"] = json!({ "window": "1h" }),
        &|p| p["limits"] = json!([]),
        &|p| p["rules"][0]["match"] = json!({ "to": [text(ITEMS)] }),
        &|p| drop(p["rules"].as_array_mut().unwrap().remove(0)),
        &|p| p["rules"].as_array_mut().unwrap().swap(0, 2),
        &|p| p["rules"].as_array_mut().unwrap().swap(1, 2),
        &|p| p["rules"][1]["effect"] = json!("allow"),
        // Then `coins` may decide, which asks nobody.
        &|p| p["rules"][1]["match"]["chainIds"] = json!([1]),
        &|p| drop(p["rules"].as_array_mut().unwrap().remove(1)),
        &|p| p["rules"][2]["match"]["maxAmount"] = json!("0.11"),
        &|p| drop(p["rules"][2]["match"].as_object_mut().unwrap().remove("maxAmount")),
        &|p| p["rules"][2]["match"]["to"] = json!([text(ALICE), text(ITEMS)]),
        &|p| p["rules"][2]["match"]["functions"] = json!(["erc20.approve"]),
        &|p| p["rules"][2]["match"]["undecoded"] = json!(["call"]),
        // It may then give rights that an `allow` gives only where `functions` names them.
        &|p| p["rules"][2]["effect"] = json!("requireApproval"),
    ];
    for (at, change) in looser.iter().enumerate() {
        assert!(is_looser(change), "{at}");
    }
    let tighter: [&dyn Fn(&mut Value); 5] = [
        &|p| p["description"] = json!("other words"),
        &|p| p["approvers"] = json!([]),
        &|p| p["limits"][0]["amount"] = json!("0.5"),
        &|p| p["limits"][0]["signatures"] = json!(3),
        &|p| p["rules"].as_array_mut().unwrap().insert(1, json!({ "name": "also", "effect": "deny", "match": {} })),
    ];
    for (at, change) in tighter.iter().enumerate() {
        assert!(!is_looser(change), "{at}");
    }
}

#[test]
fn what_allows_may_be_narrowed_where_nothing_asks() {
    let mut plain = example();
    plain["rules"].as_array_mut().unwrap().remove(1);
    let changes: [&dyn Fn(&mut Value); 3] = [
        &|p| drop(p["rules"].as_array_mut().unwrap().pop()),
        &|p| p["rules"].as_array_mut().unwrap().last_mut().unwrap()["match"]["maxAmount"] = json!("0.10"),
        &|p| p["rules"].as_array_mut().unwrap().last_mut().unwrap()["match"]["hours"] = json!(["09:00-17:00"]),
    ];
    for (at, change) in changes.iter().enumerate() {
        // An approval needs no limit, so what falls to a rule that asks may be more than what was allowed.
        for (mut old, is_looser) in [(plain.clone(), false), (example(), true)] {
            let before = document(&old);
            change(&mut old);
            assert_eq!(loosens(Some(&before), Some(&document(&old))), is_looser, "{at}");
        }
    }
}

fn list(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(of), 0..3)
}

fn address_list() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(select(vec![ALICE, THIEF, TOKEN]), 0..3).prop_map(|all| all.into_iter().map(text).collect())
}

fn rule() -> impl Strategy<Value = Value> {
    let amounts = || prop::option::of(select(vec!["0.1", "1", "50"]));
    (
        select(vec!["a", "b", "c", "d"]),
        select(vec!["allow", "allow", "deny", "requireApproval"]),
        (address_list(), list(&["native", "usd"]), list(&["erc20.transfer", "erc20.approve"]), address_list()),
        (amounts(), prop::option::of(select(vec!["0.1", "1"])), list(&["call"]), list(&["agent", "other"])),
    )
        .prop_map(|(name, effect, (to, assets, functions, programs), (most, above, undecoded, callers))| {
            let mut rule = json!({ "name": name, "effect": effect, "match": {
                "to": to, "assets": assets, "functions": functions, "programs": programs, "undecoded": undecoded,
                "callers": callers,
            } });
            if effect != "deny" {
                rule["match"]["maxFee"] = json!("0.1");
                if let Some(most) = most {
                    rule["match"]["maxAmount"] = json!(most);
                }
            }
            if let (Some(above), "allow") = (above, effect) {
                rule["approvalAbove"] = json!(above);
            }
            rule
        })
}

fn policy_of(rules: Vec<Value>, day: &str, has_limit: bool) -> Value {
    let mut names = std::collections::BTreeSet::new();
    let rules: Vec<Value> = rules.into_iter().filter(|rule| names.insert(rule["name"].to_string())).collect();
    let limit = |name: &str, asset: &str, amount: &str| json!({ "name": name, "chain": "ethereum", "asset": asset, "amount": amount, "per": { "calendar": "day" } });
    json!({
        "wallets": ["w"],
        "tokens": [{ "name": "usd", "chain": "ethereum", "chainId": 1, "address": text(TOKEN), "decimals": 6 }],
        "rules": rules,
        "limits": if has_limit { vec![limit("coins", "native", day), limit("usd", "usd", "500")] }
            else { vec![limit("coins", "native", day)] },
    })
}

/// A policy, and another one that is mostly the same.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    let rules = prop::collection::vec(rule(), 1..4);
    let index = any::<prop::sample::Index>;
    (rules, rule(), 0..10_usize, index(), index(), any::<bool>()).prop_map(
        |(rules, other, kind, at, index, has_limit)| {
            let old = policy_of(rules.clone(), "2", has_limit);
            let mut new = rules;
            let (at, place, field) = (at.index(new.len()), index.index(new.len()), index.index(7));
            let mut day = "2";
            match kind {
                0 => new.insert(at, other),
                1 => drop(new.remove(at)),
                2 => new.swap(at, place),
                3 => new[at] = other,
                4 => day = "1",
                5 => new[at]["effect"] = other["effect"].clone(),
                _ => {
                    let field = ["to", "assets", "functions", "programs", "undecoded", "callers", "maxAmount"][field];
                    new[at]["match"][field] = other["match"][field].clone();
                }
            }
            (old, policy_of(new, day, has_limit))
        },
    )
}

fn orders() -> Vec<Effects> {
    let coins = |to, tenths: u128| transaction(to, tenths * COIN / 10, Vec::new());
    let usd = |to, amount: u64| call(TOKEN, &Call::Erc20Transfer { to, amount: U256::from(amount * 1_000_000) });
    let mut batch = coins(ALICE, 1);
    batch.moves.extend(coins(THIEF, 5).moves);
    vec![
        coins(ALICE, 1),
        coins(ALICE, 5),
        coins(THIEF, 5),
        coins(ALICE, 20),
        usd(ALICE, 20),
        usd(THIEF, 60),
        call(TOKEN, &Call::Erc20Approve { spender: ALICE, amount: U256::from(5_u64) }),
        call(THIEF, &Call::Erc20Approve { spender: THIEF, amount: U256::from(5_u64) }),
        transaction(ALICE, 0, vec![1, 2, 3, 4]),
        transaction(TOKEN, 1, vec![1, 2, 3, 4]),
        batch,
    ]
}

fn strictness(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::NeedsApproval { .. } => 1,
        Verdict::Refuse(_) => 2,
    }
}

#[test]
fn what_is_no_looser_signs_no_more() {
    let (orders, tight, looser) = (orders(), AtomicU32::new(0), AtomicU32::new(0));
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) });
    let checked = runner.run(&pair(), |(old, new)| {
        let (before, after) = (document(&old), document(&new));
        let (Ok(one), Ok(other)) = (Policy::compile(&before), Policy::compile(&after)) else { return Ok(()) };
        let is_loose = loosens(Some(&before), Some(&after));
        (if is_loose { &looser } else { &tight }).fetch_add(1, Ordering::Relaxed);
        if is_loose {
            return Ok(());
        }
        for effects in &orders {
            let (one, other) = (one.decide(&request(effects)), other.decide(&request(effects)));
            prop_assert!(
                strictness(&other.verdict) >= strictness(&one.verdict),
                "{:?} became {:?}\nof {effects:?}\nby {old:#}\nand {new:#}",
                one.verdict,
                other.verdict
            );
            for (limit, amount) in &one.limits {
                let kept =
                    other.limits.iter().any(|(l, a)| l.what == limit.what && l.amount <= limit.amount && a >= amount);
                prop_assert!(strictness(&other.verdict) == 2 || kept, "a limit is gone");
            }
        }
        Ok(())
    });
    checked.unwrap();
    let (tight, looser) = (tight.into_inner(), looser.into_inner());
    assert!(tight > 300 && looser > 300, "{tight} no looser, {looser} looser: the test shows nothing");
}
