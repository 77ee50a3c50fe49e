//! Everything else of the project that Nix evaluates: the flake with its hosts, the template, and the tests.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::{Verdict, named};

/// What the flake gives.
const OUTPUTS: [&str; 9] = [
    "apps",
    "checks",
    "devShells",
    "formatter",
    "nixosConfigurations",
    "nixosModules",
    "overlays",
    "packages",
    "templates",
];
/// Stories that are told in virtual machines.
const TESTS: [&str; 6] = ["boot", "ledger", "power-cut", "switch", "upgrade", "watcher"];
/// Hosts, with whether osModa runs there and the ports that each opens.
const HOSTS: [(&str, bool, &[u16]); 3] =
    [("osmoda-dev", true, &[8080]), ("osmoda-iso", false, &[22]), ("osmoda-server", true, &[22])];

/// What is told of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Project {
    outputs: Vec<String>,
    packages: Value,
    checks: BTreeMap<String, BTreeMap<String, Value>>,
    dev_shells: Value,
    formatter: Value,
    apps: Value,
    overlay: Value,
    templates: Value,
    hosts: BTreeMap<String, Host>,
    template: Value,
    classic: Classic,
}

/// What there is without flakes.
#[derive(Debug, Deserialize)]
struct Classic {
    tests: Vec<String>,
    osmoda: Value,
    modules: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Host {
    system: Value,
    runs: bool,
    open: Open,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    enable: bool,
    #[serde(rename = "allowedTCPPorts")]
    tcp: Vec<u16>,
    #[serde(rename = "allowedUDPPorts")]
    udp: Vec<u16>,
}

impl Project {
    /// Everything about it.
    pub fn judge(&self) -> Vec<Verdict> {
        vec![
            (named("every output of the flake"), self.judge_flake()),
            (named("the hosts expose what they say"), self.judge_hosts()),
            (named("the tests in virtual machines are derivations"), self.judge_tests()),
        ]
    }

    fn judge_flake(&self) -> Result<()> {
        ensure!(self.outputs == OUTPUTS, "the flake has {:?}", self.outputs);
        for (what, value, ending) in [
            ("packages", &self.packages, ".drv"),
            ("devShells", &self.dev_shells, ".drv"),
            ("formatter", &self.formatter, ".drv"),
            ("overlays.default", &self.overlay, ".drv"),
            ("a system of the template", &self.template, ".drv"),
            ("apps", &self.apps, ""),
        ] {
            ensure_paths(value, ending).context(what)?;
        }
        for value in [&self.packages, &self.dev_shells, &self.formatter, &self.apps] {
            for platform in ["x86_64-linux", "aarch64-linux"] {
                ensure!(value.get(platform).is_some(), "nothing is for {platform}: {value:#}");
            }
        }
        ensure!(self.templates["default"]["flake.nix"] == "regular", "{:#}", self.templates);
        Ok(())
    }

    fn judge_hosts(&self) -> Result<()> {
        ensure!(self.hosts.len() == HOSTS.len(), "there are {:?}", self.hosts.keys());
        for (name, runs, ports) in HOSTS {
            let host = self.hosts.get(name).with_context(|| format!("there is no {name}"))?;
            ensure_paths(&host.system, ".drv").context(name)?;
            ensure!(host.runs == runs, "{name}: whether osModa runs is {}", host.runs);
            ensure!(host.open.enable && host.open.tcp == ports && host.open.udp.is_empty(), "{name}: {:?}", host.open);
        }
        Ok(())
    }

    fn judge_tests(&self) -> Result<()> {
        ensure!(self.classic.tests == TESTS && self.classic.modules == ["default"], "{:?}", self.classic);
        ensure_paths(&self.classic.osmoda, ".drv").context("default.nix")?;
        for tests in self.checks.values() {
            for name in TESTS {
                let test = tests.get(name).with_context(|| format!("there is no test {name}"))?;
                ensure_paths(test, ".drv").context(name)?;
            }
        }
        let checks = self.checks.values().all(|checks| checks.contains_key("modules") && checks.contains_key("osmoda"));
        ensure!(checks && !self.checks.is_empty(), "{:#?}", self.checks);
        Ok(())
    }
}

/// All texts in it are store paths that end so, and there is one at least.
fn ensure_paths(value: &Value, ending: &str) -> Result<()> {
    match value {
        Value::Object(map) if !map.is_empty() => map.values().try_for_each(|inner| ensure_paths(inner, ending)),
        Value::String(text) => {
            ensure!(text.starts_with("/nix/store/") && text.ends_with(ending), "it is {text}");
            Ok(())
        }
        other => anyhow::bail!("it is {other}"),
    }
}
