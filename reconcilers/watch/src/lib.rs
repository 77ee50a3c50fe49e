//! Watchers: checks that are asked for ever, and what mends them. The daemon osmoda-watch also answers for switches.

pub mod ladder;
mod render;

pub use render::{FOLDER, Slice, Watchers};
