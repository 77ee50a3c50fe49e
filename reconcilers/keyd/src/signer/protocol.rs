//! What is said between a process and a signer, in the manner of ssh-agent.
//!
//! One connection (a Unix stream socket) is one question and one answer. Each is a frame: four bytes of length, 1 to 65,536,
//! the most significant first, and so many bytes; nothing may be left over.
//!
//! | question | bytes |
//! |---|---|
//! | which wallets? | 1 (version), 1 |
//! | sign | 1, 2, wallet, and 32 bytes of hash (Ethereum) or a message of at most 61,440 bytes (Solana) |
//!
//! | answer | bytes |
//! |---|---|
//! | wallets | 1, 1, two bytes of count, the wallets |
//! | signature | 1, 2, 65 bytes (r, s, 27 or 28) for Ethereum, 64 for Solana |
//! | refused | 1, 3, one byte of code, at most 512 bytes of printable ASCII |
//!
//! A wallet is one byte of length, its name, one byte for the chain (1 Ethereum, 2 Solana), and its public key (33 bytes,
//! SEC 1 compressed, or 32). Codes: 1 no such wallet, 2 the wallet has another key, 3 anything else.

use osmoda_chains::keys::secp256k1;

use crate::{
    bytes::Reader,
    key::{MOST_MESSAGE, Payload, Signed},
    vault::MOST_WALLETS,
    wallet::{Chain, WalletId},
};

/// The longest frame, without its length.
pub(super) const MOST_FRAME: usize = 64 * 1024;
const VERSION: u8 = 1;
const MOST_REASON: usize = 512;
// The longest list and the longest message fit.
const _: () = assert!(4 + MOST_WALLETS * (1 + 63 + 1 + 33) <= MOST_FRAME && 2 + 98 + MOST_MESSAGE <= MOST_FRAME);

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question<'a> {
    Wallets,
    Sign(WalletId, Payload<'a>),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoWallet = 1,
    OtherKey = 2,
    Other = 3,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Wallets(Vec<WalletId>),
    Signed(Signed),
    Refused(Code, String),
}

impl<'a> Question<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Wallets => vec![VERSION, 1],
            Self::Sign(wallet, what) => {
                let mut bytes = vec![VERSION, 2];
                wallet.encode(&mut bytes);
                bytes.extend_from_slice(match what {
                    Payload::Hash(hash) => hash,
                    Payload::Message(message) => message,
                });
                bytes
            }
        }
    }

    /// What is taken is what [`Question::encode`] gives of it.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match (reader.u8()?, reader.u8()?) {
            (VERSION, 1) => reader.end().map(|()| Self::Wallets),
            (VERSION, 2) => {
                let wallet = WalletId::decode(&mut reader)?;
                let what = match wallet.public.chain() {
                    Chain::Ethereum => Payload::Hash(reader.rest().try_into().ok()?),
                    Chain::Solana => Payload::Message(reader.rest()),
                };
                Some(Self::Sign(wallet, what))
            }
            _ => None,
        }
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Wallets(wallets) => {
                let mut bytes = vec![VERSION, 1];
                bytes.extend_from_slice(&u16::try_from(wallets.len()).unwrap_or(u16::MAX).to_be_bytes());
                wallets.iter().for_each(|wallet| wallet.encode(&mut bytes));
                bytes
            }
            Self::Signed(Signed::Secp256k1(signature)) => [&[VERSION, 2][..], &signature.to_bytes()].concat(),
            Self::Signed(Signed::Ed25519(signature)) => [&[VERSION, 2][..], signature].concat(),
            Self::Refused(code, reason) => {
                let reason = reason.bytes().map(|byte| if is_printable(byte) { byte } else { b'?' });
                [VERSION, 3, *code as u8].into_iter().chain(reason.take(MOST_REASON)).collect()
            }
        }
    }

    /// What is taken is what [`Answer::encode`] gives of it.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match (reader.u8()?, reader.u8()?) {
            (VERSION, 1) => {
                let count = reader.u16()?;
                if usize::from(count) > MOST_WALLETS {
                    return None;
                }
                let wallets = (0..count).map(|_| WalletId::decode(&mut reader)).collect::<Option<_>>()?;
                reader.end()?;
                Some(Self::Wallets(wallets))
            }
            (VERSION, 2) => match (<&[u8; 65]>::try_from(reader.rest()), <[u8; 64]>::try_from(bytes.get(2..)?)) {
                (Ok(bytes), _) => secp256k1::Signature::from_bytes(bytes)
                    .ok()
                    .map(|signature| Self::Signed(Signed::Secp256k1(signature))),
                (_, Ok(bytes)) => Some(Self::Signed(Signed::Ed25519(bytes))),
                _ => None,
            },
            (VERSION, 3) => {
                let code = match reader.u8()? {
                    1 => Code::NoWallet,
                    2 => Code::OtherKey,
                    3 => Code::Other,
                    _ => return None,
                };
                let reason = reader.rest();
                let good = reason.len() <= MOST_REASON && reason.iter().all(|byte| is_printable(*byte));
                good.then(|| Self::Refused(code, reason.iter().copied().map(char::from).collect()))
            }
            _ => None,
        }
    }
}

fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::Key;

    fn wallets() -> Vec<WalletId> {
        [(Chain::Ethereum, "a"), (Chain::Solana, "b-2")]
            .map(|(chain, name)| WalletId {
                name: name.parse().unwrap(),
                public: Key::from_bytes(chain, &[7; 32]).unwrap().public(),
            })
            .into()
    }

    fn good() -> Vec<Vec<u8>> {
        let [ethereum, solana] = wallets().try_into().unwrap();
        let (hash, message) = (Payload::Hash([9; 32]), Payload::Message(b"words"));
        let sign =
            |wallet: &WalletId, what| Key::from_bytes(wallet.public.chain(), &[7; 32]).unwrap().sign(what).unwrap();
        vec![
            Question::Wallets.encode(),
            Answer::Wallets(wallets()).encode(),
            Answer::Signed(sign(&ethereum, &hash)).encode(),
            Answer::Signed(sign(&solana, &message)).encode(),
            Answer::Refused(Code::Other, "no \u{e4} \n".to_owned()).encode(),
            Question::Sign(ethereum, hash).encode(),
            Question::Sign(solana, message).encode(),
        ]
    }

    fn is_exact(bytes: &[u8]) -> bool {
        Question::decode(bytes).is_none_or(|question| question.encode() == bytes)
            && Answer::decode(bytes).is_none_or(|answer| answer.encode() == bytes)
    }

    #[test]
    fn what_is_said_is_read() {
        for bytes in good() {
            assert!(Question::decode(&bytes).is_some() || Answer::decode(&bytes).is_some(), "{bytes:?}");
            assert!(is_exact(&bytes), "{bytes:?}");
        }
        let many = vec![wallets()[0].clone(); MOST_WALLETS];
        assert_eq!(Answer::decode(&Answer::Wallets(many.clone()).encode()), Some(Answer::Wallets(many)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_read_is_exact(
            random in prop::collection::vec(any::<u8>(), 0..200),
            which in 0_usize..7, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            prop_assert!(is_exact(&random));
            prop_assert!(is_exact(&[&[1, 2], random.as_slice()].concat()));
            let mut spoilt = good().swap_remove(which);
            let at = at.index(spoilt.len());
            spoilt[at] = byte;
            prop_assert!(is_exact(&spoilt), "{:?}", spoilt);
            if cut {
                spoilt.truncate(at);
                prop_assert!(is_exact(&spoilt), "{:?}", spoilt);
            }
        }
    }
}
