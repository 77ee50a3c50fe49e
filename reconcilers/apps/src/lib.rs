//! Apps: long-running programs as hardened systemd services. systemd runs them; this crate only renders.

mod render;

pub use render::Apps;
