//! Borders of what is read, and what errors tell of it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    U256, derive,
    ethereum::{
        Address, Authorization, ChainId,
        transaction::{Access, Common, DecodeError, MOST_ACCESSES, MOST_AUTHORIZATIONS, Transaction},
        typed_data::{MOST_DEPTH, MOST_DIMENSIONS, MOST_FIELDS, MOST_TYPES, TypedData, TypedDataError},
    },
    keys::secp256k1::SecretKey,
};

/// Typed data with these types; the domain has a name.
fn read(types: &str, primary: &str, message: &str) -> Result<TypedData, TypedDataError> {
    TypedData::parse(&format!(
        r#"{{"types": {{"EIP712Domain": [{{"name": "name", "type": "string"}}], {types}}}, "primaryType": "{primary}",
        "domain": {{"name": "x"}}, "message": {message}}}"#
    ))
}

fn refused(types: &str, primary: &str, message: &str) -> String {
    read(types, primary, message).map(|_| String::new()).unwrap_or_else(|error| error.to_string())
}

fn field(kind: &str, name: &str) -> String {
    format!(r#"{{"name": "{name}", "type": "{kind}"}}"#)
}

#[test]
fn types_are_hashed_with_all_that_they_are_made_of_in_the_order_of_their_names() {
    let types = format!(
        r#""Order": [{}, {}, {}, {}], "Zebra": [{}], "Apple": [{}], "banana": [], "Mango": [{}, {}], "Unused": []"#,
        field("Zebra", "z"),
        field("Apple[2][]", "a"),
        field("uint8", "n"),
        field("Zebra[]", "more"),
        field("banana", "b"),
        field("string", "text"),
        field("Apple", "a"),
        field("Order[]", "o"),
    );
    let message = r#"{"z": {"b": {}}, "a": [], "n": 1, "more": []}"#;
    let text = read(&types, "Order", message).unwrap().type_text();
    let expected = "Order(Zebra z,Apple[2][] a,uint8 n,Zebra[] more)Apple(string text)Zebra(banana b)banana()";
    assert_eq!(text, expected, "capitals are before small letters");
    // Through Mango and back: the primary type is named once.
    let text = read(&types, "Mango", r#"{"a": {"text": "x"}, "o": []}"#).unwrap().type_text();
    let expected = "Mango(Apple a,Order[] o)Apple(string text)Order(Zebra z,Apple[2][] a,uint8 n,Zebra[] more)Zebra(banana b)banana()";
    assert_eq!(text, expected);
}

#[test]
fn types_that_hold_themselves_end_with_their_values() {
    let node = format!(r#""Node": [{}, {}]"#, field("Node[]", "next"), field("uint256", "n"));
    let deep = |levels: usize| {
        let inner = r#"{"n": 0, "next": []}"#.to_owned();
        (0..levels).fold(inner, |inner, n| format!(r#"{{"n": {n}, "next": [{inner}]}}"#))
    };
    let read_node = |levels| read(&node, "Node", &deep(levels));
    assert_eq!(read_node(1).unwrap().type_text(), "Node(Node[] next,uint256 n)");
    assert_ne!(read_node(1).unwrap().message_hash(), read_node(2).unwrap().message_hash());
    // Each level is a list and a struct in it.
    assert!(read_node(MOST_DEPTH / 2).is_ok());
    assert!(refused(&node, "Node", &deep(MOST_DEPTH / 2 + 1)).ends_with("it lies deeper than 24"));
    // No value of this type ends.
    let endless = format!(r#""Node": [{}]"#, field("Node", "next"));
    let endless_value = (0..60).fold("{}".to_owned(), |inner, _| format!(r#"{{"next": {inner}}}"#));
    assert!(refused(&endless, "Node", &endless_value).ends_with("it lies deeper than 24"));
    assert!(refused(&endless, "Node", r#"{"next": {}}"#).ends_with("it is missing (a Node)"));
    // Two that hold each other.
    let pair = format!(r#""A": [{}], "B": [{}]"#, field("B[]", "b"), field("A[]", "a"));
    assert_eq!(read(&pair, "A", r#"{"b": [{"a": []}]}"#).unwrap().type_text(), "A(B[] b)B(A[] a)");
}

#[test]
fn structs_lie_as_deep_as_is_read_and_no_deeper() {
    let chain = |count: usize| {
        let types: Vec<_> =
            (0..count).map(|n| format!(r#""T{n}": [{}]"#, field(&format!("T{}", n + 1), "f"))).collect();
        let types = format!(r#"{}, "T{count}": []"#, types.join(","));
        let value = (0..count).fold("{}".to_owned(), |inner, _| format!(r#"{{"f": {inner}}}"#));
        refused(&types, "T0", &value)
    };
    assert_eq!(chain(MOST_DEPTH + 1), "");
    assert!(chain(MOST_DEPTH + 2).ends_with("it lies deeper than 24"));
}

#[test]
fn types_fields_and_dimensions_have_their_most() {
    // EIP712Domain is one of them.
    let types = |count: usize| {
        let types: Vec<_> = (1..count).map(|n| format!(r#""T{n}": []"#)).collect();
        refused(&types.join(","), "T1", "{}")
    };
    assert_eq!(types(MOST_TYPES), "");
    assert_eq!(types(MOST_TYPES + 1), "types: there are more than 64 types");
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count).map(|n| field("bool", &format!("f{n}"))).collect();
        let values: Vec<_> = (0..count).map(|n| format!(r#""f{n}": true"#)).collect();
        refused(&format!(r#""T": [{}]"#, fields.join(",")), "T", &format!("{{{}}}", values.join(",")))
    };
    assert_eq!(fields(MOST_FIELDS), "");
    assert_eq!(fields(MOST_FIELDS + 1), "types.T: there are more than 128 fields");
    let dimensions = |count: usize| {
        refused(&format!(r#""T": [{}]"#, field(&format!("uint8{}", "[]".repeat(count)), "f")), "T", r#"{"f": []}"#)
    };
    assert_eq!(dimensions(MOST_DIMENSIONS), "");
    assert!(dimensions(MOST_DIMENSIONS + 1).contains("there is no type `uint8[][][][][]`"));
}

#[test]
fn accesses_and_authorizations_have_their_most() {
    let common = || Common { nonce: 0, gas_limit: 1, value: U256::ZERO, data: Vec::new() };
    let accesses = |addresses: usize, keys: usize| {
        let mut accesses = vec![Access { address: Address([1; 20]), keys: Vec::new() }; addresses];
        accesses[0].keys = vec![[2; 32]; keys];
        let transaction = Transaction::AccessList {
            common: common(),
            gas_price: U256::ONE,
            to: Some(Address([3; 20])),
            chain_id: ChainId::MAINNET,
            accesses,
        };
        Transaction::decode(&transaction.encode()).map(|read| assert_eq!(read, transaction))
    };
    assert_eq!((accesses(MOST_ACCESSES, 0), accesses(MOST_ACCESSES + 1, 0)), (Ok(()), Err(DecodeError::TooMany)));
    let keys = 1000;
    assert_eq!(accesses(MOST_ACCESSES - keys, keys), Ok(()), "addresses and keys together");
    assert_eq!(accesses(MOST_ACCESSES - keys, keys + 1), Err(DecodeError::TooMany));

    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    let one = Authorization { chain_id: None, delegate: Address([4; 20]), nonce: 0 }.sign(&key).unwrap();
    let authorizations = |count: usize| {
        let transaction = Transaction::SetCode {
            common: common(),
            max_priority_fee: U256::ONE,
            max_fee: U256::ONE,
            to: Address([3; 20]),
            chain_id: ChainId::MAINNET,
            accesses: Vec::new(),
            authorizations: vec![one; count],
        };
        Transaction::decode(&transaction.encode()).map(|read| assert_eq!(read, transaction))
    };
    assert_eq!(authorizations(MOST_AUTHORIZATIONS), Ok(()));
    assert_eq!(authorizations(MOST_AUTHORIZATIONS + 1), Err(DecodeError::TooMany));
}

#[test]
fn errors_show_the_start_of_what_they_are_about_and_nothing_that_a_terminal_obeys() {
    // Escape, line feed and right-to-left override, as JSON writes them, and much of it.
    let bad = format!("\\u001b[2J\\n\\u202e{}", "x".repeat(100_000));
    let (start, good) = ("\\u{1b}[2J\\n\\u{202e}xxx", format!(r#""T": [{}]"#, field("bool", "f")));
    let root = format!(r#"{{"{bad}": 1, "types": {{}}, "primaryType": "T", "domain": {{}}, "message": {{}}}}"#);
    let errors = [
        TypedData::parse(&root).unwrap_err().to_string(),
        refused(&good, &bad, "{}"),
        refused(&format!(r#""{bad}": []"#), "T", "{}"),
        refused(&format!(r#""T": [{{"{bad}": "f"}}]"#), "T", "{}"),
        refused(&format!(r#""T": [{}]"#, field(&bad, "f")), "T", "{}"),
        refused(&good, "T", &format!(r#"{{"f": true, "{bad}": 1}}"#)),
        refused(&good, "T", &format!(r#"{{"f": true, "{bad}": 1, "{bad}": 1}}"#)),
        format!("m/{}", "\u{1b}[2J\n\u{202e}".to_owned() + &"x".repeat(100_000))
            .parse::<derive::Path>()
            .unwrap_err()
            .to_string(),
    ];
    for (at, error) in errors.iter().enumerate() {
        assert!(error.contains(start), "{at}: {error}");
        assert!(error.len() < 400 && !error.chars().any(|c| c.is_control() || c == '\u{202e}'), "{at}: {error:?}");
    }
}
