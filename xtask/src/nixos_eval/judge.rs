//! What was told of a system, against what was expected of it and what holds of every system.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use osmoda_schemas::{config::Config, document, rules::check_object};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::page::Documented;

/// Lines that NixOS may add to a unit of the package: none of them loosens what the unit is held to.
const MAY_ADD: [(&str, &str); 4] = [
    ("Unit", "X-Restart-Triggers"),
    ("Service", "Environment"),
    ("Service", "X-StopIfChanged"),
    ("Service", "X-RestartIfChanged"),
];
/// What it may add to one unit: where the passphrase is, and the group that the package's unit gives the socket, too.
const MAY_ADD_TO: [(&str, &str, &str); 4] = [
    ("osmoda-keyd.service", "Service", "LoadCredential"),
    ("osmoda-keyd.service", "Service", "LoadCredentialEncrypted"),
    ("osmoda-keyd.socket", "Socket", "SocketGroup"),
    ("osmoda-keyd.socket", "Socket", "SocketMode"),
];
/// Units that nothing starts by itself; an option of the module does.
const OPT_IN: [(&str, &str); 2] =
    [("osmoda-keyd.service", "multi-user.target"), ("osmoda-keyd.socket", "sockets.target")];

/// All that is told in one evaluation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// By name.
    pub cases: BTreeMap<String, Case>,
    /// Cases whose evaluation ends, with what it has to say.
    pub ends: BTreeMap<String, String>,
    /// Cases whose build fails, with what it has to say.
    pub breaks: BTreeMap<String, String>,
    /// What a machine without osModa exposes.
    ports: Value,
    /// Where the package is.
    package: String,
    /// What is in its folder of programs.
    programs: Vec<String>,
    /// The options that users see.
    pub options: Vec<Documented>,
}

/// One system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    expected: Expected,
    /// What assertions said.
    refused: Vec<String>,
    /// None when there were any.
    told: Option<Told>,
}

/// What a case says of itself; what it leaves out is not looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// A part of what an assertion says.
    refused: Option<String>,
    units: Option<BTreeSet<String>>,
    etc: Option<BTreeSet<String>>,
    /// How often the package is in the system's path.
    programs: Option<usize>,
    generator: Option<bool>,
    activation: Option<bool>,
    /// A part of agentd's configuration.
    agentd: Option<Map<String, Value>>,
    /// An assignment in a unit's environment.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Lines that NixOS adds to a unit.
    #[serde(default)]
    adds: BTreeMap<String, Vec<String>>,
    /// Keys that it does not add to a unit.
    #[serde(default)]
    omits: BTreeMap<String, Vec<String>>,
    /// Variables that are not in a unit's environment.
    #[serde(default)]
    lacks: BTreeMap<String, Vec<String>>,
    /// Documents by the name of their file.
    #[serde(default)]
    documents: BTreeMap<String, Value>,
    /// Names of all documents.
    files: Option<BTreeSet<String>>,
}

/// What a system has of osModa.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    etc: BTreeSet<String>,
    agentd: Option<String>,
    documents: BTreeMap<String, File>,
    /// As the package has them.
    units: BTreeMap<String, String>,
    #[serde(rename = "dropIns")]
    drop_ins: BTreeMap<String, DropIn>,
    /// What keyd may execute of the package's closure.
    closures: Vec<String>,
    generators: BTreeMap<String, String>,
    activation: Option<String>,
    users: Vec<String>,
    groups: BTreeMap<String, Vec<String>>,
    programs: usize,
    ports: Value,
    package: String,
}

