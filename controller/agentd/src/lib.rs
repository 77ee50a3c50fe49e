//! agentd as a library: its loop, for the daemon and for what simulates it (`tests/simulation`).

pub mod api;
mod aside;
mod building;
pub mod controller;
mod events;
pub mod follow;
mod heal;
pub mod ingest;
pub mod options;
mod outcome;
mod planning;
mod preview;
pub mod receipts;
pub mod reconcile;
mod said;
mod sources;
mod standing;
mod status;
mod step_error;
mod store;
mod system;
pub mod witness;
pub mod world;

use std::sync::Arc;

use osmoda_apps::Apps;
use osmoda_generation::plan::Renderers;
use osmoda_mcp::McpServers;
use osmoda_nixos::NixosConfigs;
use osmoda_routines::Routines;
use osmoda_wallets::{WalletPolicies, Wallets};
use osmoda_watch::Watchers;

/// What objects of each kind become.
#[must_use]
pub fn renderers() -> Renderers {
    Renderers::new(vec![
        Arc::new(Apps),
        Arc::new(McpServers),
        Arc::new(NixosConfigs),
        Arc::new(Routines),
        Arc::new(WalletPolicies),
        Arc::new(Wallets),
        Arc::new(Watchers),
    ])
}
