//! From a text to objects.

use std::{path::Path, rc::Rc};

use super::{
    node::{Node, NodeValue, Place, parse},
    shape,
    text::decode,
};
use crate::{
    object::{API_VERSION, Kind, Metadata, Object, ObjectRef, SourcePosition},
    problem::Problem,
};

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    /// Where it begins.
    pub position: SourcePosition,
    /// The tree, for finding places; none when the text cannot be read.
    pub node: Option<Rc<Node>>,
    /// The object, or why there is none.
    pub result: Result<Object, Refusal>,
}

/// Why a document is no object.
#[derive(Debug)]
pub struct Refusal {
    /// What it would define, if that much could be read.
    pub reference: Option<ObjectRef>,
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl Document {
    /// A problem of a field of this document, with its place.
    #[must_use]
    pub fn at_field(&self, field: &str, mut problem: Problem) -> Problem {
        let place = self.node.as_ref().map(|node| node.locate(&pointer_of(field)));
        problem.source = Some(match place {
            Some(place) => position(&self.position.file, place),
            None => self.position.clone(),
        });
        problem.field(field)
    }
}

/// All documents of a file. A text that cannot be read on ends in a document with no reference.
#[must_use]
pub fn read(file: &Path, bytes: &[u8]) -> Vec<Document> {
    let whole = |place, problem: Problem| Document {
        position: position(file, place),
        node: None,
        result: Err(Refusal { reference: None, problems: vec![problem.at(position(file, place))] }),
    };
    let text = match decode(bytes) {
        Ok(text) => text,
        Err(unreadable) => return vec![whole(unreadable.0, unreadable.1)],
    };
    let (nodes, error) = parse(text);
    let mut documents = Vec::new();
    for node in nodes {
        match &node.value {
            // An empty document, such as after a last `---`.
            NodeValue::Scalar(serde_json::Value::Null) => {}
            // A JSON file may hold a list of documents.
            NodeValue::List(items) => documents.extend(items.iter().map(|item| document(file, item))),
            _ => documents.push(document(file, &node)),
        }
    }
    if let Some(error) = error {
        documents.push(whole(error.place, error.problem));
    }
    documents
}

fn document(file: &Path, node: &Rc<Node>) -> Document {
    let result = object(file, node);
    Document { position: position(file, node.place), node: Some(Rc::clone(node)), result }
}

fn object(file: &Path, node: &Rc<Node>) -> Result<Object, Refusal> {
    let at = |pointer: &str, problem: Problem| problem.at(position(file, node.locate(pointer)));
    let refuse = |reference, problem| Err(Refusal { reference, problems: vec![problem] });
    if !matches!(node.value, NodeValue::Map(_)) {
        let problem =
            Problem::new(422, "not-a-document", "a document is a mapping with apiVersion, kind, metadata and spec")
                .hint("see `osmoda explain App` for an example");
        return refuse(None, at("", problem));
    }
    let kind = match node.get("kind").and_then(|k| k.as_str()) {
        Some(text) => match Kind::ALL.iter().find(|kind| kind.as_str() == text) {
            Some(kind) => *kind,
            None => {
                let names = Kind::ALL.iter().map(|kind| kind.as_str());
                let hint = shape::did_you_mean(text, names.clone())
                    .unwrap_or_else(|| format!("the kinds are {}", names.collect::<Vec<_>>().join(", ")));
                let problem = Problem::new(422, "unknown-kind", format!("there is no kind `{text}`")).hint(hint);
                return refuse(None, at("/kind", problem.field("kind")));
            }
        },
        None => {
            let problem = Problem::new(422, "missing-field", "`kind` is missing").hint("write for example `kind: App`");
            return refuse(None, at("", problem.field("kind")));
        }
    };
    let name = node.get("metadata").and_then(|m| m.get("name")?.as_str()?.parse().ok());
    let reference = name.map(|name| ObjectRef::new(kind, name));
    match node.get("apiVersion").map(|v| v.as_str()) {
        Some(Some(API_VERSION)) => {}
        Some(other) => {
            let detail = format!("apiVersion is `{}`, not `{API_VERSION}`", other.unwrap_or("no text"));
            let problem =
                Problem::new(422, "unknown-api-version", detail).hint(format!("write `apiVersion: {API_VERSION}`"));
            return refuse(reference, at("/apiVersion", problem.field("apiVersion")));
        }
        None => {
            let problem = Problem::new(422, "missing-field", "`apiVersion` is missing")
                .hint(format!("write `apiVersion: {API_VERSION}`"));
            return refuse(reference, at("", problem.field("apiVersion")));
        }
    }
    let value = node.to_json();
    let problems = shape::check_document(kind, node, &value, file);
    if !problems.is_empty() {
        return Err(Refusal { reference, problems });
    }
    let metadata = serde_json::from_value::<Metadata>(value["metadata"].clone());
    match (metadata, kind.read_spec(&value["spec"])) {
        (Ok(metadata), Ok(spec)) => Ok(Object::new(metadata, spec)),
        (Err(error), _) => {
            let problem = Problem::new(422, "invalid-value", error.to_string()).field("metadata");
            refuse(reference, at("/metadata", problem))
        }
        (_, Err(error)) => {
            let field = format!("spec.{}", error.path());
            let problem = Problem::new(422, "invalid-value", error.inner().to_string()).field(&field);
            refuse(reference, at(&pointer_of(&field), problem))
        }
    }
}

pub(super) fn position(file: &Path, place: Place) -> SourcePosition {
    SourcePosition { file: file.to_owned(), line: place.line, column: place.column }
}

/// The JSON pointer of a field path such as `spec.health[0].probe` or `spec.options["a.b"]`.
fn pointer_of(field: &str) -> String {
    let mut pointer = String::new();
    let mut rest = field;
    while !rest.is_empty() {
        let (part, next) = if let Some(quoted) = rest.strip_prefix("[\"") {
            quoted.split_once("\"]").unwrap_or((quoted, ""))
        } else if let Some(index) = rest.strip_prefix('[') {
            index.split_once(']').unwrap_or((index, ""))
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            rest.split_at(end)
        };
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        rest = next.strip_prefix('.').unwrap_or(next);
    }
    pointer
}
