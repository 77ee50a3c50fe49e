//! What goes wrong around osModa: disks, stores, buses, folders.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    Case,
    switch::{runs, sleeper},
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("faults: the whole folder gone is not a wish", folder_gone),
        case("faults: most documents gone are held, and released on a word", mass_delete),
        case("faults: a document deleted while it is applied", deleted_while_applied),
        case("faults: the Nix store read-only", read_only_store),
        case("faults: Nix missing", nix_missing),
        case("faults: the bus gone and back", bus_gone),
        case("faults: the ledger tampered with", tampered_ledger),
        case("faults: agentd killed forty times", killed_often),
        case("heal: what should run is started again, whoever stopped it", healed),
        case("heal: a watcher climbs its ladder and stops at its flap limit", flapping),
        case("heal: a watcher sees a death at once", seen_at_once),
    ]
}

const QUICK: &str = "  probation: {ttl: 500ms}\n";

/// Waits for agentd.
pub fn answers(host: Host<'_>) -> Result<Duration> {
    wait("agentd's answer", Duration::from_secs(40), || Ok(host.osmoda(&["status"])?.0 == 0))
}

fn five(host: Host<'_>) -> Result<()> {
    host.clear()?;
    for n in 0..5 {
        host.document(&format!("{n}.yaml"), &sleeper(&format!("s{n}"), 8000 + n, "  probation: {ttl: 0s}\n"))?;
    }
    wait("five apps", Duration::from_secs(30), || {
        host.settle()?;
        Ok(host.json(&["status"])?["objects"] == 5 && running(host)? == 5)
    })?;
    Ok(())
}

fn running(host: Host<'_>) -> Result<usize> {
    let text = host.sh("pgrep -cf '^/bin/sleep 800[0-9]$' || true")?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn folder_gone(host: Host<'_>) -> Result<()> {
    five(host)?;
    host.sh("mv /var/lib/osmoda/desired /var/lib/osmoda/elsewhere")?;
    std::thread::sleep(Duration::from_secs(2));
    host.sh("systemctl restart osmoda-agentd")?;
    answers(host)?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(running(host)? == 5, "something was stopped");
    let status = host.json(&["status"])?;
    ensure!(status["objects"] == 5 && !status["problems"].as_array().is_none_or(Vec::is_empty), "{status:#}");
    host.sh("rm -rf /var/lib/osmoda/desired; mv /var/lib/osmoda/elsewhere /var/lib/osmoda/desired")?;
    host.document("0.yaml", &sleeper("s0", 8009, "  probation: {ttl: 0s}\n"))?;
    host.osmoda(&["apply"])?;
    wait("the edit after it came back", Duration::from_secs(20), || runs(host, 8009))?;
    Ok(())
}

fn mass_delete(host: Host<'_>) -> Result<()> {
    five(host)?;
    host.sh("cd /var/lib/osmoda/desired; rm 0.yaml 1.yaml 2.yaml 3.yaml")?;
    wait("the hold", Duration::from_secs(20), || Ok(host.json(&["status"])?["state"] == "held"))?;
    ensure!(running(host)? == 5, "something was stopped");
    let (code, _, err) = host.osmoda(&["apply"])?;
    ensure!(code == 2 && err.contains("--accept-mass-delete"), "{code} {err}");
    // Nor does another wish release it; that one waits, too, and is not lost.
    host.machine.write("/run/other.yaml", &sleeper("other", 8009, "  probation: {ttl: 0s}\n"))?;
    host.osmoda(&["diff", "-f", "/run/other.yaml"])?;
    host.osmoda(&["apply", "-f", "/run/other.yaml"])?;
    host.document("4.yaml", &sleeper("s4", 8008, "  probation: {ttl: 0s}\n"))?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(running(host)? == 5, "something was stopped, or started");
    ensure!(host.json(&["status"])?["state"] == "held", "the hold is gone");
    host.apply(&["--accept-mass-delete"])?;
    wait("the deletion", Duration::from_secs(20), || Ok(running(host)? == 2))?;
    ensure!(host.sh("pgrep -cf '^/bin/sleep 800[89]$'")?.trim() == "2", "what was wished meanwhile is lost");
    Ok(())
}

fn deleted_while_applied(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8101, "  probation: {ttl: 2s}\n"))?;
    wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "probation"))?;
    host.sh("rm /var/lib/osmoda/desired/a.yaml")?;
    wait("the end of it", Duration::from_secs(30), || {
        host.settle()?;
        Ok(host.active("osmoda-app-a.service")? != "active")
    })?;
    ensure!(host.osmoda(&["get", "App/a"])?.0 == 2, "it is still known");
    Ok(())
}

