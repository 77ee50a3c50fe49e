//! Cases of EIP-712: types and values by chance.

use osmoda_chains::{
    Effects,
    ethereum::{Address, typed_data::TypedData},
    hex as prefixed,
};
use serde_json::{Map, Value, json};

use super::{Peer, bytes, ethereum::key, hex, some, text};

/// A value of an atomic type, and the type.
fn atomic(chance: &mut fastrand::Rng) -> String {
    match chance.u8(..8) {
        0 | 1 => format!("uint{}", 8 * chance.u32(1..=32)),
        2 => format!("int{}", 8 * chance.u32(1..=32)),
        3 => format!("bytes{}", chance.u32(1..=32)),
        4 => "bytes".to_owned(),
        5 => "string".to_owned(),
        6 => "address".to_owned(),
        _ => "bool".to_owned(),
    }
}

/// A type that values are made of: struct types of a number that is higher than `own`.
fn kind(chance: &mut fastrand::Rng, own: usize, all: usize) -> String {
    let base =
        if own + 1 < all && chance.u8(..3) == 0 { format!("T{}", chance.usize(own + 1..all)) } else { atomic(chance) };
    match chance.u8(..6) {
        0 => format!("{base}[]"),
        1 => format!("{base}[{}]", chance.u8(1..4)),
        2 if chance.bool() => format!("{base}[{}][]", chance.u8(1..3)),
        _ => base,
    }
}

fn value(chance: &mut fastrand::Rng, kind: &str, types: &Map<String, Value>) -> Value {
    if let Some(inner) = kind.strip_suffix(']') {
        let (inner, length) = inner.rsplit_once('[').unwrap();
        let length = length.parse().unwrap_or_else(|_| chance.usize(..4));
        return (0..length).map(|_| value(chance, inner, types)).collect();
    }
    if let Some(fields) = types.get(kind) {
        let field = |field: &Value| {
            let name = field["name"].as_str().unwrap().to_owned();
            (name, value(chance, field["type"].as_str().unwrap(), types))
        };
        return Value::Object(fields.as_array().unwrap().iter().map(field).collect());
    }
    if let Some(bits) = kind.strip_prefix("uint").and_then(|bits| bits.parse::<usize>().ok()) {
        let most = bits / 8;
        let number = osmoda_chains::U256::from_be_slice(&some(chance, most)).unwrap();
        return match (u64::try_from(number), chance.u8(..3)) {
            (Ok(small), 0) => json!(small),
            (_, 1) => json!(format!("0x{}", hex(&number.to_be_bytes()))),
            _ => json!(number.to_string()),
        };
    }
    if let Some(bits) = kind.strip_prefix("int").and_then(|bits| bits.parse::<usize>().ok()) {
        let mut size = some(chance, bits / 8);
        if let Some(first) = size.first_mut() {
            *first &= 0x7f;
        }
        let size = osmoda_chains::U256::from_be_slice(&size).unwrap();
        let sign = if chance.bool() && !size.is_zero() { "-" } else { "" };
        return json!(format!("{sign}{size}"));
    }
    match kind {
        "bytes" => json!(prefixed::encode(&some(chance, 70))),
        // None that the other reads as bytes.
        "string" => json!((0..chance.usize(..40)).map(|_| chance.char(..)).collect::<String>()),
        "address" => json!(Address(bytes(chance)).to_string()),
        "bool" => json!(chance.bool()),
        _ => {
            let length: usize = kind.strip_prefix("bytes").unwrap().parse().unwrap();
            json!(prefixed::encode(&bytes::<32>(chance)[..length]))
        }
    }
}

pub fn case(peer: &mut Peer, chance: &mut fastrand::Rng) {
    let key = key(chance);
    let count = chance.usize(1..5);
    let mut types = Map::new();
    for own in 0..count {
        let mut fields: Vec<Value> = (0..chance.usize(1..6))
            .map(|at| json!({ "name": format!("f{at}"), "type": kind(chance, own, count) }))
            .collect();
        if own + 1 < count {
            // Each is used, so that it can be told which one is the message.
            fields.push(json!({ "name": "next", "type": format!("T{}", own + 1) }));
        }
        types.insert(format!("T{own}"), json!(fields));
    }
    let (mut domain_type, mut domain) = (Vec::new(), Map::new());
    let fields = [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
        ("salt", "bytes32"),
    ];
    for (at, (name, kind)) in fields.into_iter().enumerate() {
        if at == 0 || chance.bool() {
            domain_type.push(json!({ "name": name, "type": kind }));
            domain.insert(name.to_owned(), value(chance, kind, &types));
        }
    }
    let message = value(chance, "T0", &types);
    types.insert("EIP712Domain".to_owned(), json!(domain_type));
    let data = json!({ "types": types, "primaryType": "T0", "domain": domain, "message": message }).to_string();
    let answer = peer.ask(&json!({ "do": "typed_data", "key": prefixed::encode(&*key.expose()), "text": data }));
    let read = TypedData::parse(&data).unwrap_or_else(|error| panic!("{error} in {data}"));
    assert_eq!(hex(&read.signing_hash()), text(&answer, "hash"), "{data}");
    assert_eq!(hex(&read.sign(&key).unwrap().to_bytes()), text(&answer, "signature"), "{data}");
    assert!(!Effects::of_typed_data(&read, Address::of(&key.public())).is_decoded());
}
