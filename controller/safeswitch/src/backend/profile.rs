//! Any Linux with systemd: osModa moves its units itself, and its own profile is the boot default.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use osmoda_schemas::switch::SwitchRecord;
use osmoda_systemd::{ActivationReport, Move, activate};

use super::{Backend, Way};
use crate::{Runner, SwitchError};

/// The backend `profile`.
pub(super) struct Own;

impl Backend for Own {
    fn build<'a>(&'a self, runner: &'a mut Runner) -> BoxFuture<'a, Result<(), SwitchError>> {
        async move {
            // agentd has added it to the store.
            let target = runner.target()?;
            if runner.machine.store.locate(&target).join("manifest.json").is_file() {
                Ok(())
            } else {
                Err(SwitchError::Record(format!("{target} is not in the store")))
            }
        }
        .boxed()
    }

    fn activate<'a>(&'a self, runner: &'a Runner, way: Way) -> BoxFuture<'a, Result<ActivationReport, SwitchError>> {
        async move {
            let to = match way {
                Way::Forth => Some(runner.target()?),
                Way::Back => runner.base()?,
            };
            let (old, new) = runner.ends(way)?;
            let units = Move { from: &old.files, to: &new.files, wanted: &new.wanted };
            let timeout = runner.record.activation_timeout.as_std();
            activate(&runner.manager, units, timeout, async || {
                runner.machine.set_active(to.as_ref()).map_err(SwitchError::io("the link to the active generation"))
            })
            .await
        }
        .boxed()
    }

    fn longest(&self, record: &SwitchRecord) -> Duration {
        record.activation_timeout.as_std()
    }

    fn after_commit<'a>(&'a self, _: &'a Runner) -> BoxFuture<'a, Result<(), SwitchError>> {
        async { Ok(()) }.boxed()
    }
}
