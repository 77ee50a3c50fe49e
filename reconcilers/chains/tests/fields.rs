//! Whatever is changed of what somebody signs, its effects change, or are not read. What they do not tell is listed here,
//! in the functions `told`: nothing that decides who loses what.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "chance/calls.rs"]
mod calls;
#[path = "chance/instructions.rs"]
mod instructions;
#[path = "chance/typed.rs"]
mod typed;

use calls::calls;
use instructions::{OWNER, instructions};
use osmoda_chains::{
    Effects, U256,
    ethereum::{
        Address, Authorization, ChainId,
        abi::{Call, Sig},
        transaction::{Access, Common, Transaction},
    },
    keys::secp256k1::SecretKey,
    promise,
    solana::{
        self, Message, compile,
        instruction::{Authority, Known, System, Token},
        message::{Account, Version},
    },
};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use typed::{CHAIN_AND_CONTRACT, PERMIT2, parse, text, types};

const SIGNER: Address = Address([0x11; 20]);

/// Somebody who compares the effects sees that it is another.
fn seen(before: &Effects, after: &Effects) -> bool {
    before != after || !after.is_decoded()
}

/// Without what effects do not tell: the nonce, what storage will be used, how the fee is split and what of it is gas, and
/// of the call what only proves or ends a consent.
fn told(mut transaction: Transaction) -> Transaction {
    let fee = |common: &mut Common, price: &mut U256| {
        *price = price.checked_mul(U256::from(common.gas_limit)).unwrap_or(U256::MAX);
        (common.nonce, common.gas_limit) = (0, 0);
        if let Ok(call) = Call::decode(&common.data) {
            common.data = told_call(call).encode();
        }
    };
    match &mut transaction {
        Transaction::Legacy { common, gas_price, .. } => fee(common, gas_price),
        Transaction::AccessList { common, gas_price, accesses, .. } => {
            fee(common, gas_price);
            accesses.clear();
        }
        Transaction::DynamicFee { common, max_priority_fee, max_fee, accesses, .. }
        | Transaction::SetCode { common, max_priority_fee, max_fee, accesses, .. } => {
            fee(common, max_fee);
            *max_priority_fee = U256::ZERO;
            accesses.clear();
        }
    }
    transaction
}

fn told_call(mut call: Call) -> Call {
    let none = Sig { v: 0, r: [0; 32], s: [0; 32] };
    match &mut call {
        Call::Erc2612Permit { deadline, signature, .. } => (*deadline, *signature) = (U256::ZERO, none),
        Call::DaiPermit { nonce, expiry, signature, .. } => {
            (*nonce, *expiry, *signature) = (U256::ZERO, U256::ZERO, none);
        }
        Call::Erc3009TransferWithAuthorization(authorized) | Call::Erc3009ReceiveWithAuthorization(authorized) => {
            (authorized.valid_after, authorized.valid_before) = (U256::ZERO, U256::ZERO);
            (authorized.nonce, authorized.signature) = ([0; 32], none);
        }
        // Nobody may take anything any longer.
        Call::SetApprovalForAll { operator, approved: false } => *operator = Address::ZERO,
        _ => {}
    }
    call
}

/// Without data for whoever receives an item, which nobody reads.
fn without_hook(mut call: Call) -> Call {
    if let Call::Erc721SafeTransferFromData { data, .. }
    | Call::Erc1155SafeTransferFrom { data, .. }
    | Call::Erc1155SafeBatchTransferFrom { data, .. } = &mut call
    {
        data.clear();
    }
    call
}

fn transactions() -> impl Strategy<Value = Transaction> {
    let common = (any::<u32>(), 1..u64::MAX, any::<u64>(), prop::option::weighted(0.8, calls()));
    let others = (any::<[u8; 20]>(), any::<u64>(), any::<u64>(), 1..u64::from(u32::MAX), any::<[u8; 20]>());
    (common, others, 0_u8..4).prop_map(|((nonce, gas_limit, value, call), (to, fee, more, chain, delegate), kind)| {
        let data = call.map(|call| without_hook(call).encode()).unwrap_or_default();
        let common = Common { nonce: nonce.into(), gas_limit, value: U256::from(value), data };
        let (to, chain_id) = (Address(to), ChainId::new(chain).unwrap());
        let (fee, more) = (U256::from(fee), U256::from(more));
        let accesses = vec![Access { address: Address(delegate), keys: vec![[5; 32]] }];
        match kind {
            0 => Transaction::Legacy { common, gas_price: fee, to: Some(to), chain_id: Some(chain_id) },
            1 => Transaction::AccessList { common, gas_price: fee, to: Some(to), chain_id, accesses },
            2 => Transaction::DynamicFee {
                common,
                max_priority_fee: more,
                max_fee: fee,
                to: Some(to),
                chain_id,
                accesses,
            },
            _ => {
                let own = Authorization { chain_id: Some(chain_id), delegate: Address(delegate), nonce: 1 };
                let authorizations = vec![own.sign(&SecretKey::from_bytes(&[1; 32]).unwrap()).unwrap()];
                Transaction::SetCode {
                    common,
                    max_priority_fee: more,
                    max_fee: fee,
                    to,
                    chain_id,
                    accesses,
                    authorizations,
                }
            }
        }
    })
}

