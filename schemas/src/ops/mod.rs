//! The operations of all daemons, one file a daemon.

pub mod agentd;
pub mod common;
pub mod keyd;
pub mod routines;
pub mod watch;
pub mod witness;
