//! The backend `nixos` on a real NixOS: documents are a part of the system, and go back with it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{
    Case,
    switch::{runs, sleeper},
};
use crate::{Host, crash, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("nixos: an app is a part of the system that boots", committed),
        case("nixos: a bad change undoes itself, and the system with it", bad),
        case("nixos: a killed runner goes on: while it builds, and in probation", killed_runner),
        case("nixos: a power cut in probation comes up in the committed system", power_cut),
        case("nixos: PostgreSQL on port 5433 is one document", postgresql),
        case("nixos: a wrong option has its line and keeps nobody back", wrong_option),
        case("nixos: two that want one option otherwise are both named", conflict),
        case("nixos: a package of nixpkgs", package),
        case("nixos: a system of somebody else's making gets its objects back", foreign_system),
        case("nixos: back, held there, and forward again", rollback),
        case("nixos: a build that nobody wants any more", cancelled),
        case("nixos: a kill between profile and boot loader", killed_at_the_boot_loader),
        case("nixos: without Nix's daemon nothing changes, and with it the change goes on", nix_daemon),
        case("nixos: texts of documents do not become code", not_code),
        case("nixos: diff --build tells what the system would do", preview),
        case("nixos: a configuration that changed is built anew, and its stubborn units are killed", rebuild),
    ]
}

/// Time that a system may take to be built and switched to.
const SWITCH: Duration = Duration::from_secs(90);

pub(super) fn link(host: Host<'_>, path: &str) -> Result<String> {
    Ok(host.run(&["/usr/bin/readlink", "-f", path])?.trim().to_owned())
}

/// What runs, what boots, and what daemons read are the same.
pub(super) fn ensure_committed(host: Host<'_>) -> Result<()> {
    let current = link(host, "/run/current-system")?;
    ensure!(link(host, "/nix/var/nix/profiles/system")? == current, "{current} is not what boots");
    let generation = link(host, "/run/osmoda/generation")?;
    ensure!(link(host, "/run/current-system/osmoda")? == generation, "{generation} is not the system's");
    let list = host.json(&["generations"])?;
    let last = list["generations"].as_array().and_then(|all| all.last()).context("no generations")?;
    ensure!(last["system"] == current.as_str() && last["active"] == true && last["bootDefault"] == true, "{last:#}");
    Ok(())
}

/// Applies what is there, and expects it to be committed.
pub(super) fn commit(host: Host<'_>) -> Result<()> {
    let state = host.apply(&["--clear-quarantine", "--accept-mass-delete"])?;
    host.settle()?;
    ensure!(state == "committed" || state == "nothing", "{:#}", host.last_switch()?);
    Ok(())
}

fn committed(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8001, "  probation: {ttl: 1s}\n"))?;
    wait("the app", SWITCH, || runs(host, 8001))?;
    host.settle()?;
    ensure_committed(host)?;
    let unit = link(host, "/etc/systemd/system/osmoda-app-a.service")?;
    ensure!(unit.starts_with("/nix/store/"), "{unit}");
    let switch = host.last_switch()?;
    ensure!(switch["nixos"]["buildMs"].is_u64() && switch["activationMs"].is_u64(), "{switch:#}");
    let started =
        switch["units"].as_array().is_some_and(|units| units.iter().any(|u| u["unit"] == "osmoda-app-a.service"));
    ensure!(started, "{switch:#}");
    Ok(())
}

fn bad(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8011, "  probation: {ttl: 1s}\n"))?;
    commit(host)?;
    let before = link(host, "/run/current-system")?;
    let bad =
        "  probation: {ttl: 30s}\n  health:\n  - probe: {type: tcp, port: 9}\n    grace: 1s\n    interval: 200ms\n";
    host.document("a.yaml", &sleeper("a", 8012, bad))?;
    wait("the bad version", SWITCH, || runs(host, 8012))?;
    wait("the way back", SWITCH, || Ok(host.last_switch()?["state"] == "rolledBack"))?;
    ensure!(runs(host, 8011)? && !runs(host, 8012)?, "the good version is not back");
    ensure!(link(host, "/run/current-system")? == before, "another system runs");
    host.settle()?;
    ensure_committed(host)
}

