//! Routines: work that is done at certain times or events. systemd keeps the time; the daemon osmoda-routines brings
//! events and calls, and remembers how runs ended.

mod actions;
mod api;
pub mod daemon;
mod render;
pub mod run;

pub use render::{FOLDER, Routines, Slice};