fn read_only_store(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8301, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    host.sh("mount --bind /nix /nix; mount -o remount,bind,ro /nix; systemctl restart osmoda-agentd")?;
    let outcome = (|| {
        answers(host)?;
        host.document("a.yaml", &sleeper("a", 8302, QUICK))?;
        std::thread::sleep(Duration::from_secs(1));
        let (code, out, err) = host.osmoda(&["apply"])?;
        ensure!(code == 2 && !err.is_empty(), "{code} {out}{err}");
        ensure!(runs(host, 8301)?, "what ran was touched");
        let status = host.json(&["status"])?;
        ensure!(status["state"] == "retrying", "{status:#}");
        Ok(())
    })();
    host.sh("umount -l /nix; systemctl restart osmoda-agentd")?;
    outcome?;
    wait("the edit once the store can be written", Duration::from_secs(90), || runs(host, 8302))?;
    Ok(())
}

fn nix_missing(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.sh("mv /usr/bin/nix-store /usr/bin/nix-store.away")?;
    let outcome = (|| {
        host.document("a.yaml", &sleeper("a", 8401, QUICK))?;
        std::thread::sleep(Duration::from_secs(1));
        let (code, _, err) = host.osmoda(&["apply"])?;
        ensure!(code == 2 && err.contains("nix-missing"), "{code} {err}");
        let (code, out, _) = host.osmoda(&["doctor"])?;
        ensure!(code == 1 && out.contains("nix-store"), "{out}");
        Ok(())
    })();
    host.sh("mv /usr/bin/nix-store.away /usr/bin/nix-store")?;
    outcome?;
    wait("the app once Nix is back", Duration::from_secs(90), || runs(host, 8401))?;
    Ok(())
}

fn bus_gone(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8501, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    host.sh("pkill -9 -x dbus-daemon; sleep 1; systemctl start dbus.socket dbus.service")?;
    std::thread::sleep(Duration::from_secs(2));
    answers(host)?;
    ensure!(runs(host, 8501)?, "what ran was touched");
    host.document("a.yaml", &sleeper("a", 8502, QUICK))?;
    wait("an edit after the bus is back", Duration::from_secs(60), || runs(host, 8502))?;
    Ok(())
}

fn tampered_ledger(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8551, QUICK))?;
    host.apply(&[])?;
    // The copy has no private key: to verify, none is needed, and none is left lying about.
    host.sh("rm -rf /tmp/tampered; cp -a /var/lib/osmoda/ledger /tmp/tampered; rm /tmp/tampered/checkpoint.key")?;
    ensure!(host.osmoda(&["ledger", "verify", "/tmp/tampered"])?.0 == 0);
    host.sh("sqlite3 /tmp/tampered/ledger.db \"DROP TRIGGER events_never_change; UPDATE events SET actor = 'uid:1' WHERE id = 2\"")?;
    let (code, out, _) = host.osmoda(&["ledger", "verify", "/tmp/tampered"])?;
    ensure!(code == 1 && out.contains("row 2"), "{code} {out}");
    ensure!(host.osmoda(&["ledger", "verify"])?.0 == 0);
    let (code, out, _) = host.end(&["/usr/bin/agentctl", "verify-ledger"])?;
    ensure!(code == 0 && out.contains("whole"), "{out}");
    Ok(())
}