fn killed_runner(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8021, "  probation: {ttl: 4s}\n"))?;
    wait("the build", SWITCH, || Ok(host.last_switch()?["state"] == "pending"))?;
    host.sh("sleep 0.5; pkill -9 -x osmoda-switch")?;
    wait("probation", SWITCH, || Ok(host.last_switch()?["state"] == "probation"))?;
    host.sh("pkill -9 -x osmoda-switch")?;
    wait("the end", SWITCH, || Ok(host.last_switch()?["state"] == "committed"))?;
    ensure!(runs(host, 8021)?);
    ensure_committed(host)
}

fn power_cut(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8031, "  probation: {ttl: 1s}\n"))?;
    commit(host)?;
    let before = link(host, "/run/current-system")?;
    host.document("a.yaml", &sleeper("a", 8032, "  probation: {ttl: 10m}\n"))?;
    wait("probation", SWITCH, || Ok(runs(host, 8032)? && host.last_switch()?["state"] == "probation"))?;
    host.machine.cut()?;
    host.machine.boot()?;
    wait("agentd", Duration::from_secs(60), || Ok(host.osmoda(&["status"]).is_ok_and(|(code, ..)| code == 0)))?;
    ensure!(link(host, "/run/current-system")? == before, "an uncommitted system was booted");
    wait("the committed version", Duration::from_secs(30), || runs(host, 8031))?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "rolledBack" && !runs(host, 8032)?, "{switch:#}");
    host.settle()?;
    ensure_committed(host)
}

const POSTGRESQL: &str = "apiVersion: os.moda/v1\nkind: NixosConfig\nmetadata: {name: pg}\nspec:\n  options:\n    \
                          services.postgresql.enable: true\n    services.postgresql.settings.port: PORT\n";

fn answers_at(host: Host<'_>, port: u16) -> Result<bool> {
    let question = format!("psql -p {port} -tAc 'select 40+2'");
    let (code, out, _) = host.end(&[
        "/bin/sh",
        "-c",
        &format!("cd /; /usr/bin/setpriv --reuid postgres --regid postgres --clear-groups {question}"),
    ])?;
    Ok(code == 0 && out.trim() == "42")
}

fn postgresql(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("pg.yaml", &POSTGRESQL.replace("PORT", "5433"))?;
    commit(host)?;
    wait("an answer at 5433", Duration::from_secs(30), || answers_at(host, 5433))?;
    ensure_committed(host)?;
    host.document("pg.yaml", &POSTGRESQL.replace("PORT", "5434"))?;
    commit(host)?;
    wait("an answer at 5434", Duration::from_secs(30), || answers_at(host, 5434))?;
    host.sh("rm /var/lib/osmoda/desired/pg.yaml")?;
    commit(host)?;
    ensure!(host.active("postgresql.service")? != "active", "it runs on without its document");
    Ok(())
}

fn wrong_option(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("pg.yaml", &POSTGRESQL.replace("PORT", "5433").replace("postgresql.settings", "postgresql.setings"))?;
    host.document("a.yaml", &sleeper("a", 8041, "  probation: {ttl: 500ms}\n"))?;
    wait("the other object", SWITCH, || runs(host, 8041))?;
    host.settle()?;
    let detail = host.json(&["get", "NixosConfig/pg"])?;
    let error = &detail["status"]["lastError"];
    ensure!(error["code"] == "unknown-option" && error["source"]["line"] == 7, "{detail:#}");
    ensure!(error["hint"] == "did you mean `settings`?", "{detail:#}");
    // The same over the API, before anything is written.
    let text = POSTGRESQL.replace("PORT", "\"many\"");
    host.machine.write("/run/pg.yaml", &text)?;
    let (code, out, err) = host.osmoda(&["apply", "-f", "/run/pg.yaml"])?;
    ensure!(code == 2 && err.contains("option-type"), "{code} {out}{err}");
    Ok(())
}

