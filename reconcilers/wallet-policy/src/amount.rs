//! Amounts in whole coins or tokens, as policies write them.

use osmoda_chains::U256;

/// A decimal amount with at most 18 digits after the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    whole: String,
    fraction: String,
}

impl Amount {
    /// Most digits before, and after, the point.
    const WHOLE: usize = 40;
    const FRACTION: usize = 18;

    /// Reads an amount, such as `0.05`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        let is_number = |text: &str, most| text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
        let is_good = !whole.is_empty() && is_number(whole, Self::WHOLE) && is_number(fraction, Self::FRACTION);
        is_good.then(|| Self { whole: whole.to_owned(), fraction: fraction.to_owned() })
    }

    /// In the smallest unit of something with so many decimals, at most 18; what is smaller than that unit is left out, as an
    /// amount is the most of something.
    #[must_use]
    pub fn units(&self, decimals: u8) -> U256 {
        let decimals = usize::from(decimals).min(Self::FRACTION);
        let digits = format!("{}{:0<18}", self.whole, self.fraction);
        let digits = &digits[..self.whole.len() + decimals];
        let digits = digits.trim_start_matches('0');
        // 58 digits fit 256 bits.
        if digits.is_empty() { U256::ZERO } else { digits.parse().unwrap_or(U256::ZERO) }
    }

    /// Exactly that many of the smallest unit; none: it is no whole number of them.
    #[must_use]
    pub fn exact_units(&self, decimals: u8) -> Option<U256> {
        let digits = self.fraction.trim_end_matches('0').len();
        (digits <= usize::from(decimals)).then(|| self.units(decimals))
    }

    /// So many of the smallest unit, as text.
    #[must_use]
    pub fn text(units: U256, decimals: u8) -> String {
        let decimals = usize::from(decimals);
        let digits = format!("{:0>width$}", units.to_string(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact() {
        let units = |text: &str, decimals| Amount::parse(text).unwrap().units(decimals).to_string();
        assert_eq!(units("0.05", 18), "50000000000000000");
        assert_eq!(units("1", 6), "1000000");
        assert_eq!(units("0.0000001", 6), "0", "never more than is written");
        assert_eq!(units("007.10", 0), "7");
        let most = "9".repeat(40) + "." + &"9".repeat(18);
        assert_eq!(units(&most, 18), "9".repeat(58));
        for bad in ["", ".", "1.", ".1", "-1", "1e3", "1,5", " 1", "0x1", "٣", &"1".repeat(41), "0.0000000000000000001"]
        {
            assert_eq!(Amount::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(units in any::<u128>(), decimals in 0_u8..=18) {
            let text = Amount::text(U256::from(units), decimals);
            let read = Amount::parse(&text).unwrap();
            prop_assert_eq!(read.units(decimals), U256::from(units));
        }
    }
}
