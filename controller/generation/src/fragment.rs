//! What one object becomes: the part of a generation that its reconciler renders.

use std::collections::BTreeMap;

use osmoda_schemas::{
    kinds::{HealthCheck, Tier},
    object::{Kind, Object, ObjectRef},
    quantity::Duration,
    rules::Violation,
};
use serde::{Deserialize, Serialize};

use crate::{store_path::StoreObject, tree::TreeError};

/// Renders the objects of one kind. Pure: the same object gives the same bytes, on any machine, at any time.
pub trait Reconciler: Send + Sync {
    /// The kind that it renders.
    fn kind(&self) -> Kind;

    /// The object's part of a generation.
    ///
    /// # Errors
    /// What of the object cannot be rendered here, and which field says so.
    fn render(&self, object: &Object) -> Result<Fragment, RenderError>;

    /// What tells whether a change takes away protection or data; none: no change of this kind does.
    fn loosens(&self) -> Option<Loosens> {
        None
    }
}

/// Does a change take away protection or data? Without an old object it is new, without a new one it is deleted.
pub type Loosens = fn(old: Option<&Object>, new: Option<&Object>) -> bool;

/// An object's part of a generation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment {
    /// Unit files by unit name.
    pub units: BTreeMap<String, String>,
    /// What starts at boot: (target, unit), as `<target>.wants/<unit>`.
    pub wants: Vec<(String, String)>,
    /// Slices of daemons, by path below `etc/`.
    pub etc: BTreeMap<String, Vec<u8>>,
    /// Links by path in the generation, with where they point.
    pub links: BTreeMap<String, String>,
    /// Store paths of their own that units refer to.
    pub store_objects: Vec<StoreObject>,
    /// What a switch that changes the object has to see pass.
    pub gates: Vec<Gate>,
    /// How long it has to see that; none: agentd's default.
    pub probation: Option<Duration>,
    /// What a person should know before saying yes.
    pub warnings: Vec<String>,
}

/// A health check of an object with everything resolved: unit names and users are filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Whose health it is.
    pub object: ObjectRef,
    /// What it is called in status and events.
    pub name: String,
    /// The question.
    pub check: HealthCheck,
    /// How far its command is trusted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tier: Tier,
}

fn is_default(tier: &Tier) -> bool {
    *tier == Tier::default()
}

/// Why an object cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The backend has no way to do it.
    #[error("{object} needs the `nixos` backend: {reason}")]
    NeedsNixos {
        /// The object.
        object: ObjectRef,
        /// What it needs.
        reason: String,
    },
    /// A field has a value that cannot be expressed.
    #[error("{field}: {reason}")]
    Field {
        /// Its path, from `spec`.
        field: String,
        /// Why not.
        reason: String,
    },
    /// Rules of the kind that its reconciler knows.
    #[error("{}", .0.iter().map(|violation| format!("{}: {}", violation.field, violation.detail)).collect::<Vec<_>>().join("; "))]
    Rules(Vec<Violation>),
    /// A file of the object has an impossible path.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// The unit that an object is known by: what `after`, `requires`, watchers and `osmoda logs` mean.
#[must_use]
pub fn primary_unit(object: &ObjectRef) -> Option<String> {
    let name = &object.name;
    match object.kind {
        Kind::App => Some(format!("osmoda-app-{name}.service")),
        Kind::Routine => Some(format!("osmoda-routine-{name}.service")),
        Kind::McpServer => Some(format!("osmoda-mcp-{name}.service")),
        Kind::Watcher | Kind::Wallet | Kind::WalletPolicy | Kind::NixosConfig => None,
    }
}
