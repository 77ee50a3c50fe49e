//! Times as osModa writes them: RFC 3339, UTC, milliseconds.

use jiff::{Timestamp, Unit};

/// The present, in whole milliseconds.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now().round(Unit::Millisecond).unwrap_or_else(|_| Timestamp::now())
}
