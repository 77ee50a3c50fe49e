//! Checking a document against its kind's JSON Schema: every problem at once, each with its place and what would do.

use std::{collections::HashMap, path::Path, sync::OnceLock};

use jsonschema::{
    ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

use super::{check::position, node::Node};
use crate::{generate, object::Kind, problem::Problem};

/// Most problems of one document that are told at once.
const MAX_PROBLEMS: usize = 100;
/// Documents of more values than this are told their first problem only: to find all of them takes seconds.
const MANY_VALUES: usize = 20_000;

/// Problems of a whole document.
pub(super) fn check_document(kind: Kind, node: &Node, value: &Value, file: &Path) -> Vec<Problem> {
    static VALIDATORS: OnceLock<HashMap<Kind, (Value, Validator)>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(|| {
        let compile = |kind: &Kind| {
            let schema = generate::document_schema(*kind);
            let validator = jsonschema::validator_for(&schema).expect("generated schemas are schemas");
            (*kind, (schema, validator))
        };
        Kind::ALL.iter().map(compile).collect()
    });
    let (schema, validator) = &validators[&kind];
    check_against(schema, validator, node, value, file)
}

/// Problems of a text against any schema of ours.
#[must_use]
pub fn check_against(schema: &Value, validator: &Validator, node: &Node, value: &Value, file: &Path) -> Vec<Problem> {
    if validator.is_valid(value) {
        return Vec::new();
    }
    let context = Context { schema, node, file };
    let mut problems = Vec::new();
    if values(value) > MANY_VALUES {
        if let Err(error) = validator.validate(value) {
            context.explain(&error, &mut problems);
        }
    } else {
        for error in validator.iter_errors(value).take(MAX_PROBLEMS) {
            context.explain(&error, &mut problems);
        }
    }
    problems.dedup();
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// How many values a value is made of.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(entries) => entries.values().map(values).sum(),
        _ => 0,
    }
}

struct Context<'a> {
    schema: &'a Value,
    node: &'a Node,
    file: &'a Path,
}

