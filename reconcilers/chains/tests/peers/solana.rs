//! Cases of Solana.

use osmoda_chains::{
    Effects,
    keys::ed25519::SecretKey,
    solana::{
        Address, Instruction, Transaction, associated_token_address, compile, find_program_address, message::Version,
        offchain::OffchainMessage, programs,
    },
};
use serde_json::{Value, json};

use super::{Peer, bytes, hex, some, text};

/// Keys, instructions whose signers are among them, and the same for the peer.
struct Case {
    keys: Vec<SecretKey>,
    instructions: Vec<Instruction>,
    blockhash: [u8; 32],
    request: Value,
}

fn case(chance: &mut fastrand::Rng) -> Case {
    let keys: Vec<_> = (0..chance.usize(1..4)).map(|_| SecretKey::from_bytes(&bytes(chance))).collect();
    let others: Vec<Address> = (0..chance.usize(1..8)).map(|_| Address(bytes(chance))).collect();
    let known = [
        programs::SYSTEM,
        programs::TOKEN,
        programs::TOKEN_2022,
        programs::ASSOCIATED_TOKEN,
        programs::COMPUTE_BUDGET,
        programs::MEMO,
    ];
    let mut instructions = Vec::new();
    for _ in 0..chance.usize(1..5) {
        let mut accounts = Vec::new();
        for _ in 0..chance.usize(..6) {
            if chance.u8(..3) == 0 {
                let key = &keys[chance.usize(..keys.len())];
                accounts.push((Address::of(&key.public()), chance.u8(..4) > 0, chance.bool()));
            } else {
                accounts.push((others[chance.usize(..others.len())], false, chance.bool()));
            }
        }
        let program = if chance.u8(..3) == 0 { Address(bytes(chance)) } else { known[chance.usize(..known.len())] };
        let data = match chance.u8(..4) {
            // What some of them take for a transfer.
            0 => [&2_u32.to_le_bytes()[..], &bytes::<8>(chance)].concat(),
            1 => [&[12][..], &bytes::<9>(chance)].concat(),
            _ => some(chance, 40),
        };
        instructions.push(Instruction { program, accounts, data });
    }
    let blockhash = bytes(chance);
    let list: Vec<Value> = instructions
        .iter()
        .map(|instruction| {
            let accounts: Vec<Value> = instruction
                .accounts
                .iter()
                .map(|(account, signs, writes)| json!([hex(&account.0), signs, writes]))
                .collect();
            json!({ "program": hex(&instruction.program.0), "accounts": accounts, "data": hex(&instruction.data) })
        })
        .collect();
    let seeds: Vec<String> = keys.iter().map(|key| hex(&*key.expose())).collect();
    let request = json!({ "seeds": seeds, "instructions": list, "blockhash": hex(&blockhash) });
    Case { keys, instructions, blockhash, request }
}

/// Signs what the peer has made again: the same bytes come out.
fn sign_again(raw: &str, keys: &[SecretKey]) {
    let raw = data_encoding::HEXLOWER.decode(raw.as_bytes()).unwrap();
    let read = Transaction::decode(&raw).unwrap();
    assert_eq!(hex(&read.encode()), hex(&raw));
    assert_eq!(Transaction::from_base64(&read.to_base64()).as_ref(), Ok(&read));
    assert_eq!(Transaction::from_base58(&read.to_base58()).as_ref(), Ok(&read));
    let mut again = Transaction::new(read.message().clone());
    for key in keys {
        if read.message().signers().contains(&Address::of(&key.public())) {
            again.sign(key).unwrap();
        }
    }
    assert_eq!(again.verify(), Ok(()));
    assert_eq!(hex(&again.encode()), hex(&raw));
    let _ = Effects::of_solana(read.message(), Address::of(&keys[0].public()));
}

