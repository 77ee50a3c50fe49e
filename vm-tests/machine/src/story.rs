//! The story of the demo: apply, change, break, kill, cut. Every line of its timeline is measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{Host, wait, wallets};

/// The document that the story is about.
pub const WEB: &str = include_str!("../documents/web.yaml");
/// Its watcher.
pub const WATCHER: &str = include_str!("../documents/watcher.yaml");
/// Asks the page again and again, and writes the longest time without an answer, in milliseconds.
const GAPS: &str = include_str!("gaps.py");

/// A line of the timeline.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Since the story began.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// What happened.
    pub what: String,
}

/// Plays the story; `tell` is called for each moment as it comes.
pub fn play(host: Host<'_>, mut tell: impl FnMut(&Moment)) -> Result<Vec<Moment>> {
    let start = Instant::now();
    let mut timeline = Vec::new();
    let mut moment = |began: Instant, what: String| {
        let moment = Moment { at: began - start, took: began.elapsed(), what };
        tell(&moment);
        timeline.push(moment);
    };

    let began = Instant::now();
    host.document("web.yaml", WEB)?;
    wait("the first page", Duration::from_secs(30), || Ok(host.page(8080).is_some()))?;
    moment(began, "web.yaml saved: nginx answers".to_owned());
    host.settle()?;
    moment(began, format!("the gates have passed for 3 s: {}", verdict(host, "committed")?));

    host.machine.write("/opt/gaps.py", GAPS)?;
    host.sh("rm -f /run/gaps; systemd-run --quiet --unit gaps python3 /opt/gaps.py")?;

    let began = Instant::now();
    host.document("web.yaml", &WEB.replace("version 1", "version 2"))?;
    wait("the second page", Duration::from_secs(30), || {
        Ok(host.page(8080).is_some_and(|page| page.contains("version 2")))
    })?;
    moment(began, "a good change: version 2 answers".to_owned());
    host.settle()?;
    moment(began, verdict(host, "committed")?);

    let began = Instant::now();
    host.document("web.yaml", &WEB.replace("hello, version 1", "goodbye, version 3"))?;
    wait("the broken page", Duration::from_secs(30), || {
        Ok(host.page(8080).is_some_and(|page| page.contains("goodbye")))
    })?;
    moment(began, "a bad change: the page no longer says hello".to_owned());
    host.settle()?;
    ensure!(host.page(8080).context("nginx does not answer")?.contains("version 2"), "version 2 is not back");
    moment(began, format!("{}; version 2 is back", verdict(host, "rolledBack")?));
    host.sh("systemctl stop gaps")?;
    let gap = host.sh("cat /run/gaps")?;
    moment(Instant::now(), format!("in all of that, nginx was never silent for longer than {} ms", gap.trim()));

    let began = Instant::now();
    host.document("web.yaml", &WEB.replace("version 1", "version 2"))?;
    host.document("watcher.yaml", WATCHER)?;
    wait("the watcher", Duration::from_secs(30), || {
        Ok(host.json(&["get", "Watcher/web"]).is_ok_and(|d| d["status"]["activeIn"].is_string()))
    })?;
    host.settle()?;
    moment(began, "watcher.yaml saved: a watcher follows nginx".to_owned());

    let began = Instant::now();
    let pid = host.main_pid("osmoda-app-web.service")?;
    host.sh(&format!("kill -9 {pid}"))?;
    wait("the page again", Duration::from_secs(30), || {
        Ok(host.main_pid("osmoda-app-web.service")? != pid && host.page(8080).is_some())
    })?;
    moment(began, "kill -9 nginx: healed, it answers again".to_owned());

    wallet(host, &mut moment)?;

    let began = Instant::now();
    host.document("web.yaml", &WEB.replace("version 1", "version 4").replace("ttl: 3s", "ttl: 60s"))?;
    wait("probation", Duration::from_secs(30), || {
        Ok(host.page(8080).is_some_and(|page| page.contains("version 4"))
            && host.last_switch()?["state"] == "probation")
    })?;
    moment(began, "another change: version 4 answers, on probation for a minute".to_owned());
    host.machine.cut()?;
    host.machine.boot()?;
    wait("the page after the power cut", Duration::from_secs(60), || Ok(host.page(8080).is_some()))?;
    ensure!(host.page(8080).context("nginx does not answer")?.contains("version 2"), "it came up uncommitted");
    moment(began, "power cut in the middle of it: the machine comes up with version 2, the committed one".to_owned());

    let began = Instant::now();
    wait("osModa's answer", Duration::from_secs(30), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    let report = host.json(&["ledger", "verify"])?;
    moment(began, format!("the ledger is whole: {} events", report["events"]));
    Ok(timeline)
}

/// An agent has money for a day.
fn wallet(host: Host<'_>, moment: &mut impl FnMut(Instant, String)) -> Result<()> {
    host.machine.write("/etc/osmoda/agentd.yaml", wallets::CONFIG)?;
    wallets::start(host)?;
    let began = Instant::now();
    host.document("wallet.yaml", wallets::DOCUMENTS)?;
    let address = wallets::address(host)?;
    host.settle()?;
    moment(began, format!("wallet.yaml saved: an agent may send 0.1 ETH a day to two addresses, from {address}"));
    let began = Instant::now();
    let (status, signed) = wallets::send(host, wallets::SHOP, "0.06", 0)?;
    ensure!(status == 0, "{signed:#}");
    moment(began, format!("it sends 0.06 to the first: signed, {}", signed["transactionHash"].as_str().unwrap_or("?")));
    let began = Instant::now();
    let why = wallets::refused(&wallets::send(host, wallets::HOST, "0.06", 1)?, "limit-reached", "a-day")?;
    moment(began, format!("0.06 to the second: {why}"));
    let began = Instant::now();
    let why = wallets::refused(&wallets::send(host, wallets::THIEF, "0.01", 1)?, "no-rule", "suppliers")?;
    moment(began, format!("0.01 to somebody else: {why}"));
    let began = Instant::now();
    wait("the receipt", Duration::from_secs(30), || Ok(!host.events("wallet.signed")?.is_empty()))?;
    moment(began, "the ledger has the signature, who asked for it, and the rule that let it pass".to_owned());
    Ok(())
}

fn verdict(host: Host<'_>, expected: &str) -> Result<String> {
    let switch = host.last_switch()?;
    ensure!(switch["state"] == expected, "the switch is not {expected}: {switch:#}");
    Ok(match expected {
        "committed" => format!("committed as generation {}", switch["number"]),
        _ => format!("rolled back by itself ({})", switch["failure"].as_str().unwrap_or_default()),
    })
}
