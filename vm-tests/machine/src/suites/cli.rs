//! The command line, as people and programs use it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Case, quick,
    switch::{runs, sleeper},
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("cli: JSON and YAML say the same, whatever is asked", forms),
        case("cli: exit statuses are those that the help tells", statuses),
        case("cli: a problem tells its place, for people and for programs", problems),
        case("cli: explain and schema know every field", explained),
        case("cli: documents come over standard input, too", standard_input),
        case("cli: a dry run changes nothing", dry_run),
        case("cli: diff tells which packages come, go and change", packages),
        case("cli: apply tells how it goes while gates run", progress),
        case("cli: events are followed as they come", followed),
        case("cli: logs and describe tell of one object", one_object),
        case("cli: colour only where somebody looks", colour),
        case("cli: what a program wrote does not steer the terminal", terminal),
        case("cli: completions and man pages", generated),
        case("cli: what needs no daemon works without one", without_daemons),
    ]
}

const SOON: Duration = Duration::from_secs(20);
const NOW: &str = "  probation: {ttl: 0s}\n";

/// One app that runs.
fn one(host: Host<'_>, argument: u32) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", argument, NOW))?;
    wait("the app", SOON, || runs(host, argument))?;
    quick::hurry(host)
}

fn status_is(host: Host<'_>, words: &[&str], expected: i32) -> Result<(String, String)> {
    let (status, out, err) = host.osmoda(words)?;
    ensure!(status == expected, "osmoda {words:?} ended with {status}, not {expected}:\n{out}{err}");
    Ok((out, err))
}

fn forms(host: Host<'_>) -> Result<()> {
    one(host, 9601)?;
    // What it removes the first time is not there to be removed the second time.
    status_is(host, &["gc", "--keep", "50"], 0)?;
    let asked: [&[&str]; 16] = [
        &["validate"],
        &["diff"],
        &["apply", "--dry-run"],
        &["apply"],
        &["get"],
        &["get", "apps"],
        &["get", "App/a"],
        &["describe", "App/a"],
        &["explain", "App.spec.health"],
        &["schema", "App"],
        &["generations"],
        &["history"],
        &["ledger", "head"],
        &["ledger", "verify"],
        &["gc", "--keep", "50"],
        &["events", "--type", "document.*", "--limit", "3"],
    ];
    for words in asked {
        // What is asked about may change between two questions (a witness signs when it gets to it), but not every time.
        let mut differ = String::new();
        let same = wait("JSON and YAML to say the same", SOON, || {
            let (json, _) = status_is(host, &[words, &["-o", "json"]].concat(), 0)?;
            let (yaml, _) = status_is(host, &[words, &["-o", "yaml"]].concat(), 0)?;
            let json: Value = serde_json::from_str(&json).with_context(|| format!("{words:?}: {json}"))?;
            let yaml: Value = serde_saphyr::from_str(&yaml).with_context(|| format!("{words:?}: {yaml}"))?;
            ensure!(json.is_object() || json.is_array(), "{words:?}: {json}");
            differ = format!("{words:?}:\n{json:#}\n{yaml:#}");
            Ok(json == yaml)
        });
        same.context(differ)?;
        let (table, _) = status_is(host, words, 0)?;
        ensure!(!table.trim().is_empty() && !table.contains('\u{1b}'), "{words:?}: {table:?}");
    }
    // Those that change while one looks only have to be whole.
    for words in [["status"], ["doctor"]] {
        for form in ["json", "yaml"] {
            let (text, _) = status_is(host, &[&words[..], &["-o", form]].concat(), 0)?;
            let value: Value = serde_saphyr::from_str(&text)?;
            ensure!(value.is_object() || value.is_array(), "{words:?}: {text}");
        }
    }
    Ok(())
}

