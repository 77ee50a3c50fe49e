//! Who may wish what: owners of files, and callers of the sockets.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Case,
    http::{call, call_as},
    quick,
    switch::runs,
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("authors: the wish of a stranger is refused and told", stranger),
        case("authors: each rule refuses by its name", rules),
        case("authors: an allowed wish goes through, with its author in plan and ledger", allowed),
        case("authors: who loses a right keeps what runs, but changes it no more", right_is_lost),
        case("authors: another author's document keeps nobody back", others_documents),
        case("authors: a change that fails keeps nobody else's back", bad_change),
        case("authors: what needs what waits, waits, too; and a plan is the one that is carried out", needs_what_waits),
        case("authors: a configuration that cannot be used is told with its place", bad_configuration),
        case("authors: sockets of mode 0600 let nobody else in", closed_sockets),
        case("authors: a member of the group who is no author gets a refusal", group_member),
        case("authors: an author may call, but not override guards", author_calls),
        case("authors: who opens all the connections it can keeps nobody out", hoarder),
    ]
}

const SOON: Duration = Duration::from_secs(20);
/// An author: a uid without a name.
const AGENT: u32 = 4711;
/// Words that make curl that author, as a member of the group that sockets are open to.
const AS_AGENT: [&str; 5] = ["/usr/bin/setpriv", "--reuid=4711", "--regid=65534", "--groups=osmoda", "--"];
/// Words that make curl an outsider.
const AS_NOBODY: [&str; 5] = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/// What the operator lets the author do.
const CONFIG: &str = "\
authors:
- user: 4711
  kinds: [App, Watcher, Routine]
  names: [agent-*]
  secrets: [/etc/agent-secrets/*]
- user: nobody
  kinds: [Watcher]
";

/// Runs work with a configuration and, if asked, the group; and leaves neither behind.
fn with(host: Host<'_>, config: &str, group: bool, work: impl FnOnce() -> Result<()>) -> Result<()> {
    if group {
        host.sh("groupadd --system osmoda")?;
    }
    let result = quick::with_config(host, config, work);
    if group {
        host.sh("groupdel osmoda")?;
        quick::restart(host)?;
    }
    result
}

/// Writes a document that belongs to somebody, in one step.
fn wish(host: Host<'_>, uid: u32, name: &str, document: &Value) -> Result<()> {
    let new = format!("/var/lib/osmoda/desired/.{name}.new");
    host.machine.write(&new, &document.to_string())?;
    host.sh(&format!("chown {uid} {new}; mv {new} /var/lib/osmoda/desired/{name}.json"))?;
    Ok(())
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "os.moda/v1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn sleeper(name: &str, seconds: u32) -> Value {
    let command = ["/bin/sleep", &seconds.to_string()];
    object("App", name, &json!({ "command": command, "probation": { "ttl": "0s" } }))
}

/// Waits until an object is judged, and gives the reason.
fn judged(host: Host<'_>, object: &str) -> Result<String> {
    wait(object, SOON, || {
        Ok(host.osmoda(&["get", object])?.0 == 0 && !host.condition(object, "Accepted")?.0.is_empty())
    })?;
    Ok(host.condition(object, "Accepted")?.1)
}

fn stranger(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    wish(host, 1000, "theirs", &sleeper("theirs", 9501))?;
    ensure!(judged(host, "App/theirs")? == "AuthorUnknown");
    let status = host.run(&["/bin/cat", "/var/lib/osmoda/status/App/theirs.yaml"])?;
    for words in ["author-unknown", "uid:1000", "agentd.yaml", "theirs.json", "AuthorUnknown"] {
        ensure!(status.contains(words), "{words} is not in the status file:\n{status}");
    }
    let listed = host.json(&["get", "App/theirs"])?;
    ensure!(listed["status"]["author"]["uid"] == 1000, "its author is {}", listed["status"]["author"]);
    ensure!(host.json(&["status"])?["refused"] == 1, "it is not counted");
    let events = host.events("document.refused")?;
    let told = events.last().context("nothing is in the ledger")?;
    ensure!(told["payload"]["code"] == "author-unknown" && told["payload"]["author"] == "uid:1000", "{told}");
    ensure!(host.active("osmoda-app-theirs.service")? == "inactive", "it runs");
    // The same file as root's is fine.
    host.sh("chown 0 /var/lib/osmoda/desired/theirs.json")?;
    wait("the app", SOON, || Ok(host.active("osmoda-app-theirs.service")? == "active"))?;
    quick::clear(host)
}

fn rules(host: Host<'_>) -> Result<()> {
    let app = |more: Value| {
        let mut spec = json!({ "command": ["/bin/sleep", "9502"] });
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        spec
    };
    let unit = json!({ "type": "unit", "unit": "nginx.service" });
    let probe = json!({ "probe": { "type": "command", "command": ["/bin/true"], "user": "root" } });
    let trigger = json!({ "type": "interval", "every": "1h" });
    let command = json!({ "type": "command", "command": ["/bin/true"] });
    let wishes = [
        ("WalletPolicy", "agent-a", json!({ "wallets": ["*"] }), "AuthorKind"),
        ("App", "somebody", app(json!({})), "AuthorName"),
        ("App", "agent-b", app(json!({ "tier": 0 })), "AuthorTier"),
        ("Routine", "agent-c", json!({ "trigger": trigger, "action": command, "tier": 0 }), "AuthorTier"),
        ("App", "agent-d", app(json!({ "user": { "name": "root" } })), "AuthorUser"),
        ("App", "agent-e", app(json!({ "user": { "supplementaryGroups": ["disk"] } })), "AuthorUser"),
        ("App", "agent-f", app(json!({ "health": [probe] })), "AuthorUser"),
        ("App", "agent-g", app(json!({ "access": { "capabilities": ["CAP_NET_BIND_SERVICE"] } })), "AuthorCapability"),
        ("App", "agent-h", app(json!({ "secrets": { "s": { "file": "/etc/shadow" } } })), "AuthorSecret"),
        ("Watcher", "agent-i", json!({ "check": unit, "ladder": [{ "action": "rollback" }] }), "AuthorRemedy"),
        ("Watcher", "agent-k", json!({ "check": unit }), "UnitNotYours"),
        ("Watcher", "agent-j", json!({ "check": unit, "ladder": [{ "action": "notify" }] }), "Admitted"),
    ];
    with(host, CONFIG, false, || {
        for (kind, name, spec, _) in &wishes {
            wish(host, AGENT, &format!("{kind}-{name}"), &object(kind, name, spec))?;
        }
        for (kind, name, _, reason) in &wishes {
            let found = judged(host, &format!("{kind}/{name}"))?;
            ensure!(found == *reason, "{kind}/{name}: {found}, not {reason}");
            if *reason != "Admitted" {
                let status = host.run(&["/bin/cat", &format!("/var/lib/osmoda/status/{kind}/{name}.yaml")])?;
                ensure!(status.contains(&format!("{kind}-{name}.json")), "no place in\n{status}");
                ensure!(host.active(&format!("osmoda-app-{name}.service"))? == "inactive", "{name} runs");
            }
        }
        quick::hurry(host)?;
        Ok(())
    })
}

fn allowed(host: Host<'_>) -> Result<()> {
    // By hand, so that the plan can be looked at before it is carried out.
    with(host, &format!("reconcile: manual\n{CONFIG}"), false, || {
        host.sh("mkdir -p /etc/agent-secrets; echo x > /etc/agent-secrets/a; chmod -R go= /etc/agent-secrets")?;
        let mut document = sleeper("agent-web", 9503);
        document["spec"]["secrets"] = json!({ "a": { "file": "/etc/agent-secrets/a" } });
        for (seconds, change) in [("9503", "create"), ("9504", "update")] {
            document["spec"]["command"][1] = json!(seconds);
            wish(host, AGENT, "web", &document)?;
            let (status, out, err) = host.osmoda(&["-o", "json", "diff"])?;
            ensure!(status == 1, "diff ended with {status}: {out}{err}");
            let plan = serde_json::from_str::<Value>(&out)?["plan"].clone();
            let found = &plan["objects"][0];
            ensure!(found["author"]["uid"] == AGENT && found["change"] == change, "{found}");
            let (status, out, err) = host.osmoda(&["diff"])?;
            ensure!(status == 1 && out.contains("App/agent-web  by uid:4711"), "{status} {out}{err}");
            let id = plan["id"].as_str().context("a plan has an id")?;
            ensure!(host.apply(&["--plan", id, "--ttl", "0s"])? == "committed");
        }
        ensure!(host.end(&["/usr/bin/pgrep", "-f", "^/bin/sleep 9504$"])?.0 == 0, "it does not run");
        ensure!(host.json(&["get", "App/agent-web"])?["status"]["author"]["uid"] == AGENT);
        let admitted = host.events("document.admitted")?;
        let told = admitted.iter().rfind(|event| event["payload"]["object"] == "App/agent-web");
        ensure!(told.is_some_and(|event| event["actor"] == "uid:4711"), "the ledger says {told:?}");
        host.sh("rm -r /etc/agent-secrets")?;
        Ok(())
    })
}

fn right_is_lost(host: Host<'_>) -> Result<()> {
    with(host, CONFIG, false, || {
        wish(host, AGENT, "web", &sleeper("agent-web", 9505))?;
        wait("the app", SOON, || Ok(host.active("osmoda-app-agent-web.service")? == "active"))?;
        quick::hurry(host)?;
        let pid = host.main_pid("osmoda-app-agent-web.service")?;
        host.machine.write("/etc/osmoda/agentd.yaml", "authors: []\n")?;
        quick::restart(host)?;
        wait("the refusal", SOON, || Ok(judged(host, "App/agent-web")? == "AuthorUnknown"))?;
        wish(host, AGENT, "web", &sleeper("agent-web", 9506))?;
        std::thread::sleep(Duration::from_secs(1));
        ensure!(host.main_pid("osmoda-app-agent-web.service")? == pid, "a wish of nobody's changes what runs");
        ensure!(host.condition("App/agent-web", "Accepted")?.1 == "AuthorUnknown");
        Ok(())
    })
}

fn others_documents(host: Host<'_>) -> Result<()> {
    with(host, &CONFIG.replace("agent-*", "'*'"), false, || {
        wish(host, 0, "web", &sleeper("web", 9507))?;
        wait("the app", SOON, || Ok(host.active("osmoda-app-web.service")? == "active"))?;
        quick::hurry(host)?;
        // One who may, one who may not: neither takes the name, nor stands in the owner's way.
        wish(host, AGENT, "second", &sleeper("web", 9508))?;
        wish(host, 1000, "third", &sleeper("web", 9509))?;
        wait("the refusals", SOON, || {
            let text = host.run(&["/usr/bin/osmoda", "-o", "json", "status"])?;
            Ok(text.contains("second.json") && text.contains("third.json"))
        })?;
        wish(host, 0, "web", &sleeper("web", 9510))?;
        wait("the owner's change", SOON, || Ok(host.end(&["/usr/bin/pgrep", "-f", "^/bin/sleep 9510$"])?.0 == 0))?;
        quick::hurry(host)?;
        ensure!(host.condition("App/web", "Accepted")?.0 == "True", "{:?}", host.condition("App/web", "Accepted")?);
        // Nor do they keep it alive.
        host.sh("rm /var/lib/osmoda/desired/web.json /var/lib/osmoda/desired/second.json")?;
        wait("the end of the app", SOON, || Ok(host.active("osmoda-app-web.service")? == "inactive"))?;
        quick::hurry(host)
    })
}

/// Seconds that no app has slept for: what has failed once on this machine is not tried again.
fn new_seconds(host: Host<'_>) -> Result<u32> {
    Ok(host.sh("date +%s")?.trim().parse::<u32>()? % 1_000_000_000)
}

/// An app whose gate fails.
fn bad(seconds: u32) -> Value {
    let gate = json!({ "probe": { "type": "tcp", "port": 9 }, "grace": "300ms", "interval": "100ms" });
    let spec =
        json!({ "command": ["/bin/sleep", seconds.to_string()], "health": [gate], "probation": { "ttl": "1s" } });
    object("App", "bad", &spec)
}

fn needs_what_waits(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let first = new_seconds(host)?;
    with(host, CONFIG, false, || {
        wish(host, 0, "bad", &bad(first))?;
        let rolled_back =
            |object: &str| Ok(host.condition(object, "Active").is_ok_and(|active| active.1 == "RolledBack"));
        wait("its end", SOON, || rolled_back("App/bad"))?;
        // Root's changes wait together, and with them what cannot be without them.
        wish(host, 0, "base", &sleeper("base", first + 1))?;
        wait("the trial", SOON, || rolled_back("App/base"))?;
        host.settle()?;
        let mut needs = sleeper("agent-needs", first + 2);
        needs["spec"]["after"] = json!(["App/base"]);
        wish(host, AGENT, "needs", &needs)?;
        let code = |name: &str| {
            let problems = host.json(&["status"])?["problems"].clone();
            let all = problems.as_array().cloned().unwrap_or_default();
            let of = |problem: &&Value| problem["detail"].as_str().is_some_and(|detail| detail.starts_with(name));
            Ok::<_, anyhow::Error>(all.iter().find(of).and_then(|problem| problem["code"].as_str().map(str::to_owned)))
        };
        wait("its place", SOON, || Ok(code("App/agent-needs")?.as_deref() == Some("waits-for-others")))?;
        ensure!(code("App/base")?.as_deref() == Some("author-failed"), "{:?}", code("App/base")?);
        ensure!(!runs(host, first + 1)? && !runs(host, first + 2)?, "what waits runs");
        // What is shown is what an apply would do: nothing.
        let (status, out, err) = host.osmoda(&["diff"])?;
        ensure!(status == 0, "{status} {out}{err}");
        wish(host, 0, "bad", &sleeper("bad", first + 3))?;
        wait("all of them", SOON, || Ok(runs(host, first + 1)? && runs(host, first + 2)? && runs(host, first + 3)?))?;
        host.settle()?;
        quick::clear(host)
    })
}

fn bad_change(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let first = new_seconds(host)?;
    let undone = || Ok::<_, anyhow::Error>(host.events("switch.rolled-back")?.len());
    with(host, CONFIG, false, || {
        // Together, and one of them after the other.
        wish(host, 0, "bad", &bad(first))?;
        wish(host, AGENT, "good", &sleeper("agent-good", first + 1))?;
        wait("the good change", SOON, || runs(host, first + 1))?;
        host.settle()?;
        ensure!(!runs(host, first)?, "what fails runs");
        ensure!(host.condition("App/bad", "Active")?.1 == "RolledBack", "{:?}", host.condition("App/bad", "Active")?);
        wait("its place", SOON, || Ok(host.condition("App/agent-good", "Active")?.0 == "True"))?;
        // What fails is not tried again because somebody else wishes something.
        let before = undone()?;
        wish(host, AGENT, "good", &sleeper("agent-good", first + 2))?;
        wait("the next change", SOON, || runs(host, first + 2))?;
        host.settle()?;
        ensure!(undone()? == before, "{} switches were undone, and then {}", before, undone()?);
        let status = host.json(&["status"])?;
        ensure!(status["state"] == "quarantined", "{status}");
        // Nor does it have to be: its author changes it.
        wish(host, 0, "bad", &sleeper("bad", first + 3))?;
        wait("what was bad", SOON, || runs(host, first + 3))?;
        host.settle()?;
        ensure!(host.json(&["status"])?["state"] == "idle" && runs(host, first + 2)?);
        quick::clear(host)
    })
}

fn bad_configuration(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    for (config, words) in [
        ("authors:\n- user: nobody-here\n  kinds: [App]\n", vec!["unknown-user", "authors[0].user"]),
        ("authors:\n- user: 4711\n  kinds: [Apps]\n", vec!["agentd.yaml:3:", "Apps"]),
        ("reconcil: auto\n", vec!["agentd.yaml:1:1", "reconcile"]),
    ] {
        host.machine.write("/etc/osmoda/agentd.yaml", config)?;
        let since = host.sh("date +%s.%N")?;
        let (status, _, _) = host.end(&["/usr/bin/timeout", "3", "/usr/bin/systemctl", "restart", "osmoda-agentd"])?;
        ensure!(status != 0, "agentd starts with {config}");
        let since = format!("@{}", since.trim());
        let mut log = String::new();
        let told = wait("its words", SOON, || {
            log = host.run(&["/usr/bin/journalctl", "-q", "-u", "osmoda-agentd", "--since", &since, "-o", "cat"])?;
            Ok(words.iter().all(|word| log.contains(word)))
        });
        ensure!(told.is_ok(), "{words:?} is not told of {config}:\n{log}");
    }
    host.sh("rm -f /etc/osmoda/agentd.yaml")?;
    quick::restart(host)
}

const DAEMONS: [&str; 3] = ["agentd", "watch", "routines"];

fn closed_sockets(host: Host<'_>) -> Result<()> {
    // Also an author has to be let in by the group.
    with(host, CONFIG, false, || {
        for daemon in DAEMONS {
            let socket = format!("/run/osmoda/{daemon}.sock");
            let mode = host.run(&["/usr/bin/stat", "-c", "%a %U %G", &socket])?;
            ensure!(mode.trim() == "600 root root", "{socket}: {mode}");
            let answer = call_as(host, &AS_NOBODY, daemon, "GET", "/health", None)?;
            ensure!(answer.status == 0, "{daemon} answers a stranger: {answer:?}");
            call(host, daemon, "GET", "/health", None)?.ok()?;
        }
        Ok(())
    })
}

fn group_member(host: Host<'_>) -> Result<()> {
    with(host, "", true, || {
        for daemon in DAEMONS {
            let socket = format!("/run/osmoda/{daemon}.sock");
            let mode = host.run(&["/usr/bin/stat", "-c", "%a %U %G", &socket])?;
            ensure!(mode.trim() == "660 root osmoda", "{socket}: {mode}");
            for path in ["/health", "/metrics", "/openapi.json"] {
                let problem = call_as(host, &AS_AGENT, daemon, "GET", path, None)?.refused(403, "peer-not-allowed")?;
                ensure!(problem["hint"].as_str().is_some_and(|hint| hint.contains("authors")), "{problem}");
                ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("4711")), "{problem}");
            }
            let outsider = call_as(host, &AS_NOBODY, daemon, "GET", "/health", None)?;
            ensure!(outsider.status == 0, "{daemon} answers an outsider: {outsider:?}");
        }
        let apply = call_as(host, &AS_AGENT, "agentd", "POST", "/apply", Some("{}"))?;
        apply.refused(403, "peer-not-allowed")?;
        Ok(())
    })
}

fn author_calls(host: Host<'_>) -> Result<()> {
    with(host, CONFIG, true, || {
        let ask = |daemon: &str, method: &str, path: &str, body: Option<&str>| {
            call_as(host, &AS_AGENT, daemon, method, path, body)
        };
        for daemon in DAEMONS {
            ask(daemon, "GET", "/health", None)?.ok()?;
        }
        let apply = |document: &Value| {
            let body = json!({ "documents": [{ "file": "mine", "text": document.to_string() }] });
            ask("agentd", "POST", "/apply", Some(&body.to_string()))
        };
        apply(&sleeper("agent-web", 9511))?.ok()?;
        wait("the app", SOON, || Ok(host.active("osmoda-app-agent-web.service")? == "active"))?;
        quick::hurry(host)?;
        let file = "/var/lib/osmoda/desired/api/App/agent-web.json";
        ensure!(host.run(&["/usr/bin/stat", "-c", "%u", file])?.trim() == "4711", "its file belongs to somebody else");
        ensure!(host.last_switch()?["actor"] == "uid:4711", "{}", host.last_switch()?);
        apply(&sleeper("web", 9512))?.refused(422, "author-name")?;
        // What root has applied is root's.
        quick::apply(host, &[sleeper("agent-root", 9513)])?;
        apply(&sleeper("agent-root", 9514))?;
        ask("agentd", "DELETE", "/objects/App/agent-root", None)?.refused(403, "not-your-object")?;
        ensure!(host.json(&["get", "App/agent-root"])?["status"]["author"]["uid"] == 0);
        // Guards, and what cannot be undone.
        for field in ["accept_mass_delete", "clear_quarantine", "acceptMassDelete", "clearQuarantine"] {
            let answer = ask("agentd", "POST", "/apply", Some(&json!({ field: true }).to_string()))?;
            ensure!(matches!(answer.status, 403 | 422), "{field}: {answer:?}");
        }
        ask("agentd", "POST", "/apply", Some(r#"{"acceptMassDelete":true}"#))?.refused(403, "guard-override")?;
        ask("agentd", "POST", "/apply", Some(r#"{"ttl":"1h"}"#))?.refused(403, "guard-override")?;
        ask("agentd", "POST", "/rollback", Some("{}"))?.refused(403, "peer-not-allowed")?;
        ask("agentd", "POST", "/gc", Some(r#"{"keep":1}"#))?.refused(403, "peer-not-allowed")?;
        ask("watch", "POST", "/switch/commit/x", None)?.refused(403, "peer-not-allowed")?;
        ask("watch", "POST", "/switch/begin", Some(r#"{"plan":"x"}"#))?.refused(403, "use-agentd")?;
        // A switch, and a routine, of somebody else.
        let mut slow = sleeper("slow", 9515);
        slow["spec"]["probation"]["ttl"] = json!("60s");
        wish(host, 0, "slow", &slow)?;
        wait("probation", SOON, || Ok(host.last_switch()?["state"] == "probation"))?;
        let id = host.last_switch()?["id"].as_str().context("a switch has an id")?.to_owned();
        ask("watch", "POST", &format!("/switch/rollback/{id}"), None)?.refused(403, "not-your-switch")?;
        call(host, "watch", "POST", &format!("/switch/commit/{id}"), None)?.ok()?;
        quick::hurry(host)?;
        let action = json!({ "type": "command", "command": ["/bin/true"] });
        let hook = json!({ "trigger": { "type": "webhook" }, "action": action });
        wish(host, 0, "theirs", &object("Routine", "theirs", &hook))?;
        wish(host, AGENT, "mine", &object("Routine", "agent-mine", &hook))?;
        for name in ["theirs", "agent-mine"] {
            let object = format!("Routine/{name}");
            ensure!(judged(host, &object)? == "Admitted");
            wait(&object, SOON, || {
                quick::hurry(host)?;
                Ok(host.condition(&object, "Active")?.0 == "True")
            })?;
        }
        for call in ["trigger", "hook"] {
            ask("routines", "POST", &format!("/routine/{call}/theirs"), None)?.refused(403, "not-your-object")?;
        }
        ask("routines", "POST", "/routine/trigger/agent-mine", None)?.ok()?;
        let unit = json!({ "type": "unit", "unit": "osmoda-app-agent-web.service" });
        let watcher = json!({ "name": "agent-w", "spec": { "check": unit } });
        ask("watch", "POST", "/watcher/add", Some(&watcher.to_string()))?.ok()?;
        ensure!(judged(host, "Watcher/agent-w")? == "Admitted");
        quick::hurry(host)?;
        ask("agentd", "DELETE", "/objects/App/agent-web", None)?.ok()?;
        wait("the end of the app", SOON, || Ok(host.active("osmoda-app-agent-web.service")? == "inactive"))?;
        quick::hurry(host)
    })
}

/// Half of a head, or, of a call that agentd has, a head whose body never comes: both hold a connection for a while.
const HOARD: &str = r"
import contextlib, socket, sys, time
asks = [b'GET /hea']
if 'agentd' in sys.argv[1]:
    asks.append(b'POST /apply HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n')
held = []
for n in range(400):
    s = socket.socket(socket.AF_UNIX)
    held.append(s)
    with contextlib.suppress(OSError):
        s.connect(sys.argv[1])
        s.send(asks[n % len(asks)])
time.sleep(30)
";

fn hoarder(host: Host<'_>) -> Result<()> {
    with(host, CONFIG, true, || {
        for daemon in DAEMONS {
            host.machine.write("/run/hoard.py", HOARD)?;
            let socket = format!("/run/osmoda/{daemon}.sock");
            let unit = format!("hoard-{daemon}");
            let run = ["/usr/bin/systemd-run", "--quiet", "--collect", "--unit", &unit];
            host.run(&[&run[..], &AS_AGENT[..], &["/usr/bin/python3", "/run/hoard.py", &socket]].concat())?;
            let full = wait(&format!("the end of {daemon}'s room for one user"), Duration::from_secs(20), || {
                Ok(call_as(host, &AS_AGENT, daemon, "GET", "/health", None)?.status != 200)
            });
            let root = call(host, daemon, "GET", "/health", None);
            host.run(&["/usr/bin/systemctl", "stop", &unit])?;
            full?;
            root?.ok()?;
        }
        Ok(())
    })
}
