//! Fields that differ between two documents.

use osmoda_schemas::plan::FieldChange;
use serde_json::Value;

/// Fields that differ, in order of their paths. Lists are compared item by item.
#[must_use]
pub fn field_changes(old: &str, new: &str) -> Vec<FieldChange> {
    let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let mut changes = Vec::new();
    walk("", Some(&parse(old)), Some(&parse(new)), &mut changes);
    changes.sort_by(|a: &FieldChange, b| a.path.cmp(&b.path));
    changes
}

fn walk(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for key in before.keys().chain(after.keys().filter(|k| !before.contains_key(*k))) {
                walk(&join(path, key), before.get(key), after.get(key), changes);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for i in 0..before.len().max(after.len()) {
                walk(&format!("{path}[{i}]"), before.get(i), after.get(i), changes);
            }
        }
        (before, after) => {
            changes.push(FieldChange { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match (path, plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_named() {
        let old = r#"{"spec":{"command":["/bin/a","x"],"env":{"A":"1","B":"2"},"files":{"a.txt":{"content":"1"}}}}"#;
        let new =
            r#"{"spec":{"command":["/bin/a","y","z"],"env":{"A":"1","C":"3"},"files":{"a.txt":{"content":"2"}}}}"#;
        let paths: Vec<String> = field_changes(old, new).into_iter().map(|c| c.path).collect();
        let expected =
            ["spec.command[1]", "spec.command[2]", "spec.env.B", "spec.env.C", "spec.files[\"a.txt\"].content"];
        assert_eq!(paths, expected);
    }
}
