//! Rules of one object, whatever else there is.

use serde_json::Value;

use super::{
    Backend, Violation,
    program::{at_least, environment, health_check, package, placeholders, probe, run_as, sandbox, secrets},
    text::Checker,
};
use crate::{
    cron,
    kinds::{
        App, McpServer, Probe, Routine, Tier, Watcher,
        app::{Startup, Update},
        mcp_server::Transport,
        routine::{Action, Trigger},
        watcher::{Check, Remedy},
    },
    nixos::OptionPath,
    object::{Metadata, Object, Spec},
    quantity::Duration,
};

/// Most violations of one object that are told at once: each costs a search for its place.
const MAX_VIOLATIONS: usize = 100;

/// Every rule that the object breaks, up to a hundred times.
#[must_use]
pub fn check_object(object: &Object, backend: Backend) -> Vec<Violation> {
    let mut c = Checker::default();
    match &object.spec {
        Spec::App(app) => check_app(&mut c, app, &object.metadata, backend),
        Spec::Watcher(watcher) => check_watcher(&mut c, watcher),
        Spec::Routine(routine) => check_routine(&mut c, routine, &object.metadata),
        Spec::McpServer(server) => check_mcp_server(&mut c, server, &object.metadata, backend),
        // Their reconciler reads them, and says all that is wrong with them.
        Spec::Wallet(_) | Spec::WalletPolicy(_) => {}
        Spec::NixosConfig(config) => {
            if backend == Backend::Profile {
                c.add(
                    "needs-nixos-backend",
                    "kind",
                    "NixosConfig changes the whole system, which the backend `profile` cannot",
                    "use it on NixOS with `backend: nixos`",
                );
            }
            for (option, value) in &config.options {
                if let Some(name) = special(value) {
                    c.add(
                        "option-value",
                        format!("spec.options[\"{option}\"]"),
                        format!("`{name}` means something to Nix itself, and values are plain data"),
                        "leave it out",
                    );
                }
                let path = OptionPath::parse(option);
                if path.as_ref().is_none_or(|path| path.0.iter().any(|name| name == "_module")) {
                    c.add(
                        "option-path",
                        format!("spec.options[\"{option}\"]"),
                        format!("`{option}` is not an option path"),
                        "such as `services.postgresql.enable`, with names that have dots in quotes",
                    );
                }
            }
        }
    }
    c.violations.truncate(MAX_VIOLATIONS);
    c.violations
}

/// A name in a value by which Nix would take it for something else than data: a property of the module system, a
/// derivation, a set that can be called or printed.
fn special(value: &Value) -> Option<&str> {
    const NAMES: [&str; 8] =
        ["_type", "_module", "outPath", "drvPath", "__toString", "__functor", "__functionArgs", "__splicedPackages"];
    match value {
        Value::Object(map) => map.iter().find_map(|(name, inner)| {
            let is_derivation = name == "type" && inner == "derivation";
            if is_derivation || NAMES.contains(&name.as_str()) { Some(name.as_str()) } else { special(inner) }
        }),
        Value::Array(items) => items.iter().find_map(special),
        _ => None,
    }
}

fn check_app(c: &mut Checker, app: &App, metadata: &Metadata, backend: Backend) {
    if let Some(text) = &app.description {
        c.line("spec.description", text);
    }
    package(c, app.package.as_deref(), backend);
    c.command("spec.command", &app.command, app.package.is_some());
    if !app.reload.is_empty() {
        c.command("spec.reload", &app.reload, app.package.is_some());
    }
    if app.update == Update::Reload && app.reload.is_empty() {
        c.add(
            "reload-command",
            "spec.update",
            "`update: reload` needs a command that reloads",
            "set `spec.reload`, such as `[/bin/kill, -HUP, $MAINPID]`, or use `update: restart`",
        );
    }
    environment(c, &app.environment, metadata);
    secrets(c, &app.secrets);
    for name in app.files.keys() {
        c.relative_path(&format!("spec.files[\"{name}\"]"), name);
    }
    if let Some(path) = app.working_directory.as_deref() {
        // A placeholder stands for a plain absolute path.
        let after = path.strip_prefix("${").and_then(|rest| rest.split_once('}'));
        let path = after.map_or_else(|| path.to_owned(), |(_, rest)| format!("/placeholder{rest}"));
        c.absolute_path("spec.workingDirectory", &path);
    }
    for (name, port) in &app.ports {
        let field = format!("spec.ports.{name}");
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') || name.is_empty() {
            c.add("port-name", &field, format!("`{name}` is not a name for a port"), "use letters, digits and `-`");
        }
        if port.address.parse::<std::net::IpAddr>().is_err() {
            c.add(
                "ip-address",
                format!("{field}.address"),
                format!("`{}` is not an IP address", port.address),
                "such as `127.0.0.1` or `::`",
            );
        }
    }
    run_as(c, &app.user);
    sandbox(c, app.tier, &app.user, &app.access);
    if app.tier == Tier::Untrusted && !app.ports.is_empty() {
        c.add(
            "tier-network",
            "spec.ports",
            "an app of tier 2 has no network to listen on",
            "use tier 1, or leave out the ports",
        );
    }
    placeholders(c, app);
    for (i, check) in app.health.iter().enumerate() {
        health_check(c, &format!("spec.health[{i}]"), check);
    }
    if app.restart.window.is_zero() {
        c.add("duration", "spec.restart.window", "it is zero", "such as `60s`");
    }
    if app.startup == Startup::Oneshot && app.restart.policy == crate::kinds::app::RestartPolicy::Always {
        c.add(
            "oneshot-restart",
            "spec.restart.policy",
            "a oneshot program ends by design; systemd refuses to restart it always",
            "use `onFailure` or `never`",
        );
    }
}

