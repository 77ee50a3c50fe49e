//! Five-field cron expressions (crontab(5)) as systemd calendar events (systemd.time(7)): time belongs to systemd.
//!
//! The one thing that does not carry over word for word is cron's oldest rule: when both day of month and day of week
//! are restricted, a day matches if *either* does. systemd wants both, so such an expression becomes two events.

use std::fmt::Write as _;

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("a cron expression has five fields, this one has {0}")]
    Fields(usize),
    /// A field that says nothing.
    #[error("{field} `{text}`: {reason}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What it says.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An unknown `@` word.
    #[error("`{0}` is not known; use @hourly, @daily, @weekly, @monthly or @yearly")]
    Macro(String),
    /// Not a time zone of the IANA database.
    #[error("`{0}` is not an IANA time zone, such as `Europe/Berlin`")]
    TimeZone(String),
}

struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
const DAY: Field = Field { name: "day of month", least: 1, most: 31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 0 and 7 are both Sunday.
const WEEKDAY: Field =
    Field { name: "day of week", least: 0, most: 7, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The calendar events, as `OnCalendar=` takes them, whose union is exactly the times of the expression. Without a time
/// zone they are in UTC. Where clocks change, systemd leaves out a time that is skipped, and takes the first of one that
/// comes twice.
///
/// # Errors
/// What cannot be read, or is not in the time zone database.
pub fn on_calendar(expression: &str, time_zone: Option<&str>) -> Result<Vec<String>, CronError> {
    let zone = match time_zone {
        None => "UTC",
        Some(zone) => {
            let known = jiff::tz::TimeZoneDatabase::bundled().get(zone).is_ok();
            if known { zone } else { return Err(CronError::TimeZone(zone.to_owned())) }
        }
    };
    let expanded = match expression.trim() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        word if word.starts_with('@') => return Err(CronError::Macro(word.to_owned())),
        other => other,
    };
    let parts: Vec<&str> = expanded.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts[..] else { return Err(CronError::Fields(parts.len())) };
    let minutes = list(&MINUTE, minute)?;
    let hours = list(&HOUR, hour)?;
    let days = list(&DAY, day)?;
    let months = list(&MONTH, month)?;
    let mut weekdays = list(&WEEKDAY, weekday)?;
    if weekdays.contains(&7) {
        weekdays.retain(|d| *d != 7 && *d != 0);
        weekdays.insert(0, 0);
    }
    // A day that no listed month has would be a routine that never runs.
    let longest = months.iter().map(|m| [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(*m - 1)]).max();
    let any_weekday = weekday.starts_with('*');
    let any_day = day.starts_with('*');
    if !any_day && any_weekday && days.first().copied() > longest {
        let reason = "none of the months has such a day".to_owned();
        return Err(CronError::Field { field: DAY.name, text: day.to_owned(), reason });
    }
    let time = format!("{}:{}:00 {zone}", render(&HOUR, &hours), render(&MINUTE, &minutes));
    let date = |days: &[u8]| format!("*-{}-{}", render(&MONTH, &months), render(&DAY, days));
    let all_days: Vec<u8> = (1..=31).collect();
    let named = weekdays.iter().map(|d| WEEKDAY.words[usize::from(*d)]).collect::<Vec<_>>().join(",");
    // Vixie cron looks at the first character only: `*/2` counts as unrestricted and then both have to match.
    let both_have_to_match = any_day || any_weekday;
    let all_week = weekdays.len() == 7;
    let prefix = |week: &str| if week.is_empty() { String::new() } else { format!("{week} ") };
    Ok(if both_have_to_match {
        vec![format!("{}{} {time}", prefix(if all_week { "" } else { &named }), date(&days))]
    } else {
        vec![
            format!("{} {time}", date(&days)),
            format!("{}{} {time}", prefix(if all_week { "" } else { &named }), date(&all_days)),
        ]
    })
}

/// The values of a field, sorted.
fn list(field: &Field, text: &str) -> Result<Vec<u8>, CronError> {
    let wrong = |reason: String| CronError::Field { field: field.name, text: text.to_owned(), reason };
    let value = |word: &str| -> Result<u8, CronError> {
        let lower = word.to_ascii_lowercase();
        if let Some(at) = field.words.iter().position(|w| *w == lower) {
            return Ok(u8::try_from(at).expect("there are at most twelve words") + u8::from(field.least == 1));
        }
        let number = word.parse::<u8>().ok().filter(|_| word.bytes().all(|b| b.is_ascii_digit()));
        number
            .filter(|n| (field.least..=field.most).contains(n))
            .ok_or_else(|| wrong(format!("`{word}` is not between {} and {}", field.least, field.most)))
    };
    let mut values = Vec::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            None => (item, 1),
            Some((range, step)) => {
                let digits = step.bytes().all(|b| b.is_ascii_digit());
                let step = step.parse::<u8>().ok().filter(|s| *s > 0 && digits);
                (range, step.ok_or_else(|| wrong("a step is a number above zero".to_owned()))?)
            }
        };
        let stepped = item.contains('/');
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (field.least, if field.most == 7 { 6 } else { field.most }),
            (_, Some((from, to))) => (value(from)?, value(to)?),
            (one, None) if stepped => (value(one)?, field.most),
            (one, None) => (value(one)?, value(one)?),
        };
        if from > to {
            return Err(wrong(format!("{from} comes after {to}")));
        }
        values.extend((from..=to).step_by(usize::from(step)));
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

fn render(field: &Field, values: &[u8]) -> String {
    let most = if field.most == 7 { 6 } else { field.most };
    if values.len() == usize::from(most - field.least) + 1 {
        return "*".to_owned();
    }
    let mut text = String::new();
    for value in values {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{value:02}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(expression: &str) -> String {
        let events = on_calendar(expression, None).unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    }

    #[test]
    fn common_expressions_read_as_expected() {
        assert_eq!(one("*/5 * * * *"), "*-*-* *:00,05,10,15,20,25,30,35,40,45,50,55:00 UTC");
        assert_eq!(one("30 4 * * mon-fri"), "mon,tue,wed,thu,fri *-*-* 04:30:00 UTC");
        assert_eq!(one("0 0 1 JAN *"), "*-01-01 00:00:00 UTC");
        assert_eq!(one("@weekly"), "sun *-*-* 00:00:00 UTC");
        assert_eq!(one("0 12 * * 7"), one("0 12 * * 0"));
        assert_eq!(on_calendar("0 8 * * *", Some("Europe/Berlin")).unwrap(), ["*-*-* 08:00:00 Europe/Berlin"]);
    }

    #[test]
    fn day_of_month_or_day_of_week_becomes_two_events() {
        let events = on_calendar("0 0 13 * fri", None).unwrap();
        assert_eq!(events, ["*-*-13 00:00:00 UTC", "fri *-*-* 00:00:00 UTC"]);
        assert_eq!(one("0 0 */2 * fri").split(' ').next(), Some("fri"), "a star makes both have to match");
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "@never",
            "1,,2 * * * *",
            "0 0 31 feb *",
            "-1 * * * *",
            "+1 * * * *",
            "*/+5 * * * *",
        ] {
            assert!(on_calendar(bad, None).is_err(), "{bad:?} was accepted");
        }
        assert!(matches!(on_calendar("* * * * *", Some("Mars/Olympus")), Err(CronError::TimeZone(_))));
    }
}
