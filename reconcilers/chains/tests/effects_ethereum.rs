//! What a policy sees of Ethereum. Each test is an attempt to move something past it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    Effects, U256,
    effects::{Account, Asset, Chain, Grant, Move, Why},
    ethereum::{
        Address, Authorization, ChainId,
        abi::{Call, CallError, selector_of},
        transaction::{Common, Transaction},
    },
    keys::secp256k1::SecretKey,
};

const SIGNER: Address = Address([0x11; 20]);
const TOKEN: Address = Address([0x22; 20]);
const THIEF: Address = Address([0x66; 20]);

fn account(address: Address) -> Account {
    Account::Ethereum(address)
}

fn transaction(to: Option<Address>, value: u64, data: Vec<u8>) -> Transaction {
    Transaction::DynamicFee {
        common: Common { nonce: 1, gas_limit: 100_000, value: U256::from(value), data },
        max_priority_fee: U256::from(1_u64),
        max_fee: U256::from(50_u64),
        to,
        chain_id: ChainId::MAINNET,
        accesses: Vec::new(),
    }
}

fn effects(to: Option<Address>, value: u64, data: Vec<u8>) -> Effects {
    Effects::of_ethereum(&transaction(to, value, data), SIGNER)
}

fn reasons(effects: &Effects) -> Vec<&Why> {
    effects.undecoded.iter().map(|part| &part.why).collect()
}

#[test]
fn a_plain_transfer_is_all_told() {
    let effects = effects(Some(THIEF), 7, Vec::new());
    assert!(effects.is_decoded());
    assert_eq!(
        (effects.chain, effects.chain_id, effects.max_fee),
        (Chain::Ethereum, Some(1), U256::from(5_000_000_u64))
    );
    assert_eq!((effects.moves.len(), effects.grants.len()), (1, 0));
    assert_eq!((effects.moves[0].asset, effects.moves[0].to), (Asset::Native, Some(account(THIEF))));
    assert!(effects.moves[0].reaches(&account(THIEF)) && !effects.moves[0].reaches(&account(TOKEN)));
    assert_eq!(effects.total(&Asset::Native), Some(U256::from(5_000_007_u64)));
    assert!(effects.functions.is_empty() && effects.programs.is_empty());
    assert_eq!(effects.good_until, None);
}

#[test]
fn whoever_is_called_without_data_or_value_is_told() {
    // The fallback of a contract runs then, which may be what a thief has prepared.
    let effects = effects(Some(THIEF), 0, Vec::new());
    let expected = Move {
        asset: Asset::Native,
        from: Some(account(SIGNER)),
        to: Some(account(THIEF)),
        to_owner: None,
        amount: U256::ZERO,
    };
    assert_eq!((effects.moves.as_slice(), effects.is_decoded()), (&[expected][..], true));
}

#[test]
fn messages_and_hashes_may_be_anything() {
    assert_eq!(reasons(&Effects::of_message(Chain::Ethereum, account(SIGNER))), [&Why::Message]);
    assert_eq!(reasons(&Effects::of_hash(Chain::Solana, account(SIGNER))), [&Why::Hash]);
}

#[test]
fn value_beside_a_known_call_is_a_move_of_its_own() {
    let call = Call::Erc20Transfer { to: THIEF, amount: U256::from(3_u64) };
    let effects = effects(Some(TOKEN), 9, call.encode());
    assert!(effects.is_decoded());
    let assets: Vec<_> = effects.moves.iter().map(|step| (step.asset, step.to, step.amount)).collect();
    let expected = vec![
        (Asset::Native, Some(account(TOKEN)), U256::from(9_u64)),
        (Asset::TokenOrItem(account(TOKEN)), Some(account(THIEF)), U256::from(3_u64)),
    ];
    assert_eq!(assets, expected);
    assert_eq!((effects.functions, effects.programs), (vec!["erc20.transfer".to_owned()], vec![account(TOKEN)]));
}

#[test]
fn unknown_functions_and_what_only_looks_like_a_known_one_are_not_read() {
    // multicall(bytes[]), execute(...), and an upgrade of a proxy.
    for selector in [[0xac, 0x96, 0x50, 0xd8], [0xb6, 0x1d, 0x27, 0xf6], [0x36, 0x59, 0xcf, 0xe6]] {
        let effects = effects(Some(TOKEN), 5, [selector.as_slice(), &[0; 64]].concat());
        assert_eq!(reasons(&effects), [&Why::Call(CallError::Unknown(selector))]);
        assert_eq!(effects.moves.len(), 1, "the value is seen all the same");
        assert_eq!(effects.functions[0], osmoda_chains::hex::encode(&selector));
    }
    let known = Call::Erc20Transfer { to: THIEF, amount: U256::ONE }.encode();
    let mut dirty = known.clone();
    dirty[4] = 1;
    for data in [[known.as_slice(), &[0]].concat(), known[..67].to_vec(), dirty] {
        assert_eq!(reasons(&effects(Some(TOKEN), 0, data)), [&Why::Call(CallError::Arguments("erc20.transfer"))]);
    }
    for length in 1..4 {
        let effects = effects(Some(TOKEN), 0, known[..length].to_vec());
        assert_eq!(reasons(&effects), [&Why::Call(CallError::NoSelector(length))]);
    }
    assert_eq!(selector_of("erc20.transfer"), Some([0xa9, 0x05, 0x9c, 0xbb]));
}

