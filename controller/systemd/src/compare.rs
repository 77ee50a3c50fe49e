//! What a changed unit file means for the running unit: NixOS's comparison (switch-to-configuration-ng).

use std::collections::BTreeSet;

use crate::UnitFile;

/// Keys of `[Unit]` that only say how a unit is shown, or what happens around it later.
const IGNORED: [&str; 12] = [
    "Description",
    "Documentation",
    "OnFailure",
    "OnSuccess",
    "OnFailureJobMode",
    "IgnoreOnIsolate",
    "StopWhenUnneeded",
    "RefuseManualStart",
    "RefuseManualStop",
    "AllowIsolate",
    "CollectMode",
    "SourcePath",
];

/// The outcome of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The running unit need not know.
    Equal,
    /// It is enough that it reads its configuration anew. Keys as `Section.Key`.
    Reload(Vec<String>),
    /// It has to be started anew.
    Restart(Vec<String>),
}

/// Compares two versions of a unit, by meaning and not by bytes.
#[must_use]
pub fn compare(old: &UnitFile, new: &UnitFile) -> Comparison {
    let keys: BTreeSet<(&str, &str)> = old.iter().chain(new.iter()).map(|(section, key, _)| (section, key)).collect();
    let mut reload = Vec::new();
    let mut restart = Vec::new();
    for (section, key) in keys {
        let changed = old.values(section, key) != new.values(section, key);
        if !changed || section == "Install" || (section == "Unit" && IGNORED.contains(&key)) {
            continue;
        }
        match (section, key) {
            // A running unit cannot be told that it has lost its way of being told.
            ("Service", "ExecReload") if new.values(section, key).is_empty() => {}
            ("Unit", "X-Reload-Triggers") | ("Mount", "Options") | ("Service", "ExecReload") => {
                reload.push(format!("{section}.{key}"));
            }
            _ => restart.push(format!("{section}.{key}")),
        }
    }
    match (restart.is_empty(), reload.is_empty()) {
        (false, _) => Comparison::Restart(restart),
        (true, false) => Comparison::Reload(reload),
        (true, true) => Comparison::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(old: &str, new: &str) -> Comparison {
        compare(&UnitFile::parse(old), &UnitFile::parse(new))
    }

    #[test]
    fn order_of_sections_comments_and_descriptions_do_not_matter() {
        let old = "[Unit]\nDescription=a\n[Service]\nExecStart=/x\n[Install]\nWantedBy=a.target\n";
        assert_eq!(compared(old, "# new\n[Service]\nExecStart=/x\n[Unit]\nDescription=b\n"), Comparison::Equal);
    }

    #[test]
    fn only_reload_triggers_ask_for_a_reload() {
        let old = "[Unit]\nX-Reload-Triggers=1\n[Service]\nExecStart=/x\nExecReload=/r\n";
        assert_eq!(compared(old, &old.replace("=1", "=2")), Comparison::Reload(vec!["Unit.X-Reload-Triggers".into()]));
        assert_eq!(compared(old, &old.replace("/r", "/s")), Comparison::Reload(vec!["Service.ExecReload".into()]));
        assert_eq!(compared(old, &old.replace("ExecReload=/r\n", "")), Comparison::Equal);
        let both = old.replace("=1", "=2").replace("/x", "/y");
        assert_eq!(compared(old, &both), Comparison::Restart(vec!["Service.ExecStart".into()]));
    }

    #[test]
    fn the_order_of_values_matters() {
        assert!(matches!(
            compared("[Service]\nExecStartPre=/a\nExecStartPre=/b\n", "[Service]\nExecStartPre=/b\nExecStartPre=/a\n"),
            Comparison::Restart(_)
        ));
    }
}
