//! BIP-39: 12 to 24 English words for entropy, and the seed that they and a passphrase stand for.

use hmac::Hmac;
use sha2::{Digest, Sha256, Sha512};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The 2,048 words of BIP-39 in their order (bitcoin/bips, bip-0039/english.txt; SHA-256
/// 2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda). The first four letters tell each.
const WORDS: &str = include_str!("english.txt");
/// The longest passphrase, in bytes.
const MOST_PASSPHRASE: usize = 1024;
/// Of PBKDF2.
const ROUNDS: u32 = 2048;

/// Words are no mnemonic. What stands in them is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MnemonicError {
    /// 128 to 256 bits, in steps of 32.
    #[error("entropy has 16, 20, 24, 28 or 32 bytes, not {0}")]
    Entropy(usize),
    /// 12 to 24 words, in steps of 3.
    #[error("a mnemonic has 12, 15, 18, 21 or 24 words, not {0}")]
    Count(usize),
    /// A word that is not on the list.
    #[error("word {0} is not on the English list of BIP-39")]
    Word(usize),
    /// The last word tells a checksum.
    #[error("the checksum is wrong: a word is wrong, or two have changed places")]
    Checksum,
    /// Lower case, one space between words.
    #[error("words are written in lower case with one space between them")]
    Form,
    /// The passphrase is too long.
    #[error("a passphrase has at most {MOST_PASSPHRASE} bytes")]
    Passphrase,
}

/// Words whose checksum is right. They are wiped when dropped; they can be neither cloned nor printed by mistake.
pub struct Mnemonic(Zeroizing<String>);

impl Mnemonic {
    /// The words for 16, 20, 24, 28 or 32 bytes of entropy.
    ///
    /// # Errors
    /// [`MnemonicError::Entropy`].
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, MnemonicError> {
        if !matches!(entropy.len(), 16 | 20 | 24 | 28 | 32) {
            return Err(MnemonicError::Entropy(entropy.len()));
        }
        let list: Vec<&str> = WORDS.lines().collect();
        let mut bits = Zeroizing::new([0; 33]);
        bits[..entropy.len()].copy_from_slice(entropy);
        bits[entropy.len()] = Sha256::digest(entropy)[0];
        let count = entropy.len() * 3 / 4;
        // 24 words of at most 8 letters: it does not grow, so that nothing of it stays elsewhere.
        let mut text = Zeroizing::new(String::with_capacity(24 * 9));
        for at in 0..count {
            let index = (0..11).fold(0, |index, bit| (index << 1) | usize::from(bit_at(&*bits, at * 11 + bit)));
            if at > 0 {
                text.push(' ');
            }
            text.push_str(list.get(index).copied().unwrap_or_default());
        }
        Ok(Self(text))
    }

    /// From words in lower case with one space between them.
    ///
    /// # Errors
    /// See [`MnemonicError`].
    pub fn parse(text: &str) -> Result<Self, MnemonicError> {
        let entropy = entropy_of(text)?;
        let mnemonic = Self::from_entropy(&entropy)?;
        if *mnemonic.0 == text { Ok(mnemonic) } else { Err(MnemonicError::Checksum) }
    }

    /// The words, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The entropy that the words stand for, to be sealed.
    #[must_use]
    pub fn entropy(&self) -> Zeroizing<Vec<u8>> {
        entropy_of(&self.0).unwrap_or_default()
    }

    /// The seed of 64 bytes for the words and a passphrase, which may be empty. Every passphrase gives one: a wrong one
    /// gives other keys.
    ///
    /// # Errors
    /// [`MnemonicError::Passphrase`].
    pub fn seed(&self, passphrase: &str) -> Result<Zeroizing<[u8; 64]>, MnemonicError> {
        if passphrase.len() > MOST_PASSPHRASE {
            return Err(MnemonicError::Passphrase);
        }
        // NFKD makes at most 18 characters of one (U+FDFA): room for all, so that nothing of it stays elsewhere.
        let mut salt = Zeroizing::new(String::with_capacity(8 + passphrase.len() * 18));
        salt.push_str("mnemonic");
        salt.extend(passphrase.nfkd());
        let mut seed = Zeroizing::new([0; 64]);
        pbkdf2::pbkdf2::<Hmac<Sha512>>(self.0.as_bytes(), salt.as_bytes(), ROUNDS, &mut *seed)
            .expect("HMAC takes keys of every length");
        Ok(seed)
    }
}

fn bit_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
}

/// What words stand for; their checksum is left to the caller, who makes words of it again.
fn entropy_of(text: &str) -> Result<Zeroizing<Vec<u8>>, MnemonicError> {
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_lowercase()) {
        return Err(MnemonicError::Form);
    }
    let count = text.split(' ').count();
    if !matches!(count, 12 | 15 | 18 | 21 | 24) {
        return Err(MnemonicError::Count(count));
    }
    let list: Vec<&str> = WORDS.lines().collect();
    let mut bits = Zeroizing::new([0_u8; 33]);
    for (at, word) in text.split(' ').enumerate() {
        if word.is_empty() {
            return Err(MnemonicError::Form);
        }
        let index = list.binary_search(&word).map_err(|_| MnemonicError::Word(at + 1))?;
        for bit in 0..11 {
            let place = at * 11 + bit;
            if let Some(byte) = bits.get_mut(place / 8) {
                *byte |= u8::from(index >> (10 - bit) & 1 == 1) << (7 - place % 8);
            }
        }
    }
    Ok(Zeroizing::new(bits.get(..count * 4 / 3).unwrap_or_default().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_that_of_the_standard() {
        let hash = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
        assert_eq!(data_encoding::HEXLOWER.encode(&Sha256::digest(WORDS)), hash);
        assert!(WORDS.lines().is_sorted() && WORDS.lines().count() == 2048, "words are looked up by halving");
    }
}