fn statuses(host: Host<'_>) -> Result<()> {
    one(host, 9611)?;
    host.machine.write("/run/good.yaml", &sleeper("b", 9612, NOW))?;
    host.machine.write("/run/bad.yaml", &sleeper("b", 9612, "  colour: red\n"))?;
    let dies = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: b}\nspec:\n  command: [/bin/false]\n  probation: {ttl: 2s}\n";
    host.machine.write("/run/dies.yaml", dies)?;
    let told: [(&[&str], i32); 16] = [
        (&["validate", "/run/good.yaml"], 0),
        (&["validate", "/run/bad.yaml"], 2),
        (&["validate", "/run/nothing.yaml"], 2),
        (&["diff"], 0),
        (&["diff", "-f", "/run/good.yaml"], 1),
        (&["diff", "-f", "/run/bad.yaml"], 2),
        (&["apply", "--wait"], 0),
        (&["apply", "-f", "/run/bad.yaml"], 2),
        (&["apply", "-f", "/run/good.yaml", "--wait"], 0),
        (&["apply", "-f", "/run/dies.yaml", "--wait", "--clear-quarantine"], 3),
        (&["get", "App/nobody"], 2),
        (&["describe", "App/nobody"], 2),
        (&["rollback", "999999"], 2),
        (&["logs", "WalletPolicy/nobody"], 2),
        (&["get", "shoes"], 2),
        (&["dance"], 2),
    ];
    for (words, expected) in told {
        status_is(host, words, expected)?;
        quick::hurry(host)?;
    }
    let (_, err) = status_is(host, &["delete", "App/a"], 2)?;
    ensure!(err.contains("no-such-document"), "{err}");
    // What a file defines is changed there, and not twice.
    host.machine.write("/run/a.yaml", &sleeper("a", 9613, NOW))?;
    for command in ["diff", "apply"] {
        let (_, err) = status_is(host, &[command, "-f", "/run/a.yaml"], 2)?;
        ensure!(err.contains("defined-in-a-file") && err.contains("desired/a.yaml:1:1"), "{err}");
    }
    status_is(host, &["delete", "App/b", "--wait"], 0)?;
    // Whoever has read enough of it is no error.
    host.run(&["/bin/bash", "-c", "set -o pipefail; osmoda schema | head -1 > /dev/null"])?;
    Ok(())
}

fn problems(host: Host<'_>) -> Result<()> {
    host.machine.write("/run/bad.yaml", &sleeper("b", 9621, "  enviroment: {A: b}\n  tier: 9\n"))?;
    let (_, err) = status_is(host, &["validate", "/run/bad.yaml"], 2)?;
    for words in ["[unknown-field]", "/run/bad.yaml:7:3", "7 |   enviroment", "^^^", "did you mean `environment`?"] {
        ensure!(err.contains(words), "{words:?} is not in\n{err}");
    }
    let (out, err) = status_is(host, &["validate", "-o", "json", "/run/bad.yaml"], 2)?;
    ensure!(out.is_empty(), "{out}");
    let problem: Value = serde_json::from_str(&err).context(err)?;
    let others = problem["errors"].as_array().context("no list of errors")?;
    let all: Vec<&Value> = std::iter::once(&problem).chain(others).collect();
    ensure!(all.len() >= 2, "{problem:#}");
    for one in all {
        let place = &one["source"];
        ensure!(place["file"] == "/run/bad.yaml" && place["line"].is_u64() && place["column"].is_u64(), "{one:#}");
        ensure!(one["type"].as_str().is_some_and(|t| t.ends_with(one["code"].as_str().unwrap_or("-"))), "{one:#}");
        ensure!(one["title"].is_string() && one["status"] == 422 && one["detail"].is_string(), "{one:#}");
        ensure!(one["field"].as_str().is_some_and(|f| f.starts_with("spec")), "{one:#}");
    }
    Ok(())
}

fn explained(host: Host<'_>) -> Result<()> {
    let (text, _) = status_is(host, &["explain", "App.spec.health"], 0)?;
    ensure!(text.contains("probe") && text.contains("interval"), "{text}");
    let (_, err) = status_is(host, &["explain", "App.spec.helth"], 2)?;
    ensure!(err.contains("did you mean"), "{err}");
    for kind in ["App", "Watcher", "Routine", "Wallet", "WalletPolicy", "McpServer", "NixosConfig"] {
        let schema = host.json(&["schema", kind])?;
        ensure!(schema["$schema"].is_string(), "{kind} has no schema");
        let fields = host.json(&["explain", &format!("{kind}.spec")])?;
        let properties = &schema["properties"]["spec"];
        ensure!(fields.is_object() && !properties.is_null(), "{kind}: {fields:#}");
    }
    Ok(())
}

