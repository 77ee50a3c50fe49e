//! SafeSwitch: committed, rolled back, killed, cut off, refused.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Case;
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("switch: a good change is committed, a bad one undoes itself", good_and_bad),
        case("switch: a program that dies at once is rolled back", dies_at_once),
        case("switch: a failed generation is not tried again until a document changes or somebody says so", quarantine),
        case("switch: the first generation that fails leaves nothing behind", first_fails),
        case("switch: edits during a switch share the next one", coalesce),
        case("switch: a killed runner goes on where it stood", killed_runner),
        case("switch: agentd killed in probation changes nothing", killed_agentd),
        case("switch: the dead-man rolls back when everything of osModa is dead", deadman),
        Case::better_whole("switch: a power cut in probation comes up committed", power_cut),
        case("switch: a hanging health command is killed with all it started", hanging_command),
        case("switch: a unit that does not stop is killed in time", stubborn_stop),
        case("switch: an apply of another plan is refused", another_plan),
        case("switch: a change without units is committed at once", no_units),
        case("switch: somebody decides early", decided_early),
        case("rollback: back, held there, and forward again", rollback),
        case("gc: what a rollback needs is kept", garbage),
        case("update: reload keeps the process, restart does not", reload),
    ]
}

/// A sleeping app; the argument tells versions apart.
pub fn sleeper(name: &str, argument: u32, more: &str) -> String {
    format!(
        "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  command: [/bin/sleep, \"{argument}\"]\n  update: restart\n{more}"
    )
}

const QUICK: &str = "  probation: {ttl: 500ms}\n";

/// True when that sleeper runs.
pub fn runs(host: Host<'_>, argument: u32) -> Result<bool> {
    let pattern = format!("^/bin/sleep {argument}$");
    Ok(host.end(&["/usr/bin/pgrep", "-f", &pattern])?.0 == 0)
}

fn good_and_bad(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7001, QUICK))?;
    ensure!(host.apply(&[])? != "rolledBack" && runs(host, 7001)?);
    host.settle()?;
    let bad =
        "  probation: {ttl: 5s}\n  health:\n  - probe: {type: tcp, port: 9}\n    grace: 500ms\n    interval: 200ms\n";
    host.document("a.yaml", &sleeper("a", 7002, bad))?;
    wait("the bad version", Duration::from_secs(20), || runs(host, 7002))?;
    host.settle()?;
    ensure!(runs(host, 7001)? && !runs(host, 7002)?, "the good version is not back");
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "rolledBack", "{switch:#}");
    let (status, reason) = host.condition("App/a", "Active")?;
    ensure!((status.as_str(), reason.as_str()) == ("False", "RolledBack"), "{status} {reason}");
    for kind in ["switch.activating", "switch.rolling-back", "switch.rolled-back"] {
        ensure!(!host.events(kind)?.is_empty(), "no event {kind}");
    }
    Ok(())
}

fn dies_at_once(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7011, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    let dies = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: a}\nspec:\n  command: [/bin/false]\n  restart: {delay: 100ms}\n  probation: {ttl: 3s}\n";
    host.document("a.yaml", dies)?;
    wait("the switch", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "rolledBack"))?;
    ensure!(runs(host, 7011)?);
    Ok(())
}

fn quarantine(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7021, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    let bad = sleeper(
        "a",
        7022,
        "  probation: {ttl: 1s}\n  health:\n  - probe: {type: tcp, port: 9}\n    grace: 0s\n    interval: 200ms\n",
    );
    host.document("a.yaml", &bad)?;
    wait("the rollback", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "rolledBack"))?;
    let before = host.last_switch()?["id"].clone();
    host.sh("systemctl restart osmoda-agentd")?;
    wait("agentd", Duration::from_secs(20), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    let status = host.settle()?;
    ensure!(status["state"] == "quarantined", "{status:#}");
    ensure!(host.last_switch()?["id"] == before, "it was tried again");
    let (code, _, err) = host.osmoda(&["apply"])?;
    ensure!(code == 2 && err.contains("quarantined"), "{code} {err}");
    ensure!(host.apply(&["--clear-quarantine"])? == "rolledBack", "it is tried again when somebody says so");
    host.document("a.yaml", &sleeper("a", 7023, QUICK))?;
    wait("the new version", Duration::from_secs(20), || runs(host, 7023))?;
    Ok(())
}

