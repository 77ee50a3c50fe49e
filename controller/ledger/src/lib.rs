//! Hash-chained, append-only event ledger in SQLite with signed checkpoints.
