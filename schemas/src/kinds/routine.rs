//! `Routine`: work that is done again and again, as a systemd timer and service `osmoda-routine-<name>`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Access, Resources, RunAs, SecretSource, Tier,
    app::{is_true, yes},
    probe::seconds,
};
use crate::{object::ObjectRef, quantity::Duration};

/// Something to do, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Routine {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When.
    pub trigger: Trigger,
    /// What.
    pub action: Action,
    /// Time after which a run is ended and counts as failed.
    #[serde(default = "seconds::<300>")]
    pub timeout: Duration,
    /// The user that a `command` runs as. Default: a dynamic user of its own.
    #[serde(default, skip_serializing_if = "RunAs::is_dynamic")]
    pub user: RunAs,
    /// How far a `command` is trusted.
    #[serde(default)]
    pub tier: Tier,
    /// What a sandboxed `command` may reach.
    #[serde(default, skip_serializing_if = "Access::is_default")]
    pub access: Access,
    /// Limits of a `command`.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// Environment variables of a `command`. No secrets: use `secrets`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Secrets, by name; the command reads them from `$CREDENTIALS_DIRECTORY/<name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// Objects that have to be started before a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ObjectRef>,
    /// False keeps the document but never runs it by itself.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    #[schemars(extend("default" = true))]
    pub enabled: bool,
}

/// When a routine runs. A run that is still going is never started a second time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Trigger {
    /// At the times of a cron expression.
    Cron(CronTrigger),
    /// Again and again with the same pause.
    Interval(IntervalTrigger),
    /// When an event is recorded in the ledger.
    Event(EventTrigger),
    /// When `POST /routine/hook/<name>` is called.
    Webhook(WebhookTrigger),
}

/// The times of a five-field cron expression (crontab(5)), kept by systemd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CronTrigger {
    /// Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    pub schedule: String,
    /// An IANA time zone, such as `Europe/Berlin`. Default: UTC. When its clocks change, a time that they skip does not
    /// come, and one that they show twice comes once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Run once at boot if the machine was off at the time.
    #[serde(default)]
    pub persistent: bool,
    /// Spread runs over this much time at random.
    #[serde(default)]
    pub jitter: Duration,
}

/// Again and again, `every` after the last start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IntervalTrigger {
    /// The time between two starts.
    pub every: Duration,
    /// Spread runs over this much time at random.
    #[serde(default)]
    pub jitter: Duration,
}

/// When an event of one of these types is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EventTrigger {
    /// Event types; a trailing `*` stands for any ending, such as `switch.*`.
    #[schemars(length(min = 1))]
    pub types: Vec<String>,
    /// Events that come within this time of the first one share its run.
    #[serde(default = "seconds::<1>")]
    pub debounce: Duration,
}

/// When a caller asks for it over the routines socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookTrigger {
    /// Least time between two runs.
    #[serde(default = "seconds::<1>")]
    pub min_interval: Duration,
}

/// What a routine does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Action {
    /// Compare the machine's load, memory and disks with limits; alert when one is passed.
    HealthCheck(HealthCheckAction),
    /// Look for failed units; alert for each that is new.
    ServiceMonitor(ServiceMonitorAction),
    /// Look for errors in the journal since the last run; alert with a digest.
    LogScan(LogScanAction),
    /// Compact the agent's memory indexes.
    MemoryMaintenance(MemoryMaintenanceAction),
    /// Run a program.
    Command(CommandAction),
    /// Send an HTTP request.
    Webhook(WebhookAction),
}

/// Limits of the machine's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct HealthCheckAction {
    /// Alert above this percent of processor use, in three runs in a row.
    #[schemars(range(min = 1, max = 100))]
    pub cpu: u8,
    /// Alert above this percent of memory use.
    #[schemars(range(min = 1, max = 100))]
    pub memory: u8,
    /// Alert above this percent of any file system.
    #[schemars(range(min = 1, max = 100))]
    pub disk: u8,
    /// Alert when the load is above this many times the number of processors.
    #[schemars(range(min = 1, max = 100))]
    pub load_per_cpu: u8,
}

impl Default for HealthCheckAction {
    fn default() -> Self {
        Self { cpu: 90, memory: 85, disk: 90, load_per_cpu: 2 }
    }
}

/// Which units are looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct ServiceMonitorAction {
    /// Units that may be failed without an alert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

/// Which journal entries count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct LogScanAction {
    /// Entries of this syslog priority and worse: 0 (emergency) to 7 (debug).
    #[schemars(range(max = 7))]
    pub priority: u8,
    /// Alert from this many entries on.
    pub threshold: u32,
}

impl Default for LogScanAction {
    fn default() -> Self {
        Self { priority: 3, threshold: 1 }
    }
}

/// Has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryMaintenanceAction {}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CommandAction {
    /// Program (an absolute path) and arguments; no shell.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
}

/// An HTTP request; a status of 200 to 299 is success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookAction {
    /// The URL.
    #[schemars(regex(pattern = "^https?://[^ ]+$"))]
    pub url: String,
    /// The method.
    #[serde(default = "post")]
    #[schemars(extend("enum" = ["GET", "POST", "PUT", "PATCH", "DELETE"]))]
    pub method: String,
    /// Header fields. No secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}
