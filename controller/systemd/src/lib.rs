//! systemd, as osModa talks to it: over D-Bus, with types, and never without a deadline.
//!
//! - [`Manager`]: units, jobs and their results, daemon-reload (org.freedesktop.systemd1(5))
//! - [`UnitEvents`]: state changes as they happen
//! - [`transient`]: units that exist only while they run, and commands that are really gone when their time is up
//! - [`UnitFile`], [`plan_activation`]: NixOS's rules for what a changed unit file means, as pure functions
//! - [`activate`]: moving a machine to other unit files by those rules

mod activate;
mod compare;
mod error;
mod events;
mod jobs;
mod manager;
mod plan;
mod proxy;
mod stand_in;
mod state;
pub mod transient;
mod unit_file;

pub use activate::{ActivationReport, UnitFailure, activate};
pub use compare::{Comparison, compare};
pub use error::SystemdError;
pub use events::{UnitEvent, UnitEvents};
pub use manager::{JobResult, Manager, Verb};
pub use plan::{ActivationPlan, Move, Step, plan_activation};
pub use stand_in::StandIn;
pub use state::{ActiveState, UnitSnapshot, UnitStatus};
pub use unit_file::UnitFile;
