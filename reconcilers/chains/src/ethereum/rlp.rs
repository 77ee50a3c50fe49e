//! RLP (Ethereum's yellow paper, appendix B), strict: each value has one encoding, and any other is refused.

use crate::U256;

/// Bytes are no RLP, or not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RlpError {
    /// The bytes end before the item does.
    #[error("it ends in the middle of an item")]
    Short,
    /// There are bytes after the last item.
    #[error("there is more after the last item")]
    Trailing,
    /// A shorter encoding of the same exists.
    #[error("a length or a byte is written longer than it has to be")]
    NotCanonical,
    /// A number with zeros in front.
    #[error("a number begins with a zero byte")]
    LeadingZero,
    /// It does not fit.
    #[error("a number is larger than its field")]
    TooLarge,
    /// A list where bytes should be.
    #[error("there is a list where bytes are expected")]
    UnexpectedList,
    /// Bytes where a list should be.
    #[error("there are bytes where a list is expected")]
    ExpectedList,
    /// More or fewer bytes.
    #[error("an item has {0} bytes, not {1}")]
    Length(usize, usize),
}

/// Reads items one after the other. It holds no depth: who reads a list says what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Items that follow each other in these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The items of the one list that these bytes are.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn of_list(bytes: &'a [u8]) -> Result<Self, RlpError> {
        let mut whole = Self(bytes);
        let list = whole.list()?;
        whole.finish()?;
        Ok(list)
    }

    /// Is there nothing more?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There is nothing more.
    ///
    /// # Errors
    /// [`RlpError::Trailing`].
    pub fn finish(self) -> Result<(), RlpError> {
        if self.is_empty() { Ok(()) } else { Err(RlpError::Trailing) }
    }

    /// How many items are left, at most so many.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn count(mut self, most: usize) -> Result<usize, RlpError> {
        let mut count = 0;
        while !self.is_empty() && count < most {
            self.item()?;
            count += 1;
        }
        Ok(count)
    }

    /// Is the next one a list, and what is in it.
    fn item(&mut self) -> Result<(bool, &'a [u8]), RlpError> {
        let (&first, rest) = self.0.split_first().ok_or(RlpError::Short)?;
        let (is_list, length, rest) = match first {
            0..=0x7f => {
                let (item, rest) = self.0.split_at_checked(1).ok_or(RlpError::Short)?;
                self.0 = rest;
                return Ok((false, item));
            }
            0x80..=0xb7 => (false, usize::from(first - 0x80), rest),
            0xc0..=0xf7 => (true, usize::from(first - 0xc0), rest),
            _ => {
                let (is_list, size) = if first < 0xc0 { (false, first - 0xb7) } else { (true, first - 0xf7) };
                let (digits, rest) = rest.split_at_checked(usize::from(size)).ok_or(RlpError::Short)?;
                if digits.first() == Some(&0) {
                    return Err(RlpError::NotCanonical);
                }
                let length = U256::from_be_slice(digits).and_then(|length| u64::try_from(length).ok());
                let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(RlpError::Short)?;
                if length < 56 {
                    return Err(RlpError::NotCanonical);
                }
                (is_list, length, rest)
            }
        };
        let (item, rest) = rest.split_at_checked(length).ok_or(RlpError::Short)?;
        if !is_list && matches!(item, [0..=0x7f]) {
            return Err(RlpError::NotCanonical);
        }
        self.0 = rest;
        Ok((is_list, item))
    }

    /// The items of the list that comes next.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn list(&mut self) -> Result<Self, RlpError> {
        match self.item()? {
            (true, items) => Ok(Self(items)),
            (false, _) => Err(RlpError::ExpectedList),
        }
    }

    /// The bytes that come next.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn bytes(&mut self) -> Result<&'a [u8], RlpError> {
        match self.item()? {
            (false, bytes) => Ok(bytes),
            (true, _) => Err(RlpError::UnexpectedList),
        }
    }

    /// As many bytes as asked for.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RlpError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| RlpError::Length(bytes.len(), N))
    }

    /// A number.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn u256(&mut self) -> Result<U256, RlpError> {
        let bytes = self.bytes()?;
        if bytes.first() == Some(&0) {
            return Err(RlpError::LeadingZero);
        }
        U256::from_be_slice(bytes).ok_or(RlpError::TooLarge)
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// See [`RlpError`].
    pub fn u64(&mut self) -> Result<u64, RlpError> {
        u64::try_from(self.u256()?).map_err(|_| RlpError::TooLarge)
    }
}

