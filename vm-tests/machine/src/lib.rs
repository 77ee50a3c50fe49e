//! What has to hold on a whole machine: the story of the demo, and suites of tests. The machines themselves (containers,
//! virtual machines) are somebody else's.

pub mod crash;
pub mod guides;
mod host;
pub mod install;
pub mod load;
pub mod story;
pub mod suites;
pub mod wallets;

use std::{path::Path, process::Output};

use anyhow::Result;

pub use host::{Host, wait};

/// A machine on which osModa is installed.
pub trait Machine: Send {
    /// Runs a command as root and gives its output, however it ended.
    fn output(&self, words: &[&str]) -> Result<Output>;
    /// Writes a file in one step.
    fn write(&self, path: &str, text: &str) -> Result<()>;
    /// Copies a file of this machine into it, as a program.
    fn put(&self, from: &Path, to: &str) -> Result<()>;
    /// Kills everything in it at once, as a power cut does.
    fn cut(&self) -> Result<()>;
    /// Boots it and waits until it is up.
    fn boot(&self) -> Result<()>;
    /// True when the kernel's limits (memory, tasks) and a disk of its own are there.
    fn is_whole(&self) -> bool;
}
