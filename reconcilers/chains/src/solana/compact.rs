//! Bytes of messages: fixed fields, and lists whose length is a compact-u16 (shortvec): 7 bits a byte, the lowest first.

use super::message::MessageError;

/// Reads fields one after the other.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], MessageError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(MessageError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(MessageError::Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, MessageError> {
        self.array().map(|[byte]| byte)
    }

    /// A length. The shortest form only.
    pub(super) fn length(&mut self) -> Result<usize, MessageError> {
        let mut length = 0_u32;
        for place in 0..3 {
            let byte = self.byte()?;
            length |= u32::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                let canonical = place == 0 || byte != 0;
                let fits = u16::try_from(length).ok().filter(|_| canonical);
                return fits.map(usize::from).ok_or(MessageError::Length);
            }
        }
        Err(MessageError::Length)
    }

    /// A list of bytes.
    pub(super) fn list(&mut self) -> Result<Vec<u8>, MessageError> {
        let length = self.length()?;
        self.bytes(length).map(<[u8]>::to_vec)
    }

    /// A list of arrays. It takes no more memory than there are bytes.
    pub(super) fn arrays<const N: usize>(&mut self) -> Result<Vec<[u8; N]>, MessageError> {
        let length = self.length()?;
        if self.0.len() / N < length {
            return Err(MessageError::Short);
        }
        (0..length).map(|_| self.array()).collect()
    }
}

/// Adds a length. What is longer than 65,535 is cut; [`super::Message::new`] has refused it.
pub(super) fn write_length(bytes: &mut Vec<u8>, length: usize) {
    let mut left = u16::try_from(length).unwrap_or(u16::MAX);
    while left > 0x7f {
        bytes.push(u8::try_from(left & 0x7f).unwrap_or(0) | 0x80);
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap_or(0));
}

/// Adds a list of bytes.
pub(super) fn write_list(bytes: &mut Vec<u8>, list: &[u8]) {
    write_length(bytes, list.len());
    bytes.extend_from_slice(list);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_one_form() {
        for length in 0..=usize::from(u16::MAX) {
            let mut bytes = Vec::new();
            write_length(&mut bytes, length);
            let mut reader = Reader(&bytes);
            assert_eq!(reader.length(), Ok(length));
            assert!(reader.0.is_empty());
        }
        // As the tests of solana-short-vec have them: aliases, more than 16 bits, and too long.
        for wrong in
            [&[0x80, 0][..], &[0x80, 0x80, 0], &[0xff, 0], &[0xff, 0xff, 0x04], &[0xff, 0xff, 0xff, 0], &[0x80]]
        {
            assert!(Reader(wrong).length().is_err(), "{wrong:?}");
        }
    }
}