/// Without what effects do not tell: the blockhash, who consents beside the signers, where an approval or the end of an
/// account is, sizes, seeds and their base, decimals, texts, and what of the fee is units and what is their price.
fn told_message(message: &Message) -> (Vec<solana::Address>, Vec<Known>) {
    let known = message.instructions().iter().map(|instruction| told_known(Known::read(message, instruction)));
    (message.signers().to_vec(), known.collect())
}

fn told_known(mut known: Known) -> Known {
    let (nobody, zero) = (Account::Listed(solana::Address([0; 32])), solana::Address([0; 32]));
    match &mut known {
        Known::System(System::CreateAccount { space, .. }) => *space = 0,
        Known::System(System::CreateAccountWithSeed { base, space, .. }) => (*base, *space) = (zero, 0),
        Known::System(System::TransferWithSeed { base, .. }) => *base = nobody,
        Known::Token { what, .. } => match what {
            Token::TransferChecked { owner, decimals, .. } => (*owner, *decimals) = (nobody, 0),
            Token::ApproveChecked { source, decimals, .. } => (*source, *decimals) = (nobody, 0),
            Token::Revoke { source: account, owner } | Token::CloseAccount { account, owner, .. } => {
                (*account, *owner) = (nobody, nobody);
            }
            Token::SetAuthority { owner, kind, .. } => {
                *owner = nobody;
                // Those that Token-2022 has have one name.
                if let Authority::Other(number) = kind {
                    *number = 4;
                }
            }
            Token::SyncNative { account } => *account = nobody,
            Token::Transfer { .. } | Token::Approve { .. } => {}
        },
        Known::UnitLimit(number) | Known::HeapFrame(number) | Known::AccountsSize(number) => *number = 0,
        Known::UnitPrice(number) => *number = 0,
        Known::Memo(text) => text.clear(),
        _ => {}
    }
    known
}

/// Messages of all types that are known, by what they are called (see [`types`]).
fn messages() -> impl Strategy<Value = (&'static str, Value)> {
    let numbers = prop::array::uniform4(1_u64..1 << 47);
    let entries = prop::collection::vec((any::<[u8; 20]>(), 0_u64..1 << 47, 0_u64..1 << 47), 0..4);
    (0_u8..8, prop::array::uniform2(any::<[u8; 20]>()), numbers, entries, any::<bool>()).prop_map(
        |(kind, [a, b], [n, m, first, last], entries, allowed)| {
            let (a, b) = (Address(a).to_string(), Address(b).to_string());
            let token = |of: &[u8; 20]| Address(*of).to_string();
            let detail = |(of, amount, end): &([u8; 20], u64, u64)| {
                json!({ "token": token(of), "amount": amount, "expiration": end, "nonce": 1 })
            };
            let permitted = |(of, amount, _): &([u8; 20], u64, u64)| json!({ "token": token(of), "amount": amount });
            let one = ([3; 20], n, first);
            let authorization = json!({
                "from": a, "to": b, "value": n, "validAfter": first, "validBefore": last,
                "nonce": format!("0x{}", "5a".repeat(32)),
            });
            let details: Vec<Value> = entries.iter().map(detail).collect();
            let all: Vec<Value> = entries.iter().map(permitted).collect();
            match kind {
                0 => ("Permit", json!({ "owner": a, "spender": b, "value": n, "nonce": m, "deadline": last })),
                1 => {
                    let message = json!({ "holder": a, "spender": b, "nonce": n, "expiry": last, "allowed": allowed });
                    ("DaiPermit", message)
                }
                2 => ("PermitSingle", json!({ "details": detail(&one), "spender": b, "sigDeadline": last })),
                3 => ("PermitBatch", json!({ "details": details, "spender": b, "sigDeadline": last })),
                4 => {
                    let message = json!({ "permitted": permitted(&one), "spender": b, "nonce": m, "deadline": last });
                    ("PermitTransferFrom", message)
                }
                5 => {
                    let message = json!({ "permitted": all, "spender": b, "nonce": m, "deadline": last });
                    ("PermitBatchTransferFrom", message)
                }
                6 => ("TransferWithAuthorization", authorization),
                _ => ("ReceiveWithAuthorization", authorization),
            }
        },
    )
}

