//! What makes a generation real: osModa itself, over D-Bus ([`profile`]), or NixOS, as a part of the operator's system
//! ([`nixos`]).

mod nixos;
mod profile;

use std::{io, time::Duration};

use futures_util::future::BoxFuture;
use osmoda_generation::Units;
use osmoda_schemas::switch::SwitchRecord;
use osmoda_systemd::{ActivationReport, ActiveState};

use crate::{Machine, Runner, SwitchError};

pub(crate) use nixos::lead_back;

/// Which way a switch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From its base to its target.
    Forth,
    /// Back to its base.
    Back,
}

/// The steps of a switch that depend on who carries it out.
pub(crate) trait Backend: Send + Sync {
    /// Makes what the machine is to boot into out of the target, and roots it. Nothing that runs is touched.
    fn build<'a>(&'a self, runner: &'a mut Runner) -> BoxFuture<'a, Result<(), SwitchError>>;

    /// Moves the machine from the units of one end to those of the other one.
    fn activate<'a>(&'a self, runner: &'a Runner, way: Way) -> BoxFuture<'a, Result<ActivationReport, SwitchError>>;

    /// Longest time that activation and commit may take, beside what gates need.
    fn longest(&self, record: &SwitchRecord) -> Duration;

    /// What has to follow once the profile leads to the target, so that the machine boots into it. May be done again. When
    /// it fails the profile leads back.
    fn after_commit<'a>(&'a self, runner: &'a Runner) -> BoxFuture<'a, Result<(), SwitchError>>;
}

/// Who carries a switch out.
pub(crate) fn of(record: &SwitchRecord) -> Box<dyn Backend> {
    match &record.nixos {
        None => Box::new(profile::Own),
        Some(_) => Box::new(nixos::Nixos),
    }
}

/// What the machine boots into once the switch is committed; none before it is built.
pub(crate) fn boots(record: &SwitchRecord) -> Option<&str> {
    match &record.nixos {
        None => Some(&record.target),
        Some(systems) => systems.target.as_deref(),
    }
}

/// True when the machine would boot into the target of the switch now.
pub(crate) fn is_boot_default(machine: &Machine, record: &SwitchRecord) -> io::Result<bool> {
    let target = boots(record);
    // Where it was so before it began, that says nothing.
    let before = record.nixos.as_ref().map_or(record.base.as_deref(), |systems| systems.default.as_deref());
    let now = machine.profile_of(record).boots()?;
    Ok(target.is_some() && target != before && now.as_ref().map(|path| path.as_str()) == target)
}

/// True when a NixOS system runs that is neither end of the switch: somebody else has switched meanwhile, and that is
/// neither undone nor taken over.
pub(crate) fn is_superseded(machine: &Machine, record: &SwitchRecord) -> Result<bool, SwitchError> {
    let Some(systems) = &record.nixos else { return Ok(false) };
    let now = machine.current_system()?;
    Ok(now.as_str() != systems.base && Some(now.as_str()) != systems.target.as_deref())
}

/// Refuses to go on unless the machine is as the switch has left it: that system runs, and boots by default as before.
pub(crate) fn ensure_unmoved(
    machine: &Machine,
    record: &SwitchRecord,
    runs: &[Option<&str>],
) -> Result<(), SwitchError> {
    let Some(systems) = &record.nixos else { return Ok(()) };
    let (now, default) = (machine.current_system()?, machine.profile_of(record).boots());
    let default = default.map_err(SwitchError::io("the profile"))?;
    let is_as_before = default.as_ref().map(|path| path.as_str()) == systems.default.as_deref();
    if is_as_before && runs.contains(&Some(now.as_str())) { Ok(()) } else { Err(SwitchError::Superseded) }
}

impl Runner {
    /// Moves the machine one way or the other.
    pub(crate) async fn move_machine(&self, way: Way) -> Result<ActivationReport, SwitchError> {
        let report = of(&self.record).activate(self, way).await?;
        let (from, to) = self.ends(way)?;
        self.forget_gone(&from, &to).await?;
        Ok(report)
    }

    /// The units of both ends, in the order of the way.
    pub(crate) fn ends(&self, way: Way) -> Result<(Units, Units), SwitchError> {
        let read = |path: Option<&osmoda_generation::store_path::StorePath>| match path {
            Some(path) => {
                Units::read(&self.machine.store.locate(path)).map_err(SwitchError::io(format!("the units of {path}")))
            }
            None => Ok(Units::default()),
        };
        let (base, target) = (read(self.base()?.as_ref())?, read(Some(&self.target()?))?);
        Ok(match way {
            Way::Forth => (base, target),
            Way::Back => (target, base),
        })
    }

    /// A unit that failed while it was stopped, or had failed before, stays known to systemd for that alone.
    async fn forget_gone(&self, old: &Units, new: &Units) -> Result<(), SwitchError> {
        let gone: Vec<&str> =
            old.files.keys().filter(|unit| !new.files.contains_key(*unit)).map(String::as_str).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let states = self.manager.statuses(&gone).await?;
        for unit in gone.into_iter().filter(|unit| states.active(unit) == ActiveState::Failed) {
            self.manager.reset_failed(unit).await?;
        }
        Ok(())
    }
}
