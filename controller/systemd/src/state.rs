//! States of units, and pictures of all of them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A unit's active state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActiveState {
    /// It runs, or has done its work and stays.
    Active,
    /// It runs and reads its configuration anew.
    Reloading,
    /// It does not run.
    Inactive,
    /// It does not run because something went wrong.
    Failed,
    /// It is being started (also: waits to be restarted).
    Activating,
    /// It is being stopped.
    Deactivating,
    /// Anything else that systemd may come up with.
    Other,
}

impl ActiveState {
    /// As systemd writes it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "reloading" | "refreshing" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => Self::Other,
        }
    }

    /// It runs or is about to.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Active | Self::Reloading | Self::Activating)
    }
}

impl fmt::Display for ActiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Other => "unknown",
        })
    }
}

/// What a unit is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitStatus {
    /// Its active state.
    pub active: ActiveState,
    /// Its sub state, such as `running`, `exited`, `auto-restart`.
    pub sub: String,
    /// False when systemd finds no unit file for it.
    pub loaded: bool,
}

/// What all loaded units were doing at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitSnapshot {
    /// By unit name.
    pub units: BTreeMap<String, UnitStatus>,
}

impl UnitSnapshot {
    /// The active state of a unit; `Inactive` when systemd has not loaded it.
    #[must_use]
    pub fn active(&self, unit: &str) -> ActiveState {
        self.units.get(unit).map_or(ActiveState::Inactive, |u| u.active)
    }

    /// Units that are failed now and were not then.
    #[must_use]
    pub fn failed_since<'a>(&'a self, before: &Self) -> Vec<&'a str> {
        let failed = self.units.iter().filter(|(_, status)| status.active == ActiveState::Failed);
        failed.filter(|(unit, _)| before.active(unit) != ActiveState::Failed).map(|(unit, _)| unit.as_str()).collect()
    }
}
