//! From path, query and body to one request, the same way for every operation.

use osmoda_schemas::{operation::Op, problem::Problem};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

/// Reads requests of one operation.
#[derive(Clone, Debug)]
pub struct RequestReader {
    /// Types of the request's fields: text from a URL has none.
    schema: Value,
}

impl RequestReader {
    /// Of that operation.
    #[must_use]
    pub fn new<O: Op>() -> Self {
        let mut generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
        Self { schema: generator.root_schema_for::<O::Request>().to_value() }
    }

    /// Reads a request: fields of the path come before those of the query, and those before the body's.
    ///
    /// # Errors
    /// What is no JSON object, or does not fit the operation.
    pub fn read<O: Op>(
        &self,
        path: impl IntoIterator<Item = (String, String)>,
        query: impl IntoIterator<Item = (String, String)>,
        body: &[u8],
    ) -> Result<O::Request, Problem> {
        let mut fields = if body.is_empty() {
            Map::new()
        } else {
            match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(Problem::new(400, "invalid-body", "the body has to be a JSON object")),
                Err(error) => {
                    return Err(Problem::new(400, "invalid-body", format!("the body is not JSON: {error}")));
                }
            }
        };
        for (name, text) in query.into_iter().chain(path) {
            let value = self.value(&name, text);
            fields.insert(name, value);
        }
        serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
            let field = error.path().to_string();
            let problem = Problem::new(422, "invalid-request", error.inner().to_string())
                .hint(format!("see GET /openapi.json, operation {}", O::OPERATION.name));
            if field == "." { problem } else { problem.field(field) }
        })
    }

    /// A text from a URL as the type that its field has.
    fn value(&self, name: &str, text: String) -> Value {
        let types = &self.schema["properties"][name]["type"];
        let is = |wanted: &str| match types {
            Value::String(one) => one == wanted,
            Value::Array(several) => several.iter().any(|t| t == wanted),
            _ => false,
        };
        let parsed = (is("integer") || is("number") || is("boolean")).then(|| serde_json::from_str(&text).ok());
        parsed.flatten().unwrap_or(Value::String(text))
    }
}

/// Decodes a query string (application/x-www-form-urlencoded).
#[must_use]
pub fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Decodes percent-encoding and `+`.
pub(crate) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        let hex = |digits: &[u8]| {
            // A sign is no digit, though it could be read as part of a number.
            let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        };
        match byte {
            b'+' => out.push(b' '),
            b'%' => match rest.as_slice().get(..2).and_then(hex) {
                Some(decoded) => {
                    out.push(decoded);
                    rest.nth(1);
                }
                None => out.push(byte),
            },
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes everything that is not unreserved (RFC 3986, 2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let text = "a b&c=ü%+/";
        assert_eq!(decode(&encode(text)), text);
        assert_eq!(
            parse_query("a=1&b=x%20y+z&c"),
            [("a", "1"), ("b", "x y z"), ("c", "")].map(|(a, b)| (a.into(), b.into()))
        );
        assert_eq!(decode("%zz%4"), "%zz%4", "what is no encoding stays as it is");
        assert_eq!(decode("%+f"), "% f");
    }
}
