//! Where keys come from: chance, other wallets' exports, mnemonics.

use std::fmt;

use osmoda_chains::{
    base58,
    derive::{DeriveError, Ed25519ExtendedKey, ExtendedKey, Path},
    hex,
    keys::ed25519,
    mnemonic::{Mnemonic, MnemonicError},
};
use zeroize::Zeroizing;

use crate::{
    key::Key,
    wallet::{Chain, Origin, PublicKey},
};

/// The longest text that is looked at, in bytes: a list of 64 numbers, one a line with spaces before it.
const MOST_TEXT: usize = 1024;

/// There is no chance to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("random bytes cannot be had: {0}")]
pub struct EntropyError(pub &'static str);

/// Random bytes of the kernel (getrandom(2)), which waits until it has been seeded.
///
/// # Errors
/// When the kernel refuses.
pub fn system_entropy(bytes: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError("the kernel refuses"))
}

/// A secret is refused. It is never told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not a key.
    #[error("this is no secret key of {0}")]
    Key(Chain),
    /// No text of a key of Ethereum.
    #[error("a secret key of ethereum is written as 64 hexadecimal digits, with 0x before them or without")]
    EthereumText,
    /// No text of a key of Solana. 32 bytes in base58 are refused: they may be an address, which everybody knows.
    #[error(
        "a secret key of solana is written as 64 bytes (seed and public key) in base58 or as a list of numbers, or as 64 \
         hexadecimal digits"
    )]
    SolanaText,
    /// Both halves do not belong together.
    #[error(transparent)]
    Pair(#[from] ed25519::KeyError),
    /// The words are no mnemonic.
    #[error(transparent)]
    Mnemonic(#[from] MnemonicError),
    /// There is no such key.
    #[error(transparent)]
    Derive(#[from] DeriveError),
}

/// A secret key with its origin, for a vault to keep.
pub struct Secret {
    pub(crate) key: Key,
    pub(crate) origin: Origin,
}

impl Secret {
    /// A new key, of 32 bytes from somewhere, such as [`system_entropy`].
    ///
    /// # Errors
    /// [`EntropyError`], also when the bytes are those of a source that is broken.
    pub fn generate(
        chain: Chain,
        entropy: &mut dyn FnMut(&mut [u8]) -> Result<(), EntropyError>,
    ) -> Result<Self, EntropyError> {
        let (mut bytes, mut again) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        entropy(&mut *bytes)?;
        entropy(&mut *again)?;
        if bytes == again || bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(EntropyError("the source gives the same bytes again"));
        }
        // Of good chance fewer than one in 2^127 is no key.
        let key = Key::from_bytes(chain, &bytes).ok_or(EntropyError("the source gives what is no key"))?;
        Ok(Self { key, origin: Origin::Created })
    }

    /// From 32 bytes (Ethereum: the number, the most significant byte first; Solana: the seed), or from 64 (Solana: seed
    /// and public key).
    ///
    /// # Errors
    /// [`SecretError::Key`], [`SecretError::Pair`].
    pub fn from_bytes(chain: Chain, bytes: &[u8]) -> Result<Self, SecretError> {
        let key = match (chain, <&[u8; 32]>::try_from(bytes), <&[u8; 64]>::try_from(bytes)) {
            (chain, Ok(bytes), _) => Key::from_bytes(chain, bytes),
            (Chain::Solana, _, Ok(pair)) => Some(Key::Solana(ed25519::SecretKey::from_pair(pair)?)),
            _ => None,
        };
        Ok(Self { key: key.ok_or(SecretError::Key(chain))?, origin: Origin::Imported })
    }

    /// From what other wallets export: 64 hexadecimal digits, with `0x` or without; Solana: 64 bytes in base58, or as the
    /// JSON list of numbers that its command line keeps, too.
    /// Spaces and the end of a line are not taken.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_text(chain: Chain, text: &str) -> Result<Self, SecretError> {
        let wrong = match chain {
            Chain::Ethereum => SecretError::EthereumText,
            Chain::Solana => SecretError::SolanaText,
        };
        if text.len() > MOST_TEXT {
            return Err(wrong);
        }
        if let Some(bytes) = from_hex(text) {
            return Self::from_bytes(chain, &*bytes);
        }
        let pair = if text.starts_with('[') { serde_json::from_str(text).ok() } else { base58::decode(text, 64).ok() };
        match (chain, pair.map(Zeroizing::<Vec<u8>>::new)) {
            (Chain::Solana, Some(pair)) if pair.len() == 64 => Self::from_bytes(chain, &pair),
            _ => Err(wrong),
        }
    }

    /// From words of BIP-39, a passphrase (it may be empty) and a path; without one, from where wallets look first:
    /// `m/44'/60'/0'/0/0` (BIP-44) or `m/44'/501'/0'/0'` (SLIP-10). Only the key of the path is kept, as the words open
    /// all others.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_mnemonic(chain: Chain, words: &str, passphrase: &str, path: Option<Path>) -> Result<Self, SecretError> {
        let seed = Mnemonic::parse(words)?.seed(passphrase)?;
        let first = match chain {
            Chain::Ethereum => Path::ethereum(0),
            Chain::Solana => Path::solana(0),
        };
        let path = path.or(first).unwrap_or_default();
        let key = match chain {
            Chain::Ethereum => Key::Ethereum(ExtendedKey::from_seed(&*seed)?.derive(&path)?.into_key()),
            Chain::Solana => Key::Solana(Ed25519ExtendedKey::from_seed(&*seed)?.derive(&path)?.key()),
        };
        Ok(Self { key, origin: Origin::Derived(path) })
    }

    /// Its public key, so that somebody can say whether it is the right one before it is kept.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut prefixed = Zeroizing::new(String::with_capacity(2 + MOST_TEXT));
    prefixed.push_str("0x");
    prefixed.push_str(digits);
    hex::decode_array(&prefixed).ok().map(Zeroizing::new)
}

/// The public key and the origin only.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?}, {})", self.public(), self.origin)
    }
}