fn standard_input(host: Host<'_>) -> Result<()> {
    one(host, 9631)?;
    host.machine.write("/run/in.yaml", &sleeper("in", 9632, NOW))?;
    host.sh("osmoda validate - < /run/in.yaml")?;
    let (status, out, err) = host.end(&["/bin/sh", "-c", "osmoda diff -f - < /run/in.yaml"])?;
    ensure!(status == 1 && out.contains("+ App/in"), "{status} {out}{err}");
    host.sh("osmoda apply -f - --wait < /run/in.yaml")?;
    ensure!(host.active("osmoda-app-in.service")? == "active");
    status_is(host, &["delete", "App/in", "--wait"], 0)?;
    let (status, _, err) = host.end(&["/bin/sh", "-c", "printf 'kind: App\\nspec: [' | osmoda validate -"])?;
    ensure!(status == 2 && err.contains("-:2:"), "{status} {err}");
    Ok(())
}

fn dry_run(host: Host<'_>) -> Result<()> {
    one(host, 9641)?;
    let head = host.json(&["ledger", "head"])?;
    host.machine.write("/run/b.yaml", &sleeper("b", 9642, NOW))?;
    let (out, _) = status_is(host, &["apply", "--dry-run", "-f", "/run/b.yaml"], 0)?;
    ensure!(out.contains("+ App/b") && out.contains("osmoda-app-b.service"), "{out}");
    std::thread::sleep(Duration::from_secs(1));
    ensure!(host.osmoda(&["get", "App/b"])?.0 == 2, "it was taken in");
    ensure!(host.json(&["ledger", "head"])? == head, "the ledger tells of something");
    Ok(())
}

/// A package in the store that needs a library.
fn package(host: Host<'_>, version: &str) -> Result<String> {
    let expression = format!(
        "builtins.toFile \"thing-{version}\" \"needs ${{builtins.toFile \"library-{version}.1\" \"nothing\"}} and ${{builtins.toFile \"base-1\" \"\"}}\""
    );
    let quoted = host.run(&["/usr/bin/nix-instantiate", "--eval", "--read-write-mode", "-E", &expression])?;
    Ok(quoted.trim().trim_matches('"').to_owned())
}

fn packages(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let (old, new) = (package(host, "1.0")?, package(host, "2.0")?);
    let with = |path: &str| sleeper("a", 9651, &format!("{NOW}  environment: {{THING: {path}}}\n"));
    let changes = || -> Result<Vec<String>> {
        let (out, _) = status_is(host, &["diff"], 1)?;
        let named = |line: &&str| ["thing", "library", "base"].iter().any(|name| line.contains(&format!(" {name} ")));
        Ok(out.lines().filter(named).map(str::to_owned).collect())
    };
    quick::with_config(host, "reconcile: manual\n", || {
        host.document("a.yaml", &with(&old))?;
        let first = changes()?;
        ensure!(first == ["+ base 1", "+ library 1.0.1", "+ thing 1.0"], "{first:#?}");
        host.apply(&[])?;
        host.document("a.yaml", &with(&new))?;
        let upgrade = changes()?;
        ensure!(upgrade == ["~ library 1.0.1 -> 2.0.1", "~ thing 1.0 -> 2.0"], "{upgrade:#?}");
        // What another one goes on using does not go.
        host.document("b.yaml", &with(&old).replace("name: a", "name: b"))?;
        let both = changes()?;
        ensure!(both == ["+ library 2.0.1", "+ thing 2.0"], "{both:#?}");
        Ok(())
    })
}

