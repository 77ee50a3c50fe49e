//! Canonical JSON.

use serde::Serialize;

/// The value as canonical JSON (RFC 8785, JCS): the form that hashes and ids are computed over.
///
/// # Panics
/// When the value cannot be JSON at all (a map with keys that are no text, a number that is not finite); none of our
/// own types can.
#[must_use]
pub fn canonical_json<T: Serialize>(value: &T) -> String {
    serde_json_canonicalizer::to_string(value).expect("our own types always have a JSON form")
}
