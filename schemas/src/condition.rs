//! Status: conditions of objects, as in Kubernetes' API conventions.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    object::{Author, ContentHash, ObjectRef, SourcePosition},
    problem::Problem,
};

/// What is said of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// The latest document is valid and allowed; it is (part of) what is wished.
    Accepted,
    /// It is part of a generation in the Nix store.
    Built,
    /// That generation is the active one.
    Active,
    /// Its checks pass.
    Healthy,
    /// It runs, but not as wished.
    Degraded,
}

/// True, false, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody can tell at the moment.
    Unknown,
}

/// One statement about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is said.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// Why, as one CamelCase word for programs.
    pub reason: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when `status` has had this value.
    #[schemars(with = "String")]
    pub last_transition_time: Timestamp,
    /// The object's generation that this is said of.
    pub observed_generation: u64,
}

/// All that is known about an object; also written to `/var/lib/osmoda/status/<kind>/<name>.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// The object.
    pub object: ObjectRef,
    /// Grows by one with every admitted change of the document.
    pub generation: u64,
    /// The hash of the admitted document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<ContentHash>,
    /// Who wished for it.
    pub author: Author,
    /// Where its document is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePosition>,
    /// Store path of the generation in which it became active as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_in: Option<String>,
    /// Statements.
    pub conditions: Vec<Condition>,
    /// What went wrong last, and has not been mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Box<Problem>>,
}

impl ObjectStatus {
    /// The condition of that type.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == kind)
    }

    /// Sets a condition for the current generation; its transition time moves only when its status does.
    /// Returns whether anything but times changed.
    pub fn set(
        &mut self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: &str,
        message: impl Into<String>,
        now: Timestamp,
    ) -> bool {
        let message = message.into();
        let generation = self.generation;
        match self.conditions.iter_mut().find(|c| c.kind == kind) {
            Some(c) => {
                let changed = c.status != status
                    || c.reason != reason
                    || c.message != message
                    || c.observed_generation != generation;
                if c.status != status {
                    c.last_transition_time = now;
                }
                c.status = status;
                reason.clone_into(&mut c.reason);
                c.message = message;
                c.observed_generation = generation;
                changed
            }
            None => {
                // Every object has a few, and is kept: no room for more than there are.
                self.conditions.reserve_exact(1);
                self.conditions.push(Condition {
                    kind,
                    status,
                    reason: reason.to_owned(),
                    message,
                    last_transition_time: now,
                    observed_generation: generation,
                });
                self.conditions.sort_by_key(|c| c.kind);
                true
            }
        }
    }
}