impl Context<'_> {
    fn explain(&self, error: &ValidationError<'_>, problems: &mut Vec<Problem>) {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.properties(error);
                for key in unexpected.iter().take(MAX_PROBLEMS) {
                    let hint = did_you_mean(key, known.iter().map(String::as_str))
                        .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
                    let place = self.node.locate_key(pointer, key);
                    let field = join(&field_path(pointer), key);
                    problems.push(
                        Problem::new(422, "unknown-field", format!("there is no field `{key}` here"))
                            .field(field)
                            .hint(hint)
                            .at(position(self.file, place)),
                    );
                }
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let problem = Problem::new(422, "missing-field", format!("`{name}` is missing"));
                problems.push(self.at(pointer, problem).field(join(&field_path(pointer), name)));
            }
            ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
                self.explain_choice(error, context, problems);
            }
            kind => {
                let (code, detail, hint) = describe(kind, error.instance());
                let mut problem = Problem::new(422, code, detail);
                problem.hint = self.with_unit(error).or(hint);
                problems.push(self.at(pointer, problem).field(field_path(pointer)));
            }
        }
    }

    /// None of several shapes fits. The one that was meant is told by its tag; without one, by what fits best.
    fn explain_choice(
        &self,
        error: &ValidationError<'_>,
        branches: &[Vec<ValidationError<'static>>],
        problems: &mut Vec<Problem>,
    ) {
        let pointer = error.instance_path().as_str();
        for tag_pointer in [pointer.to_owned(), format!("{pointer}/type")] {
            let expected: Vec<Option<Vec<String>>> =
                branches.iter().map(|branch| branch.iter().find_map(|e| expected_constants(e, &tag_pointer))).collect();
            if expected.iter().all(Option::is_none) {
                continue;
            }
            if let Some(meant) = expected.iter().position(Option::is_none).filter(|_| tag_pointer != pointer) {
                for error in &branches[meant] {
                    self.explain(error, problems);
                }
                return;
            }
            let names: Vec<String> = expected.into_iter().flatten().flatten().collect();
            let value = error.instance().pointer(&tag_pointer[pointer.len()..]).cloned().unwrap_or(Value::Null);
            let detail = format!("{} is not known here; expected one of {}", show(&value), quoted(&names));
            let mut problem = Problem::new(422, "unknown-value", detail);
            problem.hint = value.as_str().and_then(|text| did_you_mean(text, names.iter().map(String::as_str)));
            problems.push(self.at(&tag_pointer, problem).field(field_path(&tag_pointer)));
            return;
        }
        if error.instance().is_object() && branches.iter().all(|b| b.iter().any(|e| is_missing(e, pointer, "type"))) {
            let problem = Problem::new(422, "missing-field", "`type` is missing: it says which kind of thing this is");
            problems.push(self.at(pointer, problem).field(join(&field_path(pointer), "type")));
            return;
        }
        // An optional value: one branch is `null`. Otherwise the branch that got furthest.
        let is_null = |e: &ValidationError<'_>| matches!(e.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(t) } if t.to_string() == "null");
        let depth = |branch: &Vec<ValidationError<'_>>| {
            let null_only = branch.len() == 1 && is_null(&branch[0]);
            (!null_only, branch.iter().map(|e| e.instance_path().as_str().len()).max())
        };
        if let Some(best) = branches.iter().max_by_key(|branch| depth(branch)) {
            for error in best {
                self.explain(error, problems);
            }
        }
    }

    /// Names of the fields that the schema of this error knows.
    fn properties(&self, error: &ValidationError<'_>) -> Vec<String> {
        let properties = self.around(error).and_then(|schema| schema.get("properties")?.as_object());
        properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
    }

    /// A number where a duration belongs: most people mean seconds.
    fn with_unit(&self, error: &ValidationError<'_>) -> Option<String> {
        let pattern = self.around(error)?.get("pattern")?.as_str()?;
        let value = error.instance();
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|n| (0.0..1e9).contains(n))?;
        if !pattern.contains("ms)") {
            return None;
        }
        let unit = if number.fract() == 0.0 { format!("{number}s") } else { format!("{:.0}ms", number * 1000.0) };
        Some(format!("did you mean \"{unit}\"?"))
    }

    /// The schema that the keyword of this error is in.
    fn around(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let location = error.schema_path().as_str();
        let (schema, _) = location.rsplit_once('/')?;
        self.schema.pointer(schema).or_else(|| resolve(self.schema, schema))
    }

    fn at(&self, pointer: &str, problem: Problem) -> Problem {
        problem.at(position(self.file, self.node.locate(pointer)))
    }
}

/// Follows a path of schema keywords through `$ref`s.
fn resolve<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = root;
    for part in path.split('/').skip(1) {
        if part == "$ref" {
            let target = at.get("$ref")?.as_str()?.strip_prefix('#')?;
            at = root.pointer(target)?;
        } else {
            let part = part.replace("~1", "/").replace("~0", "~");
            at = match at {
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                other => other.get(&part)?,
            };
        }
    }
    Some(at)
}

fn expected_constants(error: &ValidationError<'_>, pointer: &str) -> Option<Vec<String>> {
    if error.instance_path().as_str() != pointer {
        return None;
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => Some(vec![text(expected_value)]),
        ValidationErrorKind::Enum { options } => Some(options.as_array()?.iter().map(text).collect()),
        _ => None,
    }
}

fn is_missing(error: &ValidationError<'_>, pointer: &str, name: &str) -> bool {
    error.instance_path().as_str() == pointer
        && matches!(error.kind(), ValidationErrorKind::Required { property } if property == name)
}

