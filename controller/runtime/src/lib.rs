//! A small controller runtime: what has to be looked at again, and when. It does no I/O of its own and takes its time
//! from tokio, so that tests run it on a paused clock.
//!
//! Reconciling is level-triggered: an event only says *that* a key should be looked at, never *what* to do. So events
//! for the same key coalesce, their reasons are kept for the log alone, and losing one costs at most a resync.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//!
//! let queue = osmoda_runtime::WorkQueue::new();
//! queue.add("documents", "file changed", Duration::from_millis(1));
//! queue.add("documents", "file changed again", Duration::from_millis(1));
//! let work = queue.next().await;
//! assert_eq!((work.key, work.reasons.len()), ("documents", 2));
//! # });
//! ```

mod backoff;
mod queue;

pub use backoff::Backoff;
pub use queue::{Work, WorkQueue};
