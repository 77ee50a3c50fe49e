//! Ethereum's encodings against the examples of their standards.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    U256,
    ethereum::{
        Address, AddressError, Authorization, ChainId, personal,
        transaction::{Access, Common, DecodeError, SignedTransaction, Transaction},
        typed_data::{TypedData, TypedDataError},
    },
    hex,
    keys::secp256k1::SecretKey,
};

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

#[test]
fn checksums_are_those_of_eip_55() {
    // The examples of EIP-55.
    for text in [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
        assert_eq!(text.to_lowercase().parse(), Ok(address));
        assert_eq!(format!("0x{}", text[2..].to_uppercase()).parse(), Ok(address));
    }
    let wrong = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    assert_eq!(wrong.parse::<Address>(), Err(AddressError::Checksum));
    for wrong in
        ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "0xé"]
    {
        assert!(matches!(wrong.parse::<Address>(), Err(AddressError::Hex(_))), "{wrong}");
    }
}

#[test]
fn contracts_get_the_address_that_their_creator_and_its_nonce_tell() {
    // The first contracts of 0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0, an example that many libraries share.
    let creator: Address = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0".parse().unwrap();
    for (nonce, created) in [
        (0, "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"),
        (1, "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"),
        (2, "0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91"),
        (3, "0xfffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c"),
    ] {
        assert_eq!(creator.created(nonce), created.parse().unwrap());
    }
}

fn common() -> Common {
    Common { nonce: 9, gas_limit: 21_000, value: U256::from(1_000_000_000_000_000_000_u64), data: Vec::new() }
}

/// One transaction of each type, signed bytes and hash.
fn transactions() -> Vec<(Transaction, &'static str, &'static str)> {
    let to = Address([0x35; 20]);
    let (gas_price, max_fee) = (U256::from(20_000_000_000_u64), U256::from(20_000_000_000_u64));
    let (max_priority_fee, chain_id) = (U256::from(1_000_000_000_u64), ChainId::MAINNET);
    let key = |last| {
        let mut key = [0; 32];
        key[31] = last;
        key
    };
    let accesses = vec![Access { address: Address([0xde; 20]), keys: vec![key(3), key(7)] }];
    let authorization = Authorization { chain_id: Some(chain_id), delegate: Address([0xaa; 20]), nonce: 5 };
    let authorizations = vec![authorization.sign(&self::key(1)).unwrap()];
    vec![
        // The example of EIP-155 is the second; the others are what eth-account 0.13.7 makes, for their standards (EIP-2930,
        // EIP-1559, EIP-7702) have none.
        (
            Transaction::Legacy { common: common(), gas_price, to: Some(to), chain_id: None },
            "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a7640000801ba08383adc8b8ae116f918fb44ca7ff9dfd8012596a5c130c6246a2cc717ba41cdaa053ddfacf5bd4aa7e46d1575acf52636ea659b91f29e2fb91c75567a279738f38",
            "9eb247ec381302e0ac0c3c8d8d14969bb49d31ae3d266274d3112e1a86585d94",
        ),
        (
            Transaction::Legacy { common: common(), gas_price, to: Some(to), chain_id: Some(chain_id) },
            "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
            "33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788",
        ),
        (
            Transaction::AccessList { common: common(), gas_price, to: Some(to), chain_id, accesses: accesses.clone() },
            "01f8ca01098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080f85bf85994dedededededededededededededededededededef842a00000000000000000000000000000000000000000000000000000000000000003a0000000000000000000000000000000000000000000000000000000000000000780a02a55fd2d1bc80a6bf0e81231eda3193da3d59a65f2b14e313c935d12404b8fa6a04f52c6f116d87914dd7068bc0d1eb185a545cfdae17efa483742d31ff0597170",
            "093bbc229b593386de1537e5669f515913ba650af9893c29e006d278a1511808",
        ),
        (
            Transaction::DynamicFee { common: common(), max_priority_fee, max_fee, to: Some(to), chain_id, accesses },
            "02f8cf0109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080f85bf85994dedededededededededededededededededededef842a00000000000000000000000000000000000000000000000000000000000000003a0000000000000000000000000000000000000000000000000000000000000000701a0b3d0e89973ec5b77e36b7284cbb2f925689e6809fba4e2e5dd68a54b4649a7eba073ab8757499e2ab0ad4c8032912f3410ecbb34e583a2f967217963d0e1e620bc",
            "b0155af1246592043409c79700fcb3abe2f035e2837304801503f1a323a69cac",
        ),
        (
            Transaction::SetCode {
                common: common(),
                max_priority_fee,
                max_fee,
                to,
                chain_id,
                accesses: Vec::new(),
                authorizations,
            },
            "04f8d10109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0f85cf85a0194aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0501a0829c61d04ebfffa90bb4ef72cfd1a50ff6a309dfe35ed2093c867405778dd169a026b81e55dabcce875b8b143d82debad635810c76f58912e01b9fb448fbc6e37a80a08288df3fd9743608a5bc56c467586206c2f372e47bd59e4b3fa916fec1e8fcd7a0334498effb9fb445bbe05e541ffa53da8471a87348f08da0f465b7338adc7af6",
            "209f1e3ecb0439de79aef81065ae608c669707ca54f1bedf714c135173e93e7e",
        ),
    ]
}

