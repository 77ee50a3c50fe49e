//! The commands, by what they are about.

pub mod documents;
pub mod events;
pub mod generations;
pub mod ledger;
pub mod logs;
pub mod machine;
pub mod objects;
pub mod switch;
mod wait;
pub mod wallet;
