//! Routines: time belongs to systemd, events and calls to the daemon.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Case, http::call, quick};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("routines: an interval runs while the daemon is stopped", interval),
        case("routines: the next time of a cron expression is right", cron),
        case("routines: an event starts a run, and a burst of them one", event),
        case("routines: a call of its hook starts a run, but not too often", hook),
        case("routines: serviceMonitor tells once of a failed unit", service_monitor),
        case("routines: healthCheck tells of a figure beyond its limit", health_check),
        case("routines: logScan tells of errors since the last run", log_scan),
        case("routines: webhook sends its request, and fails when it is refused", webhook),
        case("routines: the history knows how runs ended", history),
        case("routines: a run that hangs is ended by its timeout", timeout),
        case("routines: a disabled one does not run by itself", disabled),
    ]
}

const TEN: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(20);

fn routine(name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "os.moda/v1", "kind": "Routine", "metadata": { "name": name }, "spec": spec })
}

/// A routine that adds a line to a file for each run.
fn noting(name: &str, trigger: Value) -> Value {
    let script = format!("echo run >> /run/ran-{name}");
    let action = json!({ "type": "command", "command": ["/bin/sh", "-c", script] });
    routine(name, json!({ "trigger": trigger, "action": action, "tier": 0, "user": { "name": "root" } }))
}

fn runs(host: Host<'_>, name: &str) -> Result<usize> {
    let text = host.sh(&format!("cat /run/ran-{name} 2>/dev/null || true"))?;
    Ok(text.lines().count())
}

fn fresh(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.sh("rm -rf /run/ran-* /var/lib/osmoda/routines/*.json")?;
    Ok(())
}

/// Starts a run and gives how it ended.
fn trigger(host: Host<'_>, name: &str) -> Result<String> {
    let unit = format!("osmoda-routine-{name}.service");
    let before = ended(host, name)?.len();
    let started = call(host, "routines", "POST", &format!("/routine/trigger/{name}"), None)?.ok()?;
    ensure!(started["unit"] == unit.as_str(), "{started}");
    wait("the end of the run", Duration::from_secs(60), || Ok(ended(host, name)?.len() > before))?;
    let last = ended(host, name)?.pop().context("no run")?;
    Ok(last["payload"]["result"].as_str().unwrap_or_default().to_owned())
}

/// Events of runs of a routine that are over, oldest first.
fn ended(host: Host<'_>, name: &str) -> Result<Vec<Value>> {
    Ok(host.events("routine.ran")?.into_iter().filter(|event| event["payload"]["name"] == name).collect())
}

/// What a routine has told, oldest first.
fn alerts(host: Host<'_>, name: &str) -> Result<Vec<String>> {
    let actor = format!("routine/{name}");
    let events = host.events("routine.alert")?;
    let mine = events.iter().filter(|event| event["actor"] == actor.as_str());
    Ok(mine.map(|event| event["payload"]["reason"].as_str().unwrap_or_default().to_owned()).collect())
}

fn interval(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    host.run(&["/usr/bin/systemctl", "stop", "osmoda-routines"])?;
    let shown = || -> Result<()> {
        quick::apply(host, &[noting("often", json!({ "type": "interval", "every": "2s" }))])?;
        wait("three runs", SOON, || Ok(runs(host, "often")? >= 3))?;
        // Neither does it need the controller.
        host.run(&["/usr/bin/systemctl", "stop", "osmoda-agentd"])?;
        let so_far = runs(host, "often")?;
        wait("two more", SOON, || Ok(runs(host, "often")? >= so_far + 2))?;
        Ok(())
    };
    let result = shown();
    host.run(&["/usr/bin/systemctl", "start", "osmoda-agentd", "osmoda-routines"])?;
    result?;
    wait("an answer", SOON, || Ok(host.osmoda(&["status"])?.0 == 0))?;
    fresh(host)?;
    ensure!(host.active("osmoda-routine-often.timer")? == "inactive", "the timer outlives its document");
    Ok(())
}

/// The next time of a routine's timer, as seconds since 1970.
fn next(host: Host<'_>, name: &str) -> Result<u64> {
    let timer = format!("osmoda-routine-{name}.timer");
    let script = format!("date +%s -d \"$(systemctl show -P NextElapseUSecRealtime {timer})\"");
    Ok(host.sh(&script)?.trim().parse()?)
}

