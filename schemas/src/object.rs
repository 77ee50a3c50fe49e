//! Objects: the envelope that every document has, and the names by which objects are known.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    kinds::{App, McpServer, NixosConfig, Routine, Wallet, WalletPolicy, Watcher},
    name::{InvalidName, Name},
};

/// The only `apiVersion` so far.
pub const API_VERSION: &str = "os.moda/v1";

macro_rules! kinds {
    ($($kind:ident: $plural:literal, $doc:literal;)*) => {
        /// What an object is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Kind {
            $(#[doc = $doc] $kind,)*
        }

        /// The `spec` of a document, by its kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Spec {
            $(#[doc = $doc] $kind(Box<$kind>),)*
        }

        impl Kind {
            /// All kinds, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// As documents write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }

            /// The lower-case plural that the command line also understands.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)* }
            }

            /// One line about the kind.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$kind => $doc,)* }
            }

            /// The JSON Schema of the kind's `spec`.
            pub fn spec_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$kind => generator.subschema_for::<$kind>(),)* }
            }

            /// Reads a `spec` of this kind.
            ///
            /// # Errors
            /// The path of the field that does not fit, and why.
            pub fn read_spec(self, spec: &serde_json::Value) -> Result<Spec, serde_path_to_error::Error<serde_json::Error>> {
                match self { $(Self::$kind => serde_path_to_error::deserialize(spec).map(|s| Spec::$kind(Box::new(s))),)* }
            }
        }

        impl Spec {
            /// The kind that this is the spec of.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }
        }
    };
}

kinds! {
    App: "apps", "A long-running program, as a hardened systemd service.";
    McpServer: "mcpservers", "A Model Context Protocol server that the agent may use.";
    NixosConfig: "nixosconfigs", "NixOS options of the whole system, as data.";
    Routine: "routines", "Work that is done at certain times or events.";
    Wallet: "wallets", "A key that keyd keeps, and by what it is known.";
    WalletPolicy: "walletpolicies", "Rules for what keyd may sign.";
    Watcher: "watchers", "A check that is asked for ever, and what mends it.";
}

/// Why a text is not a [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind {0:?}; the kinds are App, McpServer, NixosConfig, Routine, Wallet, WalletPolicy, Watcher")]
pub struct InvalidKind(pub String);

impl FromStr for Kind {
    type Err = InvalidKind;

    /// Exact name, its lower case, or its plural.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| text == kind.as_str() || text == kind.plural() || text == kind.as_str().to_ascii_lowercase())
            .ok_or_else(|| InvalidKind(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Names one object: `App/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectRef {
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: Name,
}

/// Why a text is not an [`ObjectRef`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectRef {
    /// There is no slash.
    #[error("{0:?} does not name an object: write kind and name, such as `App/web`")]
    NoSlash(String),
    /// The part before the slash.
    #[error(transparent)]
    Kind(#[from] InvalidKind),
    /// The part after the slash.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl ObjectRef {
    /// Pattern for JSON Schema.
    pub const PATTERN: &'static str =
        "^(App|McpServer|NixosConfig|Routine|Wallet|WalletPolicy|Watcher)/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

    /// Names the object of that kind and name.
    #[must_use]
    pub const fn new(kind: Kind, name: Name) -> Self {
        Self { kind, name }
    }
}

impl FromStr for ObjectRef {
    type Err = InvalidObjectRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) =
            text.split_once('/').ok_or_else(|| InvalidObjectRef::NoSlash(text.chars().take(80).collect()))?;
        Ok(Self { kind: kind.parse()?, name: name.parse()? })
    }
}

impl TryFrom<String> for ObjectRef {
    type Error = InvalidObjectRef;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ObjectRef> for String {
    fn from(object: ObjectRef) -> Self {
        object.to_string()
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.kind, self.name))
    }
}

impl JsonSchema for ObjectRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ObjectRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Another object, as kind and name: `App/web`.",
            "pattern": Self::PATTERN,
        })
    }
}

/// What is said of an object beside its spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name, unique among objects of its kind.
    pub name: Name,
    /// Free labels to select by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free notes; they never change what runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A document that fits its kind's schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// The kind; the same as the spec's.
    pub kind: Kind,
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// What is wished.
    pub spec: Spec,
}

impl Object {
    /// An object of that spec's kind.
    #[must_use]
    pub fn new(metadata: Metadata, spec: Spec) -> Self {
        Self { api_version: API_VERSION, kind: spec.kind(), metadata, spec }
    }

    /// The name by which other objects know it.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new(self.kind, self.metadata.name.clone())
    }

    /// The object as canonical JSON (RFC 8785), with every default written out: equal wishes give equal bytes.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        crate::canonical_json(self)
    }

    /// Reads what [`Object::canonical_json`] wrote.
    ///
    /// # Errors
    /// What does not fit.
    pub fn from_json(json: &str) -> Result<Self, ObjectJsonError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Envelope {
            api_version: String,
            kind: Kind,
            metadata: Metadata,
            spec: serde_json::Value,
        }
        let envelope: Envelope = serde_json::from_str(json)?;
        if envelope.api_version != API_VERSION {
            return Err(ObjectJsonError::ApiVersion(envelope.api_version));
        }
        let spec = envelope
            .kind
            .read_spec(&envelope.spec)
            .map_err(|e| ObjectJsonError::Spec { path: e.path().to_string(), source: e.into_inner() })?;
        Ok(Self::new(envelope.metadata, spec))
    }
}

/// Why JSON is not an [`Object`].
#[derive(Debug, thiserror::Error)]
pub enum ObjectJsonError {
    /// Not JSON, or not an envelope.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("apiVersion {0:?} is not {API_VERSION:?}")]
    ApiVersion(String),
    /// The spec does not fit its kind.
    #[error("spec.{path}: {source}")]
    Spec {
        /// Field path inside `spec`.
        path: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// SHA-256 of something's canonical bytes, written in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// The raw digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", self.short())
    }
}

/// Why a text is not a [`ContentHash`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA-256 hash in 64 lower-case hex digits")]
pub struct InvalidHash(String);

impl FromStr for ContentHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHash(text.chars().take(80).collect());
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid());
        }
        let nibble = |d: u8| if d <= b'9' { d - b'0' } else { d - b'a' + 10 };
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for ContentHash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

impl JsonSchema for ContentHash {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ContentHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

/// Who wished for an object: the owner of its file, or the peer of the API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Author {
    /// The Unix user id.
    pub uid: u32,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid:{}", self.uid)
    }
}

/// A place in a document, 1-based.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SourcePosition {
    /// The file.
    #[schemars(with = "String")]
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for SourcePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}
