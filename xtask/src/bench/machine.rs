//! Figures of a running machine.

use std::time::Duration;

use anyhow::{Context, Result};
use machine_suites::{Host, wait};

use super::Figure;

/// Edits that are measured.
const EDITS: usize = 15;
/// Deaths that are measured.
const DEATHS: usize = 100;
/// Documents of a large machine.
const MANY: usize = 10_000;

/// Measures everything.
pub fn measure(host: Host<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    host.machine.write("/opt/edits.py", include_str!("edits.py"))?;
    for objects in [10, 1000] {
        figures.push(crate::timed(&format!("edits among {objects} objects"), || edits(host, objects))?);
    }
    figures.push(crate::timed("deaths", || deaths(host))?);
    figures.push(crate::timed("the cost of doing nothing", || idle(host))?);
    figures.extend(crate::timed(&format!("{MANY} documents"), || many(host))?);
    Ok(figures)
}

pub(super) fn at_most(name: &str, value: f64, unit: &str, reference: &str, reference_value: f64, most: f64) -> Figure {
    let ratio = value / reference_value;
    Figure {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        reference: reference.to_owned(),
        reference_value,
        ratio,
        goal: format!("<= {most}"),
        met: ratio <= most,
    }
}

/// An app that rests, or one that is only a document.
fn app(name: &str, argument: usize, enabled: bool) -> String {
    format!(
        "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  command: [/bin/sleep, \"{argument}\"]\n  tier: 0\n  update: restart\n  enabled: {enabled}\n"
    )
}

fn write_many(host: Host<'_>, from: usize, to: usize, text: impl Fn(usize) -> String) -> Result<()> {
    for start in (from..to).step_by(500) {
        let documents: String = (start..to.min(start + 500)).map(|n| text(n) + "---\n").collect();
        host.document(&format!("many-{start}.yaml"), &documents)?;
    }
    Ok(())
}

fn settled(host: Host<'_>, objects: usize) -> Result<()> {
    wait("all of them in force", Duration::from_secs(300), || {
        let status = host.settle()?;
        let all = status["objects"].as_u64() == Some(objects as u64) && status["state"] == "idle";
        // It is idle for a moment before it begins, too.
        Ok(all && host.osmoda(&["diff"])?.0 == 0)
    })?;
    Ok(())
}

/// A file saved until its program runs; and the floor: the same generation added to the store, its units read anew, its
/// unit restarted, by hand.
fn edits(host: Host<'_>, objects: usize) -> Result<Figure> {
    host.clear()?;
    host.configure("safeSwitch: {ttl: 0s}\nmassDelete: {share: 1.0}\n")?;
    write_many(host, 0, objects - 1, |n| app(&format!("s{n}"), 1_000_000 + n, true))?;
    host.document("edited.yaml", &app("edited", 5000, true))?;
    settled(host, objects)?;
    let text = host.run(&["/usr/bin/python3", "/opt/edits.py", &EDITS.to_string()])?;
    let figures: serde_json::Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let number = |key: &str| figures[key].as_f64().with_context(|| format!("{key} is missing in {text}"));
    let name = format!("edit to converged, {objects} objects");
    Ok(at_most(&name, number("edit")?, "ms", "store add + daemon-reload + restart by hand", number("floor")?, 1.5))
}

