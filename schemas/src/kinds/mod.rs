//! What documents can describe, one kind a file.

pub mod app;
pub mod mcp_server;
pub mod nixos_config;
pub mod probe;
pub mod routine;
mod tier;
pub mod wallet;
pub mod wallet_policy;
pub mod watcher;

pub use app::{Access, App, Network, Resources, RunAs, SecretSource};
pub use mcp_server::McpServer;
pub use nixos_config::NixosConfig;
pub use probe::{HealthCheck, Probe};
pub use routine::Routine;
pub use tier::Tier;
pub use wallet::Wallet;
pub use wallet_policy::WalletPolicy;
pub use watcher::Watcher;
