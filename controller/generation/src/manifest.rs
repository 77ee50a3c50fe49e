//! `manifest.json`: what a generation is made of, for whoever has to judge it without rendering anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use osmoda_schemas::{
    object::{Author, ContentHash, ObjectRef},
    quantity::Duration,
};
use serde::{Deserialize, Serialize};

use crate::{fragment::Gate, store_path::StorePath};

/// The version of the format.
pub const VERSION: u32 = 1;

/// What a generation is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// By object.
    pub objects: BTreeMap<ObjectRef, ManifestEntry>,
}

/// What a generation knows of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestEntry {
    /// The hash of its document.
    pub hash: ContentHash,
    /// Who wished for it.
    pub author: Author,
    /// The units that it became.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// The store paths that those name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub references: BTreeSet<StorePath>,
    /// What a switch that changes it has to see pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// How long; none: agentd's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation: Option<Duration>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { version: VERSION, objects: BTreeMap::new() }
    }
}

impl Manifest {
    /// Reads the manifest of a generation.
    ///
    /// # Errors
    /// When it is not there, or of another version.
    pub fn read(generation: &Path) -> io::Result<Self> {
        let file = generation.join("manifest.json");
        let bytes = fs::read(&file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|e| io::Error::other(format!("{} is no manifest: {e}", file.display())))?;
        if manifest.version != VERSION {
            return Err(io::Error::other(format!("{} is of version {}", file.display(), manifest.version)));
        }
        Ok(manifest)
    }

    /// Every store path that a unit names.
    #[must_use]
    pub fn references(&self) -> BTreeSet<&StorePath> {
        self.objects.values().flat_map(|entry| &entry.references).collect()
    }

    /// Objects that are new or different from those of `old`, in order.
    pub fn changed_since<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = (&'a ObjectRef, &'a ManifestEntry)> {
        self.objects.iter().filter(|(reference, entry)| old.objects.get(reference).map(|o| o.hash) != Some(entry.hash))
    }
}
