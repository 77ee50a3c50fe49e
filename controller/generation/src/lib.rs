//! Generations: what the documents become, and where it is kept.
//!
//! Reconcilers render each object to a [`fragment::Fragment`]; [`assemble`] puts them together to a store path that is
//! known before anything is written ([`store_path`]); [`plan`] says what differs from the active one; [`NixStore`],
//! [`Profile`] and [`Roots`] keep it.

pub mod assemble;
pub mod authors;
pub mod desired;
mod diff;
pub mod durable;
pub mod fragment;
pub mod manifest;
mod nar;
pub mod nixos;
pub mod packages;
pub mod plan;
mod profile;
mod roots;
mod store;
pub mod store_path;
pub mod tree;
pub mod unit;
mod units;

pub use profile::{Committed, Profile, generation_of, read_store_link};
pub use roots::Roots;
pub use store::{NixStore, StoreError, StoreModel};
pub use units::Units;
