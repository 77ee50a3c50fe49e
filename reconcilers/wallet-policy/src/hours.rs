//! Hours of the day.

/// A span of minutes of the day, UTC; over midnight where it ends before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    to: u16,
}

impl Hours {
    /// Reads a span such as `09:00-17:00`. It begins with the first minute and ends before the last; `24:00` is the day's end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        (from != to && from < DAY).then_some(Self { from, to })
    }

    /// Is the minute of the day in it?
    #[must_use]
    pub fn contain(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        if is_number { text.parse::<u16>().ok() } else { None }
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= DAY).then_some(whole)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn spans_end_where_they_say() {
        let at = |text: &str, hour: u16, minute: u16| Hours::parse(text).unwrap().contain(hour * 60 + minute);
        assert!(at("09:00-17:00", 9, 0) && at("09:00-17:00", 16, 59));
        assert!(!at("09:00-17:00", 17, 0) && !at("09:00-17:00", 8, 59));
        assert!(at("22:00-06:00", 23, 0) && at("22:00-06:00", 0, 0) && !at("22:00-06:00", 6, 0));
        assert!(at("00:00-24:00", 0, 0) && at("00:00-24:00", 23, 59));
        for bad in
            ["", "9:00-17:00", "09:00", "09:00-09:00", "24:00-01:00", "09:60-10:00", "+9:00-10:00", "25:00-26:00"]
        {
            assert_eq!(Hours::parse(bad), None, "{bad:?}");
        }
    }
}
