//! Watchers: checks that are asked for ever, and what mends them. The daemon osmoda-watch also answers for switches.

mod api;
pub mod daemon;
pub mod figures;
pub mod ladder;
mod render;
mod watcher;

pub use render::{FOLDER, Slice, Watchers};
