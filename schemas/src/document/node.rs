//! A document as a tree that remembers where everything stands. YAML 1.2 core schema; JSON is read as the YAML it is.

use std::{collections::HashMap, rc::Rc};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

use super::{scalar::plain, text::end_of};
use crate::problem::Problem;

/// Nodes that the documents of one file may have once aliases are followed: what makes a "billion laughs" harmless.
const MAX_NODES: usize = 200_000;
/// Levels of nesting.
const MAX_DEPTH: usize = 64;

/// A place in a text: line and column from 1, and how many characters it covers on its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
    /// Characters to underline, at least 1.
    pub length: u32,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: NodeValue,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeValue {
    /// Null, a boolean, a number or text.
    Scalar(Value),
    /// A list.
    List(Vec<Rc<Node>>),
    /// A mapping, in the order of the text.
    Map(Vec<(Key, Rc<Node>)>),
}

/// The key of a mapping's entry.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// The entry of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Rc<Node>> {
        match &self.value {
            NodeValue::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a scalar that is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Without the places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(value) => value.clone(),
            NodeValue::List(items) => Value::Array(items.iter().map(|n| n.to_json()).collect()),
            NodeValue::Map(entries) => {
                Value::Object(entries.iter().map(|(k, n)| (k.text.clone(), n.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The place of what a JSON pointer (RFC 6901) leads to, or of the nearest thing around it.
    #[must_use]
    pub fn locate(&self, pointer: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                NodeValue::Map(_) => node.get(&part),
                NodeValue::List(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
                NodeValue::Scalar(_) => None,
            };
            let Some(next) = next else { break };
            node = next;
            place = next.place;
        }
        place
    }

    /// The place of a key of the mapping that a JSON pointer leads to.
    #[must_use]
    pub fn locate_key(&self, pointer: &str, key: &str) -> Place {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                NodeValue::Map(_) => node.get(&part),
                NodeValue::List(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
                NodeValue::Scalar(_) => None,
            };
            let Some(next) = next else { return node.place };
            node = next;
        }
        match &node.value {
            NodeValue::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map_or(node.place, |(k, _)| k.place),
            _ => node.place,
        }
    }
}

/// Why a text cannot be read on from a place.
#[derive(Debug)]
pub struct SyntaxError {
    /// Where.
    pub place: Place,
    /// What is wrong, with a stable code; file and position are filled in by the caller.
    pub problem: Problem,
}

/// The documents of a text, up to the first one that cannot be read.
#[must_use]
pub fn parse(text: &str) -> (Vec<Rc<Node>>, Option<SyntaxError>) {
    let end = end_of(text.trim_end());
    let mut reader = Reader { parser: Parser::new_from_str(text), end, anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(node)) => documents.push(node),
            Ok(None) => return (documents, None),
            Err(error) => return (documents, Some(*error)),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// The place after the last word.
    end: Place,
    /// Finished nodes by anchor; an alias inside its own anchor finds nothing here, so a cycle cannot arise.
    anchors: HashMap<usize, (Rc<Node>, usize)>,
    nodes: usize,
}

/// Keys and values of a mapping, in order.
type Entries = Vec<(Key, Rc<Node>)>;
type Read<T> = Result<T, Box<SyntaxError>>;

fn syntax<T>(place: Place, code: &str, detail: impl Into<String>, hint: &str) -> Read<T> {
    let problem = Problem::new(422, code, detail).hint(hint);
    Err(Box::new(SyntaxError { place, problem }))
}

impl<'a> Reader<'a> {
    fn event(&mut self) -> Read<(Event<'a>, Place)> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, self.within(place(&span)))),
            Some(Err(error)) => {
                let error = scan_error(&error);
                Err(Box::new(SyntaxError { place: self.within(error.place), ..error }))
            }
            None => Ok((Event::StreamEnd, self.end)),
        }
    }

    /// What the parser finds at the very end of the text, after empty lines, is after the last word for a person.
    fn within(&self, place: Place) -> Place {
        if (place.line, place.column) > (self.end.line, self.end.column) { self.end } else { place }
    }

    fn document(&mut self) -> Read<Option<Rc<Node>>> {
        loop {
            let (event, _) = self.event()?;
            match event {
                Event::StreamEnd => return Ok(None),
                Event::DocumentStart(_) => {
                    self.anchors.clear();
                    let (event, at) = self.event()?;
                    let (node, _) = self.node(event, at, 0)?;
                    return Ok(Some(node));
                }
                _ => {}
            }
        }
    }

    /// A node and how many nodes it is with all its aliases followed.
    fn node(&mut self, event: Event<'a>, at: Place, depth: usize) -> Read<(Rc<Node>, usize)> {
        if depth > MAX_DEPTH {
            return Err(Box::new(SyntaxError { place: at, problem: too_deep() }));
        }
        self.count(1, at)?;
        let (value, anchor, size) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = match tag {
                    Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == "str") => {
                        let detail = format!("the tag {}{} is not supported", tag.handle, tag.suffix);
                        return syntax(at, "unsupported-tag", detail, "leave the tag out");
                    }
                    Some(_) => Value::String(text.into_owned()),
                    None if style == ScalarStyle::Plain => plain(&text),
                    None => Value::String(text.into_owned()),
                };
                (NodeValue::Scalar(value), anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                let mut items = Vec::new();
                let mut size = 1;
                loop {
                    let (event, place) = self.event()?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    let (item, item_size) = self.node(event, place, depth + 1)?;
                    size += item_size;
                    items.push(item);
                }
                (NodeValue::List(items), anchor, size)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                let (entries, size) = self.entries(depth)?;
                (NodeValue::Map(entries), anchor, size)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    let hint = "an alias may only name an anchor that ended before it";
                    return syntax(at, "alias-cycle", "the alias refers to a value that contains it", hint);
                };
                self.count(size, at)?;
                return Ok((node, size));
            }
            other => {
                return syntax(at, "invalid-yaml", format!("unexpected {other:?}"), "check the lines before it");
            }
        };
        let node = Rc::new(Node { place: at, value });
        if anchor > 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), size));
        }
        Ok((node, size))
    }

    fn entries(&mut self, depth: usize) -> Read<(Entries, usize)> {
        let mut entries = Entries::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        let mut size = 1;
        loop {
            let (event, at) = self.event()?;
            let text = match event {
                Event::MappingEnd => return Ok((entries, size)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    return syntax(
                        at,
                        "key-not-text",
                        "a key has to be text",
                        "put it in quotes, or check the indentation",
                    );
                }
            };
            if let Some(first) = seen.insert(text.clone(), at) {
                let detail = format!("the key `{text}` is there twice; it was first set in line {}", first.line);
                return syntax(at, "duplicate-key", detail, "remove one of the two");
            }
            let (event, place) = self.event()?;
            let (node, node_size) = self.node(event, place, depth + 1)?;
            size += node_size;
            entries.push((Key { text, place: at }, node));
        }
    }

    fn count(&mut self, nodes: usize, at: Place) -> Read<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let detail =
                format!("the documents of the file are more than {MAX_NODES} values once aliases are followed");
            return syntax(at, "too-large", detail, "use fewer aliases, or several files");
        }
        Ok(())
    }
}

