//! What a word of YAML means when it has no quotes.

use serde_json::{Number, Value};

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2). `yes`, `no`, `on`, `off` are text.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::String(text.to_owned());
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(n) = unsigned.parse::<i64>() {
        return Value::Number(n.into());
    }
    if let Ok(n) = unsigned.parse::<u64>() {
        return Value::Number(n.into());
    }
    // These have no sign, neither before nor behind the prefix.
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix).filter(|d| !d.starts_with('+'))?;
        u64::from_str_radix(digits, radix).ok()
    };
    if let Some(n) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Number(n.into());
    }
    let float_like = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && digits.bytes().any(|b| b.is_ascii_digit());
    match unsigned.parse::<f64>().ok().filter(|_| float_like).and_then(Number::from_f64) {
        Some(n) => Value::Number(n),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::plain;

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, value) in [
            ("no", json!("no")),
            ("0x10", json!(16)),
            ("1.5", json!(1.5)),
            ("~", json!(null)),
            ("1.2.3", json!("1.2.3")),
            ("-5", json!(-5)),
            ("12e3", json!(12000.0)),
            ("5m", json!("5m")),
            ("1e400", json!("1e400")),
            ("-0x10", json!("-0x10")),
            ("0x+5", json!("0x+5")),
            ("0o17", json!(15)),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }
}
