//! Switches that something stands in the way of: none of them keeps the machine stuck.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    Case,
    faults::answers,
    switch::{runs, sleeper},
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("stuck: a program that ends badly when it is stopped can be deleted", ends_badly),
        case("stuck: a new app that fails is taken away, and that is no failed rollback", new_one_fails),
        case("stuck: the bus gone in probation", bus_gone),
        case("stuck: the bus gone while units are moved", bus_gone_midway),
        case("stuck: a record without a runner gets one", orphan),
        case("stuck: a commit that was not written down is one", half_committed),
    ]
}

const QUICK: &str = "  probation: {ttl: 500ms}\n";

fn one(host: Host<'_>, argument: u32) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", argument, QUICK))?;
    wait("the app", Duration::from_secs(20), || runs(host, argument))?;
    host.settle()?;
    Ok(())
}

fn ends_badly(host: Host<'_>) -> Result<()> {
    one(host, 7701)?;
    let bad = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: bad}\nspec:\n  command: [/bin/sh, -c, \"trap 'exit 143' TERM; sleep 7702 & wait\"]\n  probation: {ttl: 300ms}\n";
    host.document("bad.yaml", bad)?;
    wait("it", Duration::from_secs(20), || Ok(host.active("osmoda-app-bad.service")? == "active"))?;
    host.settle()?;
    host.sh("rm /var/lib/osmoda/desired/bad.yaml")?;
    wait("its end", Duration::from_secs(20), || {
        host.settle()?;
        Ok(host.json(&["status"])?["objects"] == 1 && host.osmoda(&["diff"])?.0 == 0)
    })?;
    ensure!(host.last_switch()?["state"] == "committed", "{:#}", host.last_switch()?);
    ensure!(host.active("osmoda-app-bad.service")? != "failed", "systemd still knows it as failed");
    Ok(())
}

fn new_one_fails(host: Host<'_>) -> Result<()> {
    one(host, 7711)?;
    let dies = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: dies}\nspec:\n  command: [/bin/false]\n  restart: {delay: 10ms, limit: 2, window: 1m}\n  probation: {ttl: 5s}\n";
    host.document("dies.yaml", dies)?;
    wait("the way back", Duration::from_secs(30), || {
        let state = host.last_switch()?["state"].clone();
        ensure!(state != "failed", "the rollback failed: {:#}", host.last_switch()?);
        Ok(state == "rolledBack")
    })?;
    ensure!(runs(host, 7711)? && host.active("osmoda-app-dies.service")? != "failed");
    Ok(())
}

fn bus_gone(host: Host<'_>) -> Result<()> {
    one(host, 7721)?;
    host.document("a.yaml", &sleeper("a", 7722, "  probation: {ttl: 6s}\n"))?;
    wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
    without_bus(host)?;
    comes_out(host, 7721, 7722)
}

fn without_bus(host: Host<'_>) -> Result<()> {
    host.sh("pkill -9 -x dbus-daemon; sleep 1; systemctl start dbus.socket dbus.service").map(drop)
}

/// A switch that was disturbed comes to an end, and what runs is what its record says.
pub fn comes_out(host: Host<'_>, old: u32, new: u32) -> Result<()> {
    let mut state = String::new();
    wait("the end of the switch", Duration::from_secs(90), || {
        state = host.last_switch()?["state"].as_str().unwrap_or_default().to_owned();
        ensure!(state != "failed", "{:#}", host.last_switch()?);
        Ok(matches!(state.as_str(), "committed" | "rolledBack"))
    })?;
    let committed = state == "committed";
    ensure!(runs(host, new)? == committed && runs(host, old)? != committed, "{state}, but something else runs");
    let active = host.sh("readlink -f /run/osmoda/generation")?;
    ensure!(active == host.sh("readlink -f /nix/var/nix/profiles/osmoda")?, "{state}, but the profile is elsewhere");
    answers(host)?;
    ensure!(host.osmoda(&["ledger", "verify"])?.0 == 0, "the ledger is not whole");
    let id = host.last_switch()?["id"].clone();
    let kind = if committed { "switch.committed" } else { "switch.rolled-back" };
    let told =
        |kind| Ok::<_, anyhow::Error>(host.events(kind)?.iter().filter(|e| e["payload"]["switch"] == id).count());
    // What could not be written for a while is written by the runner, which tries once a second.
    wait("the event of the outcome", Duration::from_secs(10), || Ok(told(kind)? == 1))?;
    ensure!(told("switch.activating")? == 1, "{} intents", told("switch.activating")?);
    Ok(())
}

