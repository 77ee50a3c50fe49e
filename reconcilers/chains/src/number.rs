//! `U256`: amounts of both chains. Only what is needed here: exact sums and products, decimal and hexadecimal text.

use std::fmt;

/// An unsigned integer of 256 bits. There is no operation that wraps.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct U256([u64; 4]);

/// A text is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing where digits should be.
    #[error("there are no digits")]
    Empty,
    /// Something else than digits.
    #[error("it holds something else than digits")]
    Digit,
    /// Zeros in front, which another text of the same number has not.
    #[error("it begins with a zero that is not needed")]
    LeadingZero,
    /// It does not fit.
    #[error("it is larger than 256 bits hold")]
    TooLarge,
}

impl U256 {
    /// 0.
    pub const ZERO: Self = Self([0; 4]);
    /// 1.
    pub const ONE: Self = Self([1, 0, 0, 0]);
    /// 2^256 - 1, which tokens take for "without limit".
    pub const MAX: Self = Self([u64::MAX; 4]);

    /// From 32 bytes, the most significant first.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *limb = bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        }
        Self(limbs)
    }

    /// From at most 32 bytes, the most significant first; none of more.
    #[must_use]
    pub fn from_be_slice(bytes: &[u8]) -> Option<Self> {
        let mut whole = [0; 32];
        whole.get_mut(32_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
        Some(Self::from_be_bytes(&whole))
    }

    /// 32 bytes, the most significant first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            bytes.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// Is it 0?
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// How many bits it takes; 0 of 0.
    #[must_use]
    pub fn bits(self) -> u32 {
        let top = self.0.iter().rposition(|limb| *limb != 0);
        top.map_or(0, |top| u32::try_from(top).unwrap_or(3) * 64 + (64 - self.0[top].leading_zeros()))
    }

    /// The sum; none when it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (mut sum, mut carry) = ([0; 4], false);
        for (at, limb) in sum.iter_mut().enumerate() {
            let (partial, first) = self.0[at].overflowing_add(other.0[at]);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            (*limb, carry) = (total, first || second);
        }
        (!carry).then_some(Self(sum))
    }

    /// The difference; none when it is negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let (mut difference, mut borrow) = ([0; 4], false);
        for (at, limb) in difference.iter_mut().enumerate() {
            let (partial, first) = self.0[at].overflowing_sub(other.0[at]);
            let (total, second) = partial.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (total, first || second);
        }
        (!borrow).then_some(Self(difference))
    }

    /// The product; none when it does not fit.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let mut product = Self::ZERO;
        for (shift, limb) in other.0.iter().enumerate() {
            if *limb == 0 {
                continue;
            }
            let (partial, over) = self.times(*limb);
            let end = 4 - shift;
            if over != 0 || partial.0[end..].iter().any(|limb| *limb != 0) {
                return None;
            }
            let mut shifted = [0; 4];
            shifted[shift..].copy_from_slice(&partial.0[..end]);
            product = product.checked_add(Self(shifted))?;
        }
        Some(product)
    }

    /// The product with one limb, and what of it does not fit.
    fn times(self, factor: u64) -> (Self, u64) {
        let (mut product, mut carry) = ([0; 4], 0_u64);
        for (limb, own) in product.iter_mut().zip(self.0) {
            let wide = u128::from(own) * u128::from(factor) + u128::from(carry);
            (*limb, carry) = (low(wide), low(wide >> 64));
        }
        (Self(product), carry)
    }

    /// Quotient and rest by one limb, which is not 0.
    fn divide(self, divisor: u64) -> (Self, u64) {
        let (mut quotient, mut rest) = ([0; 4], 0_u64);
        for at in (0..4).rev() {
            let wide = (u128::from(rest) << 64) | u128::from(self.0[at]);
            quotient[at] = low(wide / u128::from(divisor));
            rest = low(wide % u128::from(divisor));
        }
        (Self(quotient), rest)
    }

    /// From decimal digits, without sign, point or zeros in front.
    ///
    /// # Errors
    /// See [`NumberError`].
    pub fn from_decimal(text: &str) -> Result<Self, NumberError> {
        Self::from_digits(text, 10)
    }

    /// From hexadecimal digits of either case, without `0x`; zeros in front are taken.
    ///
    /// # Errors
    /// See [`NumberError`].
    pub fn from_hexadecimal(text: &str) -> Result<Self, NumberError> {
        Self::from_digits(text, 16)
    }

    fn from_digits(text: &str, radix: u32) -> Result<Self, NumberError> {
        if text.is_empty() {
            return Err(NumberError::Empty);
        }
        if radix == 10 && text.len() > 1 && text.starts_with('0') {
            return Err(NumberError::LeadingZero);
        }
        let mut number = Self::ZERO;
        for digit in text.chars() {
            let digit = digit.to_digit(radix).ok_or(NumberError::Digit)?;
            let (shifted, over) = number.times(u64::from(radix));
            if over != 0 {
                return Err(NumberError::TooLarge);
            }
            number = shifted.checked_add(Self::from(u64::from(digit))).ok_or(NumberError::TooLarge)?;
        }
        Ok(number)
    }
}

