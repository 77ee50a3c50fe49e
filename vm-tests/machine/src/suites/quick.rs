//! Changes for tests that are not about switches: nobody waits for a probation.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{Host, wait};

/// Makes documents real at once.
pub fn apply(host: Host<'_>, documents: &[Value]) -> Result<()> {
    let text: String = documents.iter().map(|document| format!("---\n{document}\n")).collect();
    host.machine.write("/run/quick.yaml", &text)?;
    let words = ["-o", "json", "apply", "--wait", "--ttl", "0s", "-f", "/run/quick.yaml"];
    let (status, out, err) = finish(host, &words)?;
    ensure!(status == 0, "apply ended with {status}: {out}{err}");
    Ok(())
}

/// Takes every document away and waits until nothing of it runs.
pub fn clear(host: Host<'_>) -> Result<()> {
    for _ in 0..3 {
        host.sh("find /var/lib/osmoda/desired -type f -delete; systemctl reset-failed")?;
        // Nobody waits here for a switch that has begun by itself, with a probation of its own.
        let (status, out, err) =
            finish(host, &["-o", "json", "apply", "--ttl", "0s", "--accept-mass-delete", "--clear-quarantine"])?;
        ensure!(status == 0, "apply ended with {status}: {out}{err}");
        hurry(host)?;
        let left = host.json(&["get"])?;
        if left["objects"].as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
    }
    bail!("there is something left: {:#}", host.json(&["get"])?)
}

/// Starts the daemons anew, so that they read their configuration.
pub fn restart(host: Host<'_>) -> Result<()> {
    host.run(&["/usr/bin/systemctl", "restart", "osmoda-agentd", "osmoda-watch", "osmoda-routines"])?;
    wait("an answer", Duration::from_secs(20), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    Ok(())
}

/// Runs work with a configuration of agentd, and leaves nothing behind.
pub fn with_config(host: Host<'_>, config: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    clear(host)?;
    host.machine.write("/etc/osmoda/agentd.yaml", config)?;
    let result = restart(host).and_then(|()| work());
    host.run(&["/bin/rm", "-f", "/etc/osmoda/agentd.yaml"])?;
    restart(host)?;
    result?;
    clear(host)
}

/// Runs an apply as soon as nothing else is going on.
fn finish(host: Host<'_>, words: &[&str]) -> Result<(i32, String, String)> {
    for _ in 0..20 {
        let ended = host.osmoda(words)?;
        if !ended.2.contains("switch-in-flight") {
            return Ok(ended);
        }
        hurry(host)?;
    }
    bail!("{words:?}: one switch follows the other")
}

/// Waits until nothing is going on; what is on probation is kept at once.
pub fn hurry(host: Host<'_>) -> Result<()> {
    wait("osModa at rest", Duration::from_secs(90), || {
        let status = host.json(&["status"])?;
        let Some(id) = status["switch"].as_str() else { return Ok(status["state"] != "switching") };
        if host.last_switch()?["state"] == "probation" {
            let url = format!("http://localhost/switch/commit/{id}");
            let call = ["-s", "--max-time", "40", "-X", "POST", "--unix-socket", "/run/osmoda/watch.sock", &url];
            // It may be over by itself in the meantime.
            host.end(&[&["/usr/bin/curl"][..], &call[..]].concat())?;
        }
        Ok(false)
    })
    .context("while changes are made real")?;
    Ok(())
}