fn bus_gone_midway(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &slow_to_stop(7726, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    host.document("a.yaml", &slow_to_stop(7727, QUICK))?;
    wait("the units' turn", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "activating"))?;
    without_bus(host)?;
    comes_out(host, 7726, 7727)
}

/// An app that takes three seconds to stop.
pub fn slow_to_stop(argument: u32, more: &str) -> String {
    format!(
        "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: a}}\nspec:\n  command: [/bin/sh, -c, \"trap 'sleep 3; exit 0' TERM; /bin/sleep {argument} & wait\"]\n  update: restart\n{more}"
    )
}

/// A record as it is when whoever wrote it was killed before it had started the runner.
const ORPHAN: &str = r#"
import json, glob
last = max(glob.glob("/var/lib/osmoda/switch/*.json"))
record = json.load(open(last))
at = "2026-01-01T00:00:00.000Z"
record.update(id="ffffffff-0000-7000-8000-00000000abcd", state="STATE", ttl="300ms", number=None, failure=None)
record["history"] = [{"state": "STATE", "at": at}]
record["base"], record["target"] = "BASE", "TARGET"
json.dump(record, open("/var/lib/osmoda/switch/" + record["id"] + ".json", "w"))
"#;

/// Two generations, the second one active; gives both.
fn two(host: Host<'_>, first: u32) -> Result<(String, String)> {
    one(host, first)?;
    let path = || Ok::<_, anyhow::Error>(host.run(&["/usr/bin/readlink", "/run/osmoda/generation"])?.trim().to_owned());
    let old = path()?;
    host.document("a.yaml", &sleeper("a", first + 1, QUICK))?;
    wait("the second version", Duration::from_secs(20), || runs(host, first + 1))?;
    host.settle()?;
    Ok((old, path()?))
}

fn orphaned(host: Host<'_>, state: &str, base: &str, target: &str) -> Result<String> {
    let script = ORPHAN.replace("STATE", state).replace("BASE", base).replace("TARGET", target);
    host.run(&["/usr/bin/python3", "-c", &script])?;
    host.sh("systemctl start osmoda-agentd osmoda-watch")?;
    let file = "/var/lib/osmoda/switch/ffffffff-0000-7000-8000-00000000abcd.json";
    let mut record = serde_json::Value::Null;
    let outcome = wait("the end of the orphan", Duration::from_secs(60), || {
        record = serde_json::from_str(&host.run(&["/bin/cat", file])?)?;
        Ok(matches!(record["state"].as_str(), Some("committed" | "rolledBack" | "failed")))
    });
    // Its id is later than all others; it goes, so that the next one is the latest.
    host.sh(&format!("rm -f {file}"))?;
    outcome?;
    Ok(record["state"].as_str().unwrap_or_default().to_owned())
}

fn orphan(host: Host<'_>) -> Result<()> {
    let (old, new) = two(host, 7731)?;
    host.sh("systemctl stop osmoda-agentd osmoda-watch")?;
    host.document("a.yaml", &sleeper("a", 7731, QUICK))?;
    let state = orphaned(host, "pending", &new, &old)?;
    ensure!(state == "committed", "{state}");
    wait("the version of it", Duration::from_secs(10), || runs(host, 7731))?;
    host.settle()?;
    Ok(())
}

fn half_committed(host: Host<'_>) -> Result<()> {
    // The profile was moved to the second one, and then the runner was killed.
    let (old, new) = two(host, 7741)?;
    host.sh("systemctl stop osmoda-agentd osmoda-watch")?;
    let state = orphaned(host, "probation", &old, &new)?;
    ensure!(state == "committed", "{state}");
    ensure!(runs(host, 7742)?, "it was rolled back all the same");
    host.settle()?;
    Ok(())
}
