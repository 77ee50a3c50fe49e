//! A disk without room under the state directory: before a switch, and at every part of one.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    Case,
    faults::answers,
    stuck::{comes_out, slow_to_stop},
    switch::{runs, sleeper},
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("disk: full before an apply", before),
        case("disk: full while units are moved", activating),
        case("disk: full in probation", probation),
    ]
}

const QUICK: &str = "  probation: {ttl: 500ms}\n";

/// Runs a test with a small file system over the state directory.
fn small(host: Host<'_>, test: impl FnOnce() -> Result<()>) -> Result<()> {
    host.sh(
        "systemctl stop osmoda-agentd osmoda-watch osmoda-routines; cp -a /var/lib/osmoda /run/state-copy; \
         mount -t tmpfs -o size=6M,mode=755 tmpfs /var/lib/osmoda; cp -a /run/state-copy/. /var/lib/osmoda/; rm -rf /run/state-copy; \
         systemctl start osmoda-agentd osmoda-watch osmoda-routines",
    )?;
    let outcome = answers(host).and_then(|_| test());
    host.sh(
        "systemctl stop osmoda-agentd osmoda-watch osmoda-routines; rm -f /var/lib/osmoda/fill*; cp -a /var/lib/osmoda /run/state-copy; \
         umount -l /var/lib/osmoda; rm -rf /var/lib/osmoda/* ; cp -a /run/state-copy/. /var/lib/osmoda/; rm -rf /run/state-copy; \
         systemctl start osmoda-agentd osmoda-watch osmoda-routines",
    )?;
    answers(host)?;
    outcome
}

fn fill(host: Host<'_>) -> Result<()> {
    host.sh("cd /var/lib/osmoda; dd if=/dev/zero of=fill bs=1M 2>/dev/null || true; dd if=/dev/zero of=fill2 bs=512 2>/dev/null || true")?;
    ensure!(host.end(&["/bin/sh", "-c", "echo word > /var/lib/osmoda/fill3"])?.0 != 0, "there is room left");
    Ok(())
}

fn make_room(host: Host<'_>) -> Result<()> {
    host.sh("rm -f /var/lib/osmoda/fill*").map(drop)
}

fn before(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8201, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    small(host, || {
        fill(host)?;
        let (code, out, err) = host.osmoda(&["apply", "-f", "/dev/null", "--ttl", "0s"])?;
        ensure!(code != 1, "{out}{err}");
        host.machine.write("/run/b.yaml", &sleeper("b", 8202, QUICK))?;
        let (code, out, err) = host.osmoda(&["apply", "-f", "/run/b.yaml"])?;
        let told = ["507", "full", "not-writable", "cannot-write"].iter().any(|word| err.contains(word));
        ensure!(code == 2 && told, "{code} {out}{err}");
        ensure!(host.active("osmoda-app-a.service")? == "active", "what ran was touched");
        make_room(host)?;
        wait("the apply with room again", Duration::from_secs(60), || {
            Ok(host.osmoda(&["apply", "-f", "/run/b.yaml", "--wait"])?.0 == 0)
        })?;
        ensure!(host.active("osmoda-app-b.service")? == "active");
        ensure!(host.osmoda(&["ledger", "verify"])?.0 == 0, "the ledger is not whole");
        Ok(())
    })
}

/// The switch to `new` ran out of disk: with room again it comes to an end, and what runs is what the records say.
fn ends_well(host: Host<'_>, old: u32, new: u32) -> Result<()> {
    make_room(host)?;
    comes_out(host, old, new)?;
    // And the next change is as any other.
    host.document("a.yaml", &sleeper("a", new + 1, QUICK))?;
    wait("the next version", Duration::from_secs(60), || runs(host, new + 1))?;
    host.settle()?;
    ensure!(host.last_switch()?["state"] == "committed", "{:#}", host.last_switch()?);
    Ok(())
}

fn activating(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &slow_to_stop(8211, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    small(host, || {
        host.document("a.yaml", &slow_to_stop(8212, QUICK))?;
        wait("the units' turn", Duration::from_secs(20), || Ok(host.last_switch()?["state"] == "activating"))?;
        fill(host)?;
        std::thread::sleep(Duration::from_secs(10));
        ensure!(runs(host, 8211)? || runs(host, 8212)?, "nothing runs");
        ends_well(host, 8211, 8212)
    })
}

fn probation(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 8221, QUICK))?;
    host.apply(&[])?;
    host.settle()?;
    small(host, || {
        host.document("a.yaml", &sleeper("a", 8222, "  probation: {ttl: 4s}\n"))?;
        wait("probation", Duration::from_secs(20), || Ok(host.last_switch()?["probationUntil"].is_string()))?;
        fill(host)?;
        std::thread::sleep(Duration::from_secs(12));
        ensure!(runs(host, 8221)? || runs(host, 8222)?, "nothing runs");
        ends_well(host, 8221, 8222)
    })
}