#[derive(Debug, Deserialize)]
struct File {
    kind: String,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DropIn {
    text: String,
    wanted_by: BTreeSet<String>,
    override_strategy: String,
}

impl Suite {
    /// The package has the programs where they look for each other.
    pub fn judge_package(&self) -> Result<()> {
        let expected =
            ["agentd", "nix", "osmoda-keyd", "osmoda-routines", "osmoda-switch", "osmoda-watch", "osmoda-witness"];
        ensure!(self.programs == expected, "lib/osmoda has {:?}", self.programs);
        let root = Path::new(&self.package);
        for file in [
            "lib/osmoda/nix/system.nix",
            "lib/osmoda/nix/generation.nix",
            "lib/systemd/system-generators/osmoda-generator",
            "share/bash-completion/completions/osmoda.bash",
            "share/zsh/site-functions/_osmoda",
            "share/fish/vendor_completions.d/osmoda.fish",
        ] {
            ensure!(root.join(file).is_file(), "{file} is not in the package");
        }
        let pages = std::fs::read_dir(root.join("share/man/man1"))?.count();
        ensure!(pages > 20, "the package has {pages} man pages");
        let link = std::fs::read_link(root.join("bin/agentctl"))?;
        ensure!(link == Path::new("osmoda"), "agentctl leads to {}", link.display());
        let programs: BTreeSet<_> =
            std::fs::read_dir(root.join("bin"))?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
        ensure!(programs == BTreeSet::from(["agentctl".into(), "osmoda".into()]), "bin has {programs:?}");
        Ok(())
    }
}

impl Case {
    /// Everything about it.
    pub fn judge(&self, suite: &Suite) -> Result<()> {
        match (&self.expected.refused, &self.told) {
            (Some(text), _) => {
                let found = self.refused.iter().any(|message| message.contains(text));
                ensure!(found, "no assertion says: {text}\nbut these were said: {:#?}", self.refused);
                Ok(())
            }
            (None, None) => bail!("it is refused: {:#?}", self.refused),
            (None, Some(told)) => {
                told.judge(suite)?;
                told.compare(&self.expected)
            }
        }
    }
}

impl Told {
    /// What holds of every system.
    fn judge(&self, suite: &Suite) -> Result<()> {
        ensure!(self.ports == suite.ports, "it exposes {:#}", self.ports);
        let nobody = self.users.is_empty() && self.groups.values().all(Vec::is_empty);
        ensure!(nobody, "it makes users {:?} and lets in {:?}", self.users, self.groups);
        ensure!(self.units.is_empty() != self.groups.contains_key("osmoda"), "groups: {:?}", self.groups);
        for (name, text) in &self.units {
            let drop_in = self.drop_ins.get(name).with_context(|| format!("nothing starts {name}"))?;
            judge_unit(name, text, &self.package, drop_in).with_context(|| name.clone())?;
        }
        for name in self.drop_ins.keys() {
            ensure!(self.units.contains_key(name), "{name} is not a unit of the package");
        }
        let keyd = usize::from(self.units.contains_key("osmoda-keyd.service"));
        ensure!(self.closures.len() == keyd, "keyd may execute {:?}", self.closures);
        for (_, key, value) in self.closures.iter().flat_map(|text| lines(text)) {
            let is_libraries = value.starts_with("/nix/store/") && value.ends_with("/lib");
            ensure!(key == "ExecPaths" && is_libraries, "keyd's closure says {key}={value}");
        }
        let Some(text) = &self.agentd else {
            ensure!(self.units.is_empty() && self.documents.is_empty(), "there are units, and no configuration");
            return Ok(());
        };
        let config = Config::read("agentd.yaml".as_ref(), text)
            .map_err(|problems| anyhow::anyhow!("agentd does not take its configuration: {problems:#?}\n{text}"))?;
        for (name, file) in &self.documents {
            ensure!(file.kind == "regular", "{name} is no regular file");
            let documents = document::read(name.as_ref(), file.text.as_bytes());
            ensure!(documents.len() == 1, "{name} has {} documents", documents.len());
            for document in &documents {
                let object = document.result.as_ref().map_err(|refusal| anyhow::anyhow!("{name}: {refusal:#?}"))?;
                let broken = check_object(object, config.backend);
                ensure!(broken.is_empty(), "{name}: {broken:#?}");
                let expected = format!("{}-{}.json", object.kind, object.metadata.name);
                ensure!(*name == expected, "{name} has {expected}");
            }
        }
        Ok(())
    }

