//! Generated files are in the repository, so that editors find them; they are those that the types give now.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{fs, path::Path};

use osmoda_schemas::{document::read, generate, object::Kind};
use serde_json::Value;

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let stale: Vec<String> = generate::all_in(root)
        .unwrap()
        .into_iter()
        .filter(|(path, content)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(content))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "{} are stale: run cargo xtask schemas", stale.join(", "));
}

/// Everything in a schema that is a schema itself, with where it is.
fn parts<'a>(schema: &'a Value, path: String, out: &mut Vec<(String, &'a Value)>) {
    match schema {
        Value::Object(entries) => {
            out.push((path.clone(), schema));
            for (key, value) in entries.iter().filter(|(key, _)| !matches!(key.as_str(), "default" | "if" | "examples"))
            {
                parts(value, format!("{path}/{key}"), out);
            }
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| parts(v, format!("{path}/{i}"), out)),
        _ => {}
    }
}

#[test]
fn schemas_tell_an_editor_all_there_is_to_know() {
    let schemas =
        Kind::ALL.iter().map(|kind| generate::document_schema(*kind)).chain([generate::any_document_schema()]);
    for schema in schemas {
        let mut all = Vec::new();
        parts(&schema, String::new(), &mut all);
        for (path, part) in all {
            let closed = part.get("additionalProperties").is_some();
            // The frame around all kinds is closed by the branch of each.
            let object = part["type"] == "object" && !(path.is_empty() && part.get("allOf").is_some());
            assert!(!object || closed, "{path} takes any field");
            for (name, field) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
                assert!(field["description"].is_string(), "{path}: `{name}` has no description");
            }
            if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
                assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{path} refers to nothing");
            }
        }
    }
}

#[test]
fn the_schema_of_all_kinds_takes_what_those_of_each_take() {
    let any = jsonschema::validator_for(&generate::any_document_schema()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        for document in read(&path, &fs::read(&path).unwrap()) {
            let mut value = document.node.unwrap().to_json();
            assert!(any.is_valid(&value), "{}", path.display());
            value["spec"]["surprise"] = Value::Bool(true);
            assert!(!any.is_valid(&value), "{}: any field would do", path.display());
        }
    }
}
