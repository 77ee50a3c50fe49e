//! No input panics, and what is read encodes to the same bytes: of any bytes, and of good ones that were spoilt.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "chance/calls.rs"]
mod calls;

use calls::calls;
use osmoda_chains::{
    ethereum::abi::{Call, CallError},
    hex, promise,
    solana::{self, TokenTransfer, Transaction, programs, transfer, transfer_token},
};
use proptest::prelude::*;

/// Signed transactions of all types, and what is signed of them: the start of what is spoilt.
const SEEDS: [&str; 4] = [
    "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080",
    "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
    "0x02f8cf0109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080f85bf85994dedededededededededededededededededededef842a00000000000000000000000000000000000000000000000000000000000000003a0000000000000000000000000000000000000000000000000000000000000000701a0b3d0e89973ec5b77e36b7284cbb2f925689e6809fba4e2e5dd68a54b4649a7eba073ab8757499e2ab0ad4c8032912f3410ecbb34e583a2f967217963d0e1e620bc",
    "0x04f8d10109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0f85cf85a0194aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0501a0829c61d04ebfffa90bb4ef72cfd1a50ff6a309dfe35ed2093c867405778dd169a026b81e55dabcce875b8b143d82debad635810c76f58912e01b9fb448fbc6e37a80a08288df3fd9743608a5bc56c467586206c2f372e47bd59e4b3fa916fec1e8fcd7a0334498effb9fb445bbe05e541ffa53da8471a87348f08da0f465b7338adc7af6",
];

/// A permit of EIP-2612: a spend that is known.
const PERMIT: &str = r#"{"types": {"EIP712Domain": [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract",
"type": "address"}], "Permit": [{"name": "owner", "type": "address"}, {"name": "spender", "type": "address"}, {"name":
"value", "type": "uint256"}, {"name": "nonce", "type": "uint256"}, {"name": "deadline", "type": "uint256"}]}, "primaryType":
"Permit", "domain": {"chainId": 1, "verifyingContract": "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}, "message": {"owner":
"0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359", "spender": "0xdbf03b407c01e7cd3cbea99509d93f8dddc8c6fb", "value": "5",
"nonce": 0, "deadline": 1}}"#;

fn token_transfer(owner: [u8; 32], mint: [u8; 32], amount: u64) -> solana::Message {
    let order = TokenTransfer {
        from: solana::Address(owner),
        to: solana::Address([9; 32]),
        mint: solana::Address(mint),
        token_program: programs::TOKEN,
        amount,
        decimals: 6,
        to_program: true,
    };
    transfer_token(&order, [3; 32]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(promise::bytes(&bytes));
    }

    #[test]
    fn any_text(text in ".{0,200}") {
        prop_assert!(promise::text(&text));
    }

    #[test]
    fn spoilt_transactions(seed in 0_usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = hex::decode(SEEDS[seed]).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        prop_assert!(promise::bytes(&bytes));
    }

    #[test]
    fn spoilt_typed_data(at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9a-z]{0,3}", length in 0_usize..40) {
        let start = at.index(PERMIT.len());
        let end = (start + length).min(PERMIT.len());
        prop_assert!(promise::text(PERMIT));
        let spoilt = format!("{}{with}{}", &PERMIT[..start], &PERMIT[end..]);
        prop_assert!(promise::text(&spoilt), "{}", spoilt);
    }

    #[test]
    fn spoilt_messages(owner in any::<[u8; 32]>(), mint in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), kind in 0_u8..3) {
        prop_assume!(owner != [9; 32] && mint != owner && mint != [9; 32]);
        let message = token_transfer(owner, mint, 5);
        let mut bytes = if kind == 0 { message.encode() } else { Transaction::new(message).encode() };
        let at = at.index(bytes.len());
        if kind == 2 { bytes.insert(at, byte); } else { bytes[at] = byte; }
        prop_assert!(promise::bytes(&bytes));
    }

    #[test]
    fn messages_come_back(owner in any::<[u8; 32]>(), to in any::<[u8; 32]>(), lamports in any::<u64>()) {
        prop_assume!(owner != to);
        let (from, to) = (solana::Address(owner), solana::Address(to));
        let message = transfer(from, to, lamports, [1; 32]).unwrap();
        prop_assert_eq!(solana::Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn calls_come_back_and_have_one_encoding(call in calls(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let data = call.encode();
        prop_assert_eq!(Call::decode(&data), Ok(call.clone()));
        let more = [data.as_slice(), &[0; 32]].concat();
        prop_assert_eq!(Call::decode(&more), Err(CallError::Arguments(call.name())));
        prop_assert!(Call::decode(&data[..data.len() - 1]).is_err());
        let mut spoilt = data;
        let at = at.index(spoilt.len());
        spoilt[at] ^= 1 << bit;
        prop_assert!(promise::call(&spoilt));
        prop_assert_ne!(Call::decode(&spoilt), Ok(call));
    }
}
