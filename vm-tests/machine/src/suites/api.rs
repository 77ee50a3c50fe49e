//! What the daemons answer on their sockets, asked by curl.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Case,
    http::{Answer, call},
    quick,
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("api: every daemon tells its health, its figures and its calls", every_daemon),
        case("api: every call that only looks is answered as it is described", reads),
        case("api: what is not there is refused in the one form", not_there),
        case("api: bodies that are too large or no request are refused", bad_bodies),
        case("api: many calls at once, and callers that say nothing", many),
        case("api: watcher.add, list and remove", watchers),
        case("api: routine.add, list, trigger and remove", routines),
        case("api: plan, apply and delete of documents", documents),
        case("api: the event stream replays from a cursor and goes on live", stream),
        case("api: switch.begin, status, list, commit and rollback", switches),
        case("api: system.query answers every question it names", queries),
        case("api: system.discover finds a web server", discover),
    ]
}

const SOON: Duration = Duration::from_secs(20);
const DAEMONS: [&str; 3] = ["agentd", "watch", "routines"];

fn get(host: Host<'_>, daemon: &str, path: &str) -> Result<Answer> {
    call(host, daemon, "GET", path, None)
}

fn every_daemon(host: Host<'_>) -> Result<()> {
    for daemon in DAEMONS {
        let health = get(host, daemon, "/health")?.ok()?;
        ensure!(health["status"] == "ok" && health["service"] == daemon, "{health}");
        ensure!(health["version"].is_string() && health["uptimeSecs"].is_u64(), "{health}");
        let figures = get(host, daemon, "/metrics")?;
        ensure!(figures.status == 200 && figures.media.starts_with("text/plain"), "{figures:?}");
        for line in figures.text.lines().filter(|line| !line.starts_with('#')) {
            let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
            ensure!(matches!(value, Some(Ok(_))), "{daemon}: {line} is no figure");
        }
        let calls = "osmoda_calls_total{operation=\"health\"} ";
        ensure!(
            figures.text.contains(calls) && figures.text.contains("# TYPE osmoda_calls_total counter"),
            "{figures:?}"
        );
        let described = get(host, daemon, "/openapi.json")?.ok()?;
        ensure!(described["openapi"] == "3.1.0" && described["info"]["title"] == daemon, "{described}");
        for (path, methods) in described["paths"].as_object().context("no paths")? {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let whole = operation["operationId"].is_string() && operation["responses"]["200"].is_object();
                ensure!(whole && operation["x-osmoda-effect"].is_string(), "{method} {path}: {operation}");
            }
        }
    }
    Ok(())
}

fn reads(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    for daemon in DAEMONS {
        let described = get(host, daemon, "/openapi.json")?.ok()?;
        for (path, methods) in described["paths"].as_object().into_iter().flatten() {
            let operation = &methods["get"];
            let media = &operation["responses"]["200"]["content"];
            if operation.is_null() || path.contains('{') || media["application/json"].is_null() {
                continue;
            }
            let answer = get(host, daemon, path)?.ok()?;
            // The fields that the description calls required are there.
            let reference = media["application/json"]["schema"]["$ref"].as_str().context("no schema")?;
            let schema = described.pointer(reference.trim_start_matches('#')).context("a schema that is not there")?;
            for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                ensure!(answer.get(field).is_some(), "{daemon} {path}: `{field}` is missing in {answer}");
            }
        }
    }
    Ok(())
}

