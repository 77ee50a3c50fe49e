//! What osmoda-watch answers: switches and watchers.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    agentd::SwitchStarted,
    common::{Accepted, Id},
};
use crate::{
    name::Name,
    operation::{Nothing, operations},
    switch::SwitchRecord,
};

/// What to begin.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// The id of a plan that agentd has shown.
    pub plan: String,
    /// How long the health gates have to pass, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u64>,
}

/// How many switches.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSwitchesRequest {
    /// The latest so many. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Switches, latest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SwitchList {
    /// Their records.
    pub switches: Vec<SwitchRecord>,
}

/// A watcher to add: what its document says.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    /// Its name.
    pub name: Name,
    /// Its `spec`.
    pub spec: Value,
}

/// How a watcher is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatcherView {
    /// Its name.
    pub name: Name,
    /// `passing`, `failing`, `flapping`, `paused` or `unknown`.
    pub state: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_answer: Option<Timestamp>,
    /// Remedies that were carried out since the daemon was started.
    pub remedies: u64,
}

/// Watchers in order of their names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WatcherList {
    /// Their states.
    pub watchers: Vec<WatcherView>,
}

operations! {
    /// Carry out a plan that was shown.
    BeginSwitch = "switch.begin" POST "/switch/begin" Change Authors (BeginRequest) -> <SwitchStarted>;
    /// How a switch is.
    GetSwitch = "switch.status" GET "/switch/status/{id}" Read Authors (Id) -> <SwitchRecord>;
    /// End a probation early: keep the new generation.
    CommitSwitch = "switch.commit" POST "/switch/commit/{id}" Destroy Root (Id) -> <SwitchRecord>;
    /// End a probation early: back to the old generation.
    RollbackSwitch = "switch.rollback" POST "/switch/rollback/{id}" Change Authors (Id) -> <SwitchRecord>;
    /// Switches of the past and the one that is going on.
    ListSwitches = "switch.list" GET "/switch/list" Read Authors (ListSwitchesRequest) -> <SwitchList>;
    /// Write a watcher's document.
    AddWatcher = "watcher.add" POST "/watcher/add" Change Authors (AddRequest) -> <Accepted>;
    /// Remove a watcher's document that came over an API.
    RemoveWatcher = "watcher.remove" DELETE "/watcher/remove/{id}" Change Authors (Id) -> <Accepted>;
    /// Watchers and how they are.
    ListWatchers = "watcher.list" GET "/watcher/list" Read Authors (Nothing) -> <WatcherList>;
}