fn conflict(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8051, "  probation: {ttl: 500ms}\n"))?;
    commit(host)?;
    let of = |name: &str, zone: &str| {
        format!(
            "apiVersion: os.moda/v1\nkind: NixosConfig\nmetadata: {{name: {name}}}\nspec:\n  options: {{time.timeZone: {zone}}}\n"
        )
    };
    host.document("one.yaml", &of("one", "Europe/Berlin"))?;
    host.document("two.yaml", &of("two", "Europe/Paris"))?;
    wait("the refusal", SWITCH, || {
        let switch = host.last_switch()?;
        Ok(switch["state"] == "rolledBack" && switch["reason"].as_str().is_some_and(|r| r.contains("NixosConfig/two")))
    })?;
    let switch = host.last_switch()?;
    let words = switch["failure"].as_str().unwrap_or_default();
    ensure!(["time.timeZone", "NixosConfig/one", "NixosConfig/two"].iter().all(|part| words.contains(part)), "{words}");
    ensure!(words.lines().count() < 12, "that is not short: {words}");
    ensure!(host.condition("NixosConfig/two", "Built")? == ("False".to_owned(), "BuildFailed".to_owned()));
    ensure!(runs(host, 8051)?, "what ran does not run any more");
    host.sh("rm /var/lib/osmoda/desired/two.yaml")?;
    wait("the one", SWITCH, || Ok(host.condition("NixosConfig/one", "Active")?.0 == "True"))?;
    Ok(())
}

fn package(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let app = |package: &str| {
        format!(
            "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: p}}\nspec:\n  package: {package}\n  command: [bin/sleep, \"8061\"]\n  probation: {{ttl: 500ms}}\n"
        )
    };
    host.document("p.yaml", &app("pkgs.coreutils"))?;
    commit(host)?;
    let pid = host.main_pid("osmoda-app-p.service")?;
    let words = host.sh(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"))?;
    ensure!(words.starts_with("/nix/store/") && words.contains("coreutils"), "{words}");
    host.document("p.yaml", &app("pkgs.coreutilz"))?;
    wait("the refusal", SWITCH, || {
        let error = host.json(&["get", "App/p"])?["status"]["lastError"].clone();
        Ok(error["code"] == "unknown-package" && error["field"] == "spec.package")
    })?;
    ensure!(host.main_pid("osmoda-app-p.service")? == pid, "what ran does not run any more");
    Ok(())
}

fn foreign_system(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8071, "  probation: {ttl: 500ms}\n"))?;
    commit(host)?;
    // As `nixos-rebuild test` of the operator: the system without documents.
    let plain = host.run(&[
        "/usr/bin/nix-build",
        "--no-out-link",
        "/etc/nixos/system.nix",
        "-A",
        "config.system.build.toplevel",
    ])?;
    host.run(&[&format!("{}/bin/switch-to-configuration", plain.trim()), "test"])?;
    ensure!(!runs(host, 8071)?, "the plain system has the app");
    host.document("b.yaml", &sleeper("b", 8072, "  probation: {ttl: 500ms}\n"))?;
    wait("the reason", Duration::from_secs(30), || Ok(host.json(&["status"])?["state"] == "on-trial"))?;
    ensure!(!runs(host, 8072)?, "a system on trial was changed");
    commit(host)?;
    ensure!(runs(host, 8071)? && runs(host, 8072)?);
    // As `nixos-rebuild switch`: it boots, too, and what is wished comes back by itself.
    host.run(&["/usr/bin/nix-env", "-p", "/nix/var/nix/profiles/system", "--set", plain.trim()])?;
    host.run(&[&format!("{}/bin/switch-to-configuration", plain.trim()), "switch"])?;
    host.sh("rm /var/lib/osmoda/desired/b.yaml")?;
    wait("the app", SWITCH, || runs(host, 8071))?;
    host.settle()?;
    ensure_committed(host)
}