fn progress(host: Host<'_>) -> Result<()> {
    one(host, 9651)?;
    host.machine.write("/run/b.yaml", &sleeper("b", 9652, "  probation: {ttl: 2s}\n"))?;
    let (out, err) = status_is(host, &["apply", "-f", "/run/b.yaml", "--wait"], 0)?;
    ensure!(out.starts_with("committed as generation "), "{out}");
    ensure!(err.contains("+ App/b") && err.contains("probation: ") && err.contains("gates pass"), "{err}");
    // On a terminal the line is replaced as it changes.
    host.machine.write("/run/b.yaml", &sleeper("b", 9653, "  probation: {ttl: 2s}\n"))?;
    let text = host.sh("script -qec 'osmoda apply -f /run/b.yaml --wait' /dev/null")?;
    ensure!(text.contains("\r\u{1b}[K") && text.contains("s left"), "{text}");
    status_is(host, &["delete", "App/b", "--wait"], 0)?;
    Ok(())
}

fn followed(host: Host<'_>) -> Result<()> {
    one(host, 9661)?;
    let follow = "osmoda -o json events --follow --limit 1 --type 'switch.*' > /run/followed";
    host.run(&["/usr/bin/systemd-run", "-q", "--unit=follow-test", "--collect", "/bin/sh", "-c", follow])?;
    std::thread::sleep(Duration::from_millis(500));
    host.document("a.yaml", &sleeper("a", 9662, NOW))?;
    wait("the switch in the stream", SOON, || Ok(host.sh("cat /run/followed")?.contains("switch.committed")))?;
    // The daemon goes away and comes back; the stream goes on where it was.
    host.sh("systemctl restart osmoda-agentd")?;
    wait("agentd", SOON, || Ok(host.osmoda(&["status"])?.0 == 0))?;
    host.document("a.yaml", &sleeper("a", 9663, NOW))?;
    let committed = |text: &str| text.matches("\"switch.committed\"").count();
    wait("the second switch", SOON, || Ok(committed(&host.sh("cat /run/followed")?) >= 2))?;
    let text = host.sh("systemctl stop follow-test; cat /run/followed")?;
    let mut last = 0;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let id = event["id"].as_i64().context("no id")?;
        ensure!(id > last && event["type"].as_str().is_some_and(|t| t.starts_with("switch.")), "{text}");
        last = id;
    }
    Ok(())
}

