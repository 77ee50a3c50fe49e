//! What every daemon answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    object::ObjectRef,
    operation::{Nothing, operations},
};

/// How a daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`; anything else is a sentence.
    pub status: String,
    /// The daemon.
    pub service: String,
    /// Its version.
    pub version: String,
    /// Seconds since it was started.
    pub uptime_secs: u64,
}

/// Names one object in a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Id {
    /// The id or name.
    pub id: String,
}

/// An object was written to, or removed from, the folder of documents that come over APIs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The object.
    pub object: ObjectRef,
    /// The file that holds (or held) its document.
    pub file: String,
}

operations! {
    /// How the daemon is.
    GetHealth = "health" GET "/health" Read Authors (Nothing) -> <Health>;
}
