//! `osmoda explain App.spec.health`: what a field is, read from the same schemas that documents are checked against.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::{document::did_you_mean, generate::document_schema, object::Kind, problem::Problem};

/// What there is to say about a kind or a field of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its path, such as `App.spec.health`.
    pub path: String,
    /// What it holds, in words.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it is for.
    pub description: String,
    /// What holds when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Its own fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// A field of what is explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its name.
    pub name: String,
    /// With `type: ...`, the only one it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What it holds, in words.
    #[serde(rename = "type")]
    pub type_name: String,
    /// It may not be left out.
    pub required: bool,
    /// What holds when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for.
    pub description: String,
}

/// Explains a path such as `App`, `app.spec.health` or `Routine.spec.trigger.schedule`.
///
/// # Errors
/// When there is no such kind or field, with the nearest name.
pub fn explain(path: &str) -> Result<Explanation, Problem> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let kind: Kind = first.parse().map_err(|error| {
        let names = Kind::ALL.iter().map(ToString::to_string);
        let problem = Problem::new(404, "unknown-path", format!("{error}"));
        match did_you_mean(first, names) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })?;
    let root = document_schema(kind);
    let schema = Schemas { root: &root };
    let mut here = &root;
    let mut so_far = kind.to_string();
    let mut node = &root;
    for part in parts {
        let name = part.trim_end_matches(|c: char| c == ']' || c == '[' || c.is_ascii_digit());
        let fields = schema.fields(here);
        let Some(field) = fields.iter().find(|f| f.name == name) else {
            let names: Vec<String> = fields.iter().map(|f| f.name.to_owned()).collect();
            let hint = did_you_mean(name, names.iter().cloned()).unwrap_or_else(|| match names.is_empty() {
                true => format!("{so_far} has no fields"),
                false => format!("its fields are {}", names.join(", ")),
            });
            return Err(Problem::new(404, "unknown-path", format!("{so_far} has no field `{name}`")).hint(hint));
        };
        so_far = format!("{so_far}.{name}");
        node = field.schema;
        here = field.schema;
    }
    let fields = schema.fields(here).into_iter().map(|f| Field {
        name: f.name.to_owned(),
        of: f.of.map(str::to_owned),
        type_name: schema.type_name(f.schema),
        required: f.required,
        default: schema.default(f.schema),
        description: schema.description(f.schema),
    });
    Ok(Explanation {
        path: so_far,
        type_name: schema.type_name(node),
        description: schema.description(node),
        default: schema.default(node),
        fields: fields.collect(),
    })
}

struct FoundField<'a> {
    name: &'a str,
    of: Option<&'a str>,
    schema: &'a Value,
    required: bool,
}

struct Schemas<'a> {
    root: &'a Value,
}

impl<'a> Schemas<'a> {
    /// What a reference points to.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut at = schema;
        while let Some(reference) = at["$ref"].as_str() {
            at = self.root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        }
        at
    }

    /// Of an optional value, what it is when it is there.
    fn present(&self, schema: &'a Value) -> &'a Value {
        let schema = self.resolve(schema);
        match schema["anyOf"].as_array() {
            Some(branches) if branches.len() == 2 => {
                branches.iter().find(|b| b["type"] != "null").map_or(schema, |b| self.resolve(b))
            }
            _ => schema,
        }
    }

    /// Fields of an object, of the items of a list, of the values of a map, or of each of several shapes.
    fn fields(&self, schema: &'a Value) -> Vec<FoundField<'a>> {
        let schema = self.present(schema);
        if schema["items"].is_object() {
            return self.fields(&schema["items"]);
        }
        let mut found = self.own_fields(schema, None);
        if found.is_empty() && schema["additionalProperties"].is_object() {
            return self.fields(&schema["additionalProperties"]);
        }
        for shape in schema["oneOf"].as_array().into_iter().flatten() {
            let shape_ = self.resolve(shape);
            let tag = shape["properties"]["type"]["const"].as_str().or(shape_["properties"]["type"]["const"].as_str());
            let Some(tag) = tag else { continue };
            found.extend(self.own_fields(shape_, Some(tag)));
            if shape["$ref"].is_string() {
                found.extend(self.own_fields(shape, Some(tag)));
            }
        }
        found
    }

    fn own_fields(&self, schema: &'a Value, of: Option<&'a str>) -> Vec<FoundField<'a>> {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties
            .filter(|(name, _)| of.is_none() || *name != "type")
            .map(|(name, schema)| FoundField { name, of, schema, required: required.contains(&name.as_str()) })
            .collect()
    }

    fn description(&self, schema: &Value) -> String {
        let own = schema["description"].as_str();
        let text = own.or_else(|| {
            let at = self.root.pointer(schema["$ref"].as_str()?.trim_start_matches('#'))?;
            at["description"].as_str()
        });
        text.unwrap_or_default().to_owned()
    }

    fn default(&self, schema: &Value) -> Option<Value> {
        schema.get("default").filter(|d| !d.is_null() && **d != serde_json::json!({})).cloned()
    }

    /// What a value is, in words.
    fn type_name(&self, schema: &'a Value) -> String {
        let schema = self.present(schema);
        if let Some(constant) = schema["const"].as_str() {
            return format!("`{constant}`");
        }
        let constants = |list: &'a Value| -> Vec<String> {
            let values = list.as_array().into_iter().flatten();
            values.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect()
        };
        if schema["enum"].is_array() {
            return constants(&schema["enum"]).join(" | ");
        }
        if let Some(shapes) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let one = |shape: &'a Value| {
                let tag = &self.resolve(shape)["properties"]["type"]["const"];
                let tag = tag.as_str().or(shape["properties"]["type"]["const"].as_str());
                tag.or(shape["const"].as_str()).map_or_else(|| self.type_name(shape), str::to_owned)
            };
            return shapes.iter().map(one).collect::<Vec<_>>().join(" | ");
        }
        let kind = match &schema["type"] {
            Value::String(kind) => kind.as_str(),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("any"),
            _ => "any",
        };
        match kind {
            "array" => format!("list of {}", self.type_name(&schema["items"])),
            "object" if schema["additionalProperties"].is_object() => {
                format!("map of {}", self.type_name(&schema["additionalProperties"]))
            }
            other => other.to_owned(),
        }
    }
}

