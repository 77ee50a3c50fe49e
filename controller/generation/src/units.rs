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

    /// Reads all units of a NixOS system, with their drop-ins, as far as they can be read.
    ///
    /// # Errors
    /// When its folder of units cannot be read.
    pub fn of_system(system: &Path) -> io::Result<Self> {
        let mut units = Self::default();
        let folder = system.join("etc/systemd/system");
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for name in names(&folder)? {
            let path = folder.join(&name);
            if let Some(target) = name.strip_suffix(".wants") {
                if TARGETS.contains(&target) {
                    units.wanted.extend(names(&path)?);
                }
            } else if let Some(unit) = name.strip_suffix(".d") {
                for drop_in in names(&path)? {
                    let text = fs::read_to_string(path.join(drop_in)).unwrap_or_default();
                    let whole = texts.entry(unit.to_owned()).or_default();
                    whole.push('\n');
                    whole.push_str(&text);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                // What its drop-ins say comes after it.
                texts.entry(name).or_default().insert_str(0, &text);
            }
        }
        units.files = texts.into_iter().map(|(name, text)| (name, UnitFile::parse(&text))).collect();
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
