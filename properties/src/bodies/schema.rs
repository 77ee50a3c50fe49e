//! JSON that a schema describes, or nearly.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};

use crate::hostile;

/// Deeper than any request is.
const DEEP: usize = 8;
/// Texts that patterns ask for.
const TEXTS: &[&str] =
    &["a", "web-1", "App", "Watcher", "App/web", "5s", "1h30m", "250ms", "64Mi", "0.5", "2026-01-01T00:00:00Z"];

/// A value of a schema. `root` has the definitions.
pub fn value(u: &mut Unstructured<'_>, schema: &Value, root: &Value, depth: usize) -> Result<Value> {
    if depth > DEEP || u.ratio(1, 40)? {
        return any(u);
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let definition = root.pointer(reference.trim_start_matches('#')).expect("a definition is there");
        return value(u, definition, root, depth + 1);
    }
    for choice in ["anyOf", "oneOf", "enum"] {
        if let Some(choices) = schema[choice].as_array() {
            let one = u.choose(choices)?;
            return if choice == "enum" { Ok(one.clone()) } else { value(u, one, root, depth + 1) };
        }
    }
    if let Some(constant) = schema.get("const") {
        return Ok(constant.clone());
    }
    let of_type = match &schema["type"] {
        Value::Array(several) => u.choose(several)?.as_str(),
        one => one.as_str(),
    };
    Ok(match of_type {
        Some("object") => object(u, schema, root, depth)?,
        Some("array") => {
            let count = u.int_in_range(0..=2)?;
            let items = (0..count).map(|_| value(u, &schema["items"], root, depth + 1));
            Value::Array(items.collect::<Result<Vec<Value>>>()?)
        }
        Some("string") if schema.get("pattern").is_some() => json!(u.choose(TEXTS)?),
        Some("string") => json!(hostile::text(u)?),
        Some("boolean") => json!(u.arbitrary::<bool>()?),
        Some("integer") => number(u)?,
        Some("null") => Value::Null,
        _ => any(u)?,
    })
}

fn object(u: &mut Unstructured<'_>, schema: &Value, root: &Value, depth: usize) -> Result<Value> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if required.contains(&name.as_str()) || u.arbitrary()? {
            fields.insert(name.clone(), value(u, field, root, depth + 1)?);
        }
    }
    if u.ratio(1, 8)? {
        fields.insert(hostile::text(u)?, any(u)?);
    }
    Ok(Value::Object(fields))
}

fn number(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=3)? {
        0 => json!(u.arbitrary::<u8>()?),
        1 => json!(u.arbitrary::<i64>()?),
        2 => json!(u.arbitrary::<u64>()?),
        _ => json!(u.choose(&[0_i64, 1, -1, i64::MAX, i64::MIN])?),
    })
}

fn any(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=6)? {
        0 => Value::Null,
        1 => json!(u.arbitrary::<bool>()?),
        2 => number(u)?,
        3 => json!(u.choose(&[0.5, -0.0, 1e300, 1.0])?),
        4 => json!([hostile::text(u)?]),
        5 => json!({ hostile::text(u)?: hostile::text(u)? }),
        _ => json!(hostile::text(u)?),
    })
}