/// Every value of a message, by its JSON pointer.
fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(members) => members.iter().flat_map(|(name, of)| leaves(of, &format!("{at}/{name}"))).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, of)| leaves(of, &format!("{at}/{index}"))).collect()
        }
        _ => vec![at.to_owned()],
    }
}

/// Another value of the same type.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(text) if text.len() == 42 => {
            let address: Address = text.parse().unwrap();
            json!(Address(address.0.map(|byte| !byte)).to_string())
        }
        _ => json!(format!("0x{}", "a5".repeat(32))),
    }
}

/// The latest end that a message of Permit2's allowances names, which is the one that is told.
fn latest(message: &Value) -> Option<u64> {
    let details = message.get("details")?;
    let details = details.as_array().cloned().unwrap_or_else(|| vec![details.clone()]);
    details.iter().map(|detail| detail["expiration"].as_u64()).chain([message["sigDeadline"].as_u64()]).max().flatten()
}

fn domain(of: &str) -> String {
    let contract =
        if of.starts_with("Permit") && of != "Permit" { PERMIT2 } else { "0x2222222222222222222222222222222222222222" };
    format!(r#"{{"chainId": 10, "verifyingContract": "{contract}"}}"#)
}

fn of_message(of: &str, domain: &str, message: &Value) -> Effects {
    let data = parse(CHAIN_AND_CONTRACT, domain, &types(of), of, &message.to_string());
    Effects::of_typed_data(&data, SIGNER)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_bit_of_a_transaction(transaction in transactions(), bits in prop::collection::vec(any::<Index>(), 200)) {
        let (bytes, before) = (transaction.encode(), Effects::of_ethereum(&transaction, SIGNER));
        prop_assert!(before.is_decoded(), "{:?}", before.undecoded);
        let same = told(transaction);
        for bit in bits {
            let bit = bit.index(bytes.len() * 8);
            let mut spoilt = bytes.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            let Ok(other) = Transaction::decode(&spoilt) else { continue };
            let after = Effects::of_ethereum(&other, SIGNER);
            prop_assert!(seen(&before, &after) || told(other.clone()) == same, "bit {}: {:?}, {:?}", bit, other, after);
        }
    }

    #[test]
    fn any_bit_of_a_message_of_solana(instructions in instructions(), bits in prop::collection::vec(any::<Index>(), 400)) {
        let message = compile(Version::V0, OWNER, &instructions, [9; 32]).unwrap();
        let (bytes, before) = (message.encode(), Effects::of_solana(&message, OWNER));
        prop_assert!(before.is_decoded(), "{:?}", before.undecoded);
        let same = told_message(&message);
        for bit in bits {
            let bit = bit.index(bytes.len() * 8);
            let mut spoilt = bytes.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            let Ok(other) = Message::decode(&spoilt) else { continue };
            let after = Effects::of_solana(&other, OWNER);
            prop_assert!(seen(&before, &after) || told_message(&other) == same, "bit {}: {:?}, {:?}", bit, other, after);
        }
    }

    #[test]
    fn any_value_of_typed_data((of, message) in messages()) {
        let domain = domain(of);
        prop_assert!(promise::typed_data(&text(CHAIN_AND_CONTRACT, &domain, &types(of), of, &message.to_string())));
        let before = of_message(of, &domain, &message);
        let lists: Vec<_> = message.as_object().unwrap().values().filter_map(Value::as_array).collect();
        // A list of nothing, and nothing else, is not read.
        prop_assert_eq!(before.is_decoded(), lists.iter().all(|list| !list.is_empty()), "{:?}", before);
        if !before.is_decoded() {
            return Ok(());
        }
        for at in leaves(&message, "") {
            let mut other = message.clone();
            let value = other.pointer_mut(&at).unwrap();
            *value = another(value);
            let after = of_message(of, &domain, &other);
            // What numbers a consent, from when it is good, and an end that is not the last.
            let name = at.rsplit('/').next().unwrap();
            let untold = matches!(name, "nonce" | "validAfter")
                || matches!(name, "expiration" | "sigDeadline") && latest(&other) == latest(&message);
            prop_assert_eq!(before != after, !untold, "{} of {}", at, message);
            prop_assert!(after.is_decoded());
        }
        let contract = r#"{"chainId": 10, "verifyingContract": "0x3333333333333333333333333333333333333333"}"#;
        for other in [domain.replace("10", "11").as_str(), contract] {
            prop_assert!(seen(&before, &of_message(of, other, &message)));
        }
        for at in ["/details", "/permitted"] {
            let mut fewer = message.clone();
            if let Some(Value::Array(items)) = fewer.pointer_mut(at) {
                items.pop();
                prop_assert!(seen(&before, &of_message(of, &domain, &fewer)));
            }
        }
    }
}
