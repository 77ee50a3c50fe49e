//! What takes systemd's place where the whole loop is simulated.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::{
    JobResult, SystemdError, UnitEvent, UnitSnapshot, Verb,
    transient::{CommandOutcome, TransientService},
};

/// A systemd without a bus. What it is asked may take for ever: deadlines are the caller's, as with the real one.
pub trait StandIn: fmt::Debug + Send + Sync {
    /// As [`crate::Manager::snapshot`].
    fn snapshot(&self) -> BoxFuture<'_, Result<UnitSnapshot, SystemdError>>;

    /// As [`crate::Manager::run_job`].
    fn run_job<'a>(&'a self, verb: Verb, unit: &'a str) -> BoxFuture<'a, Result<JobResult, SystemdError>>;

    /// As [`crate::Manager::daemon_reload`].
    fn daemon_reload(&self) -> BoxFuture<'_, Result<(), SystemdError>>;

    /// As [`crate::Manager::reset_failed`].
    fn reset_failed<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<(), SystemdError>>;

    /// As [`crate::Manager::kill`].
    fn kill<'a>(&'a self, unit: &'a str, signal: i32) -> BoxFuture<'a, Result<(), SystemdError>>;

    /// As [`crate::Manager::restarts`].
    fn restarts<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<u32, SystemdError>>;

    /// As [`crate::Manager::start_transient`].
    fn start_transient<'a>(
        &'a self,
        unit: &'a str,
        service: &'a TransientService,
    ) -> BoxFuture<'a, Result<(), SystemdError>>;

    /// As [`crate::Manager::start_transient_timer`].
    fn start_transient_timer<'a>(
        &'a self,
        name: &'a str,
        after: Duration,
        service: &'a TransientService,
    ) -> BoxFuture<'a, Result<(), SystemdError>>;

    /// As [`crate::Manager::run_command`].
    fn run_command<'a>(
        &'a self,
        unit: &'a str,
        service: &'a TransientService,
    ) -> BoxFuture<'a, Result<CommandOutcome, SystemdError>>;

    /// Where the state changes of units arrive from now on.
    fn events(&self) -> mpsc::UnboundedReceiver<UnitEvent>;
}
