//! A switch from one generation to another: the record that its runner keeps on disk and every API shows.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    nixos::NixosSystem,
    object::{ContentHash, ObjectRef},
    plan::{PackageChange, UnitChange},
    quantity::Duration,
};

/// Where a switch stands. Each state is durable before its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SwitchState {
    /// Asked for.
    Pending,
    /// Both generations are in the store and rooted.
    Built,
    /// The dead-man timer is ticking.
    Armed,
    /// Units are being stopped and started.
    Activating,
    /// The new generation runs; its gates are asked.
    Probation,
    /// The new generation is the boot default.
    Committed,
    /// The old generation is being brought back.
    RollingBack,
    /// The old generation runs, and was seen to.
    RolledBack,
    /// The old generation could not be brought back in whole. Somebody has to look.
    Failed,
}

impl SwitchState {
    /// Nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Committed | Self::RolledBack | Self::Failed)
    }

    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Built => "built",
            Self::Armed => "armed",
            Self::Activating => "activating",
            Self::Probation => "probation",
            Self::Committed => "committed",
            Self::RollingBack => "rollingBack",
            Self::RolledBack => "rolledBack",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for SwitchState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a switch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SwitchPurpose {
    /// To what the documents wish.
    Apply,
    /// Back to an older generation, because somebody or a watcher wished so.
    Rollback,
}

/// One switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwitchRecord {
    /// A UUIDv7.
    pub id: String,
    /// What it is for.
    pub purpose: SwitchPurpose,
    /// Who asked: `agentd`, `uid:1000`, `watcher/web`.
    pub actor: String,
    /// Why, in a line.
    pub reason: String,
    /// The plan that it carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ContentHash>,
    /// Where it stands.
    pub state: SwitchState,
    /// Store path of the generation that it starts from; none on a machine without one.
    pub base: Option<String>,
    /// Store path of the generation that it leads to.
    pub target: String,
    /// The NixOS systems of both; only with the backend `nixos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nixos: Option<SystemSwitch>,
    /// How long all gates have to pass; zero: it is committed when its units have done as they were asked.
    pub ttl: Duration,
    /// Time between two looks at the units of the machine.
    pub interval: Duration,
    /// Time that stopping and starting units may take.
    pub activation_timeout: Duration,
    /// The boot that it runs in (`/run/osmoda/boot-id`).
    pub boot: String,
    /// How often its runner was started again.
    #[serde(default)]
    pub resumes: u32,
    /// When it came into each state.
    pub history: Vec<Transition>,
    /// Units that were failed before it began: they are not its fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_before: Vec<String>,
    /// What happened to units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitChange>,
    /// How long the activation took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_ms: Option<u64>,
    /// Units that did not stop in time and were killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub killed: Vec<String>,
    /// What the gates say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateStatus>,
    /// When probation ends, if all gates go on passing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub probation_until: Option<Timestamp>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Somebody has to say so before anything of it is tried again: it was not wanted, or the machine went down during it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The number of the generation that was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// What a switch of the backend `nixos` moves between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemSwitch {
    /// Where the operator's system is described.
    pub source: NixosSystem,
    /// Store path of the system that ran when the switch began.
    pub base: String,
    /// Store path of the system that was the boot default when the switch began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Store path of the system that it leads to; none until it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How long its evaluation and build took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_ms: Option<u64>,
    /// What differs between the closures of both systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageChange>,
}

impl SystemSwitch {
    /// Store path of the system that a way back leads to: what booted before, or else what ran.
    #[must_use]
    pub fn way_back(&self) -> &str {
        self.default.as_deref().unwrap_or(&self.base)
    }
}

/// A state and when it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The state.
    pub state: SwitchState,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A health gate and its last answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// Whose health it is; none for the machine's own gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// What it is called.
    pub name: String,
    /// Its verdict so far; none before the first answer.
    pub passing: Option<bool>,
    /// Answers so far.
    pub answers: u32,
    /// Why it does not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl SwitchRecord {
    /// Enters a state, now. Nothing happens when it is there already.
    pub fn enter(&mut self, state: SwitchState) {
        if self.state != state {
            self.state = state;
            self.history.push(Transition { state, at: crate::now() });
        }
    }

    /// True once units may have been moved.
    #[must_use]
    pub fn touched(&self) -> bool {
        self.history.iter().any(|transition| transition.state == SwitchState::Activating)
    }

    /// When it came into its present state.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.history.last().map(|t| t.at)
    }

    /// When it was asked for.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        self.history.first().map(|t| t.at)
    }
}
