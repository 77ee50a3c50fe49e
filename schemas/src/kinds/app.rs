//! `App`: a long-running program as a hardened systemd service, `osmoda-app-<name>.service`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthCheck, Tier, probe::seconds};
use crate::{
    object::ObjectRef,
    quantity::{ByteSize, Cpus, Duration},
};

/// A program that the server runs.
///
/// In `command`, `reload`, `environment`, `workingDirectory` and the content of `files`, the placeholders `${files}`,
/// `${state}`, `${runtime}`, `${package}` and `${port.NAME}` stand for the app's files folder, state and runtime
/// directories, package and declared ports. Any other `$` is literal, and so is `${files}` inside of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct App {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A Nix store path, or (backend `nixos` only) an attribute such as `pkgs.nginx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Program and arguments; no shell. The program is an absolute path, or relative to `package`, such as `bin/nginx`.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// How systemd learns that the program is up.
    #[serde(default)]
    pub startup: Startup,
    /// Environment variables. No secrets: use `secrets`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Secrets, by name; the program reads them from `$CREDENTIALS_DIRECTORY/<name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// Files that the program reads, by path relative to `${files}`. Immutable: a change restarts the program.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileContent>,
    /// Working directory. Default: the state directory if there is one, else `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// Ports that the program listens on, by name. Two apps may not declare the same one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Port>,
    /// The user to run as. Default: a dynamic user of its own.
    #[serde(default, skip_serializing_if = "RunAs::is_dynamic")]
    pub user: RunAs,
    /// Keep a state directory `/var/lib/osmoda-app-<name>` (private to the app, survives updates).
    #[serde(default)]
    pub state_directory: bool,
    /// How far the program is trusted.
    #[serde(default)]
    pub tier: Tier,
    /// What a sandboxed program (tier 1 and 2) may reach.
    #[serde(default, skip_serializing_if = "Access::is_default")]
    pub access: Access,
    /// Limits.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// What to do when the program ends.
    #[serde(default, skip_serializing_if = "Restart::is_default")]
    pub restart: Restart,
    /// How the program is stopped.
    #[serde(default, skip_serializing_if = "Stop::is_default")]
    pub stop: Stop,
    /// How a changed document reaches the running program.
    #[serde(default)]
    pub update: Update,
    /// Command that makes the running program read its files anew (needed for `update: reload`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reload: Vec<String>,
    /// Checks that a switch has to pass, asked again and again. None: the unit has to be active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthCheck>,
    /// Objects that start before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ObjectRef>,
    /// Objects without which this one does not run (implies `after`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<ObjectRef>,
    /// How long a switch that changes this app watches it. Default: agentd's.
    #[serde(default, skip_serializing_if = "Probation::is_default")]
    pub probation: Probation,
    /// False keeps the document but stops the program.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    #[schemars(extend("default" = true))]
    pub enabled: bool,
}

/// How systemd learns that the program is up (`Type=` of systemd.service(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Startup {
    /// It is up as soon as it has been executed.
    #[default]
    Exec,
    /// It says so with sd_notify(3).
    Notify,
    /// It forks and its first process ends.
    Forking,
    /// It does its work and ends; the unit stays active.
    Oneshot,
}

/// Where a secret comes from; its value is never in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretSource {
    /// An absolute path of a file that only root may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The name of a systemd credential of the machine (see systemd-creds(1)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// A file that the document carries itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileContent {
    /// The text.
    pub content: String,
    /// Executable by everyone.
    #[serde(default)]
    pub executable: bool,
}

/// A port that an app listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Port {
    /// The number.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The transport protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// The address it listens on. Ports on different addresses do not collide, except with `0.0.0.0` and `::`.
    #[serde(default = "super::probe::localhost")]
    pub address: String,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// The user and group of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunAs {
    /// An existing user. Default: a dynamic user (`DynamicUser=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An existing group. Default: the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Further groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supplementary_groups: Vec<String>,
}

impl RunAs {
    /// True when nothing is set.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        *self == Self::default()
    }
}

/// What a sandboxed program may reach beyond its own state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Access {
    /// The network. Tier 2 always has `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Domains that it may reach through the egress proxy (the only way out with `network: local`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_domains: Vec<String>,
    /// Absolute paths that it may read, of those that the sandbox hides (`/home`, `/root`, `/run/user`, `/srv`...).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Absolute paths that it may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Linux capabilities that it keeps, such as `CAP_NET_BIND_SERVICE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Device nodes that it may open, such as `/dev/dri/renderD128`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

impl Access {
    /// True when nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What of the network a sandboxed program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// A namespace of its own with nothing in it.
    None,
    /// The machine's loopback addresses only (default of tier 1).
    Local,
    /// All that the machine sees.
    Host,
}

/// Limits, enforced by the kernel's control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resources {
    /// Most memory; beyond it the program is killed (`MemoryMax=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Most processor time (`CPUQuota=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpus>,
    /// Most tasks, that is processes and threads (`TasksMax=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tasks: Option<u32>,
    /// Most open files of a process (`LimitNOFILE=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16))]
    pub open_files: Option<u32>,
}

impl Resources {
    /// True when nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens when the program ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Restart {
    /// When it is started again.
    #[serde(default)]
    pub policy: RestartPolicy,
    /// Pause before it is.
    #[serde(default = "restart_delay")]
    pub delay: Duration,
    /// Starts within `window` after which systemd gives up and the unit is failed.
    #[serde(default = "restart_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// The window of `limit`.
    #[serde(default = "seconds::<60>")]
    pub window: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::default(),
            delay: restart_delay(),
            limit: restart_limit(),
            window: seconds::<60>(),
        }
    }
}

impl Restart {
    /// True when nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const fn restart_delay() -> Duration {
    Duration::from_millis(500)
}

const fn restart_limit() -> u32 {
    10
}

/// When a program is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RestartPolicy {
    /// Whenever it ends.
    #[default]
    Always,
    /// When it ends with an error or a signal.
    OnFailure,
    /// Never.
    Never,
}

/// How a program is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Stop {
    /// The signal that asks it to end, such as `SIGTERM`.
    #[serde(default = "sigterm")]
    #[schemars(regex(pattern = "^SIG[A-Z0-9+-]+$"))]
    pub signal: String,
    /// Time after which it is killed.
    #[serde(default = "seconds::<10>")]
    pub timeout: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: sigterm(), timeout: seconds::<10>() }
    }
}

impl Stop {
    /// True when nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn sigterm() -> String {
    "SIGTERM".to_owned()
}

/// How a changed document reaches the running program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Update {
    /// Stop before the switch, start after it: old and new never mix.
    #[default]
    StopStart,
    /// Restart after the switch: the shortest gap.
    Restart,
    /// Run `reload`.
    Reload,
    /// Leave the old one running until it is restarted by other means.
    Never,
}

/// How long and how often a switch watches what it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Probation {
    /// How long all checks have to pass; `0s` turns the gates off for this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

impl Probation {
    /// True when nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) const fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_true(value: &bool) -> bool {
    *value
}