#[test]
fn transactions_of_all_types_are_signed_as_others_sign_them() {
    for (transaction, raw, hash) in transactions() {
        let raw = hex::decode(&format!("0x{raw}")).unwrap();
        let unsigned = transaction.encode();
        assert_eq!(Transaction::decode(&unsigned).as_ref(), Ok(&transaction));
        let signed = transaction.sign(&key(0x46)).unwrap();
        assert_eq!(hex::encode(&signed.encode()), hex::encode(&raw));
        assert_eq!(hex::encode(&signed.hash()), format!("0x{hash}"));
        assert_eq!(SignedTransaction::decode(&raw).as_ref(), Ok(&signed));
        assert_eq!(
            signed.signer().map(|signer| signer.to_string()),
            Ok("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".to_owned())
        );
        // Neither is the other, and nothing is left over or missing.
        assert!(Transaction::decode(&raw).is_err());
        assert!(SignedTransaction::decode(&unsigned).is_err());
        for bytes in [unsigned.as_slice(), &raw] {
            let more = [bytes, &[0]].concat();
            assert!(Transaction::decode(&more).is_err() && SignedTransaction::decode(&more).is_err());
            for end in 0..bytes.len() {
                assert!(
                    Transaction::decode(&bytes[..end]).is_err() && SignedTransaction::decode(&bytes[..end]).is_err()
                );
            }
        }
    }
}

#[test]
fn the_signing_hash_is_that_of_eip_155() {
    let (transaction, ..) = transactions().swap_remove(1);
    let data = "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080";
    assert_eq!(hex::encode(&transaction.encode()), data);
    let hash = "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53";
    assert_eq!(hex::encode(&transaction.signing_hash()), hash);
}

#[test]
fn what_no_chain_would_take_is_refused() {
    assert_eq!(Transaction::decode(&[]), Err(DecodeError::Empty));
    assert_eq!(Transaction::decode(&[3, 0xc0]), Err(DecodeError::Type(3)));
    assert_eq!(Transaction::decode(&[0x7f]), Err(DecodeError::Type(0x7f)));
    assert_eq!(Transaction::decode(&[0xc0]), Err(DecodeError::Fields(0)));
    assert_eq!(Transaction::decode(&vec![0xc0; 200_000]), Err(DecodeError::TooLong));
    let nonce = Transaction::Legacy {
        common: Common { nonce: u64::MAX, ..common() },
        gas_price: U256::ONE,
        to: None,
        chain_id: None,
    };
    assert_eq!(Transaction::decode(&nonce.encode()), Err(DecodeError::Nonce));
    let code = Transaction::SetCode {
        common: common(),
        max_priority_fee: U256::ONE,
        max_fee: U256::ONE,
        to: Address::ZERO,
        chain_id: ChainId::MAX,
        accesses: Vec::new(),
        authorizations: Vec::new(),
    };
    assert_eq!(Transaction::decode(&code.encode()), Err(DecodeError::NoAuthorization));
    assert_eq!((ChainId::new(0), ChainId::new(u64::MAX / 2 - 35)), (None, None));
}

#[test]
fn messages_are_those_of_eip_191() {
    // The example of eth_sign in web3.js' and eth-account's documentation.
    let secret = hex::decode_array("0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318").unwrap();
    let signature = personal::sign(b"Some data", &SecretKey::from_bytes(&secret).unwrap()).unwrap();
    let expected = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
    assert_eq!(hex::encode(&signature.to_bytes()), expected);
}

const MAIL: &str = r#"{
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"}
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"}
        ]
    },
    "primaryType": "Mail",
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
    },
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!"
    }
}"#;

#[test]
fn typed_data_is_that_of_eip_712() {
    // The example of EIP-712, signed by the key that is the hash of `cow`.
    let data = TypedData::parse(MAIL).unwrap();
    assert_eq!(data.type_text(), "Mail(Person from,Person to,string contents)Person(string name,address wallet)");
    let separator = "0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f";
    assert_eq!(hex::encode(data.domain_separator()), separator);
    let message = "0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e";
    assert_eq!(hex::encode(&data.message_hash()), message);
    let hash = "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2";
    assert_eq!(hex::encode(&data.signing_hash()), hash);
    let cow = SecretKey::from_bytes(&osmoda_chains::ethereum::keccak256(b"cow")).unwrap();
    let signature = data.sign(&cow).unwrap();
    let (r, s) = (
        "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d",
        "0x07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562",
    );
    assert_eq!((hex::encode(&signature.r), hex::encode(&signature.s), signature.y_parity), (r.into(), s.into(), true));
}

