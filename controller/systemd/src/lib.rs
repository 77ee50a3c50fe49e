//! Typed D-Bus client of systemd: units, jobs, signals, transient units, unit comparison.
