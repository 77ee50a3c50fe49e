//! What a wallet is, without its secret: a name, a chain, a public key, and where the key came from.

use std::{fmt, str::FromStr};

use osmoda_chains::{
    derive::{Path, Step},
    ethereum, hex,
    keys::{ed25519, secp256k1},
    solana,
};

use crate::bytes::Reader;

/// A chain family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// Ethereum and EVM chains: secp256k1.
    Ethereum,
    /// Solana: ed25519.
    Solana,
}

impl Chain {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Ethereum => 1,
            Self::Solana => 2,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ethereum),
            2 => Some(Self::Solana),
            _ => None,
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ethereum => "ethereum",
            Self::Solana => "solana",
        })
    }
}

/// A wallet's name: an RFC 1123 label, as names of all objects are (`osmoda_schemas::name::Name`; a test compares them).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletName(String);

/// A text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name: use 1 to 63 lower-case letters, digits and `-`, starting and ending with a letter or digit"
)]
pub struct InvalidName(String);

impl WalletName {
    /// The longest, in bytes.
    pub const MAX_LEN: usize = 63;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One byte of length, and the name.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        into.extend_from_slice(self.0.as_bytes());
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let length = from.u8()?;
        std::str::from_utf8(from.take(length.into())?).ok()?.parse().ok()
    }
}

impl FromStr for WalletName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends = bytes.first().is_some_and(inner) && bytes.last().is_some_and(inner);
        if ends && bytes.len() <= Self::MAX_LEN && bytes.iter().all(|byte| inner(byte) || *byte == b'-') {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName(text.chars().take(80).collect()))
    }
}

impl fmt::Display for WalletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The public key of a wallet, by which its chain and address are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PublicKey {
    /// Of Ethereum.
    Ethereum(secp256k1::PublicKey),
    /// Of Solana.
    Solana(ed25519::PublicKey),
}

impl PublicKey {
    /// Whose it is.
    #[must_use]
    pub fn chain(&self) -> Chain {
        match self {
            Self::Ethereum(_) => Chain::Ethereum,
            Self::Solana(_) => Chain::Solana,
        }
    }

    /// As people write it: with the checksum of EIP-55, or in base58.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Ethereum(key) => ethereum::Address::of(key).to_string(),
            Self::Solana(key) => solana::Address::of(key).to_string(),
        }
    }

    /// One byte for the chain, and 33 bytes (SEC 1, compressed) or 32.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.push(self.chain().to_byte());
        match self {
            Self::Ethereum(key) => into.extend_from_slice(&key.to_compressed()),
            Self::Solana(key) => into.extend_from_slice(&key.0),
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        match Chain::from_byte(from.u8()?)? {
            Chain::Ethereum => secp256k1::PublicKey::from_sec1(from.take(33)?).ok().map(Self::Ethereum),
            Chain::Solana => Some(Self::Solana(ed25519::PublicKey(from.array()?))),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethereum(key) => write!(f, "ethereum {}", hex::encode(&key.to_compressed())),
            Self::Solana(_) => write!(f, "solana {}", self.address()),
        }
    }
}

/// Where a key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made here, and is nowhere else.
    Created,
    /// It was given as it is.
    Imported,
    /// It was derived from a mnemonic, at this path. The mnemonic is not kept.
    Derived(Path),
}

impl Origin {
    /// 1, 2, or 3 with one byte for the number of steps and four bytes a step (BIP-32: the highest bit is that of hardening).
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Created => into.push(1),
            Self::Imported => into.push(2),
            Self::Derived(path) => {
                into.push(3);
                into.push(u8::try_from(path.steps().len()).unwrap_or(u8::MAX));
                for step in path.steps() {
                    into.extend_from_slice(&serialize(*step).to_be_bytes());
                }
            }
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        match from.u8()? {
            1 => Some(Self::Created),
            2 => Some(Self::Imported),
            3 => {
                // A path is made of its text only, which knows how many steps are too many.
                let mut text = String::from("m");
                for _ in 0..from.u8()? {
                    let number = from.u32()?;
                    let step = Step::new(number & !HARDENED, number & HARDENED != 0)?;
                    text += &format!("/{step}");
                }
                text.parse().ok().map(Self::Derived)
            }
            _ => None,
        }
    }
}

const HARDENED: u32 = 1 << 31;

fn serialize(step: Step) -> u32 {
    step.index() | if step.is_hardened() { HARDENED } else { 0 }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.pad("created"),
            Self::Imported => f.pad("imported"),
            Self::Derived(path) => write!(f, "derived at {path}"),
        }
    }
}

/// A wallet whose key is asked to sign: whoever asks says which key it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletId {
    /// Its name.
    pub name: WalletName,
    /// Its public key.
    pub public: PublicKey,
}

impl WalletId {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        self.name.encode(into);
        self.public.encode(into);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { name: WalletName::decode(from)?, public: PublicKey::decode(from)? })
    }
}

/// A wallet, as the vault lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Name and public key.
    pub id: WalletId,
    /// Where the key came from.
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use osmoda_schemas::name::Name;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_those_of_objects(text in prop_oneof!["[a-z0-9-]{0,66}", "[a-zA-Z0-9._/-]{0,4}", ".{0,4}"]) {
            prop_assert_eq!(text.parse::<WalletName>().is_ok(), text.parse::<Name>().is_ok(), "{:?}", text);
        }

        #[test]
        fn origins_are_read_exactly(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            (0_u8..18).prop_flat_map(|count| {
                prop::collection::vec(any::<u8>(), usize::from(count) * 4)
                    .prop_map(move |steps| [&[3, count], steps.as_slice()].concat())
            }),
        ]) {
            let mut reader = Reader::new(&bytes);
            if let Some(origin) = Origin::decode(&mut reader) {
                let mut again = Vec::new();
                origin.encode(&mut again);
                again.extend_from_slice(reader.rest());
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