/// What the error says of the example with one part replaced.
fn refused(from: &str, to: &str) -> String {
    assert!(MAIL.contains(from), "{from}");
    TypedData::parse(&MAIL.replacen(from, to, 1)).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn typed_data_that_would_not_be_signed_as_shown_is_refused() {
    let contents = r#""contents": "Hello, Bob!""#;
    assert_eq!(
        refused(contents, r#""contents": "x", "cc": 1"#),
        "message: `Mail` has no field `cc`: it would not be signed"
    );
    assert!(refused(contents, r#""contents": "a", "contents": "b""#).contains("names `contents` twice"));
    assert_eq!(refused(r#""name": "Bob", "#, ""), "message.to.name: it is missing (a string)");
    assert_eq!(refused(r#""Hello, Bob!""#, "7"), "message.contents: it is a number, not a string");
    assert_eq!(refused(r#""Hello, Bob!""#, "null"), "message.contents: it is null, not a string");
    assert!(refused("0xbBbBBBBb", "0xBBbBBBBb").contains("EIP-55"));
    assert!(refused(r#""chainId": 1"#, r#""chainId": 1.0"#).contains("fraction"));
    assert!(refused(r#""chainId": 1"#, r#""chainId": -1"#).contains("no uint256"));
    assert!(refused(r#""chainId": 1"#, r#""chainId": true"#).contains("a boolean, not a uint256"));
    assert!(refused(r#""type": "Person"}"#, r#""type": "Human"}"#).contains("no type `Human`"));
    assert!(refused(r#""contents", "type": "string""#, r#""contents", "type": "uint7""#).contains("no type `uint7`"));
    assert!(refused(r#""contents", "type": "string""#, r#""contents", "type": "uint""#).contains("no type `uint`"));
    assert!(refused(r#""contents", "type": "string""#, r#""contents", "type": "string[0]""#).contains("no type"));
    assert!(refused(r#""primaryType": "Mail""#, r#""primaryType": "EIP712Domain""#).contains("alone"));
    assert!(refused(r#""primaryType": "Mail""#, r#""primaryType": "Letter""#).contains("no struct type `Letter`"));
    assert!(refused(r#""primaryType": "Mail","#, "").contains("missing"));
    assert!(refused(r#""primaryType""#, r#""more": 1, "primaryType""#).contains("only"));
    assert!(
        refused(r#"{"name": "chainId", "type": "uint256"},"#, "").contains("`EIP712Domain` has no field `chainId`")
    );
    assert!(refused(r#""chainId", "type": "uint256""#, r#""chainId", "type": "uint64""#).contains("no place"));
    assert!(
        refused(r#"{"name": "wallet", "type": "address"}"#, r#"{"name": "name", "type": "address"}"#)
            .contains("two fields")
    );
    assert_eq!(TypedData::parse(&" ".repeat(300_000)), Err(TypedDataError::TooLong));
}

#[test]
fn integers_of_all_widths_have_their_borders() {
    let with = |kind: &str, value: &str| {
        let text = MAIL
            .replace(r#""contents", "type": "string""#, &format!(r#""contents", "type": "{kind}""#))
            .replace(r#""Hello, Bob!""#, &format!(r#""{value}""#));
        TypedData::parse(&text)
    };
    for bits in (8..=256).step_by(8) {
        let mut largest = [0_u8; 32];
        largest[32 - bits / 8..].fill(0xff);
        let largest = U256::from_be_bytes(&largest);
        assert!(with(&format!("uint{bits}"), &largest.to_string()).is_ok());
        if let Some(more) = largest.checked_add(U256::ONE) {
            assert!(with(&format!("uint{bits}"), &more.to_string()).is_err());
            assert!(with(&format!("int{bits}"), &largest.to_string()).is_err());
        }
        let mut half = [0; 32];
        half[32 - bits / 8] = 0x80;
        let half = U256::from_be_bytes(&half);
        let below = half.checked_sub(U256::ONE).unwrap();
        assert!(with(&format!("int{bits}"), &format!("-{half}")).is_ok());
        assert!(with(&format!("int{bits}"), &below.to_string()).is_ok());
        assert!(with(&format!("int{bits}"), &half.to_string()).is_err());
        assert!(with(&format!("int{bits}"), &format!("-{}", half.checked_add(U256::ONE).unwrap())).is_err());
    }
}
