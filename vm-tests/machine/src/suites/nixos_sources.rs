//! Where the operator's own system is described: as a flake, and as a configuration without flakes. The other suites of NixOS
//! have it as a system.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    Case,
    nixos_backend::{commit, ensure_committed, link},
    switch::{runs, sleeper},
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    vec![
        Case::anywhere("nixos: the system is that of a flake", flake),
        Case::anywhere("nixos: the system is that of a configuration without flakes", configuration),
    ]
}

/// What the operator adds to the machine's own system, however it is described.
const CONFIGURATION: &str = "/etc/nixos/configuration.nix";
/// The description that all others want.
const SYSTEM: &str = "/etc/nixos/system.nix";

fn flake(host: Host<'_>) -> Result<()> {
    // It takes the name of the machine, and has no inputs but its own files: there is no network.
    described_as(host, &json!({ "flake": "/etc/nixos" }), 8141)
}

fn configuration(host: Host<'_>) -> Result<()> {
    let source = json!({ "configuration": "/etc/nixos/classic.nix", "nixpkgs": "/etc/nixos/nixpkgs" });
    described_as(host, &source, 8151)
}

/// Takes a description in as an operator does (agentd's configuration is a part of the system), and leaves the machine with
/// the one that it had.
fn described_as(host: Host<'_>, source: &Value, number: u32) -> Result<()> {
    host.clear()?;
    let options: String = source
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("services.osmoda.nixos.{name} = {value};\n"))
        .collect();
    let module = format!("{{ lib, ... }}: {{\nservices.osmoda.nixos.system = lib.mkForce null;\n{options}}}\n");
    host.machine.write(CONFIGURATION, &module)?;
    let result = rebuild(host).and_then(|()| is_built_from(host, source, number));
    host.machine.write(CONFIGURATION, "{ }\n")?;
    let restored = rebuild(host);
    if restored.is_err() {
        host.sh(&format!(
            "system=$(nix-build --no-out-link {SYSTEM} -A config.system.build.toplevel); nix-env -p \
             /nix/var/nix/profiles/system --set $system; $system/bin/switch-to-configuration switch"
        ))?;
    }
    result?;
    restored?;
    let switch = host.last_switch()?;
    ensure!(was_built_from(&switch, source), "the way back has another source: {switch:#}");
    host.clear()?;
    let agentd = host.sh("cat /etc/osmoda/agentd.yaml")?;
    ensure!(agentd.contains(SYSTEM), "the machine is left with {agentd}");
    ensure_committed(host)
}

/// The machine's description is built anew, and agentd started with what it says.
fn rebuild(host: Host<'_>) -> Result<()> {
    let state = host.apply(&["--rebuild"])?;
    ensure!(state == "committed", "{:#}", host.last_switch()?);
    wait("agentd", Duration::from_secs(30), || Ok(host.osmoda(&["status"]).is_ok_and(|(code, ..)| code == 0)))?;
    host.settle()?;
    Ok(())
}

/// An app, and an option that is judged by those of that system, become a part of it.
fn is_built_from(host: Host<'_>, source: &Value, number: u32) -> Result<()> {
    host.document("a.yaml", &sleeper("a", number, "  probation: {ttl: 500ms}\n"))?;
    host.document(
        "proof.yaml",
        &format!(
            "apiVersion: os.moda/v1\nkind: NixosConfig\nmetadata: {{name: proof}}\nspec:\n  options: \
             {{environment.etc.proof.text: \"{number}\"}}\n"
        ),
    )?;
    commit(host)?;
    ensure!(runs(host, number)?, "{:#}", host.last_switch()?);
    ensure!(host.sh("cat /etc/proof")? == number.to_string(), "the option is not set");
    ensure_committed(host)?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "committed", "{switch:#}");
    ensure!(was_built_from(&switch, source), "another source: {switch:#}");
    let unit = link(host, "/etc/systemd/system/osmoda-app-a.service")?;
    ensure!(unit.starts_with("/nix/store/"), "{unit}");
    Ok(())
}

/// True when a switch took its system from that description, and from no other.
fn was_built_from(switch: &Value, source: &Value) -> bool {
    ["flake", "configuration", "system", "nixpkgs"].iter().all(|name| switch["nixos"]["source"][name] == source[name])
}