/// Writes items one after the other.
#[derive(Clone, Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        if !matches!(bytes, [0..=0x7f]) {
            self.head(0x80, bytes.len());
        }
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: impl Into<U256>) -> &mut Self {
        let bytes = number.into().to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        self.bytes(&bytes[zeros..])
    }

    /// Adds a list.
    pub fn list(&mut self, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut items = Self::default();
        write(&mut items);
        self.0.extend(items.finish_list());
        self
    }

    /// The items as one list.
    #[must_use]
    pub fn finish_list(self) -> Vec<u8> {
        let mut list = Self::default();
        list.head(0xc0, self.0.len());
        list.0.extend(self.0);
        list.0
    }

    fn head(&mut self, base: u8, length: usize) {
        match u8::try_from(length) {
            Ok(short @ 0..=55) => self.0.push(base + short),
            _ => {
                let digits = length.to_be_bytes();
                let zeros = digits.iter().take_while(|byte| **byte == 0).count();
                let digits = &digits[zeros..];
                // At most 8 of them: no carry.
                self.0.push(base + 55 + u8::try_from(digits.len()).unwrap_or(8));
                self.0.extend_from_slice(digits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Item {
        Bytes(Vec<u8>),
        List(Vec<Item>),
    }

    fn write(encoder: &mut Encoder, item: &Item) {
        match item {
            Item::Bytes(bytes) => encoder.bytes(bytes),
            Item::List(items) => encoder.list(|list| items.iter().for_each(|item| write(list, item))),
        };
    }

    fn read(decoder: &mut Decoder<'_>, depth: usize) -> Result<Item, RlpError> {
        let (is_list, bytes) = decoder.item()?;
        if !is_list || depth == 0 {
            return Ok(Item::Bytes(bytes.to_vec()));
        }
        let (mut items, mut list) = (Vec::new(), Decoder(bytes));
        while !list.is_empty() {
            items.push(read(&mut list, depth - 1)?);
        }
        Ok(Item::List(items))
    }

    fn items() -> impl Strategy<Value = Item> {
        let bytes = prop::collection::vec(any::<u8>(), 0..80).prop_map(Item::Bytes);
        bytes.prop_recursive(4, 32, 6, |item| prop::collection::vec(item, 0..6).prop_map(Item::List))
    }

    proptest! {
        #[test]
        fn items_come_back(item in items()) {
            let mut encoder = Encoder::default();
            write(&mut encoder, &item);
            let mut decoder = Decoder::new(&encoder.0);
            prop_assert_eq!(read(&mut decoder, 64), Ok(item));
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in prop::collection::vec(prop_oneof![Just(0x80_u8), Just(0xb8), Just(0xc1), any::<u8>()], 0..90)) {
            let mut decoder = Decoder::new(&bytes);
            if let Ok(item) = read(&mut decoder, 128) {
                let mut encoder = Encoder::default();
                write(&mut encoder, &item);
                prop_assert_eq!([encoder.0.as_slice(), decoder.0].concat(), bytes);
            }
        }
    }

    #[test]
    fn what_could_be_written_shorter_is_refused() {
        let bytes = |bytes: &[u8]| Decoder::new(bytes).bytes().map(<[u8]>::to_vec);
        assert_eq!(bytes(&[0x81, 0x7f]), Err(RlpError::NotCanonical));
        assert_eq!(bytes(&[0xb8, 0x01, 0x80]), Err(RlpError::NotCanonical));
        assert_eq!(bytes(&[0xb9, 0x00, 0x38]), Err(RlpError::NotCanonical));
        assert_eq!(bytes(&[0xbf; 20]), Err(RlpError::Short));
        let long = |length: u8| bytes(&[&[0xb8, length][..], &vec![1; usize::from(length)]].concat());
        assert_eq!((long(55), long(56)), (Err(RlpError::NotCanonical), Ok(vec![1; 56])), "the border of both forms");
        assert_eq!(bytes(&[0x82, 1]), Err(RlpError::Short));
        assert_eq!(bytes(&[]), Err(RlpError::Short));
        assert_eq!(bytes(&[0xc0]), Err(RlpError::UnexpectedList));
        assert_eq!(Decoder::new(&[0]).u256(), Err(RlpError::LeadingZero));
        assert_eq!(Decoder::new(&[0x82, 0, 1]).u64(), Err(RlpError::LeadingZero));
        assert_eq!(Decoder::new(&[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]).u64(), Err(RlpError::TooLarge));
        assert_eq!(Decoder::of_list(&[0xc0, 0]).map(|_| ()), Err(RlpError::Trailing));
        assert_eq!(Decoder::of_list(&[0x80]).map(|_| ()), Err(RlpError::ExpectedList));
    }
}
