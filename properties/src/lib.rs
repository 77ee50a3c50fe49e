//! What has to hold for any input, each said once: the fuzz targets of `fuzz/` and the tests of this crate ask the same
//! functions. A property takes bytes and panics when it does not hold.

#![allow(clippy::unwrap_used, reason = "a property stops at the first surprise")]

pub mod bodies;
pub mod chains;
pub mod cron;
pub mod documents;
mod hostile;
pub mod ledger;
pub mod plans;
mod systemd;
