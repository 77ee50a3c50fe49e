//! systemd itself, asked when our calendar events are due.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod shared;

use std::process::Command;

use jiff::{Timestamp, tz::TimeZone};
use osmoda_properties::cron::{Calendar, Question, next};
use proptest::{prelude::*, test_runner::TestRunner};

/// The next three times of an event by `systemd-analyze calendar`.
fn by_systemd(event: &str, after: Timestamp) -> Vec<Timestamp> {
    let base = format!("--base-time={}", after.strftime("%F %T UTC"));
    let mut command = Command::new("systemd-analyze");
    command.args(["calendar", &base, "--iterations=3", event]).env("TZ", "UTC").env("LC_ALL", "C");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{event:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let times = text.lines().filter_map(|line| {
        let (name, time) = line.split_once(": ")?;
        let is_time = name.contains("Next elapse") || name.contains("Iter");
        // Such as `Mon 2024-04-01 00:30:00 UTC`.
        (is_time && time != "never").then(|| time.get(4..23).unwrap().replace(' ', "T") + "Z")
    });
    times.map(|time| time.parse().unwrap()).collect()
}

#[test]
fn systemd_is_due_when_we_say() {
    if Command::new("systemd-analyze").args(["calendar", "--iterations=1", "*-*-* 00:00:00 UTC"]).output().is_err() {
        println!("SKIPPED: there is no systemd-analyze to ask");
        return;
    }
    let asked = |text: String| {
        let Some(question) = Question::read(text.as_bytes()) else { return Ok(()) };
        let Some(events) = question.events() else { return Ok(()) };
        let mut theirs: Vec<Timestamp> = events.iter().flat_map(|event| by_systemd(event, question.start)).collect();
        theirs.sort_unstable();
        theirs.dedup();
        let calendars: Vec<Calendar> = events.iter().map(|event| Calendar::read(event)).collect();
        let zone = question.zone.map_or(TimeZone::UTC, |zone| TimeZone::get(zone).unwrap());
        let mut after = question.start.to_zoned(zone);
        // What is so far away that ours does not look is left out.
        for theirs in theirs.into_iter().take(3) {
            let Some(ours) = next(&calendars, &after) else { break };
            prop_assert_eq!(ours.timestamp(), theirs, "{:?} after {}: {:?}", question, after, events);
            after = ours;
        }
        Ok(())
    };
    TestRunner::new(shared::cases(100)).run(&shared::question(), asked).unwrap();
}
