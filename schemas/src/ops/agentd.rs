//! What agentd answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{Accepted, Id};
use crate::{
    condition::ObjectStatus,
    object::{Kind, ObjectRef},
    operation::{Nothing, operations},
    plan::{PackageChange, Plan, UnitChange},
    problem::Problem,
    quantity::Duration,
};

/// Which objects.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListObjectsRequest {
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Only with this label, as `key=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Objects and what is said of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ObjectList {
    /// In order of kind and name.
    pub objects: Vec<ObjectStatus>,
    /// Problems of files that name no object.
    pub problems: Vec<Problem>,
}

/// One object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectId {
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: crate::name::Name,
}

/// All that is known about an object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDetail {
    /// Conditions, place, author.
    pub status: ObjectStatus,
    /// The admitted document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// Its units and what they are doing, such as `active (running)`.
    pub units: BTreeMap<String, String>,
}

/// A file with documents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentFile {
    /// What to call it in errors.
    pub file: String,
    /// The text, YAML or JSON.
    pub text: String,
}

/// What to plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Documents to look at as if they had been applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentFile>,
    /// Build the NixOS system, too, and tell what it would change; only with the backend `nixos`, and for root.
    #[serde(default)]
    pub build: bool,
}

/// A NixOS system that was built to be looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemPreview {
    /// Its store path.
    pub system: String,
    /// What of its closure is not as in the one that runs.
    pub packages: Vec<PackageChange>,
    /// What its activation would do to units.
    pub units: Vec<UnitChange>,
    /// How long its evaluation and build took, in milliseconds.
    pub build_ms: u64,
}

/// A plan, and what stands beside it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlanAnswer {
    /// What would change.
    pub plan: Plan,
    /// What that changes in the machine's closure, packages that others need included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageChange>,
    /// The NixOS system that it would become, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<SystemPreview>,
    /// Documents that are not part of it, and why.
    pub problems: Vec<Problem>,
    /// Objects whose deletion is held back.
    pub held: Vec<ObjectRef>,
}

/// What to apply.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApplyRequest {
    /// Documents to take in first; they are kept in `desired/api`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentFile>,
    /// Refuse unless the plan has this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// How long the gates have to pass. Default: as the objects and the configuration say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Say yes to deletions that are held back.
    #[serde(default)]
    pub accept_mass_delete: bool,
    /// Try a generation again that was rolled back.
    #[serde(default)]
    pub clear_quarantine: bool,
    /// Build the NixOS system anew although no document has changed; only with the backend `nixos`.
    #[serde(default)]
    pub rebuild: bool,
}

/// What an apply led to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// The plan that is carried out.
    pub plan: Plan,
    /// The switch that carries it out; none when nothing changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// Documents that are not part of it, and why.
    pub problems: Vec<Problem>,
}

/// A generation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GenerationView {
    /// Its number.
    pub number: u64,
    /// Its store path.
    pub path: String,
    /// Store path of the NixOS system that it is a part of; only with the backend `nixos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// When it was committed first.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// The machine boots into it.
    pub boot_default: bool,
    /// It runs.
    pub active: bool,
    /// Objects in it.
    pub objects: usize,
}

/// Generations, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GenerationList {
    /// Committed ones.
    pub generations: Vec<GenerationView>,
}

/// Where to go back to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The number of a generation. Default: the one before the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// The switch that was started.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SwitchStarted {
    /// Its id.
    pub switch: String,
}

/// What to keep.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcRequest {
    /// How many of the newest generations; at least 1.
    pub keep: usize,
}

/// What was removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GcAnswer {
    /// Numbers of generations.
    pub removed: Vec<u64>,
    /// Nix's own summary.
    pub summary: String,
}

/// Which events.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsRequest {
    /// Only this type; a trailing `*` stands for any ending.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Only of this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The latest so many; at most 10,000. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only after this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// An event of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// The row; also the cursor of the stream.
    pub id: i64,
    /// When, UTC.
    pub ts: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Who.
    pub actor: String,
    /// The rest.
    pub payload: Value,
    /// The row's hash.
    pub hash: String,
}

