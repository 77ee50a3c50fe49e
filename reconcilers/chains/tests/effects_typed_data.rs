//! What a policy sees of typed data: what a contract takes for a payment or a permit, although it is only signed.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "chance/typed.rs"]
mod typed;

use osmoda_chains::{
    Effects, U256,
    effects::{Account, Asset, Grant, Move, Why},
    ethereum::Address,
};
use typed::{CHAIN_AND_CONTRACT, PERMIT2, fields, parse, types};

const SIGNER: Address = Address([0x11; 20]);
const TOKEN: Address = Address([0x22; 20]);
const OTHER: Address = Address([0x33; 20]);
const THIEF: Address = Address([0x66; 20]);

fn account(address: Address) -> Account {
    Account::Ethereum(address)
}

fn reasons(effects: &Effects) -> Vec<&Why> {
    effects.undecoded.iter().map(|part| &part.why).collect()
}

/// Of a type that is known here, for a contract of chain 10.
fn effects(contract: &str, primary: &str, message: &str) -> Effects {
    let domain = format!(r#"{{"chainId": 10, "verifyingContract": "{contract}"}}"#);
    Effects::of_typed_data(&parse(CHAIN_AND_CONTRACT, &domain, &types(primary), primary, message), SIGNER)
}

fn moved(amount: u64) -> Move {
    Move {
        asset: Asset::Token(account(TOKEN)),
        from: Some(account(SIGNER)),
        to: Some(account(THIEF)),
        to_owner: None,
        amount: U256::from(amount),
    }
}

fn allowance(token: Address, amount: U256, adds: bool) -> Grant {
    let (owner, spender) = (account(SIGNER), account(THIEF));
    Grant::Allowance { asset: Asset::Token(account(token)), owner, spender, amount, adds }
}

/// All of it is read: those grants, good until then.
fn grants(effects: &Effects, name: &str, grants: &[Grant], until: Option<u64>) {
    assert_eq!((effects.grants.as_slice(), effects.moves.as_slice()), (grants, &[][..]), "{name}");
    assert_eq!((effects.undecoded.as_slice(), effects.chain_id), (&[][..], Some(10)), "{name}");
    assert_eq!((effects.functions.as_slice(), effects.good_until), (&[name.to_owned()][..], until.map(U256::from)));
}

#[test]
fn a_permit_of_eip_2612_is_a_grant_until_its_deadline() {
    let message = format!(r#"{{"owner": "{SIGNER}", "spender": "{THIEF}", "value": "77", "nonce": 0, "deadline": 5}}"#);
    let effects = effects(&TOKEN.to_string(), "Permit", &message);
    grants(&effects, "erc2612.permit", &[allowance(TOKEN, U256::from(77_u64), false)], Some(5));
    assert_eq!((effects.programs.as_slice(), effects.fee_payer), (&[account(TOKEN)][..], None));
}

#[test]
fn a_permit_of_dai_is_all_or_nothing_and_may_last_for_ever() {
    let of = |expiry: u64, allowed: bool| {
        let message = format!(
            r#"{{"holder": "{SIGNER}", "spender": "{THIEF}", "nonce": 1, "expiry": {expiry}, "allowed": {allowed}}}"#
        );
        effects(&TOKEN.to_string(), "DaiPermit", &message)
    };
    grants(&of(9, true), "dai.permit", &[allowance(TOKEN, U256::MAX, false)], Some(9));
    grants(&of(9, false), "dai.permit", &[allowance(TOKEN, U256::ZERO, false)], Some(9));
    grants(&of(0, true), "dai.permit", &[allowance(TOKEN, U256::MAX, false)], None);
}

/// A token, an amount and an end, as Permit2 sets allowances.
fn details(token: Address, amount: u64, expiration: u64) -> String {
    format!(r#"{{"token": "{token}", "amount": {amount}, "expiration": {expiration}, "nonce": 0}}"#)
}

fn permitted(token: Address, amount: u64) -> String {
    format!(r#"{{"token": "{token}", "amount": {amount}}}"#)
}

#[test]
fn permit2_sets_allowances_until_the_last_of_them_ends() {
    let name = "permit2.permitSingle";
    for (expiration, until) in [(0, 9), (8, 9), (10, 10)] {
        let details = details(OTHER, 5, expiration);
        let message = format!(r#"{{"details": {details}, "spender": "{THIEF}", "sigDeadline": 9}}"#);
        let single = effects(PERMIT2, "PermitSingle", &message);
        grants(&single, name, &[allowance(OTHER, U256::from(5_u64), false)], Some(until));
        let elsewhere = effects(&TOKEN.to_string(), "PermitSingle", &message);
        assert_eq!((reasons(&elsewhere), elsewhere.grants.len()), (vec![&Why::Domain], 1), "no Permit2");
    }
    let list = [details(OTHER, 5, 30), details(TOKEN, 6, 20)].join(",");
    let message = format!(r#"{{"details": [{list}], "spender": "{THIEF}", "sigDeadline": 9}}"#);
    let expected = [allowance(OTHER, U256::from(5_u64), false), allowance(TOKEN, U256::from(6_u64), false)];
    grants(&effects(PERMIT2, "PermitBatch", &message), "permit2.permitBatch", &expected, Some(30));
}

#[test]
fn permit2_lets_take_anew_by_each_signature() {
    let message =
        format!(r#"{{"permitted": {}, "spender": "{THIEF}", "nonce": 0, "deadline": 9}}"#, permitted(OTHER, 1));
    let expected = [allowance(OTHER, U256::ONE, true)];
    let name = "permit2.permitTransferFrom";
    grants(&effects(PERMIT2, "PermitTransferFrom", &message), name, &expected, Some(9));
    let list = [permitted(OTHER, 1), permitted(TOKEN, 2)].join(",");
    let message = format!(r#"{{"permitted": [{list}], "spender": "{THIEF}", "nonce": 0, "deadline": 9}}"#);
    let expected = [allowance(OTHER, U256::ONE, true), allowance(TOKEN, U256::from(2_u64), true)];
    let name = "permit2.permitBatchTransferFrom";
    grants(&effects(PERMIT2, "PermitBatchTransferFrom", &message), name, &expected, Some(9));
}

#[test]
fn a_batch_of_nothing_is_not_read() {
    for (primary, rest) in [
        ("PermitBatch", r#""details": [], "sigDeadline": 9"#),
        ("PermitBatchTransferFrom", r#""permitted": [], "nonce": 0, "deadline": 9"#),
    ] {
        let effects = effects(PERMIT2, primary, &format!(r#"{{{rest}, "spender": "{THIEF}"}}"#));
        assert_eq!(reasons(&effects), [&Why::TypedData(primary.to_owned())]);
        assert_eq!((effects.grants.len(), effects.good_until), (0, None));
    }
}

#[test]
fn a_payment_that_is_only_signed_is_a_move() {
    let nonce = format!("0x{}", "00".repeat(32));
    let message = format!(
        r#"{{"from": "{SIGNER}", "to": "{THIEF}", "value": 8, "validAfter": 1, "validBefore": 6, "nonce": "{nonce}"}}"#
    );
    for (primary, name) in [
        ("TransferWithAuthorization", "erc3009.transferWithAuthorization"),
        ("ReceiveWithAuthorization", "erc3009.receiveWithAuthorization"),
    ] {
        let effects = effects(&TOKEN.to_string(), primary, &message);
        assert_eq!((effects.moves.as_slice(), effects.grants.as_slice()), (&[moved(8)][..], &[][..]));
        assert_eq!((effects.undecoded.as_slice(), effects.good_until), (&[][..], Some(U256::from(6_u64))));
        assert_eq!(effects.functions, [name]);
        assert!(effects.moves[0].reaches(&account(THIEF)));
        assert_eq!(effects.total(&Asset::Token(account(TOKEN))), Some(U256::from(8_u64)));
    }
}

#[test]
fn typed_data_of_any_other_type_may_be_a_spend() {
    // The name of a known type, and other fields.
    let types = format!(r#""Permit": {}"#, fields("address spender,uint256 tokenId,uint256 nonce,uint256 deadline"));
    let message = format!(r#"{{"spender": "{THIEF}", "tokenId": 1, "nonce": 0, "deadline": 1}}"#);
    let domain = format!(r#"{{"chainId": 10, "verifyingContract": "{TOKEN}"}}"#);
    let effects = Effects::of_typed_data(&parse(CHAIN_AND_CONTRACT, &domain, &types, "Permit", &message), SIGNER);
    assert_eq!((reasons(&effects), effects.functions.len()), (vec![&Why::TypedData("Permit".to_owned())], 0));
    assert_eq!(effects.good_until, None);
}

#[test]
fn a_domain_that_does_not_bind_is_told() {
    let message = format!(r#"{{"owner": "{SIGNER}", "spender": "{THIEF}", "value": "77", "nonce": 0, "deadline": 5}}"#);
    let of = |kinds: &str, domain: &str| {
        Effects::of_typed_data(&parse(kinds, domain, &types("Permit"), "Permit", &message), SIGNER)
    };
    let contract = format!(r#""verifyingContract": "{TOKEN}""#);
    let chainless = of("address verifyingContract", &format!("{{{contract}}}"));
    assert_eq!((reasons(&chainless), chainless.chain_id), (vec![&Why::AnyChain], None));
    // No chain has such a number: what a contract makes of it is not told.
    for number in ["0", "\"18446744073709551616\"", "\"9223372036854775772\""] {
        let effects = of(CHAIN_AND_CONTRACT, &format!(r#"{{"chainId": {number}, {contract}}}"#));
        assert_eq!((reasons(&effects), effects.chain_id, effects.grants.len()), (vec![&Why::AnyChain], None, 1));
    }
    let largest = of(CHAIN_AND_CONTRACT, &format!(r#"{{"chainId": "9223372036854775771", {contract}}}"#));
    assert_eq!((largest.is_decoded(), largest.chain_id), (true, Some(9_223_372_036_854_775_771)));
    let anybodys = of("uint256 chainId", r#"{"chainId": 1}"#);
    assert_eq!((reasons(&anybodys), anybodys.grants.len()), (vec![&Why::Domain], 0));
    let nothing = of("string name", r#"{"name": "x"}"#);
    assert_eq!(reasons(&nothing), [&Why::AnyChain, &Why::Domain]);
}

#[test]
fn typed_data_for_the_signer_itself_is_for_the_code_that_it_runs() {
    let message = format!(r#"{{"owner": "{SIGNER}", "spender": "{THIEF}", "value": "77", "nonce": 0, "deadline": 5}}"#);
    assert_eq!(reasons(&effects(&SIGNER.to_string(), "Permit", &message)), [&Why::OwnCode]);
}
