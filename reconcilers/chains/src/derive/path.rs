//! Paths of BIP-32 (`m/44'/60'/0'/0/0`), as BIP-44 and wallets use them.

use std::{fmt, str::FromStr};

use crate::shown::shown;

/// The most steps that a path may have here. BIP-44 has 5.
const MOST_STEPS: usize = 16;

/// A text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It begins with `m`.
    #[error("a path begins with m, as in m/44'/60'/0'/0/0")]
    Root,
    /// A step is a number.
    #[error("step {at} of the path, `{text}`, is no number below 2147483648, with ' after it when it is hardened")]
    Step {
        /// Counted from 1.
        at: usize,
        /// What stands there: its first 80 characters.
        text: String,
    },
    /// Too many steps.
    #[error("a path has at most {MOST_STEPS} steps")]
    TooLong,
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step(u32);

impl Step {
    const HARDENED: u32 = 1 << 31;

    /// A step; none when the index is 2^31 or more.
    #[must_use]
    pub fn new(index: u32, hardened: bool) -> Option<Self> {
        let bit = if hardened { Self::HARDENED } else { 0 };
        (index < Self::HARDENED).then_some(Self(index | bit))
    }

    /// The index, without the bit of hardening.
    #[must_use]
    pub fn index(self) -> u32 {
        self.0 & !Self::HARDENED
    }

    /// Does it need the secret key?
    #[must_use]
    pub fn is_hardened(self) -> bool {
        self.0 & Self::HARDENED != 0
    }

    /// The four bytes that are hashed.
    pub(super) fn to_be_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.index(), if self.is_hardened() { "'" } else { "" })
    }
}

/// A path from the master key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// `m/44'/60'/0'/0/INDEX`, where wallets of Ethereum look (BIP-44, SLIP-44); none of an index of 2^31 or more.
    #[must_use]
    pub fn ethereum(index: u32) -> Option<Self> {
        let last = Step::new(index, false)?;
        let fixed = [(44, true), (60, true), (0, true), (0, false)];
        Some(Self(fixed.iter().filter_map(|(index, hard)| Step::new(*index, *hard)).chain([last]).collect()))
    }

    /// `m/44'/501'/INDEX'/0'`, where wallets of Solana look; none of an index of 2^31 or more.
    #[must_use]
    pub fn solana(index: u32) -> Option<Self> {
        let third = Step::new(index, true)?;
        let fixed = |index| Step::new(index, true);
        Some(Self([fixed(44), fixed(501), Some(third), fixed(0)].into_iter().flatten().collect()))
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl FromStr for Path {
    type Err = PathError;

    /// Every text that is taken is the one that the path is printed as: `h` and `H` for `'` are refused, and zeros in
    /// front.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut parts = text.split('/');
        if parts.next() != Some("m") {
            return Err(PathError::Root);
        }
        let mut steps = Vec::new();
        for (at, part) in parts.enumerate() {
            if steps.len() == MOST_STEPS {
                return Err(PathError::TooLong);
            }
            let wrong = || PathError::Step { at: at + 1, text: shown(part) };
            let (digits, hardened) = part.strip_suffix('\'').map_or((part, false), |digits| (digits, true));
            let canonical = digits == "0" || !digits.starts_with('0');
            if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong());
            }
            let index = digits.parse().map_err(|_| wrong())?;
            steps.push(Step::new(index, hardened).ok_or_else(wrong)?);
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|step| write!(f, "/{step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_printed_as_it_was_read() {
        for text in ["m", "m/0", "m/44'/60'/0'/0/0", "m/2147483647'/1"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!(Path::ethereum(3).unwrap().to_string(), "m/44'/60'/0'/0/3");
        assert_eq!(Path::solana(2).unwrap().to_string(), "m/44'/501'/2'/0'");
        assert_eq!(Path::ethereum(1 << 31), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let step = |at, text: &str| Err(PathError::Step { at, text: text.to_owned() });
        assert_eq!("".parse::<Path>(), Err(PathError::Root));
        assert_eq!("44'/60'".parse::<Path>(), Err(PathError::Root));
        assert_eq!("m/".parse::<Path>(), step(1, ""));
        assert_eq!("m/0/2147483648".parse::<Path>(), step(2, "2147483648"));
        assert_eq!("m/0/00".parse::<Path>(), step(2, "00"));
        assert_eq!("m/+1".parse::<Path>(), step(1, "+1"));
        assert_eq!("m/1h".parse::<Path>(), step(1, "1h"));
        assert_eq!("m/1''".parse::<Path>(), step(1, "1''"));
        assert_eq!(format!("m{}", "/0".repeat(17)).parse::<Path>(), Err(PathError::TooLong));
    }
}
