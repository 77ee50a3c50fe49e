//! Times as osModa writes them: RFC 3339, UTC, milliseconds.

use jiff::{Timestamp, Unit};

/// The present, in whole milliseconds.
#[must_use]
pub fn now() -> Timestamp {
    let now = clock();
    now.round(Unit::Millisecond).unwrap_or(now)
}

#[cfg(not(feature = "simulated"))]
fn clock() -> Timestamp {
    Timestamp::now()
}

#[cfg(feature = "simulated")]
use simulated::clock;

/// The clock on the wall of a simulated machine, for each thread one.
#[cfg(feature = "simulated")]
pub mod simulated {
    use std::cell::RefCell;

    use jiff::Timestamp;

    type Clock = Box<dyn Fn() -> Timestamp>;

    thread_local! {
        static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
    }

    /// Sets the clock of this thread; none: the real one again.
    pub fn set(clock: Option<Clock>) {
        CLOCK.with_borrow_mut(|set| *set = clock);
    }

    pub(super) fn clock() -> Timestamp {
        CLOCK.with_borrow(|clock| clock.as_ref().map_or_else(Timestamp::now, |clock| clock()))
    }
}
