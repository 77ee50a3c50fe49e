//! Values of JSON, each read as the type that its field has.

use super::{MOST_DEPTH, Struct, Type, TypedDataError, Types, Value, json::Json};
use crate::{U256, hex, shown::shown};

/// A struct: every field is there, and no other.
pub(super) fn structure(
    types: &Types,
    name: &str,
    json: Json,
    at: &str,
    depth: usize,
) -> Result<Struct, TypedDataError> {
    let known =
        types.get(name).ok_or_else(|| TypedDataError::new(at, format!("types has to say what `{name}` is made of")))?;
    let mut members = json.object(at)?;
    let mut fields = Vec::new();
    for field in known {
        let at = format!("{at}.{}", field.name);
        let place = members.iter().position(|(name, _)| *name == field.name);
        let json = place.map(|place| members.swap_remove(place).1);
        let json = json.ok_or_else(|| TypedDataError::new(&at, format!("it is missing (a {})", field.kind)))?;
        fields.push((field.name.clone(), value(types, &field.kind, json, &at, depth)?));
    }
    match members.first() {
        None => Ok(Struct { name: name.to_owned(), fields }),
        Some((extra, _)) => {
            let reason = format!("`{name}` has no field `{}`: it would not be signed", shown(extra));
            Err(TypedDataError::new(at, reason))
        }
    }
}

fn value(types: &Types, kind: &Type, json: Json, at: &str, depth: usize) -> Result<Value, TypedDataError> {
    if depth > MOST_DEPTH {
        return Err(TypedDataError::new(at, format!("it lies deeper than {MOST_DEPTH}")));
    }
    let wrong = |reason: String| TypedDataError::new(at, reason);
    Ok(match (kind, json) {
        (Type::Uint(bits), json @ (Json::Number(_) | Json::Text(_))) => {
            let (negative, size) = integer(json, at)?;
            if (negative && !size.is_zero()) || size.bits() > u32::from(*bits) {
                return Err(wrong(format!("it is no {kind}")));
            }
            Value::Uint(size)
        }
        (Type::Int(bits), json @ (Json::Number(_) | Json::Text(_))) => {
            let (negative, size) = integer(json, at)?;
            signed(negative, size, *bits).map(Value::Int).ok_or_else(|| wrong(format!("it is no {kind}")))?
        }
        (Type::Bool, Json::Bool(value)) => Value::Bool(value),
        (Type::Address, Json::Text(text)) => Value::Address(text.parse().map_err(|e| wrong(format!("{e}")))?),
        (Type::FixedBytes(length), Json::Text(text)) => {
            let bytes = hex::decode(&text).map_err(|e| wrong(e.to_string()))?;
            if bytes.len() != usize::from(*length) {
                return Err(wrong(format!("it has {} bytes and is no {kind}", bytes.len())));
            }
            Value::FixedBytes(bytes)
        }
        (Type::Bytes, Json::Text(text)) => Value::Bytes(hex::decode(&text).map_err(|e| wrong(e.to_string()))?),
        (Type::String, Json::Text(text)) => Value::String(text),
        (Type::Array(inner, length), Json::Array(items)) => {
            if length.is_some_and(|length| u32::try_from(items.len()) != Ok(length)) {
                return Err(wrong(format!("it has {} items and is no {kind}", items.len())));
            }
            let items = items.into_iter().enumerate();
            let read = items.map(|(index, item)| value(types, inner, item, &format!("{at}[{index}]"), depth + 1));
            Value::Array(read.collect::<Result<_, _>>()?)
        }
        (Type::Struct(name), json) => Value::Struct(structure(types, name, json, at, depth + 1)?),
        (_, json) => return Err(wrong(format!("it is {}, not a {kind}", json.kind()))),
    })
}

/// Sign and size of a number, or of a text in decimal or, without sign, in hexadecimal with `0x`.
fn integer(json: Json, at: &str) -> Result<(bool, U256), TypedDataError> {
    let text = match json {
        Json::Number(number) => return Ok((number < 0, U256::from(number.unsigned_abs()))),
        json => json.text(at)?,
    };
    let (negative, digits) = text.strip_prefix('-').map_or((false, text.as_str()), |digits| (true, digits));
    let size = match digits.strip_prefix("0x") {
        Some(digits) if !negative => U256::from_hexadecimal(digits),
        _ => U256::from_decimal(digits),
    };
    size.map(|size| (negative, size)).map_err(|error| TypedDataError::new(at, format!("it is no integer: {error}")))
}

/// The complement of two, when it fits so many bits.
fn signed(negative: bool, size: U256, bits: u16) -> Option<U256> {
    let bits = u32::from(bits);
    if !negative {
        return (size.bits() < bits).then_some(size);
    }
    // -2^(bits-1) is the least: its size less one has bits - 1 bits.
    match size.checked_sub(U256::ONE) {
        None => Some(U256::ZERO),
        Some(less) => (less.bits() < bits).then(|| U256::MAX.checked_sub(less)).flatten(),
    }
}
