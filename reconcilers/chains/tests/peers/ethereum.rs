//! Cases of Ethereum.

use osmoda_chains::{
    Effects, U256,
    derive::{ExtendedKey, Path},
    ethereum::{
        Address, Authorization, ChainId, personal,
        transaction::{Access, Common, SignedTransaction, Transaction},
    },
    hex as prefixed,
    keys::secp256k1::SecretKey,
    mnemonic::Mnemonic,
};
use serde_json::{Value, json};

use super::{Peer, bytes, hex, some, text};

pub fn key(chance: &mut fastrand::Rng) -> SecretKey {
    loop {
        if let Ok(key) = SecretKey::from_bytes(&bytes(chance)) {
            return key;
        }
    }
}

/// Numbers of all sizes up to so many bytes.
fn number(chance: &mut fastrand::Rng, most: usize) -> U256 {
    U256::from_be_slice(&some(chance, most)).unwrap()
}

fn small(chance: &mut fastrand::Rng) -> u64 {
    let bits = chance.u32(0..64);
    chance.u64(..) >> bits
}

fn chain(chance: &mut fastrand::Rng) -> ChainId {
    ChainId::new(small(chance)).unwrap_or(ChainId::MAINNET)
}

fn quantity(number: U256) -> String {
    let bytes = number.to_be_bytes();
    let digits = hex(&bytes);
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

fn accesses(chance: &mut fastrand::Rng) -> Vec<Access> {
    let count = chance.usize(..4);
    let access = |chance: &mut fastrand::Rng| Access {
        address: Address(bytes(chance)),
        keys: (0..chance.usize(..4)).map(|_| bytes(chance)).collect(),
    };
    (0..count).map(|_| access(chance)).collect()
}

fn access_json(accesses: &[Access]) -> Value {
    let one = |access: &Access| {
        let keys: Vec<_> = access.keys.iter().map(|key| prefixed::encode(key)).collect();
        json!({ "address": access.address.to_string(), "storageKeys": keys })
    };
    accesses.iter().map(one).collect()
}

/// A transaction of any type, as both understand it.
pub fn transaction(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let key = key(chance);
    let data_most = if chance.u8(..8) == 0 { 3000 } else { 80 };
    let common = Common {
        nonce: small(chance) >> 1,
        gas_limit: small(chance),
        value: number(chance, 32),
        data: some(chance, data_most),
    };
    let recipient = Address(bytes(chance));
    let to = (chance.u8(..6) > 0).then_some(recipient);
    let chain_id = chain(chance);
    let (gas_price, max_fee) = (number(chance, 16), number(chance, 16));
    let max_priority_fee = number(chance, 12).min(max_fee);
    let mut tx = json!({
        "nonce": common.nonce,
        "gas": common.gas_limit,
        "value": quantity(common.value),
        "data": prefixed::encode(&common.data),
    });
    let mut authorities = Vec::new();
    let transaction = match chance.u8(..5) {
        kind @ (0 | 1) => {
            tx["gasPrice"] = json!(quantity(gas_price));
            if kind == 1 {
                tx["chainId"] = json!(chain_id.get());
            }
            Transaction::Legacy { common, gas_price, to, chain_id: (kind == 1).then_some(chain_id) }
        }
        2 => {
            let accesses = accesses(chance);
            tx["type"] = json!(1);
            tx["chainId"] = json!(chain_id.get());
            tx["gasPrice"] = json!(quantity(gas_price));
            tx["accessList"] = access_json(&accesses);
            Transaction::AccessList { common, gas_price, to, chain_id, accesses }
        }
        kind => {
            let accesses = accesses(chance);
            tx["type"] = json!(if kind == 3 { 2 } else { 4 });
            tx["chainId"] = json!(chain_id.get());
            tx["maxFeePerGas"] = json!(quantity(max_fee));
            tx["maxPriorityFeePerGas"] = json!(quantity(max_priority_fee));
            tx["accessList"] = access_json(&accesses);
            if kind == 3 {
                Transaction::DynamicFee { common, max_priority_fee, max_fee, to, chain_id, accesses }
            } else {
                let (mut authorizations, mut list) = (Vec::new(), Vec::new());
                for _ in 0..chance.usize(1..4) {
                    let own = self::key(chance);
                    let authorization = Authorization {
                        chain_id: chance.bool().then_some(chain_id),
                        delegate: Address(bytes(chance)),
                        nonce: small(chance) >> 1,
                    };
                    list.push(json!({
                        "chainId": authorization.chain_id.map_or(0, ChainId::get),
                        "address": authorization.delegate.to_string(),
                        "nonce": authorization.nonce,
                    }));
                    authorities.push(prefixed::encode(&*own.expose()));
                    let signed = authorization.sign(&own).unwrap();
                    assert_eq!(signed.authority(), Ok(Address::of(&own.public())));
                    authorizations.push(signed);
                }
                tx["authorizationList"] = json!(list);
                let to = recipient;
                Transaction::SetCode { common, max_priority_fee, max_fee, to, chain_id, accesses, authorizations }
            }
        }
    };
    if let Some(to) = transaction.to() {
        tx["to"] = json!(to.to_string());
    }
    let request = json!({
        "do": "transaction", "key": prefixed::encode(&*key.expose()), "tx": tx, "authorities": authorities,
    });
    let answer = peer.ask(&request);
    let signer = Address::of(&key.public());
    assert_eq!(Transaction::decode(&transaction.encode()).as_ref(), Ok(&transaction), "{request}");
    let signed = transaction.sign(&key).unwrap();
    let raw = signed.encode();
    assert_eq!(hex(&raw), text(&answer, "raw"), "{request}");
    assert_eq!(hex(&signed.hash()), text(&answer, "hash"), "{request}");
    let read = SignedTransaction::decode(&raw).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.signer(), Ok(signer));
    let _ = Effects::of_ethereum(&read.transaction, signer);
}

pub fn personal(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let (key, message) = (key(chance), some(chance, 300));
    let answer =
        peer.ask(&json!({ "do": "personal", "key": prefixed::encode(&*key.expose()), "message": hex(&message) }));
    let signature = personal::sign(&message, &key).unwrap();
    assert_eq!(hex(&signature.to_bytes()), text(&answer, "signature"), "{}", hex(&message));
}

pub fn account(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let length = 16 + 4 * chance.usize(..5);
    let entropy: Vec<u8> = (0..length).map(|_| chance.u8(..)).collect();
    let words = Mnemonic::from_entropy(&entropy).unwrap();
    assert_eq!(*Mnemonic::parse(words.expose()).unwrap().entropy(), entropy);
    let passphrases = ["", "TREZOR", "pässwörd", "㍍ガバヴァぱばぐゞちぢ十人十色", "ﷺ"];
    let passphrase = passphrases[chance.usize(..passphrases.len())];
    let path = Path::ethereum(chance.u32(..) >> chance.u32(1..32)).unwrap();
    let request =
        json!({ "do": "account", "words": words.expose(), "passphrase": passphrase, "path": path.to_string() });
    let answer = peer.ask(&request);
    let derived = ExtendedKey::from_seed(&*words.seed(passphrase).unwrap()).unwrap().derive(&path).unwrap();
    assert_eq!(hex(&*derived.key().expose()), text(&answer, "key"), "{request}");
    assert_eq!(Address::of(&derived.key().public()).to_string(), text(&answer, "address"), "{request}");
}