/// Code, detail and hint of an error that needs no look at the schema.
fn describe(kind: &ValidationErrorKind, value: &Value) -> (&'static str, String, Option<String>) {
    match kind {
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(one) => article(&one.to_string()),
                TypeKind::Multiple(set) => {
                    let names: Vec<String> = set.iter().map(|t| t.to_string()).filter(|t| t != "null").collect();
                    names.iter().map(|n| article(n)).collect::<Vec<_>>().join(" or ")
                }
            };
            let quote = expected.contains("text") && (value.is_number() || value.is_boolean());
            let hint = if quote {
                Some(format!("put it in quotes: \"{value}\""))
            } else if expected == "a list" && !value.is_object() {
                Some(format!("write it as a list: [{value}]"))
            } else {
                None
            };
            ("wrong-type", format!("expected {expected}, found {}", show(value)), hint)
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect();
            let hint = value.as_str().and_then(|text| did_you_mean(text, names.iter().map(String::as_str)));
            ("unknown-value", format!("{} is not known here; expected one of {}", show(value), quoted(&names)), hint)
        }
        ValidationErrorKind::Constant { expected_value } => {
            ("unknown-value", format!("expected {expected_value}, found {}", show(value)), None)
        }
        ValidationErrorKind::Minimum { limit } | ValidationErrorKind::ExclusiveMinimum { limit } => {
            ("out-of-range", format!("{value} is too small; the least is {limit}"), None)
        }
        ValidationErrorKind::Maximum { limit } | ValidationErrorKind::ExclusiveMaximum { limit } => {
            ("out-of-range", format!("{value} is too large; the most is {limit}"), None)
        }
        ValidationErrorKind::MinItems { limit } => (
            "too-few",
            format!("the list has {} items; the fewest are {limit}", value.as_array().map_or(0, Vec::len)),
            None,
        ),
        ValidationErrorKind::MaxItems { limit } => (
            "too-many",
            format!("the list has {} items; the most are {limit}", value.as_array().map_or(0, Vec::len)),
            None,
        ),
        ValidationErrorKind::MinProperties { limit } => {
            ("too-few", format!("at least {limit} entries are needed"), None)
        }
        ValidationErrorKind::Pattern { pattern } => {
            let (what, hint) = known_pattern(pattern);
            ("invalid-value", format!("{} is not {what}", show(value)), Some(hint))
        }
        other => ("invalid-value", format!("{} breaks the rule `{}`", show(value), other.keyword()), None),
    }
}

/// What the patterns of our own types mean.
fn known_pattern(pattern: &str) -> (String, String) {
    use crate::{name::Name, object::ObjectRef};
    let (what, hint) = match pattern {
        Name::PATTERN => {
            ("a name", "use 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends")
        }
        ObjectRef::PATTERN => ("an object", "write kind and name, such as `App/web`"),
        p if p.contains("ms)") => {
            ("a duration", "write whole numbers with units, largest first, such as `30s`, `5m`, `1h30m`")
        }
        p if p.contains("Ki|") => ("a size", "write a number of bytes, or one with Ki, Mi, Gi or Ti, such as `64Mi`"),
        p if p.contains("{1,4}([.]") => ("a number of CPUs", "write a number in quotes, such as \"0.5\" or \"2\""),
        p if p.starts_with("^https?:") => ("an http or https URL", "such as `https://example.com/hook`"),
        p if p.starts_with("^http:") => ("an http URL", "such as `http://127.0.0.1:8080/health`"),
        p if p.starts_with("^SIG") => ("a signal", "such as `SIGTERM`"),
        p => return (format!("of the form {p}"), "see `osmoda explain`".to_owned()),
    };
    (what.to_owned(), hint.to_owned())
}

fn article(json_type: &str) -> String {
    match json_type {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
    .to_owned()
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::String(text) => format!("`{}`", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// "did you mean" for the nearest name, if one is near.
pub(crate) fn did_you_mean<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let distance = |name: &&str| strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase());
    let near = |name: &&str| distance(name) <= (text.len().max(name.len()) / 3).max(1);
    names.filter(near).min_by_key(distance).map(|name| format!("did you mean `{name}`?"))
}

/// `spec.health[0].port` for `/spec/health/0/port`.
fn field_path(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    parts.fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) => join(&path, &part),
    })
}

fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, key) if key.contains(['.', '[']) => format!("{path}[\"{key}\"]"),
        (path, key) => format!("{path}.{key}"),
    }
}
