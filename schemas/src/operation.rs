//! Operations: every call that a daemon answers is declared once, and routes, clients and OpenAPI follow from that.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// What a call does to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It only looks.
    Read,
    /// It changes what is wished or what runs.
    Change,
    /// It takes something away that cannot be brought back, or overrides a guard.
    Destroy,
}

impl Effect {
    /// As OpenAPI's `x-osmoda-effect` says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Destroy => "destroy",
        }
    }
}

/// Who may make a call unless the operator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callers {
    /// Root only.
    Root,
    /// Root, and users that agentd's configuration lists as authors.
    Authors,
}

/// A call as it is declared.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its stable name, such as `watcher.add`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path; `{name}` is a field of the request.
    pub path: &'static str,
    /// What it does.
    pub effect: Effect,
    /// Who may make it.
    pub callers: Callers,
    /// One line about it.
    pub summary: &'static str,
    /// True when it answers with a stream of events (SSE) of the response type.
    pub stream: bool,
}

impl Operation {
    /// Names of the path's parameters.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// True when the request travels in the URL alone.
    #[must_use]
    pub fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PUT" | "PATCH")
    }
}

/// A call with its types.
pub trait Op: 'static {
    /// What is asked.
    type Request: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What is answered; with [`Operation::stream`] one event.
    type Response: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// The declaration.
    const OPERATION: Operation;
}

/// A request without fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Declares operations: documentation, type, name, method, path, effect, callers, request and response.
macro_rules! operations {
    (@stream stream) => { true };
    (@stream) => { false };
    ($($(#[doc = $doc:literal])+ $type:ident = $name:literal $method:ident $path:literal $effect:ident $callers:ident
        ($request:ty) -> $($stream:ident)? <$response:ty>;)*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug)]
            pub struct $type;

            impl $crate::operation::Op for $type {
                type Request = $request;
                type Response = $response;
                const OPERATION: $crate::operation::Operation = $crate::operation::Operation {
                    name: $name,
                    method: stringify!($method),
                    path: $path,
                    effect: $crate::operation::Effect::$effect,
                    callers: $crate::operation::Callers::$callers,
                    summary: concat!($($doc),+),
                    stream: $crate::operation::operations!(@stream $($stream)?),
                };
            }
        )*
    };
}
pub(crate) use operations;

/// Collects operations for an OpenAPI 3.1 description.
#[derive(Debug)]
pub struct OpenApi {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Default for OpenApi {
    fn default() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        Self { generator: settings.into_generator(), paths: Map::new() }
    }
}

impl OpenApi {
    /// Adds an operation.
    pub fn add<O: Op>(&mut self) {
        let operation = O::OPERATION;
        let request = self.generator.root_schema_for::<O::Request>().to_value();
        // Definitions of the request's own types belong to the components.
        self.generator.subschema_for::<O::Request>();
        let response = self.generator.subschema_for::<O::Response>().to_value();
        let in_path: Vec<&str> = operation.path_parameters().collect();
        let required: Vec<&str> =
            request["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut parameters = Vec::new();
        for (name, schema) in request["properties"].as_object().into_iter().flatten() {
            let place = match in_path.contains(&name.as_str()) {
                true => "path",
                false if !operation.has_body() => "query",
                false => continue,
            };
            let needed = place == "path" || required.contains(&name.as_str());
            parameters.push(json!({
                "name": name, "in": place, "required": needed, "schema": schema,
                "description": schema["description"].as_str().unwrap_or_default(),
            }));
        }
        let media = if operation.stream { "text/event-stream" } else { "application/json" };
        let mut described = json!({
            "operationId": operation.name,
            "summary": operation.summary.trim(),
            "x-osmoda-effect": operation.effect.as_str(),
            "parameters": parameters,
            "responses": {
                "200": { "description": "The answer.", "content": { media: { "schema": response } } },
                "default": {
                    "description": "What went wrong (RFC 9457).",
                    "content": { crate::problem::PROBLEM_JSON: { "schema": self.generator.subschema_for::<crate::problem::Problem>() } },
                },
            },
        });
        if operation.has_body() {
            let schema = self.generator.subschema_for::<O::Request>();
            described["requestBody"] =
                json!({ "required": false, "content": { "application/json": { "schema": schema } } });
        }
        let path = self.paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described;
    }

    /// The description.
    #[must_use]
    pub fn describe(mut self, title: &str, version: &str) -> Value {
        let schemas = self.generator.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": { "title": title, "version": version, "license": { "name": "MIT", "identifier": "MIT" } },
            "servers": [{ "url": "http://localhost", "description": "a Unix socket below /run/osmoda" }],
            "paths": self.paths,
            "components": { "schemas": schemas },
        })
    }
}
