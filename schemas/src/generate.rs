//! JSON Schemas, generated from the types.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::object::{API_VERSION, Kind, Metadata};

/// The JSON Schema (draft 2020-12) of whole documents of a kind.
#[must_use]
pub fn document_schema(kind: Kind) -> Value {
    let mut generator = generator();
    let spec = kind.spec_schema(&mut generator);
    let metadata = generator.subschema_for::<Metadata>();
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("https://os.moda/schemas/{}.schema.json", kind.as_str()),
        "title": kind.as_str(),
        "description": kind.description(),
        "type": "object",
        "properties": {
            "apiVersion": { "const": API_VERSION, "description": "The version of the language." },
            "kind": { "const": kind.as_str(), "description": "What the document describes." },
            "metadata": metadata,
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The JSON Schema of any document: what an editor wants for a folder of mixed kinds.
#[must_use]
pub fn any_document_schema() -> Value {
    let refs = Kind::ALL.iter().map(|kind| {
        json!({
            "if": { "properties": { "kind": { "const": kind.as_str() } }, "required": ["kind"] },
            "then": { "$ref": format!("{}.schema.json", kind.as_str()) },
        })
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://os.moda/schemas/osmoda.schema.json",
        "title": "osModa document",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": { "kind": { "enum": Kind::ALL } },
        "allOf": refs.collect::<Vec<_>>(),
    })
}

/// Every generated file: path from the root of the repository, content.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let pretty = |schema: Value| serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
    let kinds = Kind::ALL
        .iter()
        .map(|kind| (format!("schemas/json/{}.schema.json", kind.as_str()), pretty(document_schema(*kind))));
    kinds.chain([("schemas/json/osmoda.schema.json".to_owned(), pretty(any_document_schema()))]).collect()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}