fn check_watcher(c: &mut Checker, watcher: &Watcher) {
    let has_unit = watcher.target.is_some();
    let mut check_unit = false;
    let field = "spec.check";
    match &watcher.check {
        Check::Unit(probe) => match &probe.unit {
            Some(unit) => {
                check_unit = true;
                c.unit("spec.check.unit", unit);
            }
            None if !has_unit => {
                c.add("watcher-unit", field, "no unit is named", "set `spec.check.unit` or `spec.target`")
            }
            None => {}
        },
        Check::Tcp(p) => probe(c, field, &Probe::Tcp(p.clone())),
        Check::Http(p) => probe(c, field, &Probe::Http(p.clone())),
        Check::Command(p) => probe(c, field, &Probe::Command(p.clone())),
        Check::Disk(disk) => c.absolute_path("spec.check.path", &disk.path),
        Check::Cpu(cpu) => at_least(c, "spec.check.window", cpu.window, Duration::from_secs(1)),
        Check::Memory(_) => {}
    }
    at_least(c, "spec.interval", watcher.interval, Duration::from_secs(1));
    at_least(c, "spec.timeout", watcher.timeout, Duration::from_millis(100));
    at_least(c, "spec.flap.window", watcher.flap.window, Duration::from_secs(1));
    for (i, step) in watcher.ladder.iter().enumerate() {
        let field = format!("spec.ladder[{i}]");
        match &step.unit {
            Some(unit) => c.unit(&format!("{field}.unit"), unit),
            None if step.action == Remedy::Restart && !has_unit && !check_unit => {
                c.add("watcher-unit", &field, "it is not clear what to restart", "set `unit` here, or `spec.target`");
            }
            None => {}
        }
        if step.action == Remedy::Restart
            && let Some((field, unit)) = watcher.named_unit(i)
            && !unit.ends_with(".service")
        {
            // To start a target can be to reboot.
            let hint = "name a service in the step's `unit`, or leave `restart` out of `ladder`";
            c.add("restart-service", field, format!("only services are restarted, and `{unit}` is none"), hint);
        }
        if step.action != Remedy::Restart && step.unit.is_some() {
            c.add("watcher-unit", format!("{field}.unit"), "only `restart` takes a unit", "leave it out");
        }
    }
}

fn check_routine(c: &mut Checker, routine: &Routine, metadata: &Metadata) {
    if let Some(text) = &routine.description {
        c.line("spec.description", text);
    }
    match &routine.trigger {
        Trigger::Cron(trigger) => {
            if let Err(error) = cron::on_calendar(&trigger.schedule, trigger.time_zone.as_deref()) {
                let field = if matches!(error, cron::CronError::TimeZone(_)) {
                    "spec.trigger.timeZone"
                } else {
                    "spec.trigger.schedule"
                };
                c.add(
                    "cron-expression",
                    field,
                    error.to_string(),
                    "minute hour day-of-month month day-of-week, such as `*/5 * * * *`",
                );
            }
        }
        Trigger::Interval(trigger) => at_least(c, "spec.trigger.every", trigger.every, Duration::from_secs(1)),
        Trigger::Event(trigger) => {
            for (i, event) in trigger.types.iter().enumerate() {
                if event.is_empty() || event.contains(['|', ' ']) || event.trim_end_matches('*').contains('*') {
                    c.add(
                        "event-type",
                        format!("spec.trigger.types[{i}]"),
                        format!("`{event}` is not an event type"),
                        "such as `switch.rolled-back` or `switch.*`",
                    );
                }
            }
        }
        Trigger::Webhook(_) => {}
    }
    match &routine.action {
        Action::Command(action) => c.command("spec.action.command", &action.command, false),
        Action::Webhook(action) => {
            if action.url.starts_with("https:") {
                c.add(
                    "not-available",
                    "spec.action.url",
                    "https needs the egress proxy, which this version does not have yet",
                    "use an http URL on this machine",
                );
            }
            c.http_url("spec.action.url", &action.url);
        }
        Action::MemoryMaintenance(_) => {
            c.add(
                "not-available",
                "spec.action.type",
                "this version has no agent memory to maintain yet",
                "remove the routine",
            );
        }
        Action::HealthCheck(_) | Action::ServiceMonitor(_) | Action::LogScan(_) => {}
    }
    if !matches!(routine.action, Action::Command(_))
        && (!routine.environment.is_empty() || !routine.secrets.is_empty() || !routine.user.is_dynamic())
    {
        c.add(
            "command-only",
            "spec.action.type",
            "environment, secrets and user are settings of commands",
            "leave them out",
        );
    }
    environment(c, &routine.environment, metadata);
    secrets(c, &routine.secrets);
    run_as(c, &routine.user);
    sandbox(c, routine.tier, &routine.user, &routine.access);
    at_least(c, "spec.timeout", routine.timeout, Duration::from_secs(1));
}

