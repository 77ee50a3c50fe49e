//! The fields of a kind as a Markdown table.

use std::fmt::Write as _;

use super::shape::{Shape, Type, plain};
use crate::{generate::document_schema, object::Kind};

/// All fields of the kind's `spec`, at any depth, one a row. Ends with a line feed.
#[must_use]
pub fn field_table(kind: Kind) -> String {
    let schema = document_schema(kind);
    let spec = Shape::new(&schema, &schema["properties"]["spec"]);
    let mut rows = Vec::new();
    add_fields(&mut rows, "", spec);
    let mut out = "| field | type | default | meaning |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", row.path, row.type_name, row.default, row.meaning);
    }
    out
}

struct Row {
    path: String,
    type_name: String,
    default: String,
    meaning: String,
}

fn add_fields(rows: &mut Vec<Row>, prefix: &str, shape: Shape<'_>) {
    for (name, field, required) in shape.fields() {
        add_field(rows, format!("{prefix}{name}"), field, required, "");
    }
}

fn add_field(rows: &mut Vec<Row>, path: String, shape: Shape<'_>, required: bool, only_with: &str) {
    let default = match shape.default() {
        _ if required => "**required**".to_owned(),
        Some(value) => format!("`{}`", plain(value)),
        None => String::new(),
    };
    let mut meaning = shape.description();
    if let Some(limits) = shape.limits() {
        let _ = write!(meaning, " ({limits})");
    }
    let type_name = match shape.kind() {
        // Its `type` has a row of its own.
        Type::Tagged(_) => "object".to_owned(),
        _ => shape.type_name(),
    };
    let path = descend(rows, Row { path, type_name, default, meaning }, shape, only_with);
    add_inner(rows, &path, shape.innermost());
}

/// Adds the row, with the meaning of its values, and says where its fields are to be found.
fn descend(rows: &mut Vec<Row>, mut row: Row, shape: Shape<'_>, only_with: &str) -> String {
    if let Type::Choice(values) = shape.innermost().kind() {
        for (value, meaning) in values.iter().filter(|(_, meaning)| !meaning.is_empty()) {
            let _ = write!(row.meaning, "<br>`{value}`: {meaning}");
        }
    }
    row.meaning = format!("{only_with}{}", row.meaning).replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ");
    row.default = row.default.replace('|', "\\|");
    let mut path = row.path.clone();
    rows.push(row);
    let mut at = shape;
    loop {
        at = match at.kind() {
            Type::List(inner) => {
                path.push_str("[]");
                inner
            }
            Type::Map(inner) => {
                path.push_str(".<name>");
                inner
            }
            _ => return path,
        };
    }
}

/// The fields of what a row is about.
fn add_inner(rows: &mut Vec<Row>, path: &str, shape: Shape<'_>) {
    match shape.kind() {
        Type::Object => add_fields(rows, &format!("{path}."), shape),
        Type::Tagged(variants) => {
            let mut meaning = "Which of these it is.".to_owned();
            for (tag, variant) in &variants {
                let _ = write!(meaning, "<br>`{tag}`: {}", variant.description());
            }
            rows.push(Row {
                path: format!("{path}.type"),
                type_name: shape.type_name(),
                default: "**required**".to_owned(),
                meaning,
            });
            for (tag, variant) in &variants {
                for (name, field, required) in variant.fields().filter(|(name, ..)| *name != "type") {
                    add_field(rows, format!("{path}.{name}"), field, required, &format!("With `type: {tag}`: "));
                }
            }
        }
        _ => {}
    }
}
