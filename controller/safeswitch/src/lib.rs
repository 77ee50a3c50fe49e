//! The switch transaction: persisted state machine, health gates, dead-man timer, rollback.
