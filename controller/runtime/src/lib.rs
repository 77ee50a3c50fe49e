//! Work queue, resync, backoff and conditions; no I/O of its own.
