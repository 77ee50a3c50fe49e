//! Reading documents: text in, objects or problems with file, line and column out.
//!
//! One bad document never hides the others of its file.
//!
//! ```
//! use osmoda_schemas::document::read;
//!
//! let text = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: web}\nspec: {comand: [/bin/true]}\n";
//! let documents = read("web.yaml".as_ref(), text.as_bytes());
//! let problem = &documents[0].result.as_ref().unwrap_err().problems[0];
//! assert_eq!(problem.field.as_deref(), Some("spec.comand"));
//! assert_eq!(problem.hint.as_deref(), Some("did you mean `command`?"));
//! ```

mod check;
pub mod node;
mod scalar;
mod shape;
mod text;

use std::{ffi::OsStr, path::Path};

pub use check::{Document, Refusal, read};
pub use shape::check_against;
pub use text::{MAX_FILE_BYTES, too_large};

/// True for a file whose name says that it holds documents.
#[must_use]
pub fn is_document(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "yaml" | "yml" | "json"))
}

/// True for files and folders that are left alone: editors keep half-written files under hidden names.
#[must_use]
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// "did you mean ...?" for the nearest of these names, if one is near.
#[must_use]
pub fn did_you_mean(text: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    shape::did_you_mean(text, names.iter().map(String::as_str))
}