fn cron(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let at = |schedule: &str, zone: &str| json!({ "type": "cron", "schedule": schedule, "timeZone": zone });
    let documents = [
        noting("minute", json!({ "type": "cron", "schedule": "*/5 * * * *" })),
        noting("berlin", at("30 2 * * *", "Europe/Berlin")),
        noting("workday", at("15 9 * * 1-5", "UTC")),
        noting("leap", at("0 0 29 2 *", "UTC")),
        // Either day counts when both are given (crontab(5)).
        noting("either", at("0 12 1 * 1", "UTC")),
        noting("yearly", at("@yearly", "UTC")),
    ];
    quick::apply(host, &documents)?;
    let now: u64 = host.sh("date +%s")?.trim().parse()?;
    ensure!(next(host, "minute")? == (now / 300 + 1) * 300, "every 5 minutes: {} after {now}", next(host, "minute")?);
    let expect = |name: &str, words: &str, format: &str, wanted: &[&str]| -> Result<()> {
        let shown = host.sh(&format!("{words} date -d @{} '+{format}'", next(host, name)?))?;
        ensure!(wanted.contains(&shown.trim()), "{name}: {shown} is none of {wanted:?}");
        ensure!(next(host, name)? > now, "{name}: it is in the past");
        Ok(())
    };
    expect("berlin", "TZ=Europe/Berlin", "%H:%M:%S", &["02:30:00", "03:30:00"])?;
    expect(
        "workday",
        "TZ=UTC",
        "%H:%M:%S %u",
        &["09:15:00 1", "09:15:00 2", "09:15:00 3", "09:15:00 4", "09:15:00 5"],
    )?;
    expect("leap", "TZ=UTC", "%m-%d %H:%M:%S", &["02-29 00:00:00"])?;
    expect("yearly", "TZ=UTC", "%m-%d %H:%M:%S", &["01-01 00:00:00"])?;
    let either = host.sh(&format!("TZ=UTC date -d @{} '+%u %d %H:%M'", next(host, "either")?))?;
    ensure!(either.starts_with("1 ") || either.contains(" 01 "), "{either} is neither a Monday nor a first");
    ensure!(either.trim().ends_with("12:00") && next(host, "either")? < now + 8 * 86_400, "{either}");
    fresh(host)
}

fn event(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let trigger = json!({ "type": "event", "types": ["watcher.alert", "switch.comm*"], "debounce": "1s" });
    quick::apply(host, &[noting("news", trigger)])?;
    // Its own switch may have been news already.
    std::thread::sleep(Duration::from_secs(3));
    let before = runs(host, "news")?;
    let other = json!({ "type": "interval", "every": "1h" });
    quick::apply(host, &[noting("other", other)])?;
    wait("a run", TEN, || Ok(runs(host, "news")? == before + 1))?;
    // A burst within the debounce is one run.
    for number in 0..3 {
        let other = json!({ "type": "interval", "every": format!("{}h", number + 2) });
        quick::apply(host, &[noting("other", other)])?;
    }
    std::thread::sleep(Duration::from_secs(4));
    let after = runs(host, "news")?;
    ensure!(after > before + 1 && after <= before + 4, "{before} runs became {after}");
    // What happened while the daemon was away is looked at when it is back.
    host.run(&["/usr/bin/systemctl", "stop", "osmoda-routines"])?;
    let so_far = runs(host, "news")?;
    let applied = quick::apply(host, &[noting("other", json!({ "type": "interval", "every": "9h" }))]);
    ensure!(runs(host, "news")? == so_far, "it runs without the daemon");
    host.run(&["/usr/bin/systemctl", "start", "osmoda-routines"])?;
    applied?;
    wait("the run of what was missed", TEN, || Ok(runs(host, "news")? == so_far + 1))?;
    fresh(host)
}

