//! Following a path through a schema.

use super::shape::{Shape, Type};

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub path: String,
    pub shape: Shape<'a>,
    pub required: bool,
    /// The values of `type` that have it, when not all have.
    pub only_with: Vec<String>,
}

/// Where a path leads nowhere.
#[derive(Clone, Debug)]
pub(super) struct Miss {
    /// What there is.
    pub at: String,
    /// What is not in it.
    pub name: String,
    /// What is.
    pub known: Vec<String>,
    /// Segments that were left; of two ways the one that got further tells more.
    left: usize,
}

impl<'a> Found<'a> {
    pub fn root(path: &str, shape: Shape<'a>) -> Self {
        Self { path: path.to_owned(), shape, required: true, only_with: Vec::new() }
    }

    /// One step on, under that name.
    fn step(&self, name: &str, shape: Shape<'a>, required: bool) -> Self {
        let separator = if name.contains('.') { format!("[\"{name}\"]") } else { format!(".{name}") };
        Self { path: format!("{}{separator}", self.path), shape, required, only_with: Vec::new() }
    }
}

/// `App`, `spec`, `files`, `a.b` of `App.spec.files["a.b"]`. Indices of lists say nothing and are left out.
pub(super) fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        let (segment, next) = if let Some(quoted) = rest.strip_prefix("[\"") {
            quoted.split_once("\"]").unwrap_or((quoted, ""))
        } else if let Some(index) = rest.strip_prefix('[') {
            ("", index.split_once(']').map_or("", |(_, next)| next))
        } else {
            rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
        };
        if !segment.is_empty() {
            segments.push(segment);
        }
        rest = next.strip_prefix('.').unwrap_or(next);
    }
    segments
}

/// Follows the segments.
pub(super) fn walk<'a>(at: Found<'a>, segments: &[&str]) -> Result<Found<'a>, Miss> {
    let Some((name, rest)) = segments.split_first() else { return Ok(at) };
    let miss = |known: Vec<String>| Miss { at: at.path.clone(), name: (*name).to_owned(), known, left: segments.len() };
    match at.shape.kind() {
        Type::List(inner) => walk(Found { shape: inner, ..at }, segments),
        Type::Map(inner) => {
            let field = walk(Found { shape: inner, ..at.clone() }, segments);
            // A key may be left out; where it is written, it is taken for one when it can be nothing else.
            let is_key = !rest.is_empty() || matches!(inner.kind(), Type::Scalar);
            field
                .or_else(|miss| if is_key { further(miss, walk(at.step(name, inner, false), rest)) } else { Err(miss) })
        }
        Type::Object => match at.shape.fields().find(|(field, ..)| field == name) {
            Some((name, shape, required)) => walk(at.step(name, shape, required), rest),
            None => Err(miss(at.shape.fields().map(|(name, ..)| name.to_owned()).collect())),
        },
        Type::Tagged(variants) => tagged(&at, &variants, name, rest, miss),
        Type::Choice(_) | Type::Scalar => Err(miss(Vec::new())),
    }
}

/// A field of one of the variants, or a variant itself.
fn tagged<'a>(
    at: &Found<'a>,
    variants: &[(String, Shape<'a>)],
    name: &str,
    rest: &[&str],
    miss: impl Fn(Vec<String>) -> Miss,
) -> Result<Found<'a>, Miss> {
    if name == "type" && rest.is_empty() {
        // The shape of the whole lists what `type` can be.
        return Ok(at.step("type", at.shape, true));
    }
    let fields = || variants.iter().flat_map(|(tag, shape)| shape.fields().map(move |field| (tag, field)));
    let with_field: Vec<_> = fields().filter(|(_, (field, ..))| *field == name).collect();
    let as_field = match with_field.first() {
        Some((_, (field, shape, required))) => {
            let mut found = at.step(field, *shape, *required);
            if with_field.len() < variants.len() {
                found.only_with = with_field.iter().map(|(tag, _)| (*tag).clone()).collect();
            }
            walk(found, rest)
        }
        None => {
            let mut known: Vec<String> = fields().map(|(_, (field, ..))| field.to_owned()).collect();
            known.extend(variants.iter().map(|(tag, _)| tag.clone()));
            known.sort();
            known.dedup();
            Err(miss(known))
        }
    };
    let variant = variants.iter().find(|(tag, _)| tag == name);
    match (as_field, variant) {
        (Err(miss), Some((tag, shape))) => further(miss, walk(at.step(tag, *shape, false), rest)),
        (result, _) => result,
    }
}

/// The other way, or the miss of the two that got further.
fn further<'a>(miss: Miss, other: Result<Found<'a>, Miss>) -> Result<Found<'a>, Miss> {
    other.map_err(|other| if other.left < miss.left { other } else { miss })
}