fn first_fails(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let bad =
        sleeper("first", 7031, "  probation: {ttl: 1s}\n  health:\n  - probe: {type: tcp, port: 9}\n    grace: 0s\n");
    host.document("a.yaml", &bad)?;
    wait("the rollback", Duration::from_secs(20), || {
        let switch = host.last_switch()?;
        Ok(switch["state"] == "rolledBack" && switch["reason"].as_str().is_some_and(|r| r.contains("first")))
    })?;
    ensure!(!runs(host, 7031)? && host.active("osmoda-app-first.service")? != "active");
    Ok(())
}

fn coalesce(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let count = |host: Host<'_>| Ok::<_, anyhow::Error>(host.events("switch.activating")?.len());
    host.document("a.yaml", &sleeper("a", 7041, "  probation: {ttl: 2s}\n"))?;
    wait("the first version", Duration::from_secs(20), || runs(host, 7041))?;
    let before = count(host)?;
    for n in 7042..7048 {
        host.document("a.yaml", &sleeper("a", n, QUICK))?;
    }
    wait("the last version", Duration::from_secs(30), || runs(host, 7047))?;
    host.settle()?;
    ensure!(count(host)? == before + 1, "{} switches for six edits", count(host)? - before);
    Ok(())
}

fn killed_runner(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7051, "  probation: {ttl: 3s}\n"))?;
    wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
    host.sh("pkill -9 -x osmoda-switch")?;
    host.settle()?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "committed" && switch["resumes"] == 1, "{switch:#}");
    Ok(())
}

fn killed_agentd(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7061, "  probation: {ttl: 3s}\n"))?;
    wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
    host.sh("pkill -9 -x agentd; pkill -9 -x osmoda-watch")?;
    wait("agentd", Duration::from_secs(20), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    host.settle()?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "committed", "{switch:#}");
    wait("the status", Duration::from_secs(10), || Ok(host.condition("App/a", "Active")?.0 == "True"))?;
    Ok(())
}

fn deadman(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7071, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    host.document("a.yaml", &sleeper("a", 7072, "  probation: {ttl: 60s}\n"))?;
    wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
    let timers = host.run(&["/usr/bin/systemctl", "list-timers", "--all", "--no-legend", "osmoda-deadman-*"])?;
    ensure!(timers.contains("osmoda-deadman-"), "no dead-man ticks: {timers}");
    // Everything of osModa is dead and stays dead; the timer's time is made to come now.
    host.sh("systemctl stop osmoda-agentd osmoda-watch osmoda-routines")?;
    host.sh("systemctl kill -s STOP 'osmoda-switch-*.service'")?;
    host.sh("systemctl start $(systemctl list-units --all --no-legend --plain 'osmoda-deadman-*.timer' | cut -d' ' -f1 | sed s/timer/service/)")?;
    wait("the old version", Duration::from_secs(60), || Ok(runs(host, 7071)? && !runs(host, 7072)?))?;
    wait("the verdict", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "rolledBack"))?;
    host.sh("systemctl start osmoda-agentd osmoda-watch osmoda-routines")?;
    wait("agentd", Duration::from_secs(20), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    Ok(())
}

