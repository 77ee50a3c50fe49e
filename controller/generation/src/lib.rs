//! Generations: what the documents become, and where it is kept.
//!
//! Reconcilers render each object to a [`fragment::Fragment`]; together they are a [`tree::Tree`], a store path that is
//! known before anything is written ([`store_path`]).

pub mod fragment;
mod nar;
pub mod store_path;
pub mod tree;
