//! What osmoda-routines answers.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Accepted, Id},
    watch::AddRequest,
};
use crate::{
    name::Name,
    operation::{Nothing, operations},
};

/// The call of a hook. Whoever calls sends what it sends: other fields are not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// The routine's name.
    pub id: String,
}

/// How a routine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutineView {
    /// Its name.
    pub name: Name,
    /// `cron`, `interval`, `event` or `webhook`.
    pub trigger: String,
    /// What its unit is doing, such as `inactive (dead)`.
    pub unit: String,
    /// How the last run ended, as systemd says it (`success`, `exit-code`, `timeout`); none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    /// False: it never runs by itself.
    pub enabled: bool,
}

/// Routines in order of their names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RoutineList {
    /// Their states.
    pub routines: Vec<RoutineView>,
}

/// Which runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryRequest {
    /// Only of this routine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The latest so many. Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A run of a routine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The routine.
    pub name: Name,
    /// When it ended.
    #[schemars(with = "String")]
    pub ended: Timestamp,
    /// How: `success`, or systemd's word for what went wrong.
    pub result: String,
}

/// Runs, latest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// From the ledger.
    pub runs: Vec<Run>,
}

/// A run was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Triggered {
    /// The unit that runs.
    pub unit: String,
}

operations! {
    /// Write a routine's document.
    AddRoutine = "routine.add" POST "/routine/add" Change Authors (AddRequest) -> <Accepted>;
    /// Remove a routine's document that came over an API.
    RemoveRoutine = "routine.remove" DELETE "/routine/remove/{id}" Change Authors (Id) -> <Accepted>;
    /// Routines and how they are.
    ListRoutines = "routine.list" GET "/routine/list" Read Authors (Nothing) -> <RoutineList>;
    /// Run a routine now.
    TriggerRoutine = "routine.trigger" POST "/routine/trigger/{id}" Change Authors (Id) -> <Triggered>;
    /// Run a routine that has a webhook trigger.
    HookRoutine = "routine.hook" POST "/routine/hook/{id}" Change Authors (Hook) -> <Triggered>;
    /// Runs of the past.
    ListRuns = "routine.history" GET "/routine/history" Read Authors (HistoryRequest) -> <RunList>;
}
