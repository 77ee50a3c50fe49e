//! Suites of tests on a machine, by what they are about.

pub mod api;
pub mod authors;
mod cli;
mod disk;
mod documents;
mod faults;
mod http;
mod inside;
mod quick;
pub mod routines;
pub mod sandbox;
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
    /// It needs the kernel's limits, or a disk of the machine's own.
    pub needs_whole: bool,
}

/// All tests, in the order in which they run.
pub fn all() -> Vec<Case> {
    let suites = [
        documents::cases(),
        switch::cases(),
        stuck::cases(),
        faults::cases(),
        disk::cases(),
        sandbox::cases(),
        routines::cases(),
        authors::cases(),
        api::cases(),
        cli::cases(),
    ];
    suites.into_iter().flatten().collect()
}
