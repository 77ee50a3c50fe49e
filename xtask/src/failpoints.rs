//! The list of failpoints in `docs/reliability.md`, from the code.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;

/// The page and its part.
pub const PAGE: &str = "reliability.md";
/// The part of it.
pub const PART: &str = "places";

/// The page as it should be.
///
/// # Errors
/// When the code or the page cannot be read.
pub fn page() -> Result<String> {
    let mut places = BTreeSet::new();
    for folder in ["controller", "reconcilers"] {
        scan(&crate::root().join(folder), &mut places)?;
    }
    let mut table = "| place | when | where |\n|---|---|---|\n".to_owned();
    for (point, side, file) in places {
        table += &format!("| `{point}` | {side} | `{file}` |\n");
    }
    crate::page::with_part(PAGE, PART, &table)
}

fn scan(folder: &Path, places: &mut BTreeSet<(String, &'static str, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            scan(&path, places)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let file = path.strip_prefix(crate::root())?.display().to_string();
            for (call, side) in [("may_fail", "before, may fail"), ("before", "before"), ("after", "after")] {
                let call = format!("failpoint::{call}(\"");
                let points = text.split(&call).skip(1);
                places.extend(points.filter_map(|rest| Some((rest.split_once('"')?.0.to_owned(), side, file.clone()))));
            }
        }
    }
    Ok(())
}
