//! The licences of what is linked into the programs: they ask to be passed on with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::programs::{PACKAGES, Place};
use crate::host::run;

/// Files that hold a licence begin with one of these.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// What is linked and is not a package of cargo's.
const OTHERS: &str = "\
Linked as well: the Rust standard library (MIT OR Apache-2.0; Copyright (c) The Rust Project Contributors), and SQLite,
which is in the public domain.
";

/// The notices of everything that the programs are linked with: packages, then each text once.
///
/// # Errors
/// When cargo does not tell what the programs are made of.
pub fn third_party(place: &Place) -> Result<String> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command: Command = crate::cargo();
    command.current_dir(&place.root).env("CARGO_HOME", &place.cargo_home);
    let words = run(command.args(["metadata", "--locked", "--format-version=1", "--filter-platform", &platform]))?;
    let metadata: Value = serde_json::from_str(&words)?;
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut notices = format!("Third-party software in osModa's programs\n\n{OTHERS}\n");
    for package in linked(&metadata)? {
        let text = |key: &str| package[key].as_str().unwrap_or("unknown");
        let name = format!("{} {}", text("name"), text("version"));
        writeln!(notices, "{name}: {}", text("license"))?;
        let folder = Path::new(text("manifest_path")).parent().context("a manifest is in a folder")?;
        for licence in licences(folder).with_context(|| folder.display().to_string())? {
            texts.entry(licence).or_default().insert(name.clone());
        }
    }
    // By who has them: the order of texts would say nothing to anybody.
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (names, text) in texts {
        let names: Vec<String> = names.into_iter().collect();
        write!(notices, "\n{}\n{}\n\n{text}\n", "-".repeat(80), names.join(", "))?;
    }
    Ok(notices)
}

/// Packages of others that the programs are linked with, sorted by name and version.
fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    let mut next: Vec<String> =
        packages.iter().filter(|package| PACKAGES.iter().any(|name| package["name"] == *name)).map(id).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (id(&node), node)).collect();
    let mut seen = BTreeSet::new();
    while let Some(package) = next.pop() {
        let Some(node) = nodes.get(&package).filter(|_| seen.insert(package)) else { continue };
        for dependency in list(&node["deps"]) {
            // Those of builds and tests are of another kind.
            if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                next.push(dependency["pkg"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    let mut linked: Vec<&Value> =
        packages.iter().filter(|package| !package["source"].is_null() && seen.contains(&id(package))).collect();
    linked.sort_by_key(|package| (package["name"].to_string(), package["version"].to_string()));
    Ok(linked)
}

/// The licences in a package's folder.
fn licences(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|prefix| name.starts_with(prefix)) {
            let bytes = fs::read(entry.path())?;
            found.insert(String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim().to_owned());
        }
    }
    Ok(found)
}