fn rollback(host: Host<'_>) -> Result<()> {
    host.clear()?;
    for argument in [8081, 8082] {
        host.document("a.yaml", &sleeper("a", argument, "  probation: {ttl: 500ms}\n"))?;
        commit(host)?;
    }
    let (code, out, err) = host.osmoda(&["rollback", "--wait"])?;
    ensure!(code == 0, "{out}{err}");
    ensure!(runs(host, 8081)? && !runs(host, 8082)?);
    let status = host.settle()?;
    ensure!(status["state"] == "quarantined", "the documents bring it back: {status:#}");
    let current = link(host, "/run/current-system")?;
    ensure!(link(host, "/nix/var/nix/profiles/system")? == current, "{current} is not what boots");
    commit(host)?;
    ensure!(runs(host, 8082)?);
    Ok(())
}

fn cancelled(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8091, "  probation: {ttl: 500ms}\n"))?;
    wait("the build", SWITCH, || Ok(host.last_switch()?["state"] == "pending"))?;
    let (status, out, err) = host.osmoda(&["switch", "rollback"])?;
    ensure!(status == 0 && host.last_switch()?["state"] == "rolledBack", "{status} {out}{err}");
    let status = host.settle()?;
    ensure!(status["state"] == "quarantined" && !runs(host, 8091)?, "{status:#}");
    Ok(())
}

/// It is who adds and builds, although root could do without.
fn nix_daemon(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8131, "  probation: {ttl: 500ms}\n"))?;
    commit(host)?;
    host.sh("systemctl stop nix-daemon.socket nix-daemon.service")?;
    let outcome = (|| {
        host.document("a.yaml", &sleeper("a", 8132, "  probation: {ttl: 500ms}\n"))?;
        wait("the refusal", Duration::from_secs(30), || Ok(host.json(&["status"])?["state"] == "retrying"))?;
        let (code, _, err) = host.osmoda(&["apply"])?;
        ensure!(code == 2 && err.contains("nix-store-failed") && err.contains("daemon-socket"), "{code} {err}");
        ensure!(runs(host, 8131)?, "what ran was touched");
        Ok(())
    })();
    host.sh("systemctl start nix-daemon.socket")?;
    outcome?;
    wait("the edit once the daemon is back", SWITCH, || runs(host, 8132))?;
    host.settle()?;
    ensure_committed(host)
}

/// Each would run something, or read a file, as root.
fn not_code(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let refused = |text: &str, code: &str| {
        host.machine.write("/run/evil.yaml", text)?;
        let (status, out, err) = host.osmoda(&["apply", "-f", "/run/evil.yaml"])?;
        ensure!(status == 2 && err.contains(code), "{code}: {status} {out}{err}");
        Ok(())
    };
    let token = "/@pkgs.hello.meta.longDescription@";
    refused(
        &(sleeper("a", 8121, "") + &format!("  environment: {{A: \"{token}ExecStartPre=+/bin/sh x {token}\"}}\n")),
        "reserved-text",
    )?;
    let options = |option: &str, value: &str| {
        format!(
            "apiVersion: os.moda/v1\nkind: NixosConfig\nmetadata: {{name: evil}}\nspec:\n  options: {{{option}: {value}}}\n"
        )
    };
    host.machine.write("/run/evil.nix", "{ ... }: { config = builtins.throw (builtins.readFile /etc/passwd); }\n")?;
    for (option, value, code) in [
        ("services.nginx.virtualHosts.a", "/run/evil.nix", "option-type"),
        ("services.nginx.virtualHosts", "{a: /run/evil.nix}", "option-type"),
        ("services.nginx.virtualHosts.a", "{imports: [/run/evil.nix]}", "option-module"),
        ("services.nginx.virtualHosts", "{_type: merge, contents: [{a: /run/evil.nix}]}", "option-value"),
        ("services.postgresql.package", "{type: derivation, outPath: /run, name: x}", "option-value"),
        ("environment.etc.x.text", "\"${pkgs.callPackage}\"", "unknown-package"),
        ("_module.args.x", "1", "option-path"),
    ] {
        refused(&options(option, value), code)?;
    }
    let app = sleeper("a", 8122, "").replace("  command", "  package: pkgs.callPackage\n  command");
    refused(&app, "unknown-package")
}

