//! `Watcher`: a check that is asked for ever, and a ladder of remedies for when it fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Tier,
    app::{is_true, yes},
    probe::{CommandProbe, HttpProbe, TcpProbe, UnitProbe, one, seconds},
};
use crate::{object::ObjectRef, quantity::Duration};

/// Watches one thing and mends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Watcher {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The object that is watched: `unit` checks and `restart` steps mean its unit unless they name another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<ObjectRef>,
    /// What is checked.
    pub check: Check,
    /// Time between two questions. A `unit` check needs none: a unit's death is seen from its D-Bus signal.
    #[serde(default = "seconds::<30>")]
    pub interval: Duration,
    /// Time after which an open question counts as failed.
    #[serde(default = "seconds::<5>")]
    pub timeout: Duration,
    /// Failures in a row after which the ladder is climbed.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: u32,
    /// Passes in a row after which the ladder starts from its foot again.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub success_threshold: u32,
    /// Remedies, tried from first to last until the check passes.
    #[serde(default = "default_ladder")]
    #[schemars(length(min = 1, max = 16))]
    pub ladder: Vec<Step>,
    /// A limit against flapping.
    #[serde(default)]
    pub flap: Flap,
    /// The tier that command checks run in.
    #[serde(default)]
    pub tier: Tier,
    /// False keeps the document but does not watch.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    #[schemars(extend("default" = true))]
    pub enabled: bool,
}

impl Watcher {
    /// The unit that the document names for a step, with the field that names it; none: it is the unit of `target`.
    #[must_use]
    pub fn named_unit(&self, step: usize) -> Option<(String, &str)> {
        let own = self.ladder.get(step).and_then(|s| Some((format!("spec.ladder[{step}].unit"), s.unit.as_deref()?)));
        own.or_else(|| match &self.check {
            Check::Unit(probe) => Some(("spec.check.unit".to_owned(), probe.unit.as_deref()?)),
            _ => None,
        })
    }
}

/// What a watcher checks: a probe of a service, or a figure of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Check {
    /// A systemd unit is active.
    Unit(UnitProbe),
    /// A TCP port accepts a connection.
    Tcp(TcpProbe),
    /// An HTTP GET is answered as expected.
    Http(HttpProbe),
    /// A command exits with 0.
    Command(CommandProbe),
    /// Processor use of the whole machine.
    Cpu(CpuCheck),
    /// Memory use of the whole machine.
    Memory(MemoryCheck),
    /// Disk use of one file system.
    Disk(DiskCheck),
}

/// Fails while processor use, averaged over `window`, is above `above` percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CpuCheck {
    /// Percent of all processors.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "percent::<90>")]
    pub above: u8,
    /// Time over which the use is averaged.
    #[serde(default = "seconds::<300>")]
    pub window: Duration,
}

/// Fails while memory in use is above `above` percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MemoryCheck {
    /// Percent of all memory that is not available.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "percent::<85>")]
    pub above: u8,
}

/// Fails while the file system of `path` is fuller than `above` percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DiskCheck {
    /// An absolute path on the file system.
    #[serde(default = "root")]
    pub path: String,
    /// Percent of its space.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "percent::<85>")]
    pub above: u8,
}

/// One rung of the ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    /// What is done.
    pub action: Remedy,
    /// The unit to restart. Default: the unit of `target`, or of the `unit` check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How often the step is tried before the next one.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// Time that the remedy gets to work before the check counts again.
    #[serde(default = "seconds::<10>")]
    pub wait: Duration,
}

/// A remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Remedy {
    /// Restart the unit.
    Restart,
    /// Switch back to the generation before the active one.
    Rollback,
    /// Remove old generations and unreachable store paths.
    CollectGarbage,
    /// Record an alert in the ledger and the event stream.
    Notify,
}

/// At most `limit` remedies within `window`; then the watcher only notifies until the window is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Flap {
    /// Most remedies (notifications do not count).
    #[serde(default = "flap_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// The sliding window.
    #[serde(default = "seconds::<600>")]
    pub window: Duration,
}

impl Default for Flap {
    fn default() -> Self {
        Self { limit: flap_limit(), window: seconds::<600>() }
    }
}

const fn flap_limit() -> u32 {
    5
}

const fn percent<const N: u8>() -> u8 {
    N
}

fn root() -> String {
    "/".to_owned()
}

fn default_ladder() -> Vec<Step> {
    let step = |action, attempts| Step { action, unit: None, attempts, wait: seconds::<10>() };
    vec![step(Remedy::Restart, 3), step(Remedy::Notify, 1)]
}
