//! The one error body: RFC 9457 `application/problem+json`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::SourcePosition;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, for a program and for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A URI of the problem's page: `https://os.moda/problems/<code>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The kind of problem, the same for every occurrence.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// This occurrence.
    pub detail: String,
    /// Stable, kebab-case.
    pub code: String,
    /// Path of the field, such as `spec.health[0].probe.port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Where the document says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePosition>,
    /// What would make it pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Further problems, when there is more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Problem>,
}

impl Problem {
    /// A problem with that stable code; the title is the code in words.
    #[must_use]
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        let mut title = code.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self {
            type_uri: format!("https://os.moda/problems/{code}"),
            title,
            status,
            detail: printable(detail.into()),
            code: code.to_owned(),
            field: None,
            source: None,
            hint: None,
            errors: Vec::new(),
        }
    }

    /// With what would make it pass.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(hint.into()));
        self
    }

    /// With the path of the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(printable(field.into()));
        self
    }

    /// With the place in a document.
    #[must_use]
    pub fn at(mut self, source: SourcePosition) -> Self {
        self.source = Some(source);
        self
    }
}

/// What documents say is quoted in problems, and problems are shown in terminals: nothing in them moves a cursor or fills
/// a screen.
fn printable(text: String) -> String {
    const MOST: usize = 2000;
    let plain = |c: char| !c.is_control() || c == '\n';
    if text.len() <= MOST && text.chars().all(plain) {
        return text;
    }
    let mut out = String::new();
    for c in text.chars().take(MOST) {
        if plain(c) { out.push(c) } else { out.extend(c.escape_default()) }
    }
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.detail)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