/// Events, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventList {
    /// Rows of the ledger.
    pub events: Vec<EventView>,
}

/// Where to begin a stream, and what to leave out.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamRequest {
    /// Events after this row are replayed first. Default: only new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<i64>,
    /// Only this type; a trailing `*` stands for any ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// How the loop is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoopStatus {
    /// `idle`, `switching`, `held`, `manual`, `quarantined` or `retrying`.
    pub state: String,
    /// Why, for people.
    pub message: String,
    /// Objects that are wished.
    pub objects: usize,
    /// Objects whose latest document is not accepted.
    pub refused: usize,
    /// Objects whose deletion is held back.
    pub held: usize,
    /// Objects that do not run as wished.
    pub degraded: usize,
    /// The active generation's store path.
    pub active: Option<String>,
    /// The number of the boot default.
    pub boot_default: Option<u64>,
    /// The switch that is going on.
    pub switch: Option<String>,
    /// Generations that were rolled back and are not tried again.
    pub quarantined: Vec<String>,
    /// The ledger's last row.
    pub ledger_head: Option<i64>,
    /// Problems of files that name no object, and of the sources.
    pub problems: Vec<Problem>,
}

/// A question about the machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// `hostname`, `os`, `uptime`, `load`, `cpu`, `memory`, `disk`, `processes`.
    pub query: String,
    /// Arguments of the question.
    #[serde(default)]
    pub args: Value,
}

/// The answer to a question about the machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueryAnswer {
    /// The question.
    pub query: String,
    /// The answer; its shape depends on the question.
    pub result: Value,
}

/// A service that was found on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovered {
    /// The port it listens on.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address it listens on.
    pub address: String,
    /// The process.
    pub process: Option<String>,
    /// The process id.
    pub pid: Option<i32>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// What kind of service it is, when that is known.
    pub service: Option<String>,
}

/// Services that were found on the machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Discovery {
    /// In order of their ports.
    pub services: Vec<Discovered>,
}

operations! {
    /// Objects and what is said of them.
    ListObjects = "object.list" GET "/objects" Read Authors (ListObjectsRequest) -> <ObjectList>;
    /// All that is known about an object.
    GetObject = "object.get" GET "/objects/{kind}/{name}" Read Authors (ObjectId) -> <ObjectDetail>;
    /// Remove an object that came over an API.
    DeleteObject = "object.delete" DELETE "/objects/{kind}/{name}" Change Authors (ObjectId) -> <Accepted>;
    /// What an apply would do.
    GetPlan = "plan" POST "/plan" Read Authors (PlanRequest) -> <PlanAnswer>;
    /// Make the documents real.
    PostApply = "apply" POST "/apply" Change Authors (ApplyRequest) -> <ApplyAnswer>;
    /// How the loop is.
    GetStatus = "status" GET "/status" Read Authors (Nothing) -> <LoopStatus>;
    /// Committed generations.
    ListGenerations = "generation.list" GET "/generations" Read Authors (Nothing) -> <GenerationList>;
    /// Switch back to an older generation.
    PostRollback = "generation.rollback" POST "/rollback" Change Root (RollbackRequest) -> <SwitchStarted>;
    /// Remove old generations and unreachable store paths.
    PostGc = "generation.gc" POST "/gc" Destroy Root (GcRequest) -> <GcAnswer>;
    /// Events of the ledger.
    ListEvents = "event.list" GET "/events/log" Read Authors (EventsRequest) -> <EventList>;
    /// Events as they happen, from a cursor on.
    StreamEvents = "event.stream" GET "/events/stream" Read Authors (StreamRequest) -> stream <EventView>;
    /// One incident or receipt: the event of that row.
    GetEvent = "event.get" GET "/events/{id}" Read Authors (Id) -> <EventView>;
    /// Ask about the machine.
    QuerySystem = "system.query" POST "/system/query" Read Authors (QueryRequest) -> <QueryAnswer>;
    /// Find out what services run here.
    DiscoverSystem = "system.discover" GET "/system/discover" Read Authors (Nothing) -> <Discovery>;
}
