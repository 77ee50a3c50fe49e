//! Quantities as documents write them: durations `1m30s`, sizes `64Mi`, CPU shares `0.5`.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not a duration.
    #[error("{0:?} is not a duration: write a whole number and a unit, such as `500ms`, `30s`, `5m`, `1h30m`, `7d`")]
    Duration(String),
    /// Not a size.
    #[error("{0:?} is not a size: write a whole number of bytes, or one with `Ki`, `Mi`, `Gi` or `Ti`, such as `64Mi`")]
    Size(String),
    /// Not a number of CPUs.
    #[error("{0:?} is not a number of CPUs: write a number between 0.01 and 1024, such as `0.5` or `2`")]
    Cpus(String),
}

/// A length of time, written `500ms`, `30s`, `5m`, `1h30m` or `7d`; milliseconds inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    millis: u64,
}

const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// Longest duration that documents may write: 100 years.
    pub const MAX_MILLIS: u64 = 100 * 366 * 86_400_000;

    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { millis: secs * 1_000 }
    }

    /// A duration of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// The duration in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// True for `0s`.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.millis == 0
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(d: Duration) -> Self {
        d.as_std()
    }
}

impl FromStr for Duration {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidQuantity::Duration(clip(text));
        let mut rest = text;
        let mut millis = 0_u64;
        let mut smallest_so_far = u64::MAX;
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, next) = tail.split_at(letters);
            let scale = DURATION_UNITS.iter().find(|(u, _)| *u == unit).map(|(_, s)| *s).ok_or_else(invalid)?;
            // `1m1h` and `1m1m` are more likely slips than wishes.
            if scale >= smallest_so_far {
                return Err(invalid());
            }
            smallest_so_far = scale;
            let number: u64 = number.parse().map_err(|_| invalid())?;
            millis = number.checked_mul(scale).and_then(|n| millis.checked_add(n)).ok_or_else(invalid)?;
            rest = next;
        }
        if millis > Self::MAX_MILLIS {
            return Err(invalid());
        }
        Ok(Self { millis })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis == 0 {
            return f.write_str("0s");
        }
        let mut left = self.millis;
        for (unit, scale) in DURATION_UNITS {
            let count = left / scale;
            left %= scale;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// A number of bytes, written `512`, `64Ki`, `64Mi`, `2Gi` or `1Ti` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

const SIZE_UNITS: [(&str, u64); 5] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("", 1)];

impl ByteSize {
    /// A size of that many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidQuantity::Size(clip(text));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let scale = SIZE_UNITS.iter().find(|(u, _)| *u == unit).map(|(_, s)| *s).ok_or_else(invalid)?;
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) =
            SIZE_UNITS.iter().find(|(_, s)| self.0 >= *s && self.0.is_multiple_of(*s)).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

/// A share of processor time in CPUs, written `0.5` or `2`; hundredths inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpus {
    hundredths: u32,
}

impl Cpus {
    /// The share in percent of one CPU, as systemd's `CPUQuota=` wants it.
    #[must_use]
    pub const fn percent(self) -> u32 {
        self.hundredths
    }
}

impl FromStr for Cpus {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidQuantity::Cpus(clip(text));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str, max| (1..=max).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 4) || !digits(fraction, 2) {
            return Err(invalid());
        }
        let whole: u32 = whole.parse().map_err(|_| invalid())?;
        let part: u32 = fraction.parse().map_err(|_| invalid())?;
        let hundredths = whole * 100 + if fraction.len() == 1 { part * 10 } else { part };
        if (1..=102_400).contains(&hundredths) { Ok(Self { hundredths }) } else { Err(invalid()) }
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.hundredths / 100, self.hundredths % 100);
        match part {
            0 => write!(f, "{whole}"),
            p if p % 10 == 0 => write!(f, "{whole}.{}", p / 10),
            p => write!(f, "{whole}.{p:02}"),
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! text_form {
    ($type:ty, $name:literal, $description:literal, $pattern:literal, $example:literal) => {
        impl TryFrom<String> for $type {
            type Error = InvalidQuantity;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": $description,
                    "pattern": $pattern,
                    "examples": [$example],
                })
            }
        }
    };
}

text_form!(
    Duration,
    "Duration",
    "A length of time: whole numbers with the units d, h, m, s, ms, largest first.",
    "^[0-9]+(d([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?|h([0-9]+m)?([0-9]+s)?([0-9]+ms)?|m([0-9]+s)?([0-9]+ms)?|s([0-9]+ms)?|ms)$",
    "1m30s"
);
text_form!(
    ByteSize,
    "ByteSize",
    "A number of bytes, with Ki, Mi, Gi or Ti for powers of 1024.",
    "^[0-9]+(Ki|Mi|Gi|Ti)?$",
    "64Mi"
);
text_form!(Cpus, "Cpus", "Processor time in CPUs.", "^[0-9]{1,4}([.][0-9]{1,2})?$", "0.5");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for (text, millis) in [("0s", 0), ("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000)] {
            assert_eq!(text.parse::<Duration>().map(Duration::as_millis), Ok(millis));
        }
        let jsonschema = jsonschema::validator_for(&schemars::schema_for!(Duration).to_value()).unwrap();
        for (good, text) in [(true, "0s"), (true, "1h30m"), (true, "1d1ms"), (false, ""), (false, "5"), (false, "1s1m")]
        {
            assert_eq!(jsonschema.is_valid(&text.into()), good, "{text:?} by the schema");
        }
        for bad in ["", "5", "s", "5 s", "1m1h", "1s1s", "-1s", "1.5s", "99999999999999999999s", "9999999d"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn cpus_are_hundredths() {
        for (text, percent) in [("0.5", 50), ("2", 200), ("0.05", 5), ("1.25", 125)] {
            let cpus: Cpus = text.parse().unwrap();
            assert_eq!((cpus.percent(), cpus.to_string().as_str()), (percent, text));
        }
        for bad in ["", "0", "0.001", "-1", "1e3", ".5", "5000"] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_its_text(millis in 0..=Duration::MAX_MILLIS) {
            let d = Duration::from_millis(millis);
            prop_assert_eq!(d.to_string().parse::<Duration>(), Ok(d));
        }

        #[test]
        fn every_size_survives_its_text(bytes: u64) {
            let size = ByteSize::new(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }
    }
}
