//! Whatever a cron expression says: the calendar events that we give systemd are due at its times, and at no others.

use std::collections::BTreeSet;

use croner::{Cron, parser::CronParser};
use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use osmoda_schemas::cron::on_calendar;

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Days that are looked at: each weekday meets each day of a month in them, but for 29 February.
const DAYS: i32 = 400;
/// Further times that are compared.
const TIMES: usize = 40;

/// An expression, the zone it is meant in, and when to begin.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Five fields.
    pub expression: &'a str,
    /// An IANA name, or nothing for UTC.
    pub zone: Option<&'a str>,
    /// When to begin.
    pub start: Timestamp,
}

impl<'a> Question<'a> {
    /// From three lines: expression, zone, seconds since 1970.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.split('\n');
        let expression = lines.next()?;
        let zone = lines.next().filter(|zone| !zone.is_empty());
        let seconds = lines.next().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        // From 1970 to 2100: what zones did before and will do after is nobody's schedule.
        let start = Timestamp::from_second(seconds.rem_euclid(4_102_444_800) / 60 * 60).ok()?;
        Some(Self { expression, zone, start })
    }

    /// Its calendar events, if it has a meaning.
    #[must_use]
    pub fn events(&self) -> Option<Vec<String>> {
        on_calendar(self.expression, self.zone).ok()
    }

    fn time_zone(&self) -> TimeZone {
        self.zone.map_or(TimeZone::UTC, |zone| jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap())
    }
}

/// All that has to hold for three lines: expression, zone, seconds since 1970.
pub fn check(bytes: &[u8]) {
    let Some(question) = Question::read(bytes) else { return };
    let Some(events) = question.events() else { return };
    assert!((1..=2).contains(&events.len()), "{question:?}: {events:?}");
    let calendars: Vec<Calendar> = events.iter().map(|event| Calendar::read(event)).collect();
    // croner takes no star in a list, and no step that is larger than the field.
    let Ok(cron) = independent(question.expression) else { return };
    let zone = question.time_zone();
    let start = question.start.to_zoned(zone.clone());
    // Each minute that a clock on the wall shows is one of both or of neither, on the day of a clock change, too.
    let mut minute = start.clone();
    for step in 0..TIMES {
        let ours = calendars.iter().any(|calendar| calendar.has(minute.datetime()));
        assert_eq!(ours, cron.is_time_matching(&minute).unwrap(), "{question:?}: {events:?} at {minute}");
        minute = minute.checked_add((i64::try_from(step).unwrap() * 37 + 1).minutes()).unwrap();
    }
    agree_on_what_is_next(&question, &calendars, &cron, &start);
}

/// The next time of both is the same, and the one after it.
fn agree_on_what_is_next(question: &Question<'_>, calendars: &[Calendar], cron: &Cron, start: &Zoned) {
    let mut after = start.clone();
    for _ in 0..3 {
        let ours = next(calendars, &after);
        let Some(ours) = ours else { return };
        // Where clocks change, programs differ in what they do about times that are skipped, or are there twice.
        let theirs = cron.find_next_occurrence(&after, false).unwrap();
        let days = [&after, &ours, &theirs];
        if days.iter().any(|time| is_changing(time)) {
            return;
        }
        assert_eq!(ours, theirs, "{question:?} after {after}");
        after = ours;
    }
}

/// True on a day that has not 24 hours, or is next to one.
fn is_changing(time: &Zoned) -> bool {
    let offsets = [-1, 0, 1, 2].map(|days| time.checked_add(days.days()).map(|day| day.offset()).ok());
    offsets.iter().any(|offset| *offset != offsets[0])
}

/// The first minute after that which the calendars have, if there is one within [`DAYS`].
#[must_use]
pub fn next(calendars: &[Calendar], after: &Zoned) -> Option<Zoned> {
    let mut date = after.date();
    for _ in 0..DAYS {
        let times: BTreeSet<DateTime> = calendars.iter().flat_map(|calendar| calendar.times_of(date)).collect();
        // A time that the clock skips on that day is not there; one that it shows twice is there at its first.
        let exists = |time: DateTime| {
            let zoned = after.time_zone().to_ambiguous_zoned(time);
            zoned.earlier().ok().filter(|zoned| zoned.datetime() == time)
        };
        if let Some(found) = times.into_iter().filter_map(exists).find(|time| time > after) {
            return Some(found);
        }
        date = date.tomorrow().unwrap();
    }
    None
}

/// croner with crontab(5)'s rule for the two fields about days: either is enough, unless one begins with a star.
fn independent(expression: &str) -> Result<Cron, croner::errors::CronError> {
    let expression = if expression.trim() == "@midnight" { "@daily" } else { expression.trim() };
    let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
    let star = |at: usize| fields.get(at).is_some_and(|field| field.starts_with('*'));
    CronParser::builder().dom_and_dow(star(2) || star(4)).build().parse(expression)
}

/// A calendar event in the words that we use of systemd.time(7): `[DAYS] *-MONTHS-DAYS HOURS:MINUTES:00 ZONE`.
#[derive(Debug)]
pub struct Calendar {
    weekdays: Option<Vec<String>>,
    months: Numbers,
    days: Numbers,
    hours: Numbers,
    minutes: Numbers,
}

/// Numbers of a list; none for a star.
type Numbers = Option<Vec<i8>>;

impl Calendar {
    /// Reads an event.
    #[must_use]
    pub fn read(event: &str) -> Self {
        let mut parts: Vec<&str> = event.split(' ').collect();
        let weekdays = (!parts[0].starts_with('*')).then(|| parts.remove(0).split(',').map(str::to_owned).collect());
        let [date, time, _zone] = parts[..] else { panic!("{event:?} is no event of ours") };
        let numbers = |list: &str| match list {
            "*" => None,
            list => Some(list.split(',').map(|number| number.parse().unwrap()).collect()),
        };
        let [year, months, days] = date.split('-').collect::<Vec<_>>().try_into().unwrap();
        let [hours, minutes, seconds] = time.split(':').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((year, seconds), ("*", "00"), "{event:?}");
        Self {
            weekdays,
            months: numbers(months),
            days: numbers(days),
            hours: numbers(hours),
            minutes: numbers(minutes),
        }
    }

    fn has_day(&self, date: Date) -> bool {
        let name = WEEKDAYS[usize::try_from(date.weekday().to_sunday_zero_offset()).unwrap()];
        self.weekdays.as_ref().is_none_or(|days| days.iter().any(|day| day == name))
            && has(&self.months, date.month())
            && has(&self.days, date.day())
    }

    fn has(&self, at: DateTime) -> bool {
        self.has_day(at.date()) && has(&self.hours, at.hour()) && has(&self.minutes, at.minute())
    }

    fn times_of(&self, date: Date) -> Vec<DateTime> {
        if !self.has_day(date) {
            return Vec::new();
        }
        let hours = (0..24).filter(|hour| has(&self.hours, *hour));
        let minutes = |hour| (0..60).filter(|m| has(&self.minutes, *m)).map(move |m| date.at(hour, m, 0, 0));
        hours.flat_map(minutes).collect()
    }
}

fn has(numbers: &Numbers, number: i8) -> bool {
    numbers.as_ref().is_none_or(|list| list.contains(&number))
}
