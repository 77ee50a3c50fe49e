//! Routines: work that is done at certain times or events. systemd keeps the time; the daemon osmoda-routines brings
//! events and calls.

mod render;

pub use render::{FOLDER, Routines, Slice};
