//! Probes: questions about health that a switch's gates, watchers and routines all ask in the same words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Duration;

/// A question about health; its answer is pass or fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Probe {
    /// A systemd unit is active.
    Unit(UnitProbe),
    /// A TCP port accepts a connection.
    Tcp(TcpProbe),
    /// An HTTP GET is answered as expected.
    Http(HttpProbe),
    /// A command exits with 0.
    Command(CommandProbe),
}

/// Passes while the unit is `active` (and not restarting in a loop).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UnitProbe {
    /// The unit, such as `nginx.service`. Default: the unit of the object that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Passes when a TCP connection is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TcpProbe {
    /// An IP address or a host name.
    #[serde(default = "localhost")]
    pub host: String,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// Passes when `GET url` is answered with an expected status and body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpProbe {
    /// An `http://` URL.
    #[schemars(regex(pattern = "^http://[^ ]+$"))]
    pub url: String,
    /// Statuses that pass. Default: 200 to 299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// Text that the body has to contain (looked for in its first 64 KiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Regular expression that the body has to match (its first 64 KiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<String>,
}

/// Passes when the command exits with 0 in time. It runs in a unit of its own; when its time is up, all of its
/// processes are killed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CommandProbe {
    /// Program (an absolute path) and its arguments; no shell.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// The user to run as. Default: `nobody` for tier 1 and 2, root for tier 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// How often a probe is asked and when its answer counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HealthCheck {
    /// What the check is called in status and events. Default: its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The question.
    pub probe: Probe,
    /// Time between two questions.
    #[serde(default = "seconds::<5>")]
    pub interval: Duration,
    /// Time after which an open question counts as failed.
    #[serde(default = "seconds::<5>")]
    pub timeout: Duration,
    /// Passes in a row that make it healthy.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub success_threshold: u32,
    /// Failures in a row that make it unhealthy.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: u32,
    /// Time after (re)start in which failures do not count.
    #[serde(default = "seconds::<10>")]
    pub grace: Duration,
}

pub(crate) fn localhost() -> String {
    "127.0.0.1".to_owned()
}

pub(crate) const fn seconds<const N: u64>() -> Duration {
    Duration::from_secs(N)
}

pub(crate) const fn one() -> u32 {
    1
}
