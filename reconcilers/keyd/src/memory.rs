//! What keeps this process's memory from a disk: no swap, no core dump, no debugger of the same user.

use std::io;

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
    thread::{CapabilitySet, capabilities},
};

/// A protection that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// `RLIMIT_CORE`.
    #[error("core dumps cannot be forbidden (RLIMIT_CORE): {0}")]
    Core(io::Error),
    /// `PR_SET_DUMPABLE`.
    #[error("debuggers and core dumps cannot be forbidden (PR_SET_DUMPABLE): {0}")]
    Dumpable(io::Error),
    /// `RLIMIT_MEMLOCK`: memory would run out in the middle of something.
    #[error(
        "memory is not locked, so keys may get to swap: at most {0} bytes may be; set LimitMEMLOCK=infinity in the unit"
    )]
    Limit(u64),
    /// `mlockall`.
    #[error("memory is not locked, so keys may get to swap (mlockall): {0}")]
    Lock(io::Error),
}

/// All protections, each as far as it goes; gives those that could not be had. Called when a program starts, before it has
/// a secret or a second thread.
#[must_use]
pub fn protect() -> Vec<MemoryError> {
    [forbid_core(), forbid_debuggers(), lock()].into_iter().filter_map(Result::err).collect()
}

/// No core dump, of any size.
fn forbid_core() -> Result<(), MemoryError> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| MemoryError::Core(error.into()))
}

/// Not even one to a pipe, which no limit stops; and no process of the same user may look into `/proc/PID/mem` (prctl(2)).
fn forbid_debuggers() -> Result<(), MemoryError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| MemoryError::Dumpable(error.into()))
}

/// All pages, now and later, as they come into use. With a limit an allocation later on would fail, and that ends the
/// program: then nothing is locked, and it is said at once. Argon2 alone may take 1 GiB.
fn lock() -> Result<(), MemoryError> {
    let may_exceed = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    match getrlimit(Resource::Memlock).current {
        Some(limit) if !may_exceed => Err(MemoryError::Limit(limit)),
        _ => mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
            .map_err(|error| MemoryError::Lock(error.into())),
    }
}
