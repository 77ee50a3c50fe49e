//! Closures as people read them: which packages come, go, and change their version.

use std::collections::{BTreeMap, BTreeSet};

use osmoda_schemas::plan::PackageChange;

use crate::store_path::StorePath;

/// The difference between two closures, by the packages' names.
#[must_use]
pub fn changes(before: &BTreeSet<StorePath>, after: &BTreeSet<StorePath>) -> Vec<PackageChange> {
    let mut packages: BTreeMap<&str, PackageChange> = BTreeMap::new();
    for (paths, others, is_new) in [(before, after, false), (after, before, true)] {
        for path in paths.difference(others) {
            let (name, version) = name_and_version(path);
            let package = packages.entry(name).or_insert_with(|| PackageChange {
                name: name.to_owned(),
                before: Vec::new(),
                after: Vec::new(),
            });
            let side = if is_new { &mut package.after } else { &mut package.before };
            if !side.iter().any(|known| known == version) {
                side.push(version.to_owned());
            }
        }
    }
    packages.into_values().collect()
}

/// The version begins behind the first dash that no letter follows (Nix manual, `builtins.parseDrvName`).
fn name_and_version(path: &StorePath) -> (&str, &str) {
    let name = path.name();
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let starts = |at: usize| name[at + 1..].bytes().next().is_some_and(|next| !next.is_ascii_alphabetic());
    match dashes.into_iter().find(|at| starts(*at)) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure(names: &[&str]) -> BTreeSet<StorePath> {
        let path = |(n, name): (usize, &&str)| format!("/nix/store/{:0>32}-{name}", n).parse().expect("a store path");
        names.iter().enumerate().map(path).collect()
    }

    #[test]
    fn packages_come_go_and_change() {
        let before = closure(&["glibc-2.36", "hello-2.10", "old-lib-1.0-dev", "osmoda-app-web-files"]);
        let after = closure(&["glibc-2.36", "hello-2.12.1", "new-3", "osmoda-app-web-files", "hello-2.12.1"]);
        let words: Vec<String> = changes(&before, &after)
            .into_iter()
            .map(|p| format!("{} {} > {}", p.name, p.before.join(","), p.after.join(",")))
            .collect();
        assert_eq!(words, ["hello 2.10 > 2.12.1", "new  > 3", "old-lib 1.0-dev > "]);
    }
}
