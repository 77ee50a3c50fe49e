//! What has to hold after whatever happened.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};

use super::story::{active, change};
use crate::{Host, wait};

/// Switches whose events are not one outcome, and at most one intent.
const UNTOLD: &str = "SELECT json_extract(payload, '$.switch'), sum(type = 'switch.activating'), \
    sum(type IN ('switch.committed', 'switch.rolled-back', 'switch.failed', 'switch.refused')) AS outcomes \
    FROM events WHERE type LIKE 'switch.%' GROUP BY 1 HAVING outcomes <> 1 \
    OR sum(type = 'switch.activating') > 1 OR sum(type = 'switch.rolling-back') > 1";

/// Lists roots of switches.
pub const ROOTS: &str = "ls /nix/var/nix/gcroots/osmoda | grep '^switch-' || true";

/// The committed generation is active and the boot default, its units run and no others of ours do, nothing is left over,
/// every switch has ended and is told of once, and the ledger is whole; the next change is as any other, and after it all of
/// that holds again.
///
/// # Errors
/// What does not hold.
pub fn check(host: Host<'_>) -> Result<()> {
    wait("agentd", Duration::from_secs(60), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    // Roots that could not be let go of are seen to by the next switch.
    look(host, "")?;
    change(host)?;
    look(host, ROOTS)
}

fn look(host: Host<'_>, roots: &str) -> Result<()> {
    host.settle()?;
    let committed = host.run(&["/usr/bin/readlink", "-f", "/nix/var/nix/profiles/osmoda"])?;
    ensure!(active(host)? == committed.trim(), "{} is active, {committed} is committed", active(host)?);
    units(host)?;
    tidy(host, roots)?;
    told(host)
}

/// Switches leave no units and no open records, nor what `roots` lists.
///
/// # Errors
/// What is left.
pub fn tidy(host: Host<'_>, roots: &str) -> Result<()> {
    // The runner tidies up after it has told how it ended.
    let mut left = String::new();
    let looked = wait("tidiness", Duration::from_secs(20), || {
        left = leftovers(host, roots)?;
        Ok(left.is_empty())
    });
    ensure!(looked.is_ok(), "left over: {left}");
    Ok(())
}

/// The ledger is whole, and tells of every switch once.
///
/// # Errors
/// What does not hold.
pub fn told(host: Host<'_>) -> Result<()> {
    let untold = host.run(&["/usr/bin/sqlite3", "/var/lib/osmoda/ledger/ledger.db", UNTOLD])?;
    ensure!(untold.is_empty(), "switches with their intents and outcomes in the ledger: {untold}");
    let (status, out, err) = host.osmoda(&["ledger", "verify"])?;
    ensure!(status == 0, "the ledger: {out}{err}");
    Ok(())
}

fn units(host: Host<'_>) -> Result<()> {
    let generation = "/run/osmoda/generation/units";
    let names = |text: String| -> BTreeSet<String> { text.split_whitespace().map(str::to_owned).collect() };
    let known = names(host.sh(&format!("cd {generation}/ && ls -d osmoda-app-* 2>/dev/null || true"))?);
    let wanted = names(host.sh(&format!("ls {generation}/multi-user.target.wants/ 2>/dev/null || true"))?);
    let list = "systemctl list-units --all --plain --no-legend --state=active,activating,reloading,deactivating,failed";
    let loaded = names(host.sh(&format!("{list} 'osmoda-app-*' | cut -d' ' -f1"))?);
    let orphans: Vec<&String> = loaded.difference(&known).collect();
    ensure!(orphans.is_empty(), "units of no generation: {orphans:?}");
    let idle: Vec<&String> = wanted.difference(&loaded).collect();
    ensure!(idle.is_empty(), "units that do not run: {idle:?}");
    Ok(())
}

fn leftovers(host: Host<'_>, roots: &str) -> Result<String> {
    let script = format!(
        "systemctl list-units --plain --no-legend 'osmoda-switch-*' 'osmoda-deadman-*' 'osmoda-probe-*' | cut -d' ' -f1; \
         {roots}\n ls /run/osmoda/switch 2>/dev/null || true; cd /var/lib/osmoda/switch; \
         for f in *.json; do grep -qE '^  \"state\": \"(committed|rolledBack|failed)\"' $f || echo open: $f; done",
    );
    Ok(host.sh(script.trim())?.trim().to_owned())
}