fn one_object(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let says = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: says, labels: {team: shop}}\nspec:\n  command: [/bin/sh, -c, \"echo here I am; exec sleep 9671\"]\n  probation: {ttl: 0s}\n";
    host.document("says.yaml", says)?;
    wait("its words", SOON, || {
        let (status, out, _) = host.osmoda(&["logs", "App/says"])?;
        Ok(status == 0 && out.contains("here I am"))
    })?;
    wait("its activity", SOON, || Ok(host.condition("App/says", "Active").is_ok_and(|(status, _)| status == "True")))?;
    quick::hurry(host)?;
    let (out, _) = status_is(host, &["logs", "App/says", "-n", "5", "-o", "json"], 0)?;
    for line in out.lines() {
        serde_json::from_str::<Value>(line).with_context(|| line.to_owned())?;
    }
    let (text, _) = status_is(host, &["describe", "App/says"], 0)?;
    for words in ["App/says", "says.yaml:1", "osmoda-app-says.service", "Accepted", "Active", "here I am", "author"] {
        ensure!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let (text, _) = status_is(host, &["get", "apps", "-l", "team=shop"], 0)?;
    ensure!(text.contains("App/says"), "{text}");
    let (text, _) = status_is(host, &["get", "apps", "-l", "team=other"], 0)?;
    ensure!(!text.contains("App/says"), "{text}");
    let (_, err) = status_is(host, &["logs", "WalletPolicy/x"], 2)?;
    ensure!(err.contains("no-unit"), "{err}");
    Ok(())
}

fn colour(host: Host<'_>) -> Result<()> {
    let escape = '\u{1b}';
    ensure!(!host.run(&["/usr/bin/osmoda", "status"])?.contains(escape), "colour in a pipe");
    ensure!(host.run(&["/usr/bin/osmoda", "--color", "always", "status"])?.contains(escape), "no colour");
    ensure!(host.sh("script -qec 'osmoda status' /dev/null")?.contains(escape), "no colour on a terminal");
    ensure!(!host.sh("NO_COLOR=1 script -qec 'osmoda status' /dev/null")?.contains(escape), "NO_COLOR is not heard");
    ensure!(!host.sh("script -qec 'osmoda --color never status' /dev/null")?.contains(escape), "never is not heard");
    Ok(())
}

fn terminal(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let text = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: evil}\nspec:\n  command: [/bin/sleep, \"9681\"]\n  probation: {ttl: 1s}\n  health:\n  - name: c\n    probe: {type: command, command: [/usr/bin/printf, '\\033[2Jgone\\r']}\n    timeout: 1s\n  - name: d\n    probe: {type: command, command: [/bin/sh, -c, 'printf \"\\033[2Jgone\\r\"; exit 1']}\n    timeout: 1s\n    grace: 0s\n";
    host.machine.write("/run/evil.yaml", text)?;
    let (out, err) = status_is(host, &["apply", "-f", "/run/evil.yaml", "--wait", "--clear-quarantine"], 3)?;
    ensure!(out.contains("gone"), "the words of the program are not told: {out}{err}");
    let mut all = out + &err;
    for words in [&["history"][..], &["status"], &["get"], &["describe", "App/evil"], &["events"]] {
        let (_, out, err) = host.osmoda(words)?;
        all += &(out + &err);
    }
    let bad = all.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    ensure!(bad.is_none(), "{bad:?} reaches the terminal:\n{all:?}");
    host.osmoda(&["delete", "App/evil", "--wait"])?;
    Ok(())
}

fn generated(host: Host<'_>) -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let (text, _) = status_is(host, &["completions", shell], 0)?;
        ensure!(text.contains("rollback") && text.contains("accept-mass-delete"), "{shell} is offered too little");
    }
    host.sh("osmoda completions bash > /run/completion; bash -n /run/completion")?;
    let offered = host.sh(
        "bash -c '. /run/completion; COMP_WORDS=(osmoda roll); COMP_CWORD=1; _osmoda osmoda roll osmoda; echo ${COMPREPLY[@]}'",
    )?;
    ensure!(offered.trim() == "rollback", "{offered}");
    host.sh("rm -rf /run/man; mkdir /run/man; osmoda man /run/man")?;
    let pages = host.sh("ls /run/man")?;
    for page in ["osmoda.1", "osmoda-apply.1", "osmoda-ledger-verify.1"] {
        ensure!(pages.lines().any(|line| line == page), "{page} is not among {pages}");
        ensure!(host.run(&["/bin/cat", &format!("/run/man/{page}")])?.contains(".TH "), "{page} is no man page");
    }
    for words in [&["--help"][..], &["apply", "--help"], &["diff", "--help"], &["validate", "--help"]] {
        let (text, _) = status_is(host, words, 0)?;
        ensure!(text.contains("Example"), "{words:?}: no example in\n{text}");
    }
    Ok(())
}

fn without_daemons(host: Host<'_>) -> Result<()> {
    one(host, 9691)?;
    host.sh("systemctl stop osmoda-agentd osmoda-watch osmoda-routines")?;
    let outcome = (|| {
        let (_, err) = status_is(host, &["status"], 2)?;
        ensure!(err.contains("daemon-unreachable") && err.contains("osmoda doctor"), "{err}");
        let (text, _) = status_is(host, &["doctor"], 1)?;
        ensure!(text.contains("BAD") && text.contains("systemctl status osmoda-agentd"), "{text}");
        for words in [&["validate"][..], &["history"], &["ledger", "verify"], &["ledger", "head"], &["explain", "App"]]
        {
            status_is(host, words, 0)?;
        }
        let (_, text, _) = host.end(&["/usr/bin/agentctl", "-o", "json", "events", "--limit", "5"])?;
        let list: Value = serde_json::from_str(&text).context(text)?;
        ensure!(list["events"].as_array().is_some_and(|events| events.len() == 5), "{list:#}");
        let (status, text, _) = host.end(&["/usr/bin/agentctl", "verify-ledger"])?;
        ensure!(status == 0 && text.starts_with("whole: "), "{status} {text}");
        ensure!(host.active("osmoda-app-a.service")? == "active", "the app went with the daemons");
        Ok(())
    })();
    host.sh("systemctl start osmoda-agentd osmoda-watch osmoda-routines")?;
    wait("agentd", SOON, || Ok(host.osmoda(&["status"])?.0 == 0))?;
    outcome
}
