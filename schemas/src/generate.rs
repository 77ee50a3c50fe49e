//! Generated files: JSON Schemas, from the types, and the field tables of `docs/kinds`, from the schemas.

use std::{fs, io, path::Path};

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    explain::field_table,
    object::{API_VERSION, Kind, Metadata},
};

/// The JSON Schema (draft 2020-12) of whole documents of a kind.
#[must_use]
pub fn document_schema(kind: Kind) -> Value {
    let mut generator = generator();
    let mut schema = header(kind.as_str(), kind.description());
    schema.extend(envelope(kind, &mut generator));
    schema.insert("$defs".to_owned(), definitions(generator));
    Value::Object(schema)
}

/// The JSON Schema of any document: what an editor wants for a folder of mixed kinds. It refers to no other file.
#[must_use]
pub fn any_document_schema() -> Value {
    let mut generator = generator();
    let branches: Vec<Value> = Kind::ALL
        .iter()
        .map(|kind| {
            json!({
                "if": { "properties": { "kind": { "const": kind.as_str() } }, "required": ["kind"] },
                "then": envelope(*kind, &mut generator),
            })
        })
        .collect();
    let kinds = Kind::ALL.iter().map(|kind| json!({ "const": kind.as_str(), "description": kind.description() }));
    let mut schema = header("osmoda", "A document for osModa: one object of any kind.");
    schema.extend(object(&[
        ("type", json!("object")),
        ("required", json!(["apiVersion", "kind", "metadata", "spec"])),
        (
            "properties",
            json!({
                "kind": { "description": "What the document describes.", "oneOf": kinds.collect::<Vec<_>>() }
            }),
        ),
        ("allOf", Value::Array(branches)),
        ("$defs", definitions(generator)),
    ]));
    Value::Object(schema)
}

/// Every generated file that follows from the types alone: path from the root of the repository, content.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let pretty = |schema: Value| serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
    let kinds = Kind::ALL
        .iter()
        .map(|kind| (format!("schemas/json/{}.schema.json", kind.as_str()), pretty(document_schema(*kind))));
    kinds.chain([("schemas/json/osmoda.schema.json".to_owned(), pretty(any_document_schema()))]).collect()
}

/// Every generated file, and every page that has a generated part, as it should be in the repository at `root`.
///
/// # Errors
/// A page of `docs/kinds` cannot be read.
pub fn all_in(root: &Path) -> io::Result<Vec<(String, String)>> {
    let mut files = all();
    for kind in Kind::ALL {
        let path = docs_page(*kind);
        let existing = fs::read_to_string(root.join(&path))
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
        files.push((path, docs(&existing, *kind)));
    }
    Ok(files)
}

/// The page about a kind, from the root of the repository.
#[must_use]
pub fn docs_page(kind: Kind) -> String {
    let mut name = String::new();
    for letter in kind.as_str().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    format!("docs/kinds/{name}.md")
}

/// A page with the table of the kind's fields between `<!-- fields:Kind -->` and `<!-- /fields -->` made anew. A page
/// without these markers stays as it is.
#[must_use]
pub fn docs(existing: &str, kind: Kind) -> String {
    let (open, close) = (format!("<!-- fields:{kind} -->\n"), "<!-- /fields -->");
    let Some((before, rest)) = existing.split_once(&open) else { return existing.to_owned() };
    let Some((_, after)) = rest.split_once(close) else { return existing.to_owned() };
    format!("{before}{open}\n{}\n{close}{after}", field_table(kind))
}

fn header(name: &str, description: &str) -> Map<String, Value> {
    object(&[
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("$id", json!(format!("https://os.moda/schemas/{name}.schema.json"))),
        ("title", json!(name)),
        ("description", json!(description)),
    ])
}

/// What every document of a kind has.
fn envelope(kind: Kind, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut spec = kind.spec_schema(generator);
    spec.insert("description".to_owned(), json!("What is wished."));
    let mut metadata = generator.subschema_for::<Metadata>();
    metadata.insert("description".to_owned(), json!("Its name, labels and annotations."));
    object(&[
        ("type", json!("object")),
        (
            "properties",
            json!({
                "apiVersion": { "const": API_VERSION, "description": "The version of the language." },
                "kind": { "const": kind.as_str(), "description": "What the document describes." },
                "metadata": metadata,
                "spec": spec,
            }),
        ),
        ("required", json!(["apiVersion", "kind", "metadata", "spec"])),
        ("additionalProperties", json!(false)),
    ])
}

/// The definitions that schemas of a generator refer to; each `type` says what choosing it means, so that an editor
/// can show it.
fn definitions(mut generator: SchemaGenerator) -> Value {
    let mut definitions = generator.take_definitions(true);
    let branches = definitions.values_mut().filter_map(|d| d.get_mut("oneOf")?.as_array_mut()).flatten();
    for branch in branches {
        let meaning = branch.get("description").cloned();
        let tag = branch.pointer_mut("/properties/type").and_then(Value::as_object_mut);
        if let (Some(meaning), Some(tag)) = (meaning, tag) {
            tag.insert("description".to_owned(), meaning);
        }
    }
    Value::Object(definitions)
}

fn object(entries: &[(&str, Value)]) -> Map<String, Value> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}
