//! Limits over what was signed within a time. Whoever keeps the sums asks from when on they count.

use jiff::{SignedDuration, Timestamp, civil::Weekday, tz::TimeZone};
use osmoda_chains::{U256, effects::Chain};
use osmoda_schemas::{kinds::wallet_policy::Calendar, name::Name};

use crate::parts::What;

/// Most of one asset within a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What a refusal calls it.
    pub name: Name,
    /// The chain.
    pub chain: Chain,
    /// Chain ids whose sums it is over; empty: all.
    pub chain_ids: Vec<u64>,
    /// The asset.
    pub what: What,
    /// Its digits after the point.
    pub decimals: u8,
    /// Most that may be moved, in the smallest unit.
    pub amount: U256,
    /// The time.
    pub period: Period,
    /// Most signatures on the chain.
    pub signatures: Option<u32>,
}

impl Limit {
    /// Is it over that chain? What is bound to no chain counts on each.
    #[must_use]
    pub fn is_over(&self, chain: Chain, chain_id: Option<u64>) -> bool {
        self.chain == chain && (self.chain_ids.is_empty() || chain_id.is_none_or(|id| self.chain_ids.contains(&id)))
    }
}

/// The time of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// So long, up to now.
    Window(SignedDuration),
    /// The day, week or month that it is, UTC.
    Calendar(Calendar),
}

impl Period {
    /// What was signed then, or later, counts now.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> Timestamp {
        match self {
            // What is exactly so long ago counts still.
            Self::Window(length) => now.checked_sub(length).unwrap_or(Timestamp::MIN),
            Self::Calendar(unit) => {
                let today = now.to_zoned(TimeZone::UTC).date();
                let first = match unit {
                    Calendar::Day => Ok(today),
                    Calendar::Week => today.tomorrow().and_then(|next| next.nth_weekday(-1, Weekday::Monday)),
                    Calendar::Month => Ok(today.first_of_month()),
                };
                let first = first.and_then(|day| day.to_zoned(TimeZone::UTC));
                first.map_or(Timestamp::MIN, |begin| begin.timestamp())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn calendars_begin_in_utc() {
        let begin = |period: Period, now: &str| period.begin(now.parse().unwrap()).to_string();
        let of = Period::Calendar;
        assert_eq!(begin(of(Calendar::Day), "2026-03-01T23:59:59.999Z"), "2026-03-01T00:00:00Z");
        // A Monday, and the Sunday before.
        assert_eq!(begin(of(Calendar::Week), "2026-03-02T00:00:00Z"), "2026-03-02T00:00:00Z");
        assert_eq!(begin(of(Calendar::Week), "2026-03-01T23:00:00Z"), "2026-02-23T00:00:00Z");
        assert_eq!(begin(of(Calendar::Month), "2024-02-29T12:00:00Z"), "2024-02-01T00:00:00Z");
        let hour = Period::Window(SignedDuration::from_hours(1));
        assert_eq!(begin(hour, "2026-01-01T00:30:00Z"), "2025-12-31T23:30:00Z");
        assert_eq!(hour.begin(Timestamp::MIN), Timestamp::MIN);
    }
}
