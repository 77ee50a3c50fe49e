//! A machine with the words that tests use.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Machine;

/// Probations of tests are short unless they say otherwise.
const QUICK: &str = "safeSwitch: {ttl: 300ms}\n";

/// A machine on which osModa runs.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// The machine.
    pub machine: &'a dyn Machine,
}

impl Host<'_> {
    /// Runs a command that has to succeed; gives what it wrote.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let (status, out, err) = self.end(words)?;
        ensure!(status == 0, "{words:?} ended with {status}:\n{out}{err}");
        Ok(out)
    }

    /// Runs a command; gives its exit status, output and errors.
    pub fn end(&self, words: &[&str]) -> Result<(i32, String, String)> {
        let output = self.machine.output(words)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
    }

    /// Runs a shell script that has to succeed.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.run(&["/bin/sh", "-ec", script])
    }

    /// Runs `osmoda` and gives its exit status, output and errors.
    pub fn osmoda(&self, words: &[&str]) -> Result<(i32, String, String)> {
        self.end(&[&["/usr/bin/osmoda"], words].concat())
    }

    /// Runs `osmoda -o json`, which has to succeed.
    pub fn json(&self, words: &[&str]) -> Result<Value> {
        let text = self.run(&[&["/usr/bin/osmoda", "-o", "json"], words].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{words:?} wrote no JSON: {text}"))
    }

    /// Writes a document where agentd looks for it.
    pub fn document(&self, name: &str, text: &str) -> Result<()> {
        self.machine.write(&format!("/var/lib/osmoda/desired/{name}"), text)
    }

    /// Applies what is wished and waits for the verdict: `committed`, `rolledBack`, or `nothing`.
    pub fn apply(&self, words: &[&str]) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let (status, out, err) = self.osmoda(&[&["-o", "json", "apply", "--wait"], words].concat())?;
            // What the loop has begun by itself comes first.
            if err.contains("switch-in-flight") && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            ensure!(status != 2, "apply: {out}{err}");
            let answer: Value = serde_json::from_str(&out).with_context(|| format!("{out}{err}"))?;
            return Ok(answer["state"].as_str().unwrap_or("nothing").to_owned());
        }
    }

    /// Waits until nothing is going on.
    pub fn settle(&self) -> Result<Value> {
        let mut last = Value::Null;
        wait("osModa at rest", Duration::from_secs(90), || {
            last = self.json(&["status"])?;
            Ok(last["switch"].is_null() && last["state"] != "switching")
        })?;
        Ok(last)
    }

    /// The latest switch.
    pub fn last_switch(&self) -> Result<Value> {
        Ok(self.json(&["history", "--limit", "1"])?["switches"][0].clone())
    }

    /// A condition of an object, as (status, reason).
    pub fn condition(&self, object: &str, kind: &str) -> Result<(String, String)> {
        let detail = self.json(&["get", object])?;
        let conditions = detail["status"]["conditions"].as_array().context("no conditions")?;
        let Some(found) = conditions.iter().find(|c| c["type"] == kind) else { return Ok(Default::default()) };
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("reason")))
    }

    /// The body of a page, if it is answered.
    pub fn page(&self, port: u16) -> Option<String> {
        let url = format!("http://127.0.0.1:{port}/");
        let (status, out, _) = self.end(&["/usr/bin/curl", "-sf", "--max-time", "2", &url]).ok()?;
        (status == 0).then_some(out)
    }

    /// The main process of a unit; 0 when it does not run.
    pub fn main_pid(&self, unit: &str) -> Result<u32> {
        let text = self.run(&["/usr/bin/systemctl", "show", "-P", "MainPID", unit])?;
        text.trim().parse().with_context(|| format!("MainPID of {unit}: {text}"))
    }

    /// A unit's active state.
    pub fn active(&self, unit: &str) -> Result<String> {
        let text = self.run(&["/usr/bin/systemctl", "show", "-P", "ActiveState", unit])?;
        Ok(text.trim().to_owned())
    }

    /// Events of a type, oldest first.
    pub fn events(&self, kind: &str) -> Result<Vec<Value>> {
        let list = self.json(&["events", "--type", kind, "--limit", "1000"])?;
        Ok(list["events"].as_array().cloned().unwrap_or_default())
    }

    /// Gives agentd another configuration.
    pub fn configure(&self, text: &str) -> Result<()> {
        self.machine.write("/etc/osmoda/agentd.yaml", text)?;
        self.sh("systemctl restart osmoda-agentd")?;
        wait("agentd", Duration::from_secs(30), || Ok(self.osmoda(&["status"])?.0 == 0))?;
        Ok(())
    }

    /// Takes every document away, forgets what failed, and waits until nothing of it runs.
    pub fn clear(&self) -> Result<()> {
        wait("agentd", Duration::from_secs(30), || Ok(self.osmoda(&["status"])?.0 == 0))?;
        self.settle()?;
        self.sh("find /var/lib/osmoda/desired ! -type d -delete; rm -f /var/lib/osmoda/quarantine.json")?;
        // On NixOS it is a part of the system.
        let is_nixos = self.end(&["/usr/bin/test", "-e", "/etc/NIXOS"])?.0 == 0;
        if !is_nixos && self.end(&["/bin/cat", "/etc/osmoda/agentd.yaml"])?.1 != QUICK {
            self.configure(QUICK)?;
        }
        self.apply(&["--accept-mass-delete", "--clear-quarantine", "--ttl", "0s"])?;
        let left = self.json(&["get"])?;
        let left = left["objects"].as_array().map_or(0, Vec::len);
        if left == 0 { Ok(()) } else { bail!("{left} objects are left") }
    }
}

/// Waits until a question is answered with yes; gives how long that took.
pub fn wait(what: &str, most: Duration, mut ask: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let started = Instant::now();
    loop {
        if ask()? {
            return Ok(started.elapsed());
        }
        if started.elapsed() > most {
            bail!("{what}: not within {} s", most.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
