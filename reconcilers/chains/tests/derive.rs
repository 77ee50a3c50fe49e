//! Mnemonics and derivation against the vectors of BIP-39, BIP-32 and SLIP-10.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use data_encoding::HEXLOWER;
use osmoda_chains::{
    derive::{DeriveError, Ed25519ExtendedKey, ExtendedKey, Path},
    mnemonic::{Mnemonic, MnemonicError},
};

fn bytes(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// Lines of fields, without the one that names the source.
fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('|').collect())
}

#[test]
fn mnemonics_are_those_of_bip_39() {
    let mut count = 0;
    for fields in lines(include_str!("vectors/bip39.txt")) {
        let [entropy, words, seed, text] = fields[..] else { panic!("{fields:?}") };
        let made = Mnemonic::from_entropy(&bytes(entropy)).unwrap();
        assert_eq!(made.expose(), words);
        let read = Mnemonic::parse(words).unwrap();
        assert_eq!(*read.entropy(), bytes(entropy));
        let made = read.seed("TREZOR").unwrap();
        assert_eq!(made.to_vec(), bytes(seed));
        assert!(ExtendedKey::from_seed(&*made).unwrap().is_same(&ExtendedKey::from_text(text).unwrap()));
        count += 1;
    }
    assert_eq!(count, 24);
}

#[test]
fn words_that_are_no_mnemonic_are_refused_and_not_told() {
    let refused = |words: &str| Mnemonic::parse(words).err().unwrap();
    let eleven = "abandon ".repeat(11);
    assert_eq!(refused(&format!("{eleven}abandon")), MnemonicError::Checksum);
    assert_eq!(refused(&format!("{eleven}abandom")), MnemonicError::Word(12));
    assert_eq!(refused(&format!("{eleven}About")), MnemonicError::Form);
    assert_eq!(refused(&format!(" {eleven}about")), MnemonicError::Count(13));
    assert_eq!(refused(eleven.trim_end()), MnemonicError::Count(11));
    assert_eq!(refused(""), MnemonicError::Count(1));
    assert_eq!(refused(&" ".repeat(11)), MnemonicError::Form);
    assert_eq!(Mnemonic::from_entropy(&[0; 17]).err(), Some(MnemonicError::Entropy(17)));
    let long = "x".repeat(1025);
    assert_eq!(Mnemonic::from_entropy(&[0; 16]).unwrap().seed(&long).err(), Some(MnemonicError::Passphrase));
}

#[test]
fn keys_are_those_of_bip_32() {
    let (mut good, mut refused) = (0, 0);
    for fields in lines(include_str!("vectors/bip32.txt")) {
        let [seed, path, text] = fields[..] else { panic!("{fields:?}") };
        if seed == "refused" {
            assert!(matches!(ExtendedKey::from_text(text), Err(DeriveError::Text(_))), "{path}: {text}");
            refused += 1;
            continue;
        }
        let path: Path = path.parse().unwrap();
        let derived = ExtendedKey::from_seed(&bytes(seed)).unwrap().derive(&path).unwrap();
        assert!(derived.is_same(&ExtendedKey::from_text(text).unwrap()), "{path} of {seed}");
        assert!(!derived.is_same(&derived.child("m/1'".parse::<Path>().unwrap().steps()[0]).unwrap()));
        good += 1;
    }
    assert_eq!((good, refused), (17, 16));
}

#[test]
fn keys_are_those_of_slip_10() {
    let mut count = 0;
    for fields in lines(include_str!("vectors/slip10.txt")) {
        let [seed, path, chain_code, secret, public] = fields[..] else { panic!("{fields:?}") };
        let path: Path = path.parse().unwrap();
        let derived = Ed25519ExtendedKey::from_seed(&bytes(seed)).unwrap().derive(&path).unwrap();
        assert_eq!(derived.chain_code().to_vec(), bytes(chain_code), "{path}");
        assert_eq!(derived.key().expose().to_vec(), bytes(secret), "{path}");
        assert_eq!(derived.key().public().0.to_vec(), bytes(public), "{path}");
        count += 1;
    }
    assert_eq!(count, 12);
    let master = Ed25519ExtendedKey::from_seed(&[7; 16]).unwrap();
    assert_eq!(master.derive(&"m/44'/501".parse().unwrap()).err(), Some(DeriveError::NotHardened(501)));
    assert_eq!(Ed25519ExtendedKey::from_seed(&[7; 15]).err(), Some(DeriveError::Seed(15)));
    assert_eq!(ExtendedKey::from_seed(&[7; 65]).err(), Some(DeriveError::Seed(65)));
}