fn refuse_tag(tag: Option<&saphyr_parser::Tag>, at: Place) -> Read<()> {
    match tag {
        Some(tag) => syntax(
            at,
            "unsupported-tag",
            format!("the tag {}{} is not supported", tag.handle, tag.suffix),
            "leave the tag out",
        ),
        None => Ok(()),
    }
}

fn too_deep() -> Problem {
    Problem::new(422, "too-deep", format!("values are nested more than {MAX_DEPTH} levels deep"))
        .hint("documents are never that deep: look for brackets that are not closed, or a slip in the indentation")
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn place(span: &Span) -> Place {
    let same_line = span.start.line() == span.end.line();
    let length = if same_line { span.end.col().saturating_sub(span.start.col()).max(1) } else { 1 };
    Place { line: number(span.start.line()), column: number(span.start.col() + 1), length: number(length) }
}

fn scan_error(error: &ScanError) -> SyntaxError {
    let marker = error.marker();
    let at = Place { line: number(marker.line()), column: number(marker.col() + 1), length: 1 };
    if error.info().contains("recursion limit") {
        return SyntaxError { place: at, problem: too_deep() };
    }
    let hint = if error.info().contains("tab") {
        "indent with spaces; YAML does not allow tabs"
    } else {
        "check quotes, colons and indentation of this line and the one before"
    };
    SyntaxError {
        place: at,
        problem: Problem::new(422, "invalid-yaml", format!("not YAML: {}", error.info())).hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Value {
        let (documents, error) = parse(text);
        assert!(error.is_none(), "{error:?}");
        documents[0].to_json()
    }

    fn error(text: &str) -> (String, u32, u32) {
        let error = parse(text).1.expect("it is refused");
        (error.problem.code, error.place.line, error.place.column)
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(
            one("{\"a\": [1, true, null, \"x\\n\"],\n\t\"b\": {}}"),
            serde_json::json!({"a": [1, true, null, "x\n"], "b": {}})
        );
    }

    #[test]
    fn places_are_those_of_the_text() {
        let (documents, _) = parse("a:\n  - b: ü\n    c: 1\n");
        assert_eq!(documents[0].locate("/a/0/c"), Place { line: 3, column: 8, length: 1 });
        assert_eq!(documents[0].locate_key("/a/0", "c"), Place { line: 3, column: 5, length: 1 });
        assert_eq!(documents[0].locate("/a/7/x").line, 2, "the nearest thing around it");
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        assert_eq!(error("a: 1\nb: [1\nc: 2\n").0, "invalid-yaml");
        assert_eq!(error("a:\n\tb: 1\n").0, "invalid-yaml");
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), ("duplicate-key".into(), 3, 1));
        assert_eq!(error("a: !!binary x\n"), ("unsupported-tag".into(), 1, 4));
        assert_eq!(error("a: &x [1, *x]\n").0, "alias-cycle");
        assert_eq!(error(&"[".repeat(100)).0, "too-deep");
    }

    #[test]
    fn a_billion_laughs_are_not_laughed() {
        let mut bomb = "a0: &a0 [x]\n".to_owned();
        for i in 1..40 {
            bomb += &format!("a{i}: &a{i} [*a{p}, *a{p}]\n", p = i - 1);
        }
        assert_eq!(error(&bomb).0, "too-large");
    }

    #[test]
    fn documents_before_a_mistake_are_kept() {
        let (documents, error) = parse("a: 1\n---\nb: 2\n---\nc: [\n");
        assert_eq!((documents.len(), error.is_some()), (2, true));
    }
}
