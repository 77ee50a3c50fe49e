//! What a wallet is, without its secret: a name, a chain, a public key, and where the key came from.

use std::fmt;

use osmoda_chains::{
    derive::{Path, Step},
    ethereum, hex,
    keys::{ed25519, secp256k1},
    solana,
};

use crate::bytes::Reader;

pub use osmoda_chains::effects::Chain;
pub use osmoda_schemas::name::Name;

fn chain_byte(chain: Chain) -> u8 {
    match chain {
        Chain::Ethereum => 1,
        Chain::Solana => 2,
    }
}

pub(crate) fn chain_of(byte: u8) -> Option<Chain> {
    [Chain::Ethereum, Chain::Solana].into_iter().find(|chain| chain_byte(*chain) == byte)
}

/// One byte of length, and the name.
pub(crate) fn encode_name(name: &Name, into: &mut Vec<u8>) {
    into.push(u8::try_from(name.as_str().len()).unwrap_or(u8::MAX));
    into.extend_from_slice(name.as_str().as_bytes());
}

fn decode_name(from: &mut Reader<'_>) -> Option<Name> {
    let length = from.u8()?;
    std::str::from_utf8(from.take(length.into())?).ok()?.parse().ok()
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
        into.push(chain_byte(self.chain()));
        match self {
            Self::Ethereum(key) => into.extend_from_slice(&key.to_compressed()),
            Self::Solana(key) => into.extend_from_slice(&key.0),
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        match chain_of(from.u8()?)? {
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
    pub name: Name,
    /// Its public key.
    pub public: PublicKey,
}

impl WalletId {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        encode_name(&self.name, into);
        self.public.encode(into);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { name: decode_name(from)?, public: PublicKey::decode(from)? })
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
