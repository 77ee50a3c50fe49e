//! A good change, a bad one, a document over the API and its deletion, a rollback and the way forward again, a garbage
//! collection. Whoever tells it is as stubborn as a person: what was cut off is asked for again.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    Host,
    suites::switch::{runs, sleeper},
    wait,
};

const SOON: Duration = Duration::from_secs(60);
const GOOD: &str = "  probation: {ttl: 200ms}\n";
const BAD: &str =
    "  probation: {ttl: 5s}\n  health:\n  - probe: {type: tcp, port: 9}\n    grace: 300ms\n    interval: 100ms\n";

/// Versions of the story's app; none is wished twice, so that nothing is in quarantine.
static VERSION: AtomicU32 = AtomicU32::new(20_000);

fn version() -> u32 {
    VERSION.fetch_add(1, Ordering::Relaxed)
}

fn app(version: u32, more: &str) -> String {
    sleeper("crash", version, more)
}

/// The documents of a story that is told inside of the machine, by their names there.
pub fn versions() -> [(&'static str, String); 4] {
    [
        ("good-1", app(version(), GOOD)),
        ("bad", app(version(), BAD)),
        ("good-2", app(version(), GOOD)),
        ("extra", sleeper("crash-extra", version(), GOOD)),
    ]
}

/// One app that runs, and two generations to go back to.
///
/// # Errors
/// When that cannot be had.
pub fn prepare(host: Host<'_>) -> Result<()> {
    let there = host.json(&["generations"])?["generations"].as_array().map_or(0, Vec::len);
    for _ in there..2 {
        change(host)?;
    }
    Ok(())
}

/// Changes the app, and waits until the new version runs and nothing is left to do. Gives the version.
///
/// # Errors
/// When it does not come to that.
pub fn change(host: Host<'_>) -> Result<u32> {
    let version = version();
    host.document("crash.yaml", &app(version, GOOD))?;
    until(host, "the change", || Ok(runs(host, version)? && is_at_rest(host)?))?;
    Ok(version)
}

/// Tells the story.
///
/// # Errors
/// When a part of it does not come to its end.
pub fn story(host: Host<'_>) -> Result<()> {
    let good = change(host)?;

    let bad = version();
    host.document("crash.yaml", &app(bad, BAD))?;
    let is_back = || Ok::<_, anyhow::Error>(state(host)? == "quarantined" && runs(host, good)? && !runs(host, bad)?);
    wait("the way back", SOON, || Ok(is_back().unwrap_or(false)))?;
    host.document("crash.yaml", &app(good, GOOD))?;
    until(host, "the end of the bad wish", || is_at_rest(host))?;

    let extra = version();
    host.machine.write("/run/crash-extra.yaml", &sleeper("crash-extra", extra, GOOD))?;
    insist(host, &["apply", "-f", "/run/crash-extra.yaml"], || Ok(runs(host, extra)? && is_at_rest(host)?))?;
    insist(host, &["delete", "App/crash-extra"], || Ok(!runs(host, extra)? && is_at_rest(host)?))?;

    let here = active(host)?;
    let generations = host.json(&["generations"])?;
    let earlier = generations["generations"].as_array().into_iter().flatten();
    let Some(back) = earlier.rev().find(|generation| generation["path"] != here.as_str()) else {
        bail!("there is nothing to go back to: {generations:#}")
    };
    let (number, path) = (back["number"].to_string(), back["path"].as_str().unwrap_or_default());
    insist(host, &["rollback", &number], || Ok(active(host)? == path && state(host)? != "switching"))?;
    insist(host, &["apply", "--clear-quarantine"], || Ok(runs(host, good)? && is_at_rest(host)?))?;

    let collected = std::cell::Cell::new(false);
    insist(host, &["gc", "--keep", "4"], || Ok(collected.replace(true)))
}

/// Asks until it has come to that. A call that was cut off may have been heard.
fn insist(host: Host<'_>, words: &[&str], is_so: impl Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..10 {
        let (status, ..) = host.osmoda(words)?;
        let patience = if status == 2 { Duration::from_secs(2) } else { SOON };
        if wait(words[0], patience, || Ok(is_so().unwrap_or(false))).is_ok() {
            return Ok(());
        }
        once_more(host);
    }
    let (status, out, err) = host.osmoda(words)?;
    bail!("`osmoda {}` has not done it, whoever asks: {status} {out}{err}", words.join(" "))
}

/// Waits; that nobody answers for a while is what the story is about.
fn until(host: Host<'_>, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let said = wait(what, SOON, || {
        let done = is_so().unwrap_or(false);
        if !done {
            once_more(host);
        }
        Ok(done)
    });
    said.map(drop)
}

/// A switch that failed for want of the disk is not tried again until somebody says so.
fn once_more(host: Host<'_>) {
    if state(host).is_ok_and(|state| state == "quarantined") {
        let _ = host.osmoda(&["apply", "--clear-quarantine"]);
    }
}

/// What agentd says of itself; an error while nobody answers.
fn state(host: Host<'_>) -> Result<String> {
    let status = host.json(&["status"])?;
    Ok(if status["switch"].is_null() {
        status["state"].as_str().unwrap_or_default().to_owned()
    } else {
        "switching".into()
    })
}

/// Everything is as it is wished.
fn is_at_rest(host: Host<'_>) -> Result<bool> {
    Ok(state(host)? == "idle" && host.osmoda(&["diff"])?.0 == 0)
}

/// The active generation.
pub fn active(host: Host<'_>) -> Result<String> {
    Ok(host.run(&["/usr/bin/readlink", "-f", "/run/osmoda/generation"])?.trim().to_owned())
}
