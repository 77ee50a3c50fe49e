//! `NixosConfig`: NixOS options as data. Needs the `nixos` backend.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the whole system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NixosConfig {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Values by option path, such as `services.postgresql.enable: true`.
    #[schemars(extend("minProperties" = 1))]
    pub options: BTreeMap<String, serde_json::Value>,
}