fn not_there(host: Host<'_>) -> Result<()> {
    for daemon in DAEMONS {
        for path in ["/", "/nothing", "/health/", "/health/more", "/%2e%2e/etc/passwd"] {
            let problem = get(host, daemon, path)?.refused(404, "no-such-path")?;
            ensure!(problem["hint"].as_str().is_some_and(|hint| hint.contains("openapi")), "{problem}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            call(host, daemon, method, "/health", Some("{}"))?.refused(405, "method-not-allowed")?;
        }
    }
    let missing = [
        ("agentd", "/objects/App/nothing", "no-such-object"),
        ("agentd", "/events/999999999", "no-such-event"),
        ("agentd", "/events/x", "no-such-event"),
        ("watch", "/switch/status/nothing", "no-such-switch"),
        ("watch", "/switch/status/..%2f..%2fstate", "no-such-switch"),
    ];
    for (daemon, path, code) in missing {
        get(host, daemon, path)?.refused(404, code)?;
    }
    get(host, "agentd", "/objects/Apps/x")?.refused(422, "invalid-request")?;
    get(host, "agentd", "/objects?kind=Nothing")?.refused(422, "invalid-request")?;
    get(host, "agentd", "/objects?label=nothing")?.refused(422, "invalid-request")?;
    get(host, "agentd", "/events/log?limit=-1")?.refused(422, "invalid-request")?;
    get(host, "agentd", "/events/log?nothing=1")?.refused(422, "invalid-request")?;
    Ok(())
}

fn bad_bodies(host: Host<'_>) -> Result<()> {
    host.sh("{ printf '{\"name\":\"'; head -c 2097152 /dev/zero | tr '\\0' a; printf '\"}'; } > /run/large.json")?;
    let calls = [("agentd", "/plan"), ("watch", "/watcher/add"), ("routines", "/routine/add")];
    for (daemon, path) in calls {
        let send = |body: &str| call(host, daemon, "POST", path, Some(body));
        let large = send("@/run/large.json")?.refused(413, "body-too-large")?;
        ensure!(large["detail"].as_str().is_some_and(|text| text.contains("1048576")), "{large}");
        for body in ["{", "nothing", "{\"a\":1}}", "\u{1}"] {
            send(body)?.refused(400, "invalid-body")?;
        }
        for body in ["[]", "1", "\"text\"", "null"] {
            send(body)?.refused(400, "invalid-body")?;
        }
        let unknown = send("{\"unknownField\":1}")?.refused(422, "invalid-request")?;
        ensure!(unknown["detail"].as_str().is_some_and(|text| text.contains("unknownField")), "{unknown}");
    }
    let field = |daemon: &str, path: &str, body: Value| -> Result<String> {
        let problem = call(host, daemon, "POST", path, Some(&body.to_string()))?.refused(422, "invalid-request")?;
        Ok(problem["field"].as_str().unwrap_or_default().to_owned())
    };
    let file = json!({ "documents": [{ "file": "a", "text": 1 }] });
    ensure!(field("agentd", "/plan", file)? == "documents[0].text");
    ensure!(field("agentd", "/apply", json!({ "ttl": "soon" }))? == "ttl");
    ensure!(field("watch", "/switch/begin", json!({ "plan": 1 }))? == "plan");
    ensure!(field("watch", "/watcher/add", json!({ "name": "No Name", "spec": {} }))? == "name");
    // Fields of the object itself are named as a document would name them.
    let spec = json!({ "check": { "type": "tcp", "port": 0 } });
    let body = json!({ "name": "w", "spec": spec }).to_string();
    let problem = call(host, "watch", "POST", "/watcher/add", Some(&body))?;
    let told = problem.json()?;
    ensure!(problem.status == 422 && told["field"] == "spec.check.port", "{problem:?}");
    host.sh("rm /run/large.json")?;
    Ok(())
}

fn many(host: Host<'_>) -> Result<()> {
    for daemon in DAEMONS {
        let socket = format!("/run/osmoda/{daemon}.sock");
        // Open connections that ask nothing do not keep others out, and are closed.
        let idle = format!(
            "import socket, time\nheld = []\nfor n in range(100):\n  s = socket.socket(socket.AF_UNIX); \
             s.connect('{socket}'); s.send(b'GET /hea'); held.append(s)\ntime.sleep(20)"
        );
        let name = format!("idle-{daemon}");
        host.run(&["/usr/bin/systemd-run", "--quiet", "--collect", "--unit", &name, "/usr/bin/python3", "-c", &idle])?;
        let script = format!(
            "for n in $(seq 60); do curl -s -o /dev/null -w '%{{http_code}}\\n' --max-time 20 \
             --unix-socket {socket} http://localhost/health & done; wait"
        );
        let answers = host.sh(&script)?;
        let good = answers.lines().filter(|line| *line == "200").count();
        host.run(&["/usr/bin/systemctl", "stop", &name])?;
        ensure!(good == 60, "{daemon}: {good} of 60 calls are answered:\n{answers}");
    }
    Ok(())
}

fn watchers(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let spec =
        json!({ "check": { "type": "tcp", "port": 18082 }, "interval": "1s", "ladder": [{ "action": "notify" }] });
    let add = json!({ "name": "port", "spec": spec }).to_string();
    let added = call(host, "watch", "POST", "/watcher/add", Some(&add))?.ok()?;
    ensure!(added["object"] == "Watcher/port", "{added}");
    let file = added["file"].as_str().context("no file")?;
    ensure!(file == "/var/lib/osmoda/desired/api/Watcher/port.json", "{file}");
    let document: Value = serde_json::from_str(&host.run(&["/bin/cat", file])?)?;
    ensure!(document["spec"]["check"]["port"] == 18082 && document["kind"] == "Watcher", "{document}");
    let listed = || -> Result<Option<Value>> {
        let list = get(host, "watch", "/watcher/list")?.ok()?;
        Ok(list["watchers"].as_array().and_then(|all| all.iter().find(|w| w["name"] == "port")).cloned())
    };
    wait("the watcher", SOON, || Ok(listed()?.is_some_and(|view| view["state"] == "failing")))?;
    quick::hurry(host)?;
    let removed = call(host, "watch", "DELETE", "/watcher/remove/port", None)?.ok()?;
    ensure!(removed["object"] == "Watcher/port", "{removed}");
    wait("the end of the watcher", SOON, || Ok(listed()?.is_none()))?;
    quick::hurry(host)?;
    call(host, "watch", "DELETE", "/watcher/remove/port", None)?.refused(404, "no-such-document")?;
    call(host, "watch", "DELETE", "/watcher/remove/No%20Name", None)?.refused(422, "invalid-name")?;
    Ok(())
}

fn routines(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let action = json!({ "type": "command", "command": ["/bin/true"] });
    let spec = json!({ "trigger": { "type": "interval", "every": "1h" }, "action": action });
    let add = json!({ "name": "hourly", "spec": spec }).to_string();
    ensure!(call(host, "routines", "POST", "/routine/add", Some(&add))?.ok()?["object"] == "Routine/hourly");
    let timer = || host.active("osmoda-routine-hourly.timer");
    wait("the timer", SOON, || Ok(timer()? == "active"))?;
    quick::hurry(host)?;
    let list = get(host, "routines", "/routine/list")?.ok()?;
    ensure!(list["routines"][0]["name"] == "hourly" && list["routines"][0]["trigger"] == "interval", "{list}");
    call(host, "routines", "POST", "/routine/trigger/hourly", None)?.ok()?;
    wait("the run", SOON, || {
        Ok(get(host, "routines", "/routine/list")?.ok()?["routines"][0]["lastResult"] == "success")
    })?;
    let changed = add.replace("1h", "2h");
    call(host, "routines", "POST", "/routine/add", Some(&changed))?.ok()?;
    let every = || host.run(&["/usr/bin/systemctl", "show", "-P", "TimersMonotonic", "osmoda-routine-hourly.timer"]);
    wait("the changed timer", SOON, || Ok(every()?.contains("OnUnitActiveUSec=2h")))?;
    quick::hurry(host)?;
    call(host, "routines", "DELETE", "/routine/remove/hourly", None)?.ok()?;
    wait("the end of the timer", SOON, || Ok(timer()? == "inactive"))?;
    quick::hurry(host)?;
    call(host, "routines", "POST", "/routine/trigger/hourly", None)?.refused(404, "no-such-routine")?;
    Ok(())
}

fn sleeper(seconds: u32) -> Value {
    let spec = json!({ "command": ["/bin/sleep", seconds.to_string()] });
    json!({ "apiVersion": "os.moda/v1", "kind": "App", "metadata": { "name": "sleeper" }, "spec": spec })
}

fn documents(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let with = |text: String| json!({ "documents": [{ "file": "mine.yaml", "text": text }] });
    let plan = call(host, "agentd", "POST", "/plan", Some(&with(sleeper(9601).to_string()).to_string()))?.ok()?;
    ensure!(plan["plan"]["objects"][0]["change"] == "create" && plan["plan"]["units"][0]["verb"] == "start", "{plan}");
    ensure!(host.json(&["get"])?["objects"] == json!([]), "a plan takes something in");
    let mut apply = with(sleeper(9601).to_string());
    apply["ttl"] = json!("0s");
    apply["plan"] = json!("0".repeat(64));
    call(host, "agentd", "POST", "/apply", Some(&apply.to_string()))?.refused(409, "plan-changed")?;
    apply["plan"] = plan["plan"]["id"].clone();
    quick::hurry(host)?;
    quick::clear(host)?;
    let applied = call(host, "agentd", "POST", "/apply", Some(&apply.to_string()))?.ok()?;
    ensure!(applied["plan"]["id"] == plan["plan"]["id"] && applied["switch"].is_string(), "{applied}");
    wait("the app", SOON, || Ok(host.active("osmoda-app-sleeper.service")? == "active"))?;
    quick::hurry(host)?;
    let detail = get(host, "agentd", "/objects/App/sleeper")?.ok()?;
    ensure!(detail["units"]["osmoda-app-sleeper.service"] == "active (running)", "{detail}");
    let bad = with(sleeper(1).to_string().replace("command", "comand"));
    let problem = call(host, "agentd", "POST", "/apply", Some(&bad.to_string()))?;
    let told = problem.json()?;
    ensure!(problem.status == 422 && told["source"]["file"] == "mine.yaml", "{problem:?}");
    ensure!(problem.text.contains("did you mean `command`"), "{problem:?}");
    call(host, "agentd", "DELETE", "/objects/App/sleeper", None)?.ok()?;
    wait("the end of the app", SOON, || Ok(host.active("osmoda-app-sleeper.service")? == "inactive"))?;
    quick::hurry(host)?;
    call(host, "agentd", "DELETE", "/objects/App/sleeper", None)?.refused(404, "no-such-document")?;
    Ok(())
}

/// Events as a stream has written them: their ids and types.
fn streamed(host: Host<'_>, file: &str) -> Result<Vec<(i64, String)>> {
    let text = host.run(&["/bin/cat", file])?;
    let mut events = Vec::new();
    for frame in text.split("\n\n").filter(|frame| frame.contains("data: ")) {
        let line = |prefix: &str| frame.lines().find_map(|line| line.strip_prefix(prefix));
        // The last one may still be on its way.
        let Some(Ok(data)) = line("data: ").map(serde_json::from_str::<Value>) else { continue };
        let id: i64 = line("id: ").context("an event without an id")?.parse()?;
        ensure!(data["id"] == id, "{frame}");
        events.push((id, data["type"].as_str().unwrap_or_default().to_owned()));
    }
    Ok(events)
}

fn stream(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let events = get(host, "agentd", "/events/log?limit=30")?.ok()?;
    let known = events["events"].as_array().context("no events")?;
    let cursor = known.first().and_then(|event| event["id"].as_i64()).context("no events")?;
    for (unit, query) in
        [("replay", format!("?cursor={cursor}")), ("live", String::new()), ("some", "?filter=switch.*".into())]
    {
        let url = format!("http://localhost/events/stream{query}");
        let script = format!("exec curl -sN --unix-socket /run/osmoda/agentd.sock '{url}' > /run/stream-{unit}");
        let name = format!("stream-{unit}");
        host.run(&["/usr/bin/systemd-run", "--quiet", "--collect", "--unit", &name, "/bin/sh", "-c", &script])?;
    }
    let result = (|| {
        wait("the replay", SOON, || Ok(streamed(host, "/run/stream-replay")?.len() >= known.len() - 1))?;
        let replayed = streamed(host, "/run/stream-replay")?;
        let ids: Vec<i64> = known.iter().skip(1).filter_map(|event| event["id"].as_i64()).collect();
        ensure!(
            replayed.iter().map(|(id, _)| *id).take(ids.len()).eq(ids.iter().copied()),
            "{replayed:?} is not {ids:?}"
        );
        let newest = *ids.last().context("no events")?;
        quick::apply(host, &[sleeper(9602)])?;
        for file in ["/run/stream-replay", "/run/stream-live", "/run/stream-some"] {
            let seen = || Ok(streamed(host, file)?.iter().any(|(id, kind)| *id > newest && kind == "switch.committed"));
            wait(file, SOON, seen)?;
        }
        let ids: Vec<i64> = streamed(host, "/run/stream-replay")?.iter().map(|(id, _)| *id).collect();
        ensure!(ids.windows(2).all(|two| two[1] == two[0] + 1), "an event is missing or out of order: {ids:?}");
        let live = streamed(host, "/run/stream-live")?;
        ensure!(live.iter().all(|(id, _)| *id > newest), "without a cursor it replays: {live:?}");
        let some = streamed(host, "/run/stream-some")?;
        ensure!(some.iter().all(|(_, kind)| kind.starts_with("switch.")), "{some:?}");
        Ok(())
    })();
    host.end(&["/usr/bin/systemctl", "stop", "stream-replay", "stream-live", "stream-some"])?;
    result?;
    get(host, "agentd", "/events/stream?cursor=first")?.refused(422, "invalid-request")?;
    quick::clear(host)
}

fn switches(host: Host<'_>) -> Result<()> {
    quick::with_config(host, "reconcile: manual\n", || {
        let begin = |seconds: u32, ttl: u64| -> Result<String> {
            host.machine.write("/var/lib/osmoda/desired/s.json", &sleeper(seconds).to_string())?;
            let plan = call(host, "agentd", "POST", "/plan", Some("{}"))?.ok()?;
            let body = json!({ "plan": plan["plan"]["id"], "ttl_secs": ttl }).to_string();
            let begun = call(host, "watch", "POST", "/switch/begin", Some(&body))?.ok()?;
            Ok(begun["switch"].as_str().context("no id")?.to_owned())
        };
        let status = |id: &str| get(host, "watch", &format!("/switch/status/{id}"))?.ok();
        let decide = |word: &str, id: &str| call(host, "watch", "POST", &format!("/switch/{word}/{id}"), None);
        let runs = |seconds: u32| -> Result<bool> {
            Ok(host.end(&["/usr/bin/pgrep", "-f", &format!("^/bin/sleep {seconds}$")])?.0 == 0)
        };
        let stale = json!({ "plan": "0".repeat(64) }).to_string();
        host.machine.write("/var/lib/osmoda/desired/s.json", &sleeper(9603).to_string())?;
        call(host, "watch", "POST", "/switch/begin", Some(&stale))?.refused(409, "plan-changed")?;
        let first = begin(9603, 600)?;
        wait("the probation", SOON, || Ok(status(&first)?["state"] == "probation"))?;
        call(host, "watch", "POST", "/switch/begin", Some(&stale))?;
        ensure!(runs(9603)?, "it is on probation without running");
        let listed = get(host, "watch", "/switch/list?limit=1")?.ok()?;
        ensure!(listed["switches"].as_array().is_some_and(|all| all.len() == 1 && all[0]["id"] == *first), "{listed}");
        let committed = decide("commit", &first)?.ok()?;
        ensure!(committed["state"] == "committed" && committed["number"].is_u64(), "{committed}");
        decide("commit", &first)?.refused(409, "switch-is-over")?;
        decide("rollback", &first)?.refused(409, "switch-is-over")?;
        let second = begin(9604, 600)?;
        wait("the probation", SOON, || Ok(status(&second)?["state"] == "probation"))?;
        let undone = decide("rollback", &second)?.ok()?;
        ensure!(undone["state"] == "rolledBack", "{undone}");
        ensure!(runs(9603)? && !runs(9604)?, "the rollback did not bring back what ran");
        decide("commit", "nothing")?.refused(404, "no-such-switch")?;
        let third = begin(9605, 0)?;
        wait("the commit", SOON, || Ok(status(&third)?["state"] == "committed"))?;
        // A plan that changes nothing begins nothing.
        let plan = call(host, "agentd", "POST", "/plan", Some("{}"))?.ok()?;
        let body = json!({ "plan": plan["plan"]["id"] }).to_string();
        call(host, "watch", "POST", "/switch/begin", Some(&body))?.refused(409, "nothing-to-do")?;
        Ok(())
    })
}

fn queries(host: Host<'_>) -> Result<()> {
    let ask = |query: &str| call(host, "agentd", "POST", "/system/query", Some(&json!({ "query": query }).to_string()));
    let unknown = ask("nothing")?.refused(422, "unknown-query")?;
    ensure!(unknown["field"] == "query", "{unknown}");
    let hint = unknown["hint"].as_str().unwrap_or_default().trim_start_matches("the questions are ").to_owned();
    let described = get(host, "agentd", "/openapi.json")?.ok()?.to_string();
    for query in hint.split(", ") {
        let answer = ask(query)?.ok()?;
        ensure!(answer["query"] == query && answer["result"].is_object(), "{query}: {answer}");
        ensure!(described.contains(&format!("`{query}`")), "the description does not name `{query}`");
    }
    let result = |query: &str| -> Result<Value> { Ok(ask(query)?.ok()?["result"].clone()) };
    ensure!(result("hostname")?["hostname"] == host.run(&["/bin/hostname"])?.trim(), "{}", result("hostname")?);
    ensure!(result("memory")?["total"].as_u64().is_some_and(|bytes| bytes > 1 << 28), "{}", result("memory")?);
    ensure!(result("os")?["name"].as_str().is_some_and(|name| name.contains("Debian")), "{}", result("os")?);
    let limited = json!({ "query": "processes", "args": { "limit": 3 } }).to_string();
    let processes = call(host, "agentd", "POST", "/system/query", Some(&limited))?.ok()?;
    ensure!(processes["result"]["processes"].as_array().is_some_and(|all| all.len() == 3), "{processes}");
    Ok(())
}

fn discover(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.document("web.yaml", crate::story::WEB)?;
    wait("the page", SOON, || Ok(host.page(8080).is_some()))?;
    let found = get(host, "agentd", "/system/discover")?.ok()?;
    let nginx =
        found["services"].as_array().and_then(|all| all.iter().find(|service| service["port"] == 8080)).cloned();
    let nginx = nginx.with_context(|| format!("{found}"))?;
    let expected = [("service", "nginx"), ("protocol", "tcp"), ("address", "127.0.0.1"), ("process", "nginx")];
    for (field, value) in expected {
        ensure!(nginx[field] == value, "{field} of {nginx}");
    }
    ensure!(nginx["unit"] == "osmoda-app-web.service", "{nginx}");
    ensure!(nginx["pid"].is_u64(), "{nginx}");
    quick::clear(host)
}
