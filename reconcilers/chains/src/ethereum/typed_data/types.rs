//! Types of EIP-712: atomic ones, arrays, structs, and the text that a struct type is hashed as.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{MOST_DIMENSIONS, MOST_FIELDS, MOST_TYPES, TypedDataError, json::Json};
use crate::{ethereum::keccak256, shown::shown};

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `uint8` to `uint256`; the number of bits.
    Uint(u16),
    /// `int8` to `int256`; the number of bits.
    Int(u16),
    /// `bool`.
    Bool,
    /// `address`.
    Address,
    /// `bytes1` to `bytes32`; the number of bytes.
    FixedBytes(u8),
    /// `bytes`.
    Bytes,
    /// `string`.
    String,
    /// `T[n]`, or `T[]` without a length.
    Array(Box<Type>, Option<u32>),
    /// One of the struct types, by name.
    Struct(String),
}

impl Type {
    /// Reads a type; none when it is written as none is. That a struct type exists is not looked at.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::parse_dimensions(text, MOST_DIMENSIONS)
    }

    fn parse_dimensions(text: &str, left: usize) -> Option<Self> {
        if let Some(inner) = text.strip_suffix(']') {
            let (inner, length) = inner.rsplit_once('[')?;
            let length = match length {
                "" => None,
                // None of no items.
                digits => Some(number(digits)?),
            };
            return Some(Self::Array(Box::new(Self::parse_dimensions(inner, left.checked_sub(1)?)?), length));
        }
        if let Some(atomic) = Self::atomic(text) {
            return Some(atomic);
        }
        // Names that look like atomic types, such as uint7, would be read as another thing elsewhere.
        let digits_off = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let reserved = matches!(digits_off, "uint" | "int" | "bytes" | "bool" | "address" | "string" | "function");
        (!reserved && is_identifier(text)).then(|| Self::Struct(text.to_owned()))
    }

    fn atomic(text: &str) -> Option<Self> {
        let bits = |digits| number(digits).and_then(|n| u16::try_from(n).ok()).filter(|n| *n <= 256 && n % 8 == 0);
        match text {
            "bool" => Some(Self::Bool),
            "address" => Some(Self::Address),
            "bytes" => Some(Self::Bytes),
            "string" => Some(Self::String),
            _ => {
                if let Some(digits) = text.strip_prefix("uint") {
                    bits(digits).map(Self::Uint)
                } else if let Some(digits) = text.strip_prefix("int") {
                    bits(digits).map(Self::Int)
                } else {
                    let length = number(text.strip_prefix("bytes")?)?;
                    u8::try_from(length).ok().filter(|n| *n <= 32).map(Self::FixedBytes)
                }
            }
        }
    }

    /// The struct type that it is or is made of.
    fn structure(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(inner, _) => inner.structure(),
            _ => None,
        }
    }
}

/// A number above 0, without zeros in front.
fn number(digits: &str) -> Option<u32> {
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn is_identifier(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    text.len() <= 64 && text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(bits) => write!(f, "uint{bits}"),
            Self::Int(bits) => write!(f, "int{bits}"),
            Self::Bool => f.write_str("bool"),
            Self::Address => f.write_str("address"),
            Self::FixedBytes(length) => write!(f, "bytes{length}"),
            Self::Bytes => f.write_str("bytes"),
            Self::String => f.write_str("string"),
            Self::Array(inner, None) => write!(f, "{inner}[]"),
            Self::Array(inner, Some(length)) => write!(f, "{inner}[{length}]"),
            Self::Struct(name) => f.write_str(name),
        }
    }
}

/// A field of a struct type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Type,
}

/// The struct types, by name. Every one that is named by a field is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    fields: BTreeMap<String, Vec<Field>>,
    /// Of each type's text: it is reckoned once, however many values are of the type.
    hashes: BTreeMap<String, [u8; 32]>,
}

impl Types {
    /// The fields of a struct type.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[Field]> {
        self.fields.get(name).map(Vec::as_slice)
    }

    pub(super) fn read(json: Json) -> Result<Self, TypedDataError> {
        let members = json.object("types")?;
        if members.len() > MOST_TYPES {
            return Err(TypedDataError::new("types", format!("there are more than {MOST_TYPES} types")));
        }
        let mut types = BTreeMap::new();
        for (name, fields) in members {
            let at = format!("types.{}", shown(&name));
            if Type::parse(&name) != Some(Type::Struct(name.clone())) {
                return Err(TypedDataError::new(&at, "a struct type is named by a letter and letters or digits"));
            }
            types.insert(name, read_fields(fields, &at)?);
        }
        for (name, fields) in &types {
            for field in fields {
                if let Some(other) = field.kind.structure().filter(|other| !types.contains_key(*other)) {
                    let at = format!("types.{name}.{}", field.name);
                    return Err(TypedDataError::new(&at, format!("there is no type `{other}`")));
                }
            }
        }
        let mut types = Self { fields: types, hashes: BTreeMap::new() };
        for name in types.fields.keys() {
            types.hashes.insert(name.clone(), keccak256(types.encode(name).as_bytes()));
        }
        Ok(types)
    }

    /// typeHash: the hash of the type's text.
    pub(super) fn hash(&self, name: &str) -> [u8; 32] {
        self.hashes.get(name).copied().unwrap_or_default()
    }

    /// encodeType: the type, and after it those that it is made of, by name.
    pub(super) fn encode(&self, name: &str) -> String {
        let (mut found, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(next) = open.pop() {
            for other in self.fields(next).iter().filter_map(|field| field.kind.structure()) {
                if other != name && found.insert(other) {
                    open.push(other);
                }
            }
        }
        let mut text = String::new();
        for name in [name].into_iter().chain(found) {
            let fields = self.fields(name).iter().map(|field| format!("{} {}", field.kind, field.name));
            text.push_str(&format!("{name}({})", fields.collect::<Vec<_>>().join(",")));
        }
        text
    }

    fn fields(&self, name: &str) -> &[Field] {
        self.get(name).unwrap_or_default()
    }
}

fn read_fields(json: Json, at: &str) -> Result<Vec<Field>, TypedDataError> {
    let items = json.array(at)?;
    if items.len() > MOST_FIELDS {
        return Err(TypedDataError::new(at, format!("there are more than {MOST_FIELDS} fields")));
    }
    let (mut fields, mut names) = (Vec::new(), BTreeSet::new());
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("{at}[{index}]");
        let (mut name, mut kind) = (None, None);
        for (key, value) in item.object(&at)? {
            match key.as_str() {
                "name" => name = Some(value.text(&at)?),
                "type" => kind = Some(value.text(&at)?),
                _ => {
                    return Err(TypedDataError::new(
                        &at,
                        format!("a field has a name and a type, no `{}`", shown(&key)),
                    ));
                }
            }
        }
        let (Some(name), Some(kind)) = (name, kind) else {
            return Err(TypedDataError::new(&at, "a field has a name and a type"));
        };
        if !is_identifier(&name) {
            return Err(TypedDataError::new(&at, "a field is named by a letter and letters or digits"));
        }
        let parsed = Type::parse(&kind).ok_or_else(|| {
            let known = "uint8..256, int8..256, bool, address, bytes1..32, bytes, string, structs and arrays of them";
            TypedDataError::new(&at, format!("there is no type `{}` ({known})", shown(&kind)))
        })?;
        if !names.insert(name.clone()) {
            return Err(TypedDataError::new(&at, format!("there are two fields `{name}`")));
        }
        fields.push(Field { name, kind: parsed });
    }
    Ok(fields)
}
