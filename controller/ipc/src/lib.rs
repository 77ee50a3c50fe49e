//! JSON over HTTP on Unix sockets: how osModa's daemons are spoken to, and what all of them have in common.
//!
//! A daemon declares a [`Service`], adds a handler for each operation of `osmoda_schemas::ops`, and gets routes, peer
//! checks, limits, deadlines, `/health`, `/metrics`, `/openapi.json`, readiness, watchdog and a graceful stop.
//! [`Client`] makes the same operations' calls.

pub mod api_documents;
mod client;
mod metrics;
mod peer;
mod request;
mod server;
mod service;
mod settings;
mod slots;

pub use client::{Client, ClientError};
pub use metrics::{Counter, Gauge, Metrics};
pub use peer::{Peer, Peers};
pub use request::{RequestReader, parse_query};
pub use server::{ServeError, init_logging, serve};
pub use service::{Call, EventStream, Service, StreamItem, aside};
pub use settings::{authors_of, config_or_default, read_config};

/// Largest body of a request, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
