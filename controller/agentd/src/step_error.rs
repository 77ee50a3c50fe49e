//! Why a step of the controller failed.

use osmoda_generation::{assemble::AssembleError, plan::PlanError};
use osmoda_safeswitch::StartError;
use osmoda_schemas::problem::Problem;

/// Why a step failed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// What is admitted cannot be made durable.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] osmoda_ledger::LedgerError),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Two objects render the same file.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The Nix store does not take the generation.
    #[error(transparent)]
    Nix(#[from] osmoda_generation::StoreError),
    /// A file or link of ours.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Somebody else is at it.
    #[error("the NixOS system is being switched by somebody else")]
    SystemSwitching,
    /// The switch cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl StepError {
    /// As the one error body.
    pub fn problem(&self) -> Problem {
        let (status, code, hint) = match self {
            Self::Store(_) => {
                (507, "state-not-writable", "is the disk full, or read-only? `osmoda doctor` looks into it")
            }
            Self::Ledger(_) => (507, "ledger-not-writable", "nothing is changed that cannot be recorded"),
            Self::Plan(_) | Self::Assemble(_) => (422, "not-renderable", "`osmoda validate` shows which document"),
            Self::Nix(osmoda_generation::StoreError::Missing(_)) => {
                (503, "nix-missing", "install Nix: `apt install nix-bin`")
            }
            Self::Nix(_) => (503, "nix-store-failed", "`osmoda doctor` looks into it"),
            Self::Io(_) => (500, "machine-not-writable", "is the disk full, or read-only?"),
            Self::SystemSwitching => (409, "system-switching", "wait for it; `osmoda status` tells"),
            Self::Start(StartError::Busy(_)) => {
                (409, "switch-in-flight", "wait for it (`osmoda history`), or end it: `osmoda switch rollback`")
            }
            Self::Start(_) => (503, "switch-not-started", "`osmoda doctor` looks into it"),
        };
        Problem::new(status, code, self.to_string()).hint(hint)
    }
}
