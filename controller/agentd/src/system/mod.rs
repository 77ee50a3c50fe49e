//! Questions about the machine itself.

mod listening;
mod query;

pub use query::query;

use std::path::Path;

use osmoda_schemas::ops::agentd::{Discovered, Discovery};

/// Services that listen on this machine.
#[must_use]
pub fn discover() -> Discovery {
    let found = listening::listeners(Path::new("/proc"));
    let services = found.into_iter().map(|listener| {
        let process = listener.process.as_ref();
        Discovered {
            port: listener.port,
            protocol: listener.protocol.to_owned(),
            address: listener.address.to_string(),
            process: process.map(|p| p.name.clone()),
            pid: process.map(|p| p.pid),
            unit: process.and_then(|p| p.unit.clone()),
            service: process.and_then(|p| listening::known_service(&p.name)).map(str::to_owned),
        }
    });
    Discovery { services: services.collect() }
}
