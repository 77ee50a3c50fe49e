//! Messages that are signed off the chain of Solana.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    base58,
    keys::ed25519::SecretKey,
    promise,
    solana::{
        Address, Message, Transaction,
        offchain::{Format, MOST_BYTES, MOST_BYTES_OF_HARDWARE, OffchainError, OffchainMessage},
    },
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// What comes before the text, of one signer.
const PREAMBLE: usize = 85;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32])
}

fn signer(byte: u8) -> Address {
    Address::of(&key(byte).public())
}

fn one(text: impl Into<String>) -> Result<OffchainMessage, OffchainError> {
    OffchainMessage::new([0; 32], vec![signer(1)], text.into())
}

#[test]
fn the_bytes_are_those_of_solana_sdk_and_kit() {
    // The hash that solana-sdk's crate offchain-message (3.0) compares in test_offchain_message_utf8.
    let message = OffchainMessage::new([0; 32], vec![Address([0; 32])], "Тестовое сообщение".into()).unwrap();
    let hash = base58::encode(&Sha256::digest(message.encode()));
    assert_eq!(
        (hash.as_str(), message.format()),
        ("E5tkTdEzcYTe5deSvw5jqzwPUEVBT83P4aHCYxjtzEW8", Format::LimitedUtf8)
    );
    // The example of @solana/offchain-messages (kit) for UTF-8 of at most 1232 bytes.
    let application = base58::decode_array("testdomain111111111111111111111111111111111").unwrap();
    let (a, b): (Address, Address) = (
        "signerAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap(),
        "signerBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB".parse().unwrap(),
    );
    let head = [b"\xffsolana offchain\0".as_slice(), &application, &[1, 2], &a.0, &b.0, &[11, 0]].concat();
    let text = [0xe2, 0x9c, 0x8c, 0xf0, 0x9f, 0x8f, 0xbf, 0x63, 0x6f, 0x6f, 0x6c];
    let message = OffchainMessage::decode(&[head.as_slice(), &text].concat()).unwrap();
    assert_eq!((message.application(), message.signers(), message.text()), (&application, &[a, b][..], "✌🏿cool"));
    assert_eq!(OffchainMessage::new(application, vec![a, b], "✌🏿cool".into()), Ok(message));
}

#[test]
fn only_who_is_named_signs_and_all_of_it() {
    let message = OffchainMessage::new([7; 32], vec![signer(1), signer(2)], "I am here".into()).unwrap();
    let signature = message.sign(&key(2)).unwrap();
    assert_eq!(message.verify(&signer(2), &signature), Ok(()));
    assert!(matches!(message.verify(&signer(1), &signature), Err(OffchainError::Key(_))));
    assert_eq!(message.sign(&key(3)), Err(OffchainError::NoSigner(signer(3))));
    assert_eq!(message.verify(&signer(3), &signature), Err(OffchainError::NoSigner(signer(3))));
    let other = OffchainMessage::new([8; 32], vec![signer(1), signer(2)], "I am here".into()).unwrap();
    assert!(other.verify(&signer(2), &signature).is_err(), "for another application");
}

#[test]
fn formats_have_their_borders() {
    let format = |text: &str| one(text).map(|message| message.format());
    assert_eq!(
        (format(" ~"), format("\n"), format("é")),
        (Ok(Format::RestrictedAscii), Ok(Format::LimitedUtf8), Ok(Format::LimitedUtf8))
    );
    assert_eq!(format("\x7f"), Ok(Format::LimitedUtf8));
    let long = |length: usize| format(&"a".repeat(length - PREAMBLE));
    assert_eq!(long(MOST_BYTES_OF_HARDWARE), Ok(Format::RestrictedAscii));
    assert_eq!(
        (long(MOST_BYTES_OF_HARDWARE + 1), long(MOST_BYTES)),
        (Ok(Format::ExtendedUtf8), Ok(Format::ExtendedUtf8))
    );
    assert_eq!(long(MOST_BYTES + 1), Err(OffchainError::TooLong));
    assert_eq!(one("a").unwrap().encode().len(), PREAMBLE + 1);
    // A higher format than needed is taken, a lower one is not.
    let with = |text: &str, format: u8| {
        let mut bytes = one(text).unwrap().encode();
        bytes[49] = format;
        OffchainMessage::decode(&bytes).map(|message| message.encode() == bytes)
    };
    assert_eq!(
        (with("a", 0), with("a", 1), with("a", 2), with("a", 3)),
        (Ok(true), Ok(true), Ok(true), Err(OffchainError::Format(3)))
    );
    assert_eq!((with("\n", 0), with("é", 0)), (Err(OffchainError::Text), Err(OffchainError::Text)));
    assert_eq!(with(&"a".repeat(MOST_BYTES_OF_HARDWARE), 1), Err(OffchainError::Text));
}

#[test]
fn what_is_no_message_is_refused() {
    let new = |signers: Vec<Address>, text: &str| OffchainMessage::new([0; 32], signers, text.into()).err();
    assert_eq!(new(Vec::new(), "a"), Some(OffchainError::Signers(0)));
    let many = |count: u16| (0..count).map(|n| Address([n.to_le_bytes(); 16].concat().try_into().unwrap())).collect();
    assert_eq!((new(many(255), "a"), new(many(256), "a")), (None, Some(OffchainError::Signers(256))));
    assert_eq!(new(vec![signer(1), signer(1)], "a"), Some(OffchainError::Duplicate(signer(1))));
    assert_eq!(new(vec![signer(1)], ""), Some(OffchainError::Empty));
    let bytes = one("Hello").unwrap().encode();
    for end in 0..bytes.len() {
        assert!(OffchainMessage::decode(&bytes[..end]).is_err(), "{end}");
    }
    let more = [bytes.as_slice(), b"!"].concat();
    assert_eq!(OffchainMessage::decode(&more), Err(OffchainError::Length(6, 5)));
    let mut next = bytes.clone();
    next[16] = 1;
    assert_eq!(OffchainMessage::decode(&next), Err(OffchainError::Version(1)));
    let mut wrong = bytes;
    *wrong.last_mut().unwrap() = 0xff;
    assert_eq!(OffchainMessage::decode(&wrong), Err(OffchainError::Text));
    // As Solana's tools before version 3 wrote it: format, length, text.
    let old = [b"\xffsolana offchain\0\0".as_slice(), &[5, 0], b"Hello"].concat();
    assert_eq!(OffchainMessage::decode(&old), Err(OffchainError::Short));
    assert_eq!(OffchainMessage::decode(&vec![0xff; MOST_BYTES + 1]), Err(OffchainError::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_is_one_of_a_transaction(application in any::<[u8; 32]>(), signers in prop::collection::btree_set(any::<[u8; 32]>(), 1..4), text in ".{1,100}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let signers: Vec<_> = signers.into_iter().map(Address).collect();
        let message = OffchainMessage::new(application, signers, text).unwrap();
        let mut bytes = message.encode();
        prop_assert_eq!(OffchainMessage::decode(&bytes), Ok(message));
        prop_assert!(Message::decode(&bytes).is_err() && Transaction::decode(&bytes).is_err());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(promise::bytes(&bytes));
    }
}
