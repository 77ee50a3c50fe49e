//! A schema as a person sees it: without references and nulls.

use serde_json::Value;

/// A part of a document's schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    root: &'a Value,
    /// As it stands where it is used: its own description and default.
    own: &'a Value,
    /// What that refers to.
    target: &'a Value,
    /// The name of the definition.
    name: Option<&'a str>,
}

/// What values look like.
#[derive(Clone, Debug)]
pub(super) enum Type<'a> {
    List(Shape<'a>),
    Map(Shape<'a>),
    Object,
    /// Objects that differ by their `type`.
    Tagged(Vec<(String, Shape<'a>)>),
    /// Some values, with what each means.
    Choice(Vec<(String, String)>),
    Scalar,
}

impl<'a> Shape<'a> {
    pub fn new(root: &'a Value, own: &'a Value) -> Self {
        let (mut target, mut name) = (own, None);
        loop {
            let reference = target.get("$ref").and_then(Value::as_str);
            if let Some(pointer) = reference.and_then(|r| r.strip_prefix('#')) {
                name = pointer.rsplit('/').next();
                target = root.pointer(pointer).expect("generated references lead somewhere");
                continue;
            }
            // An optional value is one of: the value, null.
            let branches = target.get("anyOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            match branches.iter().find(|branch| branch["type"] != "null") {
                Some(branch) => target = branch,
                None => return Self { root, own, target, name },
            }
        }
    }

    pub fn kind(self) -> Type<'a> {
        if let Some(items) = self.target.get("items") {
            return Type::List(Self::new(self.root, items));
        }
        if self.target.get("properties").is_some() {
            return Type::Object;
        }
        match self.target.get("additionalProperties") {
            None | Some(Value::Bool(false)) => {}
            Some(values) => return Type::Map(Self::new(self.root, values)),
        }
        if let Some(values) = self.target.get("enum").and_then(Value::as_array) {
            return Type::Choice(values.iter().map(|value| (plain(value), String::new())).collect());
        }
        let Some(branches) = self.target.get("oneOf").and_then(Value::as_array) else { return Type::Scalar };
        let branches = branches.iter().map(|branch| Self::new(self.root, branch));
        if branches.clone().all(|branch| branch.target.get("properties").is_some()) {
            let tagged = |branch: Self| Some((plain(branch.target.pointer("/properties/type/const")?), branch));
            return Type::Tagged(branches.filter_map(tagged).collect());
        }
        let value = |branch: Self| Some((plain(branch.target.get("const")?), branch.description()));
        Type::Choice(branches.filter_map(value).collect())
    }

    /// What is left once lists and maps are opened.
    pub fn innermost(self) -> Self {
        match self.kind() {
            Type::List(inner) | Type::Map(inner) => inner.innermost(),
            _ => self,
        }
    }

    /// Fields of an object: name, shape, whether it is required.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Self, bool)> {
        let required = |name: &str| {
            let list = self.target.get("required").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|n| n == name))
        };
        let properties = self.target.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties.map(move |(name, own)| (name.as_str(), Self::new(self.root, own), required(name)))
    }

    pub fn type_name(self) -> String {
        match self.kind() {
            Type::Tagged(variants) => one_of(variants.into_iter().map(|(name, _)| name)),
            Type::Choice(values) => one_of(values.into_iter().map(|(name, _)| name)),
            _ => self.short_name(),
        }
    }

    /// Without the list of what it can be, for use inside of `list of ...`.
    fn short_name(self) -> String {
        match self.kind() {
            Type::List(inner) => format!("list of {}", inner.short_name()),
            Type::Map(inner) => format!("map of {}", inner.short_name()),
            _ => self.name.map_or_else(|| self.scalar_name(), str::to_owned),
        }
    }

    fn scalar_name(self) -> String {
        if let Some(value) = self.target.get("const") {
            return format!("always `{}`", plain(value));
        }
        let types = match self.target.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).find(|t| *t != "null"),
            Some(one) => one.as_str(),
            None => None,
        };
        types.unwrap_or("any value").to_owned()
    }

    /// What it means where it stands.
    pub fn description(self) -> String {
        let text = |value: &Value| value.get("description")?.as_str().map(unwrapped);
        text(self.own).or_else(|| text(self.target)).unwrap_or_default()
    }

    /// What it means where it stands, and what such a thing is anywhere.
    pub fn full_description(self) -> String {
        let mut paragraphs = vec![self.description()];
        let within = |short: &str, long: &str| long.starts_with(short.trim_end_matches('.'));
        for value in [self.target, self.innermost().target] {
            let Some(text) = value.get("description").and_then(Value::as_str).map(unwrapped) else { continue };
            if let Some(shorter) = paragraphs.iter_mut().find(|paragraph| within(paragraph, &text)) {
                *shorter = text;
            } else if !paragraphs.iter().any(|paragraph| within(&text, paragraph)) {
                paragraphs.push(text);
            }
        }
        paragraphs.join("\n\n")
    }

    pub fn default(self) -> Option<&'a Value> {
        self.own.get("default")
    }

    pub fn limits(self) -> Option<String> {
        let number = |keyword: &str| {
            let value = self.own.get(keyword).or_else(|| self.target.get(keyword));
            value.and_then(Value::as_u64)
        };
        let range = |least: &str, most: &str, what: &str| match (number(least), number(most)) {
            (Some(least), Some(most)) => Some(format!("{least} to {most}{what}")),
            (Some(least), None) if least > 0 => Some(format!("at least {least}{what}")),
            (None, Some(most)) => Some(format!("at most {most}{what}")),
            _ => None,
        };
        range("minimum", "maximum", "")
            .or_else(|| range("minItems", "maxItems", " in the list"))
            .or_else(|| range("minProperties", "maxProperties", " entries"))
    }

    /// A value that it could have.
    pub fn sample(self) -> Option<String> {
        self.target.pointer("/examples/0").map(plain)
    }
}

/// A value as documents write it: in YAML's flow style, without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{key}: {}", plain(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn one_of(names: impl Iterator<Item = String>) -> String {
    format!("one of: {}", names.collect::<Vec<_>>().join(", "))
}

/// Doc comments are wrapped; terminals and tables wrap anew.
fn unwrapped(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}
