//! What a policy sees of each call that is known: who loses what to whom. Every address is another one, so that no two of
//! them can be exchanged.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    Effects, U256,
    effects::{Account, Asset, Grant, Move, Why},
    ethereum::{
        Address, ChainId,
        abi::{Authorized, Call, CallError, Sig},
        transaction::{Common, Transaction},
    },
};

const SIGNER: Address = Address([0x11; 20]);
const TOKEN: Address = Address([0x22; 20]);
const OWNER: Address = Address([0x33; 20]);
const THIEF: Address = Address([0x66; 20]);

fn account(address: Address) -> Account {
    Account::Ethereum(address)
}

fn number(number: u64) -> U256 {
    U256::from(number)
}

/// Of a call of the token, without value.
fn effects(call: &Call) -> Effects {
    let transaction = Transaction::DynamicFee {
        common: Common { nonce: 1, gas_limit: 100_000, value: U256::ZERO, data: call.encode() },
        max_priority_fee: U256::ONE,
        max_fee: U256::ONE,
        to: Some(TOKEN),
        chain_id: ChainId::MAINNET,
        accesses: Vec::new(),
    };
    let mut effects = Effects::of_ethereum(&transaction, SIGNER);
    assert_eq!(effects.functions, [call.name()]);
    assert_eq!(effects.programs, [account(TOKEN)]);
    assert_eq!(effects.good_until, None, "a transaction tells no end");
    assert_eq!(effects.moves.remove(0), moved(Asset::Native, SIGNER, TOKEN, 0), "whoever is called");
    effects
}

fn moved(asset: Asset, from: Address, to: Address, amount: u64) -> Move {
    Move { asset, from: Some(account(from)), to: Some(account(to)), to_owner: None, amount: number(amount) }
}

fn allowance(asset: Asset, owner: Address, amount: U256, adds: bool) -> Grant {
    Grant::Allowance { asset, owner: account(owner), spender: account(THIEF), amount, adds }
}

/// All of it is read, and it is that.
fn tells(call: &Call, moves: &[Move], grants: &[Grant]) {
    let effects = effects(call);
    assert_eq!((effects.moves.as_slice(), effects.grants.as_slice()), (moves, grants), "{call:?}");
    assert_eq!(effects.undecoded, [], "{call:?}");
}

fn token() -> Asset {
    Asset::Token(account(TOKEN))
}

fn item(id: u64) -> Asset {
    Asset::Item(account(TOKEN), number(id))
}

fn signature() -> Sig {
    Sig { v: 27, r: [1; 32], s: [2; 32] }
}

#[test]
fn what_tokens_and_items_are_both_called_with_is_told_as_either() {
    let either = Asset::TokenOrItem(account(TOKEN));
    assert_ne!(either, token(), "an amount and a number must never be summed up");
    tells(&Call::Erc20Transfer { to: THIEF, amount: number(5) }, &[moved(either, SIGNER, THIEF, 5)], &[]);
    let from = Call::Erc20TransferFrom { from: OWNER, to: THIEF, amount: number(42) };
    tells(&from, &[moved(either, OWNER, THIEF, 42)], &[]);
    for amount in [U256::ZERO, U256::MAX] {
        let approve = Call::Erc20Approve { spender: THIEF, amount };
        tells(&approve, &[], &[allowance(either, SIGNER, amount, false)]);
    }
    assert_eq!(effects(&from).total(&token()), Some(U256::ZERO));
}

#[test]
fn an_allowance_that_is_added_is_told_from_one_that_is_set() {
    let added = Call::Erc20IncreaseAllowance { spender: THIEF, added: number(7) };
    tells(&added, &[], &[allowance(token(), SIGNER, number(7), true)]);
}