/// The lower half.
fn low(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(u64::MAX)
}

impl From<u64> for U256 {
    fn from(number: u64) -> Self {
        Self([number, 0, 0, 0])
    }
}

impl From<u128> for U256 {
    fn from(number: u128) -> Self {
        Self([low(number), low(number >> 64), 0, 0])
    }
}

impl TryFrom<U256> for u64 {
    type Error = NumberError;

    fn try_from(number: U256) -> Result<Self, NumberError> {
        let [low, rest @ ..] = number.0;
        if rest == [0; 3] { Ok(low) } else { Err(NumberError::TooLarge) }
    }
}

impl Ord for U256 {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for U256 {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// In decimal.
impl fmt::Display for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: u64 = 10_000_000_000_000_000_000;
        let (mut parts, mut left) = (Vec::new(), *self);
        while !left.is_zero() {
            let (quotient, rest) = left.divide(DIGITS);
            parts.push(rest);
            left = quotient;
        }
        let mut text = parts.pop().unwrap_or(0).to_string();
        for part in parts.iter().rev() {
            text.push_str(&format!("{part:019}"));
        }
        f.pad_integral(true, "", &text)
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for U256 {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::from_decimal(text)
    }
}

#[cfg(test)]
mod tests {
    use k256::elliptic_curve::bigint::{CheckedAdd, CheckedSub, U256 as Other};
    use proptest::prelude::*;

    use super::*;

    /// Numbers of all sizes.
    fn bytes() -> impl Strategy<Value = [u8; 32]> {
        (any::<[u8; 32]>(), 0_usize..=32).prop_map(|(mut bytes, zeros)| {
            bytes[..zeros].fill(0);
            bytes
        })
    }

    fn other(bytes: &[u8; 32]) -> Other {
        Other::from_be_slice(bytes)
    }

    fn ours(number: Option<Other>) -> Option<U256> {
        number.map(|number| U256::from_be_bytes(&number.to_be_bytes().into()))
    }

    proptest! {
        #[test]
        fn it_reckons_as_another_library_does(a in bytes(), b in bytes()) {
            let (x, y) = (U256::from_be_bytes(&a), U256::from_be_bytes(&b));
            prop_assert_eq!(x.to_be_bytes(), a);
            prop_assert_eq!(x.checked_add(y), ours(other(&a).checked_add(&other(&b)).into_option()));
            prop_assert_eq!(x.checked_sub(y), ours(other(&a).checked_sub(&other(&b)).into_option()));
            prop_assert_eq!(x.checked_mul(y), ours(other(&a).checked_mul(&other(&b)).into_option()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.bits(), other(&a).bits_vartime());
            prop_assert_eq!(x.to_string().parse::<U256>(), Ok(x));
            prop_assert_eq!(u64::try_from(x).is_ok(), a[..24] == [0; 24]);
        }
    }

    #[test]
    fn the_largest_is_read_and_one_more_is_not() {
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(largest.parse(), Ok(U256::MAX));
        assert_eq!(U256::MAX.to_string(), largest);
        assert_eq!(largest.replace("935", "936").parse::<U256>(), Err(NumberError::TooLarge));
        assert_eq!(format!("{largest}0").parse::<U256>(), Err(NumberError::TooLarge));
        assert_eq!("".parse::<U256>(), Err(NumberError::Empty));
        assert_eq!("007".parse::<U256>(), Err(NumberError::LeadingZero));
        assert_eq!("-1".parse::<U256>(), Err(NumberError::Digit));
        assert_eq!(U256::from_hexadecimal("fF"), Ok(U256::from(255_u64)));
        assert_eq!(
            "10000000000000000000".parse::<U256>().map(|n| n.to_string()),
            Ok("10000000000000000000".to_owned())
        );
        assert_eq!(U256::ZERO.to_string(), "0");
        assert_eq!(U256::from_be_slice(&[0; 33]), None);
    }
}
