//! Policies from their documents to decisions.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
mod compile;
mod decide;
mod loosens;