/// From a kill to the watcher's remedy in the ledger.
fn deaths(host: Host<'_>) -> Result<Figure> {
    host.clear()?;
    host.document("a.yaml", &(app("a", 6000, true) + "  restart: {delay: 1m, limit: 1000}\n"))?;
    let watcher = "apiVersion: os.moda/v1\nkind: Watcher\nmetadata: {name: bench}\nspec:\n  target: App/a\n  check: {type: unit}\n  interval: 1h\n  ladder:\n  - {action: restart, attempts: 100, wait: 1s}\n  flap: {limit: 1000, window: 1h}\n";
    host.document("w.yaml", watcher)?;
    settled(host, 2)?;
    let script = "import subprocess, time\nkills = []\nunit = 'osmoda-app-a.service'\nfor _ in range(COUNT):\n  pid = 0\n  while not pid:\n    pid = int(subprocess.check_output(['systemctl', 'show', '-P', 'MainPID', unit]))\n    time.sleep(0.02)\n  time.sleep(0.05)\n  kills.append(time.time())\n  subprocess.call(['kill', '-9', str(pid)])\n  time.sleep(0.15)\nprint(kills)";
    let script = script.replace("COUNT", &DEATHS.to_string());
    let kills: Vec<f64> = serde_json::from_str(&host.run(&["/usr/bin/python3", "-c", &script])?)?;
    let remedies: Vec<f64> = host.json(&["events", "--type", "watcher.remedy", "--limit", "10000"])?["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["actor"] == "watcher/bench")
        .filter_map(|event| seconds(event["ts"].as_str()?))
        .collect();
    let mut took: Vec<f64> = kills
        .iter()
        .filter_map(|kill| {
            remedies.iter().find(|remedy| **remedy + 0.001 >= *kill).map(|remedy| (remedy - kill) * 1000.0)
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let p99 = took.get(took.len() * 99 / 100).copied().context("no remedy was seen")?;
    let mut figure = at_most("death of a watched unit to its remedy, p99", p99.max(0.0), "ms", "the goal", 250.0, 1.0);
    figure.goal = "<= 250 ms".to_owned();
    Ok(figure)
}

/// Seconds since the epoch of `2026-01-31T12:34:56.789Z`.
fn seconds(ts: &str) -> Option<f64> {
    let number = |range: std::ops::Range<usize>| ts.get(range)?.parse::<f64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days from civil (H. Hinnant), for dates after 1970.
    let (y, m) = if month <= 2.0 { (year - 1.0, month + 9.0) } else { (year, month - 3.0) };
    let era = (y / 400.0).floor();
    let yoe = y - era * 400.0;
    let doy = ((153.0 * m + 2.0) / 5.0).floor() + day - 1.0;
    let doe = yoe * 365.0 + (yoe / 4.0).floor() - (yoe / 100.0).floor() + doy;
    let days = era * 146_097.0 + doe - 719_468.0;
    Some(days * 86400.0 + number(11..13)? * 3600.0 + number(14..16)? * 60.0 + number(17..23)?)
}

/// Processor time of all daemons while nothing happens.
fn idle(host: Host<'_>) -> Result<Figure> {
    host.clear()?;
    host.document("a.yaml", &app("a", 6000, true))?;
    let watcher = "apiVersion: os.moda/v1\nkind: Watcher\nmetadata: {name: idle}\nspec:\n  target: App/a\n  check: {type: unit}\n";
    host.document("w.yaml", watcher)?;
    settled(host, 2)?;
    std::thread::sleep(Duration::from_secs(35));
    // Nanoseconds on a core, of all threads; the ticks of `stat` are as long as all that they do in a minute.
    let spent = || -> Result<f64> {
        let script = "for p in $(pgrep -x 'agentd|osmoda-watch|osmoda-routines|osmoda-witness'); do cat /proc/$p/task/*/schedstat; done | awk '{s+=$1} END {print s}'";
        Ok(host.sh(script)?.trim().parse::<f64>()? / 1e9)
    };
    let before = spent()?;
    std::thread::sleep(Duration::from_secs(60));
    let percent = (spent()? - before) / 60.0 * 100.0;
    let mut figure = at_most("all daemons idle for a minute", percent, "% of a core", "the goal", 0.1, 1.0);
    figure.goal = "< 0.1 % of a core".to_owned();
    Ok(figure)
}

fn metric(host: Host<'_>, name: &str) -> Result<f64> {
    let words = ["/usr/bin/curl", "-sf", "--unix-socket", "/run/osmoda/agentd.sock", "http://localhost/metrics"];
    let text = host.run(&words)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.with_context(|| format!("{name} is not among the metrics"))
}

/// A large machine: documents that are wished and run nothing, so that only the controller is measured; a file each.
fn many(host: Host<'_>) -> Result<Vec<Figure>> {
    host.clear()?;
    host.configure("safeSwitch: {ttl: 0s}\nmassDelete: {share: 1.0}\n")?;
    let plan_of = |host: Host<'_>, objects: usize| -> Result<f64> {
        let text = app("dNUMBER", 1, false);
        let write = "import sys\nfor n in range(int(sys.argv[1])):\n  open(f'/var/lib/osmoda/desired/d{n}.yaml', 'w').write(sys.argv[2].replace('NUMBER', str(n)))";
        host.run(&["/usr/bin/python3", "-c", write, &(objects - 1).to_string(), &text])?;
        host.document("edited.yaml", &app("edited", 1, false))?;
        settled(host, objects)?;
        let mut took = Vec::new();
        let active = || host.run(&["/usr/bin/readlink", "/run/osmoda/generation"]);
        for n in 2..9 {
            let before = active()?;
            host.document("edited.yaml", &app("edited", n, false))?;
            // Nothing is asked of agentd before its figures: an answer may have cost it another look.
            wait("the edit", Duration::from_secs(60), || Ok(active()? != before))?;
            took.push(
                (metric(host, "osmoda_admit_microseconds")? + metric(host, "osmoda_changed_plan_microseconds")?)
                    / 1000.0,
            );
            settled(host, objects)?;
        }
        took.sort_by(f64::total_cmp);
        Ok(took[took.len() / 2])
    };
    let small = plan_of(host, 100)?;
    let large = plan_of(host, MANY)?;
    let mut plan = at_most("one changed document among 10,000: admit and plan", large, "ms", "among 100", small, 20.0);
    plan.goal = "<= 20 ms".to_owned();
    plan.met = large <= 20.0;
    let resident = || -> Result<f64> {
        Ok(host.sh("awk '/VmRSS/ {print $2}' /proc/$(pgrep -x agentd)/status")?.trim().parse::<f64>()? / 1024.0)
    };
    let after_edits = resident()?;
    host.sh("systemctl restart osmoda-agentd")?;
    wait("agentd", Duration::from_secs(60), || Ok(host.osmoda(&["status"])?.0 == 0))?;
    let load = metric(host, "osmoda_load_microseconds")? / 1_000_000.0;
    settled(host, MANY)?;
    let mut load = at_most("cold load of 10,000 documents", load, "s", "the goal", 1.0, 1.0);
    load.goal = "<= 1 s".to_owned();
    let rss = resident()?.max(after_edits);
    let mut rss = at_most("agentd's resident memory with 10,000 documents", rss, "MiB", "the goal", 64.0, 1.0);
    rss.goal = "<= 64 MiB".to_owned();
    Ok(vec![plan, load, rss])
}
