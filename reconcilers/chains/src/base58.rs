//! Base58 with Bitcoin's alphabet, as Solana writes addresses and signatures.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A text is no such bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Base58Error {
    /// Something that is not in the alphabet.
    #[error("it holds something that is no base58 digit (0, O, I and l are none)")]
    Digit,
    /// More bytes than asked for.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// More or fewer bytes than asked for.
    #[error("it has {0} bytes, not {1}")]
    Length(usize, usize),
    /// The four bytes at the end are not the hash of the rest.
    #[error("its checksum is wrong")]
    Checksum,
}

/// The text of bytes: one `1` for each zero byte in front, and then digits. It takes time that grows with the square of
/// the length.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // The least significant first.
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes.get(zeros..).unwrap_or_default() {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).unwrap_or(0);
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap_or(0));
            carry /= 58;
        }
    }
    let digits = digits.iter().rev().map(|digit| char::from(ALPHABET[usize::from(*digit)]));
    "1".repeat(zeros).chars().chain(digits).collect()
}

/// The bytes of a text, at most so many. Every text that is taken is that of its bytes.
///
/// # Errors
/// See [`Base58Error`].
pub fn decode(text: &str, most: usize) -> Result<Vec<u8>, Base58Error> {
    decode_secret(text, most).map(|bytes| bytes.to_vec())
}

/// As many bytes as asked for.
///
/// # Errors
/// See [`Base58Error`].
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], Base58Error> {
    let bytes = decode(text, N)?;
    bytes.as_slice().try_into().map_err(|_| Base58Error::Length(bytes.len(), N))
}

/// As [`decode`], of what nobody else may see.
pub(crate) fn decode_secret(text: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, Base58Error> {
    let zeros = text.bytes().take_while(|digit| *digit == b'1').count();
    // One digit is more than 5 bits: what is longer than this is too long, and need not be multiplied out.
    if zeros > most || text.len() > zeros.saturating_add(most.saturating_mul(8) / 5 + 1) {
        return Err(Base58Error::TooLong(most));
    }
    // The least significant first, and never moved, so that nothing of it stays elsewhere.
    let mut bytes = Zeroizing::new(vec![0_u8; most]);
    let mut used = 0;
    for digit in text.bytes().skip(zeros) {
        let value = ALPHABET.iter().position(|known| *known == digit).ok_or(Base58Error::Digit)?;
        let mut carry = u32::try_from(value).map_err(|_| Base58Error::Digit)?;
        for byte in bytes.iter_mut().take(used) {
            carry += u32::from(*byte) * 58;
            *byte = u8::try_from(carry & 0xff).unwrap_or(0);
            carry >>= 8;
        }
        if carry > 0 {
            *bytes.get_mut(used).ok_or(Base58Error::TooLong(most))? = u8::try_from(carry).unwrap_or(0);
            used += 1;
        }
    }
    if zeros + used > most {
        return Err(Base58Error::TooLong(most));
    }
    let mut ordered = Zeroizing::new(vec![0; zeros + used]);
    for (to, from) in ordered.iter_mut().skip(zeros).zip(bytes.iter().take(used).rev()) {
        *to = *from;
    }
    Ok(ordered)
}

/// The bytes before a checksum of four, the first of SHA-256 of SHA-256 (Base58Check).
pub(crate) fn decode_check(text: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, Base58Error> {
    let bytes = decode_secret(text, most.saturating_add(4))?;
    let (data, sum) = bytes.split_last_chunk::<4>().ok_or(Base58Error::Checksum)?;
    if Sha256::digest(Sha256::digest(data)).first_chunk::<4>() != Some(sum) {
        return Err(Base58Error::Checksum);
    }
    Ok(Zeroizing::new(data.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_the_internet_draft_hold() {
        // draft-msporny-base58-03, section 5.
        assert_eq!(encode(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        let text = "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z";
        assert_eq!(encode(b"The quick brown fox jumps over the lazy dog."), text);
        assert_eq!(encode(&[0, 0, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
        assert_eq!(decode("11233QC4", 6), Ok(vec![0, 0, 0x28, 0x7f, 0xb4, 0xcd]));
        assert_eq!(decode("11233QC4", 5), Err(Base58Error::TooLong(5)));
        assert_eq!(decode("0", 5), Err(Base58Error::Digit));
        assert_eq!(decode_array::<3>("11"), Err(Base58Error::Length(2, 3)));
        assert_eq!(decode("", 5), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..80)) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text, bytes.len()), Ok(bytes.clone()));
            if let Some(less) = bytes.len().checked_sub(1) {
                prop_assert_eq!(decode(&text, less), Err(Base58Error::TooLong(less)));
            }
        }

        #[test]
        fn no_text_panics_and_what_is_taken_is_the_text_of_its_bytes(text in ".{0,60}", digits in "[1-9A-HJ-Za-km-z]{0,60}") {
            for text in [text, digits] {
                if let Ok(bytes) = decode(&text, 40) {
                    prop_assert_eq!(encode(&bytes), text);
                }
            }
        }
    }
}