fn killed_often(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8601, "  probation: {ttl: 0s}\n"))?;
    for n in 0..40_u32 {
        host.document("a.yaml", &sleeper("a", 8601 + n, "  probation: {ttl: 0s}\n"))?;
        // At another instant of the change each time.
        std::thread::sleep(Duration::from_millis(u64::from(n) * 5));
        host.sh("pkill -9 -x agentd || true")?;
    }
    wait("the last version", Duration::from_secs(60), || runs(host, 8640))?;
    answers(host)?;
    host.settle()?;
    ensure!(host.sh("pgrep -cf '^/bin/sleep 86'")?.trim() == "1", "more than one version runs");
    ensure!(host.osmoda(&["ledger", "verify"])?.0 == 0, "the ledger is not whole");
    Ok(())
}

fn healed(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8701, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    let unit = "osmoda-app-a.service";
    for how in ["systemctl stop osmoda-app-a.service", "kill -9"] {
        let pid = host.main_pid(unit)?;
        host.sh(&how.replace("kill -9", &format!("kill -9 {pid}")))?;
        wait("its return", Duration::from_secs(20), || {
            let now = host.main_pid(unit)?;
            Ok(now != 0 && now != pid && host.active(unit)? == "active")
        })?;
    }
    wait("the event that tells of it", Duration::from_secs(10), || Ok(!host.events("heal.started")?.is_empty()))?;
    Ok(())
}

fn flapping(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8801, QUICK))?;
    let watcher = "apiVersion: os.moda/v1\nkind: Watcher\nmetadata: {name: flaps}\nspec:\n  check: {type: tcp, port: 9}\n  interval: 1s\n  ladder:\n  - {action: restart, unit: osmoda-app-a.service, attempts: 10, wait: 1s}\n  - {action: notify}\n  flap: {limit: 2, window: 10m}\n";
    host.document("w.yaml", watcher)?;
    let mine = |kind: &str| -> Result<usize> {
        Ok(host.events(kind)?.iter().filter(|e| e["actor"] == "watcher/flaps").count())
    };
    wait("the flap limit", Duration::from_secs(40), || Ok(mine("watcher.flapping")? == 1))?;
    ensure!(mine("watcher.remedy")? == 2, "{} remedies", mine("watcher.remedy")?);
    host.sh("systemctl restart osmoda-watch")?;
    std::thread::sleep(Duration::from_secs(4));
    ensure!(mine("watcher.remedy")? == 2, "a restart made it forget that it flaps");
    Ok(())
}

fn seen_at_once(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8901, "  probation: {ttl: 500ms}\n  restart: {delay: 1m}\n"))?;
    let watcher = "apiVersion: os.moda/v1\nkind: Watcher\nmetadata: {name: quick}\nspec:\n  target: App/a\n  check: {type: unit}\n  interval: 1h\n  ladder:\n  - {action: restart, attempts: 3, wait: 1s}\n";
    host.document("w.yaml", watcher)?;
    wait("the watcher", Duration::from_secs(20), || {
        host.settle()?;
        Ok(host.end(&["/bin/cat", "/run/osmoda/generation/etc/watch/quick.json"])?.0 == 0)
    })?;
    wait("the app", Duration::from_secs(20), || Ok(host.main_pid("osmoda-app-a.service")? != 0))?;
    let pid = host.main_pid("osmoda-app-a.service")?;
    host.sh(&format!("kill -9 {pid}"))?;
    // systemd itself would wait for a minute, the next poll is in an hour.
    wait("its return", Duration::from_secs(5), || {
        let now = host.main_pid("osmoda-app-a.service")?;
        Ok(now != 0 && now != pid)
    })?;
    Ok(())
}
