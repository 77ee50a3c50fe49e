//! Keys and signatures against the vectors of RFC 6979 for secp256k1, RFC 8032 and Wycheproof.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use data_encoding::HEXLOWER;
use osmoda_chains::keys::{ed25519, secp256k1};
use sha2::{Digest, Sha256};
use wycheproof::{TestResult, ecdsa, eddsa};

fn bytes(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().unwrap()
}

fn number(last: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = last;
    bytes
}

const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// Half of it, rounded down.
const HALF: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";

#[test]
fn nonces_are_those_of_rfc_6979() {
    // RFC 6979 has no vectors of this curve; these are those that all libraries of Bitcoin share (since bitcointalk, 2013).
    let below = format!("{}40", &ORDER[..62]);
    for (secret, message, r, s) in [
        (
            "0000000000000000000000000000000000000000000000000000000000000001",
            "Satoshi Nakamoto",
            "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8",
            "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
        ),
        (
            "0000000000000000000000000000000000000000000000000000000000000001",
            "All those moments will be lost in time, like tears in rain. Time to die...",
            "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b",
            "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
        ),
        (
            below.as_str(),
            "Satoshi Nakamoto",
            "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0",
            "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
        ),
        (
            "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181",
            "Alan Turing",
            "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c",
            "58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
        ),
    ] {
        let key = secp256k1::SecretKey::from_bytes(&array(secret)).unwrap();
        let hash = Sha256::digest(message).into();
        let signature = key.sign_hash(&hash).unwrap();
        assert_eq!((signature.r, signature.s), (array(r), array(s)), "{message}");
        assert_eq!(signature.recover(&hash), Ok(key.public()));
        assert_eq!(secp256k1::Signature::from_bytes(&signature.to_bytes()), Ok(signature));
    }
}

#[test]
fn secrets_and_signatures_out_of_range_are_refused() {
    use secp256k1::{KeyError, SecretKey, Signature};
    for secret in [[0; 32], array(ORDER), [0xff; 32]] {
        assert_eq!(SecretKey::from_bytes(&secret).err(), Some(KeyError::Secret));
    }
    let (order, half): ([u8; 32], [u8; 32]) = (array(ORDER), array(HALF));
    let mut above = half;
    above[31] += 1;
    let check = |r, s| Signature { r, s, y_parity: false }.check();
    assert_eq!(check(number(1), half), Ok(()));
    for (r, s) in
        [(number(1), above), ([0; 32], number(1)), (number(1), [0; 32]), (order, number(1)), (number(1), order)]
    {
        assert_eq!(check(r, s), Err(KeyError::Signature));
    }
    let mut bytes = Signature { r: number(1), s: number(1), y_parity: false }.to_bytes();
    bytes[64] = 0;
    assert_eq!(Signature::from_bytes(&bytes), Err(KeyError::Signature));
    for wrong in [&[2][..], &[4; 65], &[5; 33], &[]] {
        assert_eq!(secp256k1::PublicKey::from_sec1(wrong).err(), Some(KeyError::Public));
    }
}

#[test]
fn ed25519_is_that_of_rfc_8032() {
    // RFC 8032, 7.1, tests 1 to 3.
    for (secret, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = ed25519::SecretKey::from_bytes(&array(secret));
        assert_eq!(key.public().0, array(public));
        assert_eq!(key.sign_raw(&bytes(message)), Ok(array(signature)));
        let pair = array(&format!("{secret}{public}"));
        assert_eq!(ed25519::SecretKey::from_pair(&pair).unwrap().public(), key.public());
        let mut wrong = pair;
        wrong[40] ^= 1;
        assert_eq!(ed25519::SecretKey::from_pair(&wrong).err(), Some(ed25519::KeyError::Pair));
    }
}

#[test]
fn signatures_of_wycheproof_over_secp256k1_are_judged_as_it_says() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256k1Sha256P1363).unwrap();
    let (mut taken, mut refused, mut high) = (0, 0, 0);
    for group in set.test_groups {
        let key = secp256k1::PublicKey::from_sec1(&group.key.key).unwrap();
        for test in group.tests {
            let hash: [u8; 32] = Sha256::digest(&test.msg[..]).into();
            let halves = <&[u8; 64]>::try_from(&test.sig[..]).ok().map(|sig| {
                let (mut r, mut s) = ([0; 32], [0; 32]);
                r.copy_from_slice(&sig[..32]);
                s.copy_from_slice(&sig[32..]);
                secp256k1::Signature { r, s, y_parity: false }
            });
            let good = halves.as_ref().is_some_and(|signature| key.verify_hash(&hash, signature).is_ok());
            // Ethereum takes the lower s only, of which the set knows nothing.
            let is_high = halves.is_some_and(|signature| signature.s > array(HALF));
            match test.result {
                TestResult::Valid if is_high => {
                    assert!(!good, "{}: {}", test.tc_id, test.comment);
                    high += 1;
                }
                TestResult::Valid => {
                    assert!(good, "{}: {}", test.tc_id, test.comment);
                    taken += 1;
                }
                TestResult::Invalid => {
                    assert!(!good, "{}: {}", test.tc_id, test.comment);
                    refused += 1;
                }
                TestResult::Acceptable => {}
            }
        }
    }
    assert_eq!((taken, refused, high), (95, 85, 72));
}

#[test]
fn signatures_of_wycheproof_over_ed25519_are_judged_as_it_says() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for group in set.test_groups {
        let key = ed25519::PublicKey(group.key.pk.as_slice().try_into().unwrap());
        for test in group.tests {
            let signature: Option<[u8; 64]> = test.sig.as_slice().try_into().ok();
            let good = signature.is_some_and(|signature| key.verify(&test.msg, &signature).is_ok());
            assert_eq!(good, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            if good { taken += 1 } else { refused += 1 }
        }
    }
    assert_eq!((taken, refused), (88, 63));
}