fn hook(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let documents = [
        noting("called", json!({ "type": "webhook", "minInterval": "3s" })),
        noting("timed", json!({ "type": "interval", "every": "1h" })),
    ];
    quick::apply(host, &documents)?;
    // Whoever calls a hook sends what it sends.
    let body = Some(r#"{"action": "opened", "id": "another", "number": 7}"#);
    let hook = |name: &str| call(host, "routines", "POST", &format!("/routine/hook/{name}"), body);
    ensure!(hook("called")?.ok()?["unit"] == "osmoda-routine-called.service");
    wait("the run", TEN, || Ok(runs(host, "called")? == 1 && ended(host, "called")?.len() == 1))?;
    hook("called")?.refused(429, "too-soon")?;
    hook("timed")?.refused(409, "no-webhook")?;
    hook("nobody")?.refused(404, "no-such-routine")?;
    hook("No%20Name")?.refused(422, "invalid-name")?;
    std::thread::sleep(Duration::from_millis(3200));
    hook("called")?.ok()?;
    wait("the second run", TEN, || Ok(runs(host, "called")? == 2))?;
    fresh(host)
}

/// A built-in action that only runs when it is asked to.
fn built_in(name: &str, action: Value) -> Value {
    routine(name, json!({ "trigger": { "type": "webhook", "minInterval": "0s" }, "action": action }))
}

fn service_monitor(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let action = json!({ "type": "serviceMonitor", "ignore": ["ignored.service"] });
    quick::apply(host, &[built_in("units", action)])?;
    ensure!(trigger(host, "units")? == "success", "a run without failed units fails");
    let known = alerts(host, "units")?.len();
    let fail = |unit: &str| host.end(&["/usr/bin/systemd-run", "--quiet", "--wait", "--unit", unit, "/bin/false"]);
    fail("broken")?;
    fail("ignored")?;
    ensure!(trigger(host, "units")? == "success");
    let told = alerts(host, "units")?;
    ensure!(told[known..] == ["broken.service has failed"], "{told:?}");
    trigger(host, "units")?;
    ensure!(alerts(host, "units")?.len() == known + 1, "it tells again: {:?}", alerts(host, "units")?);
    // What has been mended and fails again is news.
    host.run(&["/usr/bin/systemctl", "reset-failed", "broken.service"])?;
    trigger(host, "units")?;
    fail("broken")?;
    trigger(host, "units")?;
    ensure!(alerts(host, "units")?.len() == known + 2, "it does not tell again: {:?}", alerts(host, "units")?);
    host.run(&["/usr/bin/systemctl", "reset-failed"])?;
    fresh(host)
}

fn health_check(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let calm = json!({ "type": "healthCheck", "cpu": 100, "memory": 100, "disk": 100, "loadPerCpu": 100 });
    let strict = json!({ "type": "healthCheck", "cpu": 100, "memory": 1, "disk": 1, "loadPerCpu": 100 });
    quick::apply(host, &[built_in("calm", calm), built_in("strict", strict)])?;
    let known = alerts(host, "strict")?.len();
    let quiet = alerts(host, "calm")?.len();
    ensure!(trigger(host, "calm")? == "success" && trigger(host, "strict")? == "success");
    let told = alerts(host, "strict")?;
    for words in ["more than 1 % of memory is in use", "more than 1 % of / is used"] {
        ensure!(told[known..].iter().any(|alert| alert == words), "{words}: {told:?}");
    }
    trigger(host, "strict")?;
    ensure!(alerts(host, "strict")?.len() == told.len(), "it tells again");
    ensure!(alerts(host, "calm")?.len() == quiet, "within its limits it tells {:?}", alerts(host, "calm")?);
    fresh(host)
}

fn log_scan(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let say = |priority: &str, words: &str| {
        host.sh(&format!("echo '{words}' | systemd-cat -t complainer -p {priority}; journalctl --sync"))
    };
    say("err", "what was before is no news")?;
    quick::apply(host, &[built_in("log", json!({ "type": "logScan", "priority": 3, "threshold": 2 }))])?;
    let known = alerts(host, "log")?.len();
    ensure!(trigger(host, "log")? == "success");
    ensure!(alerts(host, "log")?.len() == known, "the first run tells of the past: {:?}", alerts(host, "log")?);
    say("warning", "a warning does not count")?;
    say("err", "the disk is on fire")?;
    say("crit", "so is the house")?;
    trigger(host, "log")?;
    let told = alerts(host, "log")?;
    let last = told[known..].last().cloned().unwrap_or_default();
    ensure!(told.len() == known + 1, "{told:?}");
    ensure!(last.contains("complainer 2") && last.ends_with("so is the house"), "{last}");
    trigger(host, "log")?;
    ensure!(alerts(host, "log")?.len() == known + 1, "it tells twice: {:?}", alerts(host, "log")?);
    fresh(host)
}

fn webhook(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let script = "import socket\ns = socket.create_server(('127.0.0.1', 18081))\nfor status in ['204 Fine', '500 No']:\n  \
                  c = s.accept()[0]; got = b''\n  while not got.endswith(b'moda'): got += c.recv(4096)\n  \
                  open('/run/ran-hook', 'ab').write(got + b'\\n'); \
                  c.sendall(b'HTTP/1.1 ' + status.encode() + b'\\r\\ncontent-length: 0\\r\\n\\r\\n'); c.close()";
    host.run(&["/usr/bin/systemd-run", "--quiet", "--collect", "--unit", "hooked", "/usr/bin/python3", "-c", script])?;
    let action = json!({
        "type": "webhook", "url": "http://127.0.0.1:18081/a?b=c", "headers": { "x-from": "os" }, "body": "moda",
    });
    quick::apply(host, &[built_in("post", action)])?;
    wait("the listener", TEN, || Ok(host.run(&["/bin/ss", "-ltn"])?.contains(":18081")))?;
    ensure!(trigger(host, "post")? == "success");
    let sent = host.run(&["/bin/cat", "/run/ran-hook"])?.to_ascii_lowercase();
    for words in ["post /a?b=c http/1.1", "host: 127.0.0.1:18081", "x-from: os", "content-length: 4", "moda"] {
        ensure!(sent.contains(words), "{words} is missing in {sent}");
    }
    ensure!(trigger(host, "post")? == "exit-code", "a refused request counts as a success");
    host.run(&["/usr/bin/systemctl", "reset-failed"])?;
    fresh(host)
}

fn history(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let command = |word: &str| json!({ "type": "command", "command": [word] });
    let documents = [built_in("fine", command("/bin/true")), built_in("bad", command("/bin/false"))];
    quick::apply(host, &documents)?;
    for (name, result) in [("fine", "success"), ("bad", "exit-code"), ("fine", "success")] {
        ensure!(trigger(host, name)? == result, "{name} did not end with {result}");
    }
    let runs = |query: &str| -> Result<Vec<Value>> {
        let answer = call(host, "routines", "GET", &format!("/routine/history{query}"), None)?.ok()?;
        Ok(answer["runs"].as_array().cloned().unwrap_or_default())
    };
    let all = runs("?limit=3")?;
    let names: Vec<(&str, &str)> =
        all.iter().filter_map(|r| Some((r["name"].as_str()?, r["result"].as_str()?))).collect();
    ensure!(names == [("fine", "success"), ("bad", "exit-code"), ("fine", "success")], "{names:?}");
    ensure!(runs("?name=bad")?.iter().all(|run| run["name"] == "bad") && !runs("?name=bad")?.is_empty());
    call(host, "routines", "GET", "/routine/history?limit=many", None)?.refused(422, "invalid-request")?;
    let list = call(host, "routines", "GET", "/routine/list", None)?.ok()?;
    let bad = list["routines"].as_array().and_then(|all| all.iter().find(|r| r["name"] == "bad")).cloned();
    let bad = bad.with_context(|| format!("{list}"))?;
    ensure!(bad["lastResult"] == "exit-code" && bad["trigger"] == "webhook" && bad["enabled"] == true, "{bad}");
    host.run(&["/usr/bin/systemctl", "reset-failed"])?;
    fresh(host)
}

fn timeout(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let spec = json!({
        "trigger": { "type": "webhook" },
        "action": { "type": "command", "command": ["/bin/sh", "-c", "sleep 4711 & sleep 4711"] },
        "timeout": "2s",
    });
    quick::apply(host, &[routine("hangs", spec)])?;
    let began = std::time::Instant::now();
    let result = trigger(host, "hangs")?;
    ensure!(result == "timeout", "it ended with {result}");
    ensure!(began.elapsed() < Duration::from_secs(15), "that took {:?}", began.elapsed());
    let (left, _, _) = host.end(&["/usr/bin/pgrep", "-f", "^sleep 4711"])?;
    ensure!(left == 1, "its processes are still there");
    host.run(&["/usr/bin/systemctl", "reset-failed"])?;
    fresh(host)
}

fn disabled(host: Host<'_>) -> Result<()> {
    fresh(host)?;
    let off = |mut document: Value| {
        document["spec"]["enabled"] = json!(false);
        document
    };
    let timer = noting("timer", json!({ "type": "interval", "every": "1s" }));
    // One that was enabled stops, too.
    quick::apply(host, std::slice::from_ref(&timer))?;
    ensure!(host.active("osmoda-routine-timer.timer")? == "active", "the timer does not tick");
    quick::apply(host, &[off(timer.clone())])?;
    ensure!(host.active("osmoda-routine-timer.timer")? == "inactive", "the timer goes on");
    fresh(host)?;
    let documents = [
        off(timer),
        off(noting("event", json!({ "type": "event", "types": ["*"] }))),
        off(noting("hook", json!({ "type": "webhook" }))),
    ];
    quick::apply(host, &documents)?;
    call(host, "routines", "POST", "/routine/hook/hook", None)?.refused(409, "disabled")?;
    std::thread::sleep(Duration::from_secs(3));
    for name in ["timer", "event", "hook"] {
        ensure!(runs(host, name)? == 0, "{name} ran");
    }
    // By hand it runs.
    ensure!(trigger(host, "timer")? == "success" && runs(host, "timer")? == 1);
    fresh(host)
}