fn power_cut(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 7081, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    let committed = host.json(&["status"])?["bootDefault"].clone();
    host.document("a.yaml", &sleeper("a", 7082, "  probation: {ttl: 60s}\n"))?;
    wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
    host.machine.cut()?;
    host.machine.boot()?;
    wait("the committed version", Duration::from_secs(60), || runs(host, 7081))?;
    ensure!(!runs(host, 7082)?, "the uncommitted version came up");
    wait("agentd", Duration::from_secs(30), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    let status = host.json(&["status"])?;
    ensure!(status["bootDefault"] == committed && status["state"] == "quarantined", "{status:#}");
    ensure!(host.osmoda(&["ledger", "verify"])?.0 == 0, "the ledger is not whole");
    Ok(())
}

fn hanging_command(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let hangs = "  probation: {ttl: 1s}\n  health:\n  - probe: {type: command, command: [/bin/sh, -c, \"trap '' TERM; setsid sleep 7777 & sleep 7777\"]}\n    timeout: 500ms\n    grace: 0s\n";
    host.document("a.yaml", &sleeper("a", 7091, hangs))?;
    wait("the rollback", Duration::from_secs(30), || Ok(host.last_switch()?["state"] == "rolledBack"))?;
    let why = host.last_switch()?["failure"].to_string();
    ensure!(why.contains("was killed"), "{why}");
    wait("the end of what it started", Duration::from_secs(5), || {
        Ok(host.end(&["/usr/bin/pgrep", "-f", "^sleep 7777$"])?.0 != 0)
    })?;
    Ok(())
}

fn stubborn_stop(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let stubborn = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: a}\nspec:\n  command: [/bin/sh, -c, \"trap '' TERM; while :; do sleep 1; done\"]\n  stop: {timeout: 1h}\n  probation: {ttl: 500ms}\n";
    host.configure("safeSwitch: {activationTimeout: 3s}\n")?;
    host.document("a.yaml", stubborn)?;
    host.apply(&[])?;
    host.settle()?;
    host.document("a.yaml", &sleeper("a", 7101, QUICK).replace("  update: restart\n", ""))?;
    wait("the new version", Duration::from_secs(30), || runs(host, 7101))?;
    host.settle()?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "committed" && switch["killed"][0] == "osmoda-app-a.service", "{switch:#}");
    Ok(())
}

fn another_plan(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.configure("reconcile: manual\n")?;
    host.document("a.yaml", &sleeper("a", 7111, QUICK))?;
    let shown = |host: Host<'_>| {
        let (code, out, err) = host.osmoda(&["-o", "json", "diff"])?;
        ensure!(code == 1, "{code} {err}");
        let answer: serde_json::Value = serde_json::from_str(&out)?;
        Ok(answer["plan"]["id"].as_str().unwrap_or_default().to_owned())
    };
    let first = shown(host)?;
    ensure!(first == shown(host)?, "the id of a plan is not stable");
    host.document("a.yaml", &sleeper("a", 7112, QUICK))?;
    let (code, _, err) = host.osmoda(&["apply", "--plan", &first])?;
    ensure!(code == 2 && err.contains("plan-changed"), "{code} {err}");
    ensure!(!runs(host, 7111)? && !runs(host, 7112)?, "something was applied");
    let second = shown(host)?;
    ensure!(host.apply(&["--plan", &second])? == "committed" && runs(host, 7112)?);
    Ok(())
}

fn no_units(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let policy = "apiVersion: os.moda/v1\nkind: WalletPolicy\nmetadata: {name: p}\nspec:\n  wallets: [main]\n";
    host.document("p.yaml", policy)?;
    wait("the slice", Duration::from_secs(20), || {
        Ok(host.end(&["/bin/cat", "/run/osmoda/generation/etc/keyd/policies/p.json"])?.0 == 0)
    })?;
    host.settle()?;
    let switch = host.last_switch()?;
    ensure!(switch["state"] == "committed" && switch["ttl"] == "0s", "{switch:#}");
    Ok(())
}

