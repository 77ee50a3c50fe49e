//! Rules that a schema cannot say: of one object ([`check_object`]), of all together ([`check_set`]), and of who may
//! wish what ([`crate::authors`]).

mod object;
mod program;
mod set;
mod text;

pub use object::check_object;
pub use set::{Facts, SetEntry, check_set, facts};

use crate::problem::Problem;

/// A rule that an object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's stable name.
    pub rule: &'static str,
    /// The field that breaks it, such as `spec.command[0]`.
    pub field: String,
    /// What is wrong.
    pub detail: String,
    /// What would make it pass.
    pub hint: String,
}

impl Violation {
    /// A violation.
    #[must_use]
    pub fn new(
        rule: &'static str,
        field: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { rule, field: field.into(), detail: detail.into(), hint: hint.into() }
    }

    /// As a problem without a place.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        Problem::new(422, self.rule, self.detail).field(self.field).hint(self.hint)
    }
}

/// Most bytes that a compiled regular expression may take: what it costs to match grows with them.
const REGULAR_EXPRESSION: usize = 64 * 1024;

/// Compiles a regular expression of a document. Whoever matches one compiles it here, under the one limit.
///
/// # Errors
/// When it is none, or too large.
pub fn regular_expression(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::RegexBuilder::new(pattern).size_limit(REGULAR_EXPRESSION).build()
}

/// Where the generation is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Backend {
    /// Any Linux with systemd and Nix.
    Profile,
    /// NixOS.
    Nixos,
}
