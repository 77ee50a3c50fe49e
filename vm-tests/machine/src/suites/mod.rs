//! Suites of tests on a machine, by what they are about.

pub mod api;
pub mod authors;
mod cli;
mod crash;
mod disk;
mod documents;
mod faults;
mod guides;
mod http;
mod inside;
mod keyd;
mod load;
mod nixos;
mod nixos_backend;
mod nixos_sources;
mod quick;
mod races;
pub mod routines;
pub mod sandbox;
mod security;
mod stuck;
pub mod switch;

use anyhow::Result;

use crate::Host;

/// A test: it fails with an error.
pub struct Case {
    /// What it shows.
    pub name: &'static str,
    /// How.
    pub run: fn(Host<'_>) -> Result<()>,
    /// Where.
    pub on: Whole,
    /// It takes minutes: `cargo xtask test` runs it only where it is asked for.
    pub long: bool,
}

/// What a test has of a virtual machine, with the kernel's limits and a disk of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Nothing but slowness.
    Equal,
    /// It shows more there.
    Better,
    /// It cannot be run in a container.
    Needed,
}

impl Case {
    pub(crate) fn anywhere(name: &'static str, run: fn(Host<'_>) -> Result<()>) -> Self {
        Self { name, run, on: Whole::Equal, long: false }
    }

    pub(crate) fn long(self) -> Self {
        Self { long: true, ..self }
    }

    fn better_whole(name: &'static str, run: fn(Host<'_>) -> Result<()>) -> Self {
        Self { name, run, on: Whole::Better, long: false }
    }

    fn whole(name: &'static str, run: fn(Host<'_>) -> Result<()>) -> Self {
        Self { name, run, on: Whole::Needed, long: false }
    }
}

/// All tests, in the order in which they run.
pub fn all() -> Vec<Case> {
    let suites = [
        documents::cases(),
        switch::cases(),
        stuck::cases(),
        faults::cases(),
        disk::cases(),
        crash::cases(),
        load::cases(),
        sandbox::cases(),
        security::cases(),
        races::cases(),
        routines::cases(),
        authors::cases(),
        keyd::cases(),
        api::cases(),
        cli::cases(),
        guides::cases(),
    ];
    suites.into_iter().flatten().collect()
}

/// All tests of NixOS, in the order in which they run.
pub fn nixos() -> Vec<Case> {
    // These give agentd another configuration; on NixOS that is a part of the system.
    let configured =
        ["switch: a unit that does not stop is killed in time", "switch: an apply of another plan is refused"];
    let own = [nixos::cases(), nixos_backend::cases(), nixos_sources::cases(), guides::nixos()].into_iter().flatten();
    own.chain(switch::cases().into_iter().filter(|case| !configured.contains(&case.name))).collect()
}
