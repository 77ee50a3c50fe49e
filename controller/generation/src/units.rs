//! The unit files of a generation in the store, for the activation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use osmoda_systemd::UnitFile;

use crate::plan::TARGETS;

/// Unit files of a generation, and which of them its targets want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// By unit name.
    pub files: BTreeMap<String, UnitFile>,
    /// Units that start at boot.
    pub wanted: BTreeSet<String>,
}

impl Units {
    /// Reads the units of a generation.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(generation: &Path) -> io::Result<Self> {
        let mut units = Self::default();
        let folder = generation.join("units");
        for name in names(&folder)? {
            if name.ends_with(".wants") {
                let target = name.trim_end_matches(".wants");
                if TARGETS.contains(&target) {
                    units.wanted.extend(names(&folder.join(&name))?);
                }
            } else {
                let text = fs::read_to_string(folder.join(&name))?;
                units.files.insert(name, UnitFile::parse(&text));
            }
        }
        Ok(units)
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        // A generation without units has no such folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