fn decided_early(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let call = |path: &str| format!("curl -sf -X POST --unix-socket /run/osmoda/watch.sock http://localhost{path}");
    for (argument, word, state) in [(7121, "commit", "committed"), (7122, "rollback", "rolledBack")] {
        host.document("a.yaml", &sleeper("a", argument, "  probation: {ttl: 60s}\n"))?;
        wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
        let id = host.last_switch()?["id"].as_str().unwrap_or_default().to_owned();
        host.sh(&call(&format!("/switch/{word}/{id}")))?;
        let switch = host.last_switch()?;
        ensure!(switch["state"] == state, "{switch:#}");
    }
    for (argument, word, state) in [(7123, "rollback", "rolledBack"), (7124, "commit", "committed")] {
        host.document("a.yaml", &sleeper("a", argument, "  probation: {ttl: 60s}\n"))?;
        wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
        let (status, out, err) = host.osmoda(&["switch", word])?;
        ensure!(status == 0 && host.last_switch()?["state"] == state, "{word}: {status} {out}{err}");
    }
    ensure!(runs(host, 7124)?);
    let (status, _, err) = host.osmoda(&["switch", "rollback"])?;
    ensure!(status == 2 && err.contains("no-switch"), "{status} {err}");
    Ok(())
}

fn rollback(host: Host<'_>) -> Result<()> {
    host.clear()?;
    for argument in [7131, 7132] {
        host.document("a.yaml", &sleeper("a", argument, QUICK))?;
        wait("the version", Duration::from_secs(20), || runs(host, argument))?;
        host.settle()?;
    }
    let (code, out, err) = host.osmoda(&["rollback", "--wait"])?;
    ensure!(code == 0, "{code} {out}{err}");
    ensure!(runs(host, 7131)? && !runs(host, 7132)?, "the older version does not run");
    let status = host.settle()?;
    ensure!(status["state"] == "quarantined", "the documents bring it back: {status:#}");
    host.document("a.yaml", &sleeper("a", 7133, QUICK))?;
    wait("the next version", Duration::from_secs(20), || runs(host, 7133))?;
    let (code, _, err) = host.osmoda(&["rollback", "999999"])?;
    ensure!(code == 2 && err.contains("no-such-generation"), "{err}");
    Ok(())
}

fn garbage(host: Host<'_>) -> Result<()> {
    host.clear()?;
    for argument in 7141..7146 {
        host.document("a.yaml", &sleeper("a", argument, "  probation: {ttl: 0s}\n"))?;
        wait("the version", Duration::from_secs(20), || runs(host, argument))?;
        host.settle()?;
    }
    host.json(&["gc", "--keep", "1"])?;
    let generations = host.json(&["generations"])?;
    let list = generations["generations"].as_array().cloned().unwrap_or_default();
    ensure!(list.len() == 2, "the active one and the way back: {list:#?}");
    for generation in &list {
        let path = generation["path"].as_str().unwrap_or_default();
        host.run(&["/usr/bin/nix-store", "--check-validity", path])?;
    }
    ensure!(host.osmoda(&["rollback", "--wait"])?.0 == 0 && runs(host, 7144)?, "the way back is closed");
    Ok(())
}

fn reload(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let document = |content: &str, update: &str| {
        format!(
            "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: a}}\nspec:\n  command: [/bin/sh, -c, 'trap \"cat ${{files}}/x > ${{runtime}}/seen\" HUP; cat ${{files}}/x > ${{runtime}}/seen; while :; do sleep 0.1; done']\n  reload: [/bin/kill, -HUP, $MAINPID]\n  update: {update}\n  files: {{x: {{content: {content}}}}}\n  probation: {{ttl: 500ms}}\n"
        )
    };
    let seen = |host: Host<'_>, content: &str| {
        wait("the new file", Duration::from_secs(20), || {
            Ok(host.end(&["/bin/cat", "/run/osmoda-app-a/seen"])?.1.trim() == content)
        })
    };
    host.document("a.yaml", &document("one", "reload"))?;
    seen(host, "one")?;
    host.settle()?;
    let pid = host.main_pid("osmoda-app-a.service")?;
    host.document("a.yaml", &document("two", "reload"))?;
    seen(host, "two")?;
    host.settle()?;
    ensure!(host.main_pid("osmoda-app-a.service")? == pid, "a reload started it anew");
    host.document("a.yaml", &document("three", "restart"))?;
    seen(host, "three")?;
    ensure!(host.main_pid("osmoda-app-a.service")? != pid);
    Ok(())
}