fn check_mcp_server(c: &mut Checker, server: &McpServer, metadata: &Metadata, backend: Backend) {
    if let Some(text) = &server.description {
        c.line("spec.description", text);
    }
    package(c, server.package.as_deref(), backend);
    c.command("spec.command", &server.command, server.package.is_some());
    environment(c, &server.environment, metadata);
    secrets(c, &server.secrets);
    run_as(c, &server.user);
    sandbox(c, server.tier, &server.user, &server.access);
    if let Transport::Http(http) = &server.transport {
        if !http.path.starts_with('/') {
            c.add("http-url", "spec.transport.path", "a path starts with `/`", "such as `/mcp`");
        }
        if server.tier == Tier::Untrusted {
            c.add(
                "tier-network",
                "spec.transport",
                "a server of tier 2 has no network to listen on",
                "use tier 1, or `type: stdio`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(kind: &str, spec: &str) -> Vec<&'static str> {
        let object = Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"{kind}","metadata":{{"name":"w"}},"spec":{spec}}}"#
        ))
        .unwrap();
        check_object(&object, Backend::Profile).into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn only_services_are_restarted() {
        let with = |check: &str, ladder: &str| rules("Watcher", &format!(r#"{{"check":{check},"ladder":[{ladder}]}}"#));
        let unit = |unit: &str| format!(r#"{{"type":"unit","unit":"{unit}"}}"#);
        assert_eq!(with(&unit("a.service"), r#"{"action":"restart"}"#), [""; 0]);
        assert_eq!(with(&unit("a.socket"), r#"{"action":"notify"}"#), [""; 0]);
        assert_eq!(with(&unit("a.socket"), r#"{"action":"restart","unit":"a.service"}"#), [""; 0]);
        assert_eq!(with(&unit("a.socket"), r#"{"action":"restart"}"#), ["restart-service"]);
        assert_eq!(with(&unit("a.service"), r#"{"action":"restart","unit":"reboot.target"}"#), ["restart-service"]);
    }

    #[test]
    fn values_of_options_are_nothing_but_data() {
        let with = |value: &str| rules("NixosConfig", &format!(r#"{{"options":{{"services.x":{value}}}}}"#));
        for good in ["true", r#"{"type":"ed25519","path":"/etc/key"}"#, r#"[{"a":["${pkgs.hello}"]}]"#] {
            assert_eq!(with(good), ["needs-nixos-backend"], "{good}");
        }
        for bad in [
            r#"{"_type":"override","priority":0,"content":true}"#,
            r#"{"a":[{"_type":"merge","contents":[{"b":"/home/agent/evil.nix"}]}]}"#,
            r#"{"type":"derivation","outPath":"/home/agent","name":"x"}"#,
            r#"{"a":{"outPath":"/home/agent"}}"#,
            r#"{"__functor":"x"}"#,
        ] {
            assert_eq!(with(bad), ["needs-nixos-backend", "option-value"], "{bad}");
        }
        for path in ["_module.args.x", "services.\\\"_module\\\".x", "a..b"] {
            let spec = format!(r#"{{"options":{{"{path}":1}}}}"#);
            assert_eq!(rules("NixosConfig", &spec), ["needs-nixos-backend", "option-path"], "{path}");
        }
    }

    #[test]
    fn a_regular_expression_stays_small() {
        let with = |pattern: &str| {
            let check = serde_json::json!({ "type": "http", "url": "http://127.0.0.1/", "bodyMatches": pattern });
            rules("Watcher", &serde_json::json!({ "target": "App/a", "check": check }).to_string())
        };
        for good in ["^ok", r#""status": ?"(pass|warn)""#, r"\d{1,3}(\.\d{1,3}){3}", "[a-z]{64}"] {
            assert_eq!(with(good), [""; 0], "{good}");
        }
        for bad in ["(", "(((a{0,100}){0,100}){0,100})", "(.?){20000}x"] {
            assert_eq!(with(bad), ["regular-expression"], "{bad}");
        }
    }
}
