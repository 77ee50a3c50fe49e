//! What a field is, told from the schemas: `App.spec.health.probe` is found, described and listed with its fields.
//!
//! ```
//! let probe = osmoda_schemas::explain::explain("app.spec.health.probe")?;
//! assert_eq!(probe.type_name, "one of: unit, tcp, http, command");
//! # Ok::<(), osmoda_schemas::problem::Problem>(())
//! ```

mod render;
mod shape;
mod table;
mod walk;

use serde::Serialize;
use serde_json::Value;

pub use render::render;
pub use table::field_table;

use self::{
    shape::{Shape, Type},
    walk::{Found, Miss},
};
use crate::{document::did_you_mean, generate::document_schema, object::Kind, problem::Problem};

/// What there is to say about a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The path, with the kind as documents write it.
    pub path: String,
    /// Such as `string`, `list of HealthCheck`, `map of FileContent`, `one of: exec, notify`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it means; paragraphs are separated by an empty line.
    pub description: String,
    /// What it is when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether it has to be there.
    pub required: bool,
    /// Bounds or a sample of a value, such as `1 to 1000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// The values of `type` that have this field, when not all have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_with: Vec<String>,
    /// Its fields, or those of each entry of a list or map.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// What it can be, when that is a choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// A whole document, for a kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<&'static str>,
}

/// A field of something.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its name.
    pub name: String,
    /// As [`Explanation::type_name`].
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it has to be there.
    pub required: bool,
    /// What it is when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it means.
    pub description: String,
}

/// One of several things that a value can be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// The value itself, or that of `type`.
    pub name: String,
    /// What choosing it means.
    pub description: String,
    /// The fields beside `type`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// Explains a kind or a field: `App`, `apps.spec.health`, `App.spec.ports.http.port`, `Routine.spec.trigger.cron`.
/// Lists need no index, maps no key.
///
/// # Errors
/// `unknown-path`, with the nearest name that there is.
pub fn explain(path: &str) -> Result<Explanation, Problem> {
    let segments = walk::segments(path);
    let (first, rest) = segments.split_first().ok_or_else(|| unknown_kind(""))?;
    let kind = find_kind(first).ok_or_else(|| unknown_kind(first))?;
    let schema = document_schema(kind);
    let start = Found::root(kind.as_str(), Shape::new(&schema, &schema));
    match walk::walk(start.clone(), rest) {
        Ok(found) => Ok(explanation(&found, rest.is_empty().then(|| example(kind)))),
        Err(miss) => Err(unknown_path(&miss, &start, rest)),
    }
}

fn explanation(found: &Found<'_>, example: Option<&'static str>) -> Explanation {
    let shape = found.shape;
    let inner = shape.innermost();
    let variants = match inner.kind() {
        Type::Tagged(variants) => {
            let variant = |(name, variant): &(String, Shape<'_>)| Variant {
                name: name.clone(),
                description: variant.description(),
                fields: fields(*variant, &["type"]),
            };
            variants.iter().map(variant).collect()
        }
        Type::Choice(values) => {
            let variant = |(name, description)| Variant { name, description, fields: Vec::new() };
            values.into_iter().map(variant).collect()
        }
        _ => Vec::new(),
    };
    Explanation {
        path: found.path.clone(),
        type_name: shape.type_name(),
        description: shape.full_description(),
        default: shape.default().cloned(),
        required: found.required,
        limits: shape.limits().or_else(|| Some(format!("values such as `{}`", shape.sample()?))),
        only_with: found.only_with.clone(),
        fields: fields(inner, &[]),
        variants,
        example,
    }
}

fn fields(shape: Shape<'_>, without: &[&str]) -> Vec<Field> {
    let field = |(name, shape, required): (&str, Shape<'_>, bool)| Field {
        name: name.to_owned(),
        type_name: shape.type_name(),
        required,
        default: shape.default().cloned(),
        description: shape.description(),
    };
    shape.fields().filter(|(name, ..)| !without.contains(name)).map(field).collect()
}

/// A short document of the kind.
const fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::App => include_str!("../examples/app-hello.yaml"),
        Kind::McpServer => include_str!("../examples/mcp-stdio.yaml"),
        Kind::NixosConfig => include_str!("../examples/nixos/firewall.yaml"),
        Kind::Routine => include_str!("../examples/routine-interval.yaml"),
        Kind::Wallet => include_str!("../examples/wallet-key.yaml"),
        Kind::WalletPolicy => include_str!("../examples/wallet-default.yaml"),
        Kind::Watcher => include_str!("../examples/watcher-http.yaml"),
    }
}

/// Whatever its case, its plural, and with hyphens, as file names have them.
fn find_kind(text: &str) -> Option<Kind> {
    let text = text.to_ascii_lowercase().replace(['-', '_'], "");
    Kind::ALL.iter().copied().find(|kind| text == kind.as_str().to_ascii_lowercase() || text == kind.plural())
}

fn unknown_kind(text: &str) -> Problem {
    let names = || Kind::ALL.iter().map(|kind| kind.as_str().to_owned());
    let hint = did_you_mean(text, names())
        .unwrap_or_else(|| format!("a path begins with a kind: {}", names().collect::<Vec<_>>().join(", ")));
    Problem::new(404, "unknown-path", format!("there is no kind `{}`", clip(text))).hint(hint)
}

fn unknown_path(miss: &Miss, start: &Found<'_>, rest: &[&str]) -> Problem {
    let detail = format!("there is no `{}` in `{}`", clip(&miss.name), miss.at);
    // Most people mean the spec when they leave it out.
    let with_spec: Vec<&str> = ["spec"].into_iter().chain(rest.iter().copied()).collect();
    let hint = match walk::walk(start.clone(), &with_spec) {
        Ok(found) => format!("did you mean `{}`?", found.path),
        Err(_) => did_you_mean(&miss.name, miss.known.iter().cloned()).unwrap_or_else(|| {
            if miss.known.is_empty() {
                format!("`{}` has no fields", miss.at)
            } else {
                format!("known there: {}", miss.known.join(", "))
            }
        }),
    };
    Problem::new(404, "unknown-path", detail).hint(hint)
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}