pub fn legacy(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let mut case = case(chance);
    let message =
        compile(Version::Legacy, Address::of(&case.keys[0].public()), &case.instructions, case.blockhash).unwrap();
    // The peer wants no key that does not sign.
    case.keys.retain(|key| message.signers().contains(&Address::of(&key.public())));
    case.request["seeds"] = case.keys.iter().map(|key| hex(&*key.expose())).collect();
    case.request["do"] = json!("legacy");
    let answer = peer.ask(&case.request);
    let mut transaction = Transaction::new(message);
    case.keys.iter().for_each(|key| transaction.sign(key).unwrap());
    assert_eq!(hex(&transaction.encode()), text(&answer, "raw"), "{}", case.request);
    sign_again(text(&answer, "raw"), &case.keys);
}

pub fn versioned(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let mut case = case(chance);
    let payer = Address::of(&case.keys[0].public());
    let message = compile(Version::V0, payer, &case.instructions, case.blockhash).unwrap();
    let mut tables = Vec::new();
    if chance.bool() {
        for _ in 0..chance.usize(1..3) {
            // Some of its accounts, and others.
            let used =
                case.instructions.iter().flat_map(|instruction| &instruction.accounts).map(|(account, ..)| account);
            let mut addresses: Vec<String> = used.filter(|_| chance.bool()).map(|account| hex(&account.0)).collect();
            addresses.push(hex(&bytes::<32>(chance)));
            tables.push(json!({ "key": hex(&bytes::<32>(chance)), "addresses": addresses }));
        }
    }
    case.request["tables"] = json!(tables);
    case.request["do"] = json!("versioned");
    let answer = peer.ask(&case.request);
    if tables.is_empty() {
        let mut transaction = Transaction::new(message.clone());
        for key in &case.keys {
            if message.signers().contains(&Address::of(&key.public())) {
                transaction.sign(key).unwrap();
            }
        }
        assert_eq!(hex(&transaction.encode()), text(&answer, "raw"), "{}", case.request);
    }
    sign_again(text(&answer, "raw"), &case.keys);
}

pub fn offchain(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let keys: Vec<_> = (0..chance.usize(1..4)).map(|_| SecretKey::from_bytes(&bytes(chance))).collect();
    let most = if chance.u8(..4) == 0 { 2_000 } else { 60 };
    let ascii = chance.bool();
    let letter = |chance: &mut fastrand::Rng| if ascii { chance.char(' '..='~') } else { chance.char(..) };
    let text: String = (0..chance.usize(1..most)).map(|_| letter(chance)).collect();
    let application = bytes(chance);
    let seeds: Vec<String> = keys.iter().map(|key| hex(&*key.expose())).collect();
    let request = json!({ "do": "offchain", "seeds": seeds, "application": hex(&application), "text": text });
    let answer = peer.ask(&request);
    let signers = keys.iter().map(|key| Address::of(&key.public())).collect();
    let message = OffchainMessage::new(application, signers, text).unwrap();
    assert_eq!(hex(&message.encode()), self::text(&answer, "raw"), "{request}");
    assert_eq!(OffchainMessage::decode(&message.encode()).as_ref(), Ok(&message), "{request}");
    let signatures: Vec<Value> = keys.iter().map(|key| json!(hex(&message.sign(key).unwrap()))).collect();
    assert_eq!(answer["signatures"].as_array(), Some(&signatures), "{request}");
}

pub fn derived(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let seeds: Vec<Vec<u8>> = (0..chance.usize(..5)).map(|_| some(chance, 32)).collect();
    let (program, owner, mint) = (Address(bytes(chance)), Address(bytes(chance)), Address(bytes(chance)));
    let list: Vec<String> = seeds.iter().map(|seed| hex(seed)).collect();
    let answer = peer.ask(&json!({
        "do": "derived", "seeds": list, "program": hex(&program.0), "owner": hex(&owner.0), "mint": hex(&mint.0),
    }));
    let slices: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    let (address, bump) = find_program_address(&slices, &program).unwrap();
    assert_eq!(
        (address.to_string().as_str(), u64::from(bump)),
        (text(&answer, "address"), answer["bump"].as_u64().unwrap())
    );
    assert_eq!(address.to_string().parse(), Ok(address));
    let kept = associated_token_address(&owner, &mint, &program).unwrap();
    assert_eq!(kept.to_string(), text(&answer, "kept"));
    assert_eq!(Some(owner.is_on_curve()), answer["curve"].as_bool());
}
