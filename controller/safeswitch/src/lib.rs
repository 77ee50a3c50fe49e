//! SafeSwitch: from one generation to another, proven healthy or undone.
//!
//! agentd asks for a switch ([`start`]); a runner in a transient unit of its own ([`Runner`]) carries it out, whatever
//! becomes of the daemons; a dead-man timer undoes it when even the runner is gone; [`boot`] closes what a reboot cut
//! off. What is committed is the profile's link and nothing else: a crash at any instant comes up in the committed
//! generation.

mod agentd;
mod backend;
pub mod boot;
mod conclude;
mod gates;
mod journal;
mod machine;
mod probe;
mod quarantine;
mod rollback;
mod runner;
mod start;
mod systems;

pub use agentd::Agentd;
pub use conclude::wishes;
pub use gates::{GateRun, Verdict};
pub use journal::Journal;
pub use machine::{Machine, SwitchError, short_id};
pub use probe::Prober;
pub use quarantine::{Again, Quarantine, QuarantineEntry};
pub use rollback::deadman;
pub use runner::Runner;
pub use start::{Decision, StartError, SwitchRequest, decide, resume, start};
