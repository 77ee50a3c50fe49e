//! JSON that is read exactly: names are not given twice, numbers are whole and not rounded.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use super::{MOST_BYTES, TypedDataError};
use crate::shown::shown;

/// A value of JSON.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A whole number that fits 64 bits.
    Number(i128),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads a text. Serde's own limit keeps it from going deeper than 128.
pub(super) fn parse(text: &str) -> Result<Json, TypedDataError> {
    if text.len() > MOST_BYTES {
        return Err(TypedDataError::TooLong);
    }
    serde_json::from_str(text).map_err(|error| TypedDataError::Json(error.to_string()))
}

impl Json {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    pub(super) fn object(self, at: &str) -> Result<Vec<(String, Self)>, TypedDataError> {
        match self {
            Self::Object(members) => Ok(members),
            other => Err(TypedDataError::new(at, format!("it is {}, not an object", other.kind()))),
        }
    }

    pub(super) fn array(self, at: &str) -> Result<Vec<Self>, TypedDataError> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(TypedDataError::new(at, format!("it is {}, not an array", other.kind()))),
        }
    }

    pub(super) fn text(self, at: &str) -> Result<String, TypedDataError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(TypedDataError::new(at, format!("it is {}, not a string", other.kind()))),
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Err(E::custom("a number has a fraction, an exponent or more than 64 bits: write it as a string"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        while let Some((name, value)) = members.next_entry::<String, Json>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("an object names `{}` twice", shown(&name))));
            }
            object.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}
