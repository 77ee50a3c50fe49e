//! No bytes panic, and what is read is exact.

use proptest::prelude::*;

use super::*;
use crate::vault::{
    SecretError,
    header::{Header, HeaderError},
    sealed::KeyFile,
};

fn is_exact(bytes: &[u8]) -> bool {
    KeyFile::parse(bytes).is_none_or(|file| file.to_bytes() == bytes)
        && Header::parse(bytes).map_or(true, |header| header.to_bytes() == bytes)
}

fn good() -> [Vec<u8>; 3] {
    let master = MasterKey::of(OLD, &Kdf::fresh(Cost::default()).unwrap());
    let long = name(&"a".repeat(63));
    let deep = Secret::from_mnemonic(
        Chain::Ethereum,
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "",
        Some(format!("m{}", "/1'".repeat(16)).parse().unwrap()),
    )
    .unwrap();
    let simple = secret(Chain::Solana, 3);
    let longest = KeyFile::seal(&master, &long, &deep.key, &deep.origin).unwrap().to_bytes();
    assert_eq!(longest.len(), KeyFile::MOST_LEN);
    [
        longest,
        KeyFile::seal(&master, &name("b"), &simple.key, &simple.origin).unwrap().to_bytes(),
        Header::new(&master, u64::MAX).unwrap().to_bytes(),
    ]
}

proptest! {
    #[test]
    fn files_are_read_exactly(
        random in prop::collection::vec(any::<u8>(), 0..300),
        which in 0_usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        prop_assert!(is_exact(&random));
        let mut bytes = good()[which].clone();
        prop_assert!(KeyFile::parse(&bytes).is_some() || Header::parse(&bytes).is_ok());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert!(is_exact(&bytes));
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(is_exact(&bytes));
        }
    }

    #[test]
    fn no_text_panics(text in prop_oneof![".{0,130}", "[0-9a-fA-Fx]{60,70}", "[1-9A-HJ-NP-Za-km-z]{30,90}"]) {
        let _ = Secret::from_text(Chain::Ethereum, &text);
        let _ = Secret::from_text(Chain::Solana, &text);
        let _ = Secret::from_mnemonic(Chain::Solana, &text, &text, None);
    }
}

#[test]
fn costs_are_neither_weak_nor_without_bounds() {
    let [.., header] = good();
    let with = |memory: u32, passes: u32, lanes: u32| {
        let mut bytes = header.clone();
        for (at, number) in [(16, memory), (20, passes), (24, lanes)] {
            bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        Header::parse(&bytes).err()
    };
    for (memory, passes, lanes) in [(65536, 3, 1), (1 << 20, 16, 4)] {
        assert_eq!(with(memory, passes, lanes), None);
    }
    for (memory, passes, lanes) in [
        (65535, 3, 1),
        (65536, 2, 1),
        (65536, 3, 0),
        ((1 << 20) + 1, 3, 1),
        (65536, 17, 1),
        (65536, 3, 5),
        (u32::MAX, u32::MAX, u32::MAX),
        (0, 0, 0),
    ] {
        assert!(matches!(with(memory, passes, lanes), Some(HeaderError::Cost(_))), "{memory} {passes} {lanes}");
    }
}

#[test]
fn secrets_are_taken_as_wallets_write_them() {
    let hex = "46".repeat(32);
    let text = |chain, text: &str| Secret::from_text(chain, text);
    let key = text(Chain::Ethereum, &hex).unwrap().public();
    // EIP-155's example.
    assert_eq!(key.address(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
    assert_eq!(text(Chain::Ethereum, &format!("0x{hex}")).unwrap().public(), key);
    let seed = Secret::from_bytes(Chain::Solana, &[0x46; 32]).unwrap();
    let osmoda_chains::keys::ed25519::PublicKey(public) = match seed.public() {
        crate::wallet::PublicKey::Solana(key) => key,
        crate::wallet::PublicKey::Ethereum(_) => unreachable!(),
    };
    let pair = [[0x46; 32], public].concat();
    assert_eq!(Secret::from_bytes(Chain::Solana, &pair).unwrap().public(), seed.public());
    let base58 = osmoda_chains::base58::encode(&pair);
    assert_eq!(text(Chain::Solana, &base58).unwrap().public(), seed.public());
    assert_eq!(text(Chain::Solana, &hex).unwrap().public(), seed.public());
    let list = format!("{pair:?}");
    assert_eq!(text(Chain::Solana, &list).unwrap().public(), seed.public());
    assert_eq!(text(Chain::Solana, &list.replace(", ", ",\n  ")).unwrap().public(), seed.public());
    for wrong in [&list[..9], &list.replace("70", "700"), &format!("{:?}", [0x46; 32]), "[]", "[\"70\"]"] {
        assert_eq!(text(Chain::Solana, wrong).unwrap_err(), SecretError::SolanaText, "{wrong}");
    }
    assert_eq!(text(Chain::Ethereum, &list).unwrap_err(), SecretError::EthereumText);
    // An address is no seed, though it has 32 bytes.
    assert_eq!(text(Chain::Solana, &seed.public().address()).unwrap_err(), SecretError::SolanaText);
    let mut wrong = pair.clone();
    wrong[63] ^= 1;
    assert!(matches!(Secret::from_bytes(Chain::Solana, &wrong), Err(SecretError::Pair(_))));
    assert!(matches!(Secret::from_bytes(Chain::Ethereum, &pair), Err(SecretError::Key(_))));
    assert!(matches!(Secret::from_bytes(Chain::Ethereum, &[0; 32]), Err(SecretError::Key(_))));
    assert!(matches!(Secret::from_bytes(Chain::Solana, &[1; 31]), Err(SecretError::Key(_))));
    for wrong in ["", "0x", &hex[2..], &format!("{hex}46"), &format!(" {hex}"), &format!("{hex}\n"), &base58] {
        assert_eq!(text(Chain::Ethereum, wrong).unwrap_err(), SecretError::EthereumText, "{wrong:?}");
    }
    // Nothing of a secret is in what is printed.
    let printed = format!("{:?} {:?}", text(Chain::Ethereum, &hex).unwrap(), text(Chain::Ethereum, &hex[2..]));
    assert!(!printed.contains("4646"), "{printed}");
}

#[test]
fn mnemonics_give_the_keys_that_other_wallets_give() {
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let address = |chain, path: Option<&str>| {
        Secret::from_mnemonic(chain, words, "", path.map(|path| path.parse().unwrap()))
            .map(|secret| secret.public().address())
    };
    // The first accounts of these words in MetaMask and in Phantom.
    assert_eq!(address(Chain::Ethereum, None).unwrap(), "0x9858EfFD232B4033E47d90003D41EC34EcaEda94");
    assert_eq!(address(Chain::Solana, None).unwrap(), "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk");
    assert_eq!(address(Chain::Ethereum, Some("m/44'/60'/0'/0/0")), address(Chain::Ethereum, None));
    assert_ne!(address(Chain::Ethereum, Some("m/44'/60'/0'/0/1")), address(Chain::Ethereum, None));
    assert!(matches!(address(Chain::Solana, Some("m/44'/501'/0'/0")), Err(SecretError::Derive(_))));
    assert!(matches!(Secret::from_mnemonic(Chain::Solana, "a b", "", None), Err(SecretError::Mnemonic(_))));
}
