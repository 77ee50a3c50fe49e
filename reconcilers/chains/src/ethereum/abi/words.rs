//! Arguments of calls (the contract ABI of Solidity): words of 32 bytes, and a tail for what has no fixed length.

use crate::{U256, ethereum::Address};

/// Reads words. What is wrong with them is told by writing them again, so that offsets need no rules of their own.
pub(super) struct Reader<'a> {
    words: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a [u8]) -> Self {
        Self { words, at: 0 }
    }

    pub(super) fn word(&mut self) -> Option<[u8; 32]> {
        let (word, _) = self.words.get(self.at..)?.split_first_chunk()?;
        self.at = self.at.checked_add(32)?;
        Some(*word)
    }

    pub(super) fn number(&mut self) -> Option<U256> {
        self.word().map(|word| U256::from_be_bytes(&word))
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(u64::try_from(self.number()?).ok()?).ok()
    }

    pub(super) fn address(&mut self) -> Option<Address> {
        let word = self.word()?;
        let (zeros, address) = word.split_at(12);
        if zeros == [0; 12] { address.try_into().ok().map(Address) } else { None }
    }

    pub(super) fn bool(&mut self) -> Option<bool> {
        match u64::try_from(self.number()?) {
            Ok(0) => Some(false),
            Ok(1) => Some(true),
            _ => None,
        }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        u8::try_from(u64::try_from(self.number()?).ok()?).ok()
    }

    /// What the next word is the offset of, and how many bytes or items the word there says that it has.
    fn tail(&mut self) -> Option<(Self, usize)> {
        let mut tail = Self { words: self.words, at: self.size()? };
        let length = tail.size()?;
        Some((tail, length))
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        let (tail, length) = self.tail()?;
        tail.words.get(tail.at..)?.get(..length).map(<[u8]>::to_vec)
    }

    pub(super) fn numbers(&mut self) -> Option<Vec<U256>> {
        let (mut tail, length) = self.tail()?;
        let bytes = length.checked_mul(32)?;
        tail.words.get(tail.at..)?.get(..bytes)?;
        (0..length).map(|_| tail.number()).collect()
    }
}

/// Writes words, tails in their order and without gaps.
#[derive(Default)]
pub(super) struct Writer {
    /// Words, and where they are offsets, the number of the tail.
    head: Vec<Result<[u8; 32], usize>>,
    tails: Vec<Vec<u8>>,
}

impl Writer {
    pub(super) fn word(&mut self, word: [u8; 32]) -> &mut Self {
        self.head.push(Ok(word));
        self
    }

    pub(super) fn number(&mut self, number: U256) -> &mut Self {
        self.word(number.to_be_bytes())
    }

    pub(super) fn address(&mut self, address: &Address) -> &mut Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        self.word(word)
    }

    pub(super) fn small(&mut self, number: impl Into<u64>) -> &mut Self {
        self.number(U256::from(number.into()))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let mut tail = size(bytes.len()).to_be_bytes().to_vec();
        tail.extend_from_slice(bytes);
        tail.resize(tail.len().next_multiple_of(32), 0);
        self.tail(tail)
    }

    pub(super) fn numbers(&mut self, numbers: &[U256]) -> &mut Self {
        let mut tail = size(numbers.len()).to_be_bytes().to_vec();
        numbers.iter().for_each(|number| tail.extend(number.to_be_bytes()));
        self.tail(tail)
    }

    fn tail(&mut self, tail: Vec<u8>) -> &mut Self {
        self.head.push(Err(self.tails.len()));
        self.tails.push(tail);
        self
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in &self.head {
            bytes.extend(match word {
                Ok(word) => *word,
                Err(tail) => {
                    let before: usize = self.tails.iter().take(*tail).map(Vec::len).sum();
                    size(self.head.len() * 32 + before).to_be_bytes()
                }
            });
        }
        bytes.extend(self.tails.iter().flatten());
        bytes
    }
}

fn size(length: usize) -> U256 {
    U256::from(u64::try_from(length).unwrap_or(u64::MAX))
}
