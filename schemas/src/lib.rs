//! What osModa is told and what it answers: kinds, documents, plans, status, operations.
//!
//! Everything that crosses an edge (a file, a socket, a terminal) is declared here once. A document is read by
//! [`document`] with its source positions, checked against its kind's JSON Schema and rules, and becomes an
//! [`object::Object`]; two objects that wish the same have the same [`canonical_json`].
//!
//! ```
//! use osmoda_schemas::object::Object;
//!
//! let object = Object::from_json(
//!     r#"{"apiVersion":"os.moda/v1","kind":"App","metadata":{"name":"web"},"spec":{"command":["/bin/true"]}}"#,
//! )?;
//! assert_eq!(object.reference().to_string(), "App/web");
//! # Ok::<(), osmoda_schemas::object::ObjectJsonError>(())
//! ```

pub mod authors;
mod canonical;
pub mod condition;
pub mod config;
pub mod cron;
pub mod diagnostics;
pub mod document;
pub mod explain;
pub mod generate;
pub mod kinds;
pub mod name;
pub mod nixos;
pub mod object;
pub mod operation;
pub mod ops;
pub mod plan;
pub mod problem;
pub mod quantity;
pub mod rules;
pub mod switch;
pub mod time;

pub use canonical::canonical_json;
pub use time::now;
#[cfg(feature = "simulated")]
pub use time::simulated;
