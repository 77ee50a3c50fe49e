//! `McpServer`: a Model Context Protocol server that the agent may use.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Access, Resources, RunAs, SecretSource, Tier,
    app::{is_true, yes},
};

/// An MCP server. One that speaks `stdio` is run for the agent's runtime; one that speaks `http` runs as a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct McpServer {
    /// One line for people and for the agent's runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it is spoken to.
    #[serde(default)]
    pub transport: Transport,
    /// A Nix store path, or (backend `nixos` only) an attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Program and arguments; no shell. The program is an absolute path, or relative to `package`.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// Environment variables. No secrets: use `secrets`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Secrets, by name; the server reads them from `$CREDENTIALS_DIRECTORY/<name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// The user to run as. Default: a dynamic user of its own.
    #[serde(default, skip_serializing_if = "RunAs::is_dynamic")]
    pub user: RunAs,
    /// How far it is trusted.
    #[serde(default)]
    pub tier: Tier,
    /// What it may reach; with `allowedDomains` its only way out is the egress proxy.
    #[serde(default, skip_serializing_if = "Access::is_default")]
    pub access: Access,
    /// Limits.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// Tools that the agent may call. Default: all that the server offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_tools: Vec<String>,
    /// False keeps the document but does not run the server.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    #[schemars(extend("default" = true))]
    pub enabled: bool,
}

/// How an MCP server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Transport {
    /// Over its standard input and output.
    #[default]
    #[schemars(extend("additionalProperties" = false))]
    Stdio,
    /// Over HTTP on a loopback port.
    Http(HttpTransport),
}

/// Where an HTTP server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpTransport {
    /// Its port on 127.0.0.1.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Its path.
    #[serde(default = "mcp_path")]
    pub path: String,
}

fn mcp_path() -> String {
    "/mcp".to_owned()
}