#[test]
fn offsets_that_point_elsewhere_are_not_read() {
    let call = Call::Erc1155SafeBatchTransferFrom {
        from: SIGNER,
        to: THIEF,
        ids: vec![U256::ONE, U256::ZERO],
        amounts: vec![U256::from(5_u64), U256::from(6_u64)],
        data: Vec::new(),
    };
    let good = call.encode();
    assert!(effects(Some(TOKEN), 0, good.clone()).is_decoded());
    let mut shared = good;
    // Both lists from the same place: well formed for a lenient reader.
    shared.copy_within(4 + 64..4 + 96, 4 + 96);
    let name = "erc1155.safeBatchTransferFrom";
    assert_eq!(reasons(&effects(Some(TOKEN), 0, shared)), [&Why::Call(CallError::Arguments(name))]);
}

#[test]
fn creation_of_a_contract_is_not_read_and_its_value_is_seen() {
    let effects = effects(None, 4, vec![0x60, 0x80]);
    assert_eq!(reasons(&effects), [&Why::Creation]);
    assert_eq!(effects.moves[0].to, Some(account(SIGNER.created(1))));
    let empty = self::effects(None, 0, Vec::new());
    assert_eq!((reasons(&empty), empty.moves.len()), (vec![&Why::Creation], 1));
}

#[test]
fn a_call_of_the_own_account_runs_what_it_has_delegated_to() {
    let data = Call::Erc20Transfer { to: THIEF, amount: U256::ZERO }.encode();
    assert_eq!(reasons(&effects(Some(SIGNER), 0, data)), [&Why::OwnCode]);
    assert!(effects(Some(SIGNER), 0, Vec::new()).is_decoded(), "the usual way to take a transaction back");
}

#[test]
fn authorizations_are_grants_and_the_call_after_them_is_not_read() {
    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    let other = Address::of(&key.public());
    let sign = |chain_id| Authorization { chain_id, delegate: THIEF, nonce: 0 }.sign(&key).unwrap();
    let transaction = |to, authorizations| Transaction::SetCode {
        common: Common { nonce: 0, gas_limit: 1, value: U256::ZERO, data: Vec::new() },
        max_priority_fee: U256::ONE,
        max_fee: U256::ONE,
        to,
        chain_id: ChainId::MAINNET,
        accesses: Vec::new(),
        authorizations,
    };
    let code = |chain_id| Grant::Code { authority: account(other), delegate: account(THIEF), chain_id };
    let bound = Effects::of_ethereum(&transaction(TOKEN, vec![sign(Some(ChainId::MAINNET))]), SIGNER);
    assert_eq!((bound.grants.as_slice(), bound.is_decoded()), (&[code(Some(1))][..], true));
    let everywhere = Effects::of_ethereum(&transaction(TOKEN, vec![sign(None)]), SIGNER);
    assert_eq!((everywhere.grants.as_slice(), reasons(&everywhere)), (&[code(None)][..], vec![&Why::AnyChain]));
    let own = Effects::of_ethereum(&transaction(other, vec![sign(Some(ChainId::MAINNET))]), SIGNER);
    assert_eq!(reasons(&own), [&Why::OwnCode], "the account's new code runs at once");
    let mut forged = sign(Some(ChainId::MAINNET));
    forged.signature.r = [0; 32];
    let forged = Effects::of_ethereum(&transaction(TOKEN, vec![forged]), SIGNER);
    assert_eq!((forged.grants.len(), reasons(&forged)), (0, vec![&Why::Authorization]));

    let alone = Effects::of_authorization(&Authorization { chain_id: None, delegate: THIEF, nonce: 0 }, SIGNER);
    assert_eq!((alone.grants.len(), reasons(&alone), alone.fee_payer), (1, vec![&Why::AnyChain], None));
}

#[test]
fn a_legacy_transaction_without_a_chain_is_good_anywhere_and_fees_do_not_wrap() {
    let legacy = Transaction::Legacy {
        common: Common { nonce: 0, gas_limit: u64::MAX, value: U256::ONE, data: Vec::new() },
        gas_price: U256::MAX,
        to: Some(TOKEN),
        chain_id: None,
    };
    let effects = Effects::of_ethereum(&legacy, SIGNER);
    assert_eq!(reasons(&effects), [&Why::Overflow, &Why::AnyChain]);
    assert_eq!((effects.max_fee, effects.total(&Asset::Native), effects.chain_id), (U256::MAX, None, None));
}
