//! A plan: the difference between what is wished and what is active, with an id that approvals bind to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::{Author, ContentHash, ObjectRef};

/// What would change. Its id is the SHA-256 of its canonical JSON without the id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Identifies exactly this plan.
    pub id: ContentHash,
    /// What the plan starts from and leads to.
    #[serde(flatten)]
    pub body: PlanBody,
}

/// A plan without its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanBody {
    /// Store path of the generation it starts from; none on a machine without one.
    pub base: Option<String>,
    /// Digest of all wished objects (reference, document hash, author).
    pub desired: ContentHash,
    /// Objects that change, in order. Unchanged ones are only counted.
    pub objects: Vec<ObjectChange>,
    /// How many objects stay as they are.
    pub unchanged: usize,
    /// Units that change, in order.
    pub units: Vec<UnitChange>,
    /// Store paths that are added and removed.
    pub closure: ClosureDiff,
    /// What the reader should know before saying yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Plan {
    /// Seals a plan with its id.
    #[must_use]
    pub fn new(body: PlanBody) -> Self {
        Self { id: ContentHash::of(crate::canonical_json(&body)), body }
    }

    /// True when nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.objects.is_empty() && self.body.units.is_empty()
    }
}

/// What happens to an object or a store path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is new.
    Create,
    /// It is there and changes.
    Update,
    /// It goes away.
    Delete,
}

/// One object that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectChange {
    /// The object.
    pub object: ObjectRef,
    /// What happens to it.
    pub change: Change,
    /// Who wished it.
    pub author: Author,
    /// Hash of the new document; none for a deletion.
    pub hash: Option<ContentHash>,
    /// Fields that change (for `Update`), in order of their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// True when it takes away protection or data (such as a loosened wallet policy).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destructive: bool,
}

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Its path, such as `spec.environment.PORT`.
    pub path: String,
    /// The value before; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; none if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What happens to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnitVerb {
    /// Stopped and not started again.
    Stop,
    /// Reads its configuration anew.
    Reload,
    /// Stopped, then started (in one go, or around the switch).
    Restart,
    /// Started.
    Start,
    /// Its file changes, the running unit does not.
    Keep,
}

/// One unit that changes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitChange {
    /// The unit.
    pub unit: String,
    /// What happens to it.
    pub verb: UnitVerb,
    /// The rule and the settings that make it so.
    pub reason: String,
    /// The object it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
}

/// Store paths that units of the new generation name and those of the old one do not, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClosureDiff {
    /// New paths.
    pub added: Vec<String>,
    /// Paths that are no longer referred to.
    pub removed: Vec<String>,
}

/// A package of the machine's closure that comes, goes, or is there in another version or build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageChange {
    /// Its name, such as `hello`.
    pub name: String,
    /// Versions that go; none: it is new. An empty text where the store path names none.
    pub before: Vec<String>,
    /// Versions that come; none: it goes away.
    pub after: Vec<String>,
}
