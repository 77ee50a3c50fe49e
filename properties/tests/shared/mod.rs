//! What several tests ask.

use proptest::prelude::*;

/// A field of a cron expression.
fn field(least: u8, most: u8) -> impl Strategy<Value = String> {
    let value = least..=most;
    let range = (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    prop_oneof![
        4 => Just("*".to_owned()),
        1 => (1..=most).prop_map(|step| format!("*/{step}")),
        3 => value.clone().prop_map(|v| v.to_string()),
        1 => range.clone(),
        1 => (range, 1..=most).prop_map(|(range, step)| format!("{range}/{step}")),
        1 => (value.clone(), value).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

/// Zones whose clocks change in their own ways: not, by an hour, at midnight, by half an hour, and the other half-year.
const ZONES: [&str; 8] = [
    "",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

/// When clocks change, or nearly: Europe, New York, Lord Howe, Santiago, Cairo, and the day that Samoa left out.
const CHANGES: [i64; 8] = [
    1_711_846_800,
    1_729_990_800,
    1_710_054_000,
    1_730_613_600,
    1_728_142_200,
    1_725_768_000,
    1_714_082_400,
    1_325_239_200,
];

/// A question about an expression, near a change of the clocks or anywhere.
pub fn question() -> impl Strategy<Value = String> {
    let expression = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    let changes = prop::sample::select(CHANGES.to_vec());
    let start =
        prop_oneof![1_500_000_000_i64..2_500_000_000, (changes, 0..200_000_i64).prop_map(|(at, before)| at - before)];
    (expression, prop::sample::select(ZONES.to_vec()), start).prop_map(
        |((minute, hour, day, month, week), zone, start)| {
            format!("{minute} {hour} {day} {month} {week}\n{zone}\n{start}")
        },
    )
}

/// `PROPTEST_CASES` asks for more.
pub fn cases(default: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(default), failure_persistence: None, ..ProptestConfig::default() }
}