    fn compare(&self, expected: &Expected) -> Result<()> {
        let names = |set: Vec<&String>| set.into_iter().cloned().collect::<BTreeSet<_>>();
        same("units", expected.units.as_ref(), &names(self.units.keys().collect()))?;
        same("files in /etc", expected.etc.as_ref(), &self.etc)?;
        same("packages", expected.programs.as_ref(), &self.programs)?;
        same("documents", expected.files.as_ref(), &names(self.documents.keys().collect()))?;
        same("activation script", expected.activation.as_ref(), &self.activation.is_some())?;
        same("generator", expected.generator.as_ref(), &!self.generators.is_empty())?;
        let generator = format!("{}/lib/systemd/system-generators/osmoda-generator", self.package);
        ensure!(self.generators.values().all(|path| *path == generator), "generators: {:?}", self.generators);
        let added = |unit: &String| {
            self.drop_ins.get(unit).map(|drop_in| &drop_in.text).with_context(|| format!("there is no {unit}"))
        };
        for (unit, assignment) in &expected.environment {
            let (text, line) = (added(unit)?, format!("Environment=\"{assignment}\""));
            ensure!(text.lines().any(|l| l == line), "{unit} has no {line}:\n{text}");
        }
        for (unit, line) in expected.adds.iter().flat_map(|(unit, lines)| lines.iter().map(move |line| (unit, line))) {
            let text = added(unit)?;
            ensure!(text.lines().any(|l| l == line), "{unit} has no {line}:\n{text}");
        }
        for (unit, key) in expected.omits.iter().flat_map(|(unit, keys)| keys.iter().map(move |key| (unit, key))) {
            let text = added(unit)?;
            ensure!(!text.contains(key.as_str()), "{unit} has {key}:\n{text}");
        }
        for (unit, variables) in &expected.lacks {
            let text = added(unit)?;
            let found = variables.iter().find(|name| text.contains(&format!("Environment=\"{name}=")));
            ensure!(found.is_none(), "{unit} has {}:\n{text}", found.map_or("", String::as_str));
        }
        if let Some(expected) = &expected.agentd {
            let config: Value = serde_json::from_str(self.agentd.as_deref().unwrap_or("null"))?;
            for (key, value) in expected {
                ensure!(config[key] == *value, "agentd.yaml: {key} is {:#}, not {value:#}", config[key]);
            }
        }
        for (name, value) in &expected.documents {
            let file = self.documents.get(name).with_context(|| format!("there is no document {name}"))?;
            let found: Value = serde_json::from_str(&file.text)?;
            ensure!(found == *value, "{name} is {found:#}, not {value:#}");
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: Option<&T>, found: &T) -> Result<()> {
    match expected {
        Some(expected) if expected != found => bail!("{what}: {found:?}, not {expected:?}"),
        _ => Ok(()),
    }
}

/// A unit of the package is the one of nix/units, which the `profile` installation has as it is, but for where programs
/// are; and what NixOS adds to it loosens nothing.
fn judge_unit(name: &str, text: &str, package: &str, drop_in: &DropIn) -> Result<()> {
    let file = crate::root().join("nix/units").join(name);
    let ours = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let moved = ours.replace("/usr/lib/osmoda", &format!("{package}/lib/osmoda"));
    ensure!(text == moved, "it is not the unit of nix/units:\n{text}");
    ensure!(drop_in.override_strategy == "asDropinIfExists", "it would replace the package's unit");
    let wanted: BTreeSet<String> = lines(&ours)
        .filter(|(section, key, _)| (*section, *key) == ("Install", "WantedBy"))
        .flat_map(|(_, _, value)| value.split_whitespace())
        .chain(OPT_IN.iter().filter(|(unit, _)| *unit == name).map(|(_, target)| *target))
        .map(str::to_owned)
        .collect();
    ensure!(drop_in.wanted_by == wanted, "it is wanted by {:?}, not by {wanted:?}", drop_in.wanted_by);
    for (section, key, value) in lines(&drop_in.text) {
        let may =
            MAY_ADD.contains(&(section, key)) || MAY_ADD_TO.contains(&(name, section, key)) || section == "Install";
        // An empty value would take away what the unit says.
        ensure!(may && !value.is_empty(), "NixOS adds to [{section}]: {key}={value}");
    }
    Ok(())
}

/// The lines of a unit, each with its section.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut section = "";
    text.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            return None;
        }
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((section, key, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<()> {
        let ours = std::fs::read_to_string(crate::root().join("nix/units/osmoda-watch.service"))?;
        let text = format!("{text}\n[Install]\nWantedBy=multi-user.target\n");
        let wanted_by = BTreeSet::from(["multi-user.target".to_owned()]);
        let drop_in = DropIn { text, wanted_by, override_strategy: "asDropinIfExists".to_owned() };
        judge_unit("osmoda-watch.service", &ours.replace("/usr/lib/osmoda", "/p/lib/osmoda"), "/p", &drop_in)
    }

    #[test]
    fn what_loosens_a_unit_is_seen() {
        verdict("[Unit]\nX-Restart-Triggers=/nix/store/x\n[Service]\nEnvironment=\"PATH=/bin\"\n").unwrap();
        for bad in ["[Service]\nProtectSystem=no", "[Service]\nEnvironment=", "[Service]\nUser=root", "[Unit]\nAfter="]
        {
            verdict(bad).unwrap_err();
        }
    }
}