fn preview(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let before = link(host, "/run/current-system")?;
    host.machine.write("/run/pg.yaml", &POSTGRESQL.replace("PORT", "5433"))?;
    let (code, out, err) = host.osmoda(&["-o", "json", "diff", "--build", "-f", "/run/pg.yaml"])?;
    ensure!(code == 1, "{code} {out}{err}");
    let answer: serde_json::Value = serde_json::from_str(&out)?;
    let units = answer["preview"]["units"].as_array().context("no units")?;
    ensure!(units.iter().any(|unit| unit["unit"] == "postgresql.service" && unit["verb"] == "start"), "{answer:#}");
    ensure!(answer["preview"]["packages"].as_array().is_some_and(|packages| !packages.is_empty()), "{answer:#}");
    ensure!(link(host, "/run/current-system")? == before, "a preview changed the system");
    ensure!(host.end(&["/bin/sh", "-c", "ls /nix/var/nix/gcroots/osmoda | grep preview"])?.0 == 1, "a root is left");
    Ok(())
}

/// What the operator adds to the machine's own system.
const CONFIGURATION: &str = "/etc/nixos/configuration.nix";

fn rebuild(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let stubborn = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: a}\nspec:\n  command: [/bin/sh, -c, \"trap '' TERM; \
                    while :; do sleep 1; done\"]\n  stop: {timeout: 1h}\n  probation: {ttl: 500ms}\n";
    host.document("a.yaml", stubborn)?;
    commit(host)?;
    let own = "{ services.osmoda.safeSwitch.activationTimeout = \"6s\"; environment.etc.proof.text = \"8111\"; }\n";
    host.machine.write(CONFIGURATION, own)?;
    let result = (|| {
        ensure!(host.apply(&[])? == "nothing", "it is built anew without being asked");
        ensure!(host.apply(&["--rebuild"])? == "committed", "{:#}", host.last_switch()?);
        ensure!(host.sh("cat /etc/proof")?.trim() == "8111");
        wait("agentd", Duration::from_secs(30), || Ok(host.osmoda(&["status"]).is_ok_and(|(code, ..)| code == 0)))?;
        host.document("a.yaml", &sleeper("a", 8112, "  probation: {ttl: 500ms}\n").replace("  update: restart\n", ""))?;
        commit(host)?;
        let switch = host.last_switch()?;
        ensure!(runs(host, 8112)? && switch["killed"][0] == "osmoda-app-a.service", "{switch:#}");
        ensure_committed(host)
    })();
    host.machine.write(CONFIGURATION, "{ }\n")?;
    ensure!(host.apply(&["--rebuild"])? == "committed", "{:#}", host.last_switch()?);
    result
}

fn killed_at_the_boot_loader(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8101, "  probation: {ttl: 500ms}\n"))?;
    commit(host)?;
    crash::arm(host, "osmoda-switch before nixos.boot 1 kill\n")?;
    host.document("a.yaml", &sleeper("a", 8102, "  probation: {ttl: 500ms}\n"))?;
    commit(host)?;
    let log = crash::disarm(host)?;
    ensure!(log.contains("nixos.boot") && log.contains(": kill"), "it was not killed there: {log}");
    ensure!(runs(host, 8102)?);
    ensure_committed(host)
}
