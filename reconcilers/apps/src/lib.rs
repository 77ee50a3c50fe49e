//! App documents: rendering to hardened systemd units.