/// The explanation for a terminal.
#[must_use]
pub fn render(explanation: &Explanation, color: bool) -> String {
    let bold = |text: &str| if color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    let dim = |text: &str| if color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() };
    let mut out = format!("{}  {}\n", bold(&explanation.path), dim(&explanation.type_name));
    if !explanation.description.is_empty() {
        let _ = writeln!(out, "\n{}", explanation.description);
    }
    if let Some(default) = &explanation.default {
        let _ = writeln!(out, "\nDefault: {}", show(default));
    }
    if !explanation.fields.is_empty() {
        out.push_str("\nFields:\n");
    }
    let mut group = None;
    for field in &explanation.fields {
        if field.of != group {
            let _ = writeln!(out, "  with {}", bold(&format!("type: {}", field.of.as_deref().unwrap_or_default())));
            group.clone_from(&field.of);
        }
        let needed = if field.required { ", required" } else { "" };
        let default = field.default.as_ref().map(|d| format!(", default {}", show(d))).unwrap_or_default();
        let kind = dim(&format!("{}{needed}{default}", field.type_name));
        let _ = writeln!(out, "  {}  {kind}", bold(&field.name));
        if !field.description.is_empty() {
            let _ = writeln!(out, "      {}", field.description.replace('\n', "\n      "));
        }
    }
    out
}

fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The fields of a kind's `spec` as a Markdown table.
#[must_use]
pub fn field_table(kind: Kind) -> String {
    let mut out = String::from("| field | holds | default | |\n|---|---|---|---|\n");
    if let Ok(explanation) = explain(&format!("{kind}.spec")) {
        for field in &explanation.fields {
            let default = field.default.as_ref().map(|d| format!("`{}`", show(d))).unwrap_or_default();
            let default = if field.required { "required".to_owned() } else { default };
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            let holds = cell(&field.type_name);
            let _ = writeln!(out, "| `{}` | {holds} | {default} | {} |", field.name, cell(&field.description));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_its_fields_are_explained() {
        let app = explain("apps.spec").unwrap();
        assert!(app.fields.iter().any(|f| f.name == "command" && f.required && f.type_name == "list of string"));
        let tier = app.fields.iter().find(|f| f.name == "tier").unwrap();
        assert_eq!(tier.type_name, "0 | 1 | 2");
        insta::assert_snapshot!(render(&explain("App.spec.health").unwrap(), false));
        insta::assert_snapshot!(render(&explain("Routine.spec.trigger").unwrap(), false));
    }

    #[test]
    fn a_slip_is_answered_with_the_nearest_name() {
        assert_eq!(explain("Ap").unwrap_err().hint.as_deref(), Some("did you mean `App`?"));
        assert_eq!(explain("App.spec.helth").unwrap_err().hint.as_deref(), Some("did you mean `health`?"));
        assert!(explain("App.spec.tier.x").unwrap_err().hint.unwrap().contains("no fields"));
    }

    #[test]
    fn every_field_of_every_kind_is_described() {
        for kind in Kind::ALL {
            for field in explain(&format!("{kind}.spec")).unwrap().fields {
                assert!(!field.description.is_empty(), "{kind}.spec.{} has no description", field.name);
            }
        }
    }
}