#[test]
fn items_are_moved_by_their_numbers() {
    let (from, to) = (OWNER, THIEF);
    let safe = Call::Erc721SafeTransferFrom { from, to, id: number(42) };
    tells(&safe, &[moved(item(42), OWNER, THIEF, 1)], &[]);
    let empty = Call::Erc721SafeTransferFromData { from, to, id: number(42), data: Vec::new() };
    tells(&empty, &[moved(item(42), OWNER, THIEF, 1)], &[]);
    let some = Call::Erc1155SafeTransferFrom { from, to, id: number(42), amount: number(3), data: Vec::new() };
    tells(&some, &[moved(item(42), OWNER, THIEF, 3)], &[]);
    let (ids, amounts) = (vec![number(1), number(0)], vec![number(5), number(6)]);
    let batch = Call::Erc1155SafeBatchTransferFrom { from, to, ids, amounts, data: Vec::new() };
    tells(&batch, &[moved(item(1), OWNER, THIEF, 5), moved(item(0), OWNER, THIEF, 6)], &[]);
}

#[test]
fn data_that_a_recipient_is_called_with_is_not_read() {
    let (from, to, data) = (SIGNER, THIEF, vec![0]);
    for call in [
        Call::Erc721SafeTransferFromData { from, to, id: number(1), data: data.clone() },
        Call::Erc1155SafeTransferFrom { from, to, id: number(1), amount: number(1), data: data.clone() },
        Call::Erc1155SafeBatchTransferFrom { from, to, ids: vec![number(1)], amounts: vec![number(1)], data },
    ] {
        let effects = effects(&call);
        assert_eq!(effects.moves, [moved(item(1), SIGNER, THIEF, 1)]);
        let reasons: Vec<_> = effects.undecoded.iter().map(|part| (part.part.as_str(), &part.why)).collect();
        assert_eq!(reasons, [("data", &Why::HookData)], "{call:?}");
    }
}

#[test]
fn a_batch_of_nothing_is_not_read() {
    let (ids, amounts) = (Vec::new(), Vec::new());
    let call = Call::Erc1155SafeBatchTransferFrom { from: SIGNER, to: THIEF, ids, amounts, data: Vec::new() };
    let empty = CallError::Empty("erc1155.safeBatchTransferFrom");
    assert_eq!(Call::decode(&call.encode()), Err(empty));
    let effects = effects(&call);
    assert_eq!((effects.moves.as_slice(), &effects.undecoded[0].why), (&[][..], &Why::Call(empty)));
}

#[test]
fn all_items_are_given_and_taken_back() {
    let all = Grant::AllItems { contract: account(TOKEN), owner: account(SIGNER), operator: account(THIEF) };
    tells(&Call::SetApprovalForAll { operator: THIEF, approved: true }, &[], &[all]);
    tells(&Call::SetApprovalForAll { operator: THIEF, approved: false }, &[], &[]);
}

#[test]
fn permits_that_are_handed_in_are_the_owners() {
    let (spender, signature) = (THIEF, signature());
    let permit = Call::Erc2612Permit { owner: OWNER, spender, value: number(7), deadline: number(9), signature };
    tells(&permit, &[], &[allowance(token(), OWNER, number(7), false)]);
    for (allowed, amount) in [(true, U256::MAX), (false, U256::ZERO)] {
        let permit =
            Call::DaiPermit { holder: OWNER, spender, nonce: number(1), expiry: number(9), allowed, signature };
        tells(&permit, &[], &[allowance(token(), OWNER, amount, false)]);
    }
}

#[test]
fn payments_that_are_handed_in_are_the_payers() {
    let authorized = Authorized {
        from: OWNER,
        to: THIEF,
        value: number(8),
        valid_after: number(1),
        valid_before: number(9),
        nonce: [3; 32],
        signature: signature(),
    };
    for call in [Call::Erc3009TransferWithAuthorization(authorized), Call::Erc3009ReceiveWithAuthorization(authorized)]
    {
        tells(&call, &[moved(token(), OWNER, THIEF, 8)], &[]);
    }
}
