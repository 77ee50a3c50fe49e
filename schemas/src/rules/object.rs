//! Rules of one object, whatever else there is.

use std::collections::BTreeMap;

use super::{Backend, Violation, text::Checker};
use crate::{
    cron,
    kinds::{
        Access, App, HealthCheck, McpServer, Network, Probe, Routine, RunAs, SecretSource, Tier, WalletPolicy, Watcher,
        app::{Startup, Update},
        mcp_server::Transport,
        routine::{Action, Trigger},
        watcher::{Check, Remedy},
    },
    object::{Metadata, Object, Spec},
    quantity::Duration,
};

/// Annotation that lists environment variables which look like secrets and are none.
pub const LITERAL_SECRETS: &str = "os.moda/literal-secrets";

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
        Spec::WalletPolicy(policy) => check_wallet_policy(&mut c, policy),
        Spec::NixosConfig(config) => {
            if backend == Backend::Profile {
                c.add(
                    "needs-nixos-backend",
                    "kind",
                    "NixosConfig changes the whole system, which the backend `profile` cannot",
                    "use it on NixOS with `backend: nixos`",
                );
            }
            for option in config.options.keys() {
                if option.is_empty() || option.split('.').any(str::is_empty) {
                    c.add(
                        "option-path",
                        format!("spec.options[\"{option}\"]"),
                        format!("`{option}` is not an option path"),
                        "such as `services.postgresql.enable`",
                    );
                }
            }
        }
    }
    c.violations.truncate(MAX_VIOLATIONS);
    c.violations
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
    if let Some(path) = app.working_directory.as_deref().filter(|p| !p.starts_with("${")) {
        c.absolute_path("spec.workingDirectory", path);
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

fn check_wallet_policy(c: &mut Checker, policy: &WalletPolicy) {
    let mut names = std::collections::BTreeSet::new();
    for (i, rule) in policy.rules.iter().enumerate() {
        if !names.insert(&rule.name) {
            c.add(
                "rule-name",
                format!("spec.rules[{i}].name"),
                format!("there are two rules `{}`", rule.name),
                "a refusal names its rule: give each a name of its own",
            );
        }
        for (j, hours) in rule.conditions.hours.iter().enumerate() {
            let time = |t: &str| {
                t.split_once(':').is_some_and(|(h, m)| {
                    h.len() == 2
                        && m.len() == 2
                        && h.parse::<u8>().is_ok_and(|h| h <= 24)
                        && m.parse::<u8>().is_ok_and(|m| m < 60)
                })
            };
            if !hours.split_once('-').is_some_and(|(from, to)| time(from) && time(to)) {
                c.add(
                    "hours",
                    format!("spec.rules[{i}].match.hours[{j}]"),
                    format!("`{hours}` is not a span of hours"),
                    "such as `09:00-17:00`",
                );
            }
        }
    }
    for (i, limit) in policy.limits.iter().enumerate() {
        if limit.per.window.is_some() == limit.per.calendar.is_some() {
            c.add(
                "limit-period",
                format!("spec.limits[{i}].per"),
                "one of `window` and `calendar` is needed",
                "such as `per: {calendar: day}`",
            );
        }
    }
}

fn package(c: &mut Checker, package: Option<&str>, backend: Backend) {
    let Some(package) = package else { return };
    c.line("spec.package", package);
    if package.starts_with("/nix/store/") {
        c.absolute_path("spec.package", package);
    } else if backend == Backend::Profile {
        c.add(
            "needs-nixos-backend",
            "spec.package",
            format!("`{package}` is not a store path"),
            "write a path below /nix/store, or use the backend `nixos` for attributes",
        );
    }
}

fn environment(c: &mut Checker, environment: &BTreeMap<String, String>, metadata: &Metadata) {
    let literal = metadata.annotations.get(LITERAL_SECRETS).map_or("", String::as_str);
    for (name, value) in environment {
        let field = format!("spec.environment.{name}");
        let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !valid || name.is_empty() {
            c.add(
                "environment-name",
                &field,
                format!("`{name}` is not a name for a variable"),
                "use letters, digits and `_`, not starting with a digit",
            );
        }
        if value.contains('\0') {
            c.add("control-character", &field, "there is a NUL in it", "values cannot contain NUL");
        }
        let upper = name.to_ascii_uppercase();
        let looks_secret = ["PASSWORD", "PASSWD", "TOKEN", "SECRET", "API_KEY", "APIKEY", "PRIVATE_KEY"]
            .iter()
            .any(|s| upper.ends_with(s));
        if looks_secret && !value.is_empty() && !literal.split(',').any(|n| n.trim() == name) {
            let hint = format!(
                "put it into a file and name that under `spec.secrets`; if it is no secret, say so with the annotation `{LITERAL_SECRETS}: {name}`"
            );
            c.add(
                "secret-in-document",
                &field,
                format!("`{name}` looks like a secret, and documents are not secret"),
                &hint,
            );
        }
    }
}

fn secrets(c: &mut Checker, secrets: &BTreeMap<String, SecretSource>) {
    for (name, source) in secrets {
        let field = format!("spec.secrets.{name}");
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= 255
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !text.starts_with('.')
        };
        if !plain(name) {
            c.add(
                "secret-name",
                &field,
                format!("`{name}` is not a name for a credential"),
                "use letters, digits, `-`, `_` and `.`",
            );
        }
        match (&source.file, &source.credential) {
            (Some(path), None) => c.absolute_path(&format!("{field}.file"), path),
            (None, Some(credential)) if plain(credential) => {}
            (None, Some(credential)) => c.add(
                "secret-name",
                format!("{field}.credential"),
                format!("`{credential}` is not a name for a credential"),
                "use letters, digits, `-`, `_` and `.`",
            ),
            _ => c.add(
                "secret-source",
                &field,
                "one of `file` and `credential` is needed",
                "such as `{file: /etc/secrets/db}`",
            ),
        }
    }
}

fn run_as(c: &mut Checker, user: &RunAs) {
    let names = user
        .name
        .iter()
        .map(|n| ("spec.user.name", n))
        .chain(user.group.iter().map(|n| ("spec.user.group", n)))
        .chain(user.supplementary_groups.iter().map(|n| ("spec.user.supplementaryGroups", n)));
    for (field, name) in names {
        let plain = !name.is_empty()
            && name.len() <= 31
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !name.starts_with('-');
        if !plain {
            c.add(
                "user-name",
                field,
                format!("`{name}` is not a user or group name"),
                "use the name of an existing user or group",
            );
        }
    }
}

fn sandbox(c: &mut Checker, tier: Tier, user: &RunAs, access: &Access) {
    for (what, paths) in [("read", &access.read), ("write", &access.write), ("devices", &access.devices)] {
        for (i, path) in paths.iter().enumerate() {
            c.absolute_path(&format!("spec.access.{what}[{i}]"), path);
        }
    }
    for (i, name) in access.capabilities.iter().enumerate() {
        if !name
            .strip_prefix("CAP_")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        {
            c.add(
                "capability",
                format!("spec.access.capabilities[{i}]"),
                format!("`{name}` is not a capability"),
                "such as `CAP_NET_BIND_SERVICE`; see capabilities(7)",
            );
        }
    }
    for (i, domain) in access.allowed_domains.iter().enumerate() {
        let plain = !domain.is_empty() && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.*".contains(&b));
        if !plain {
            c.add(
                "domain",
                format!("spec.access.allowedDomains[{i}]"),
                format!("`{domain}` is not a domain"),
                "such as `api.example.com` or `*.example.com`",
            );
        }
    }
    if !access.allowed_domains.is_empty() && matches!(access.network, Some(Network::Host | Network::None)) {
        c.add(
            "egress-network",
            "spec.access.network",
            "with `allowedDomains` the egress proxy is the only way out",
            "use `network: local`, or leave it out",
        );
    }
    match tier {
        Tier::Trusted => {
            if !access.is_default() {
                c.add(
                    "tier-access",
                    "spec.access",
                    "a program of tier 0 is not sandboxed",
                    "leave `access` out, or use tier 1",
                );
            }
        }
        Tier::Approved => {}
        Tier::Untrusted => {
            let refuse = |c: &mut Checker, field: &str, what: &str| {
                c.add(
                    "tier-access",
                    field,
                    format!("a program of tier 2 may not have {what}"),
                    "use tier 1 and have it approved, or leave it out",
                );
            };
            if !user.is_dynamic() {
                refuse(c, "spec.user", "a user of its choice");
            }
            if access.network.is_some_and(|n| n != Network::None) || !access.allowed_domains.is_empty() {
                refuse(c, "spec.access.network", "a network");
            }
            for (what, present) in [
                ("write", !access.write.is_empty()),
                ("devices", !access.devices.is_empty()),
                ("capabilities", !access.capabilities.is_empty()),
            ] {
                if present {
                    refuse(c, &format!("spec.access.{what}"), what);
                }
            }
        }
    }
}

/// `${...}` in texts that are rendered has to be known.
fn placeholders(c: &mut Checker, app: &App) {
    let words = |field: &str, list: &[String]| -> Vec<(String, String)> {
        list.iter().enumerate().map(|(i, w)| (format!("{field}[{i}]"), w.clone())).collect()
    };
    let mut texts = words("spec.command", &app.command);
    texts.extend(words("spec.reload", &app.reload));
    texts.extend(app.environment.iter().map(|(k, v)| (format!("spec.environment.{k}"), v.clone())));
    texts.extend(app.working_directory.iter().map(|w| ("spec.workingDirectory".to_owned(), w.clone())));
    for (field, text) in texts {
        for start in text.match_indices("${").map(|(at, _)| at + 2) {
            // No placeholder is longer; looking further would make a text of nothing but `${` take for ever.
            let end = text[start..].bytes().take(80).position(|b| b == b'}');
            let Some(name) = end.map(|end| &text[start..start + end]) else { continue };
            let problem = match name {
                "runtime" => None,
                "files" if app.files.is_empty() => Some("there are no `spec.files`"),
                "state" if !app.state_directory => Some("there is no `stateDirectory: true`"),
                "package" if app.package.is_none() => Some("there is no `spec.package`"),
                "files" | "state" | "package" => None,
                port if port.strip_prefix("port.").is_some_and(|p| !app.ports.contains_key(p)) => {
                    Some("there is no such port in `spec.ports`")
                }
                port if port.starts_with("port.") => None,
                // Anything else is the program's own business and stays as it is.
                _ => None,
            };
            if let Some(problem) = problem {
                c.add(
                    "placeholder",
                    &field,
                    format!("`${{{name}}}` means nothing: {problem}"),
                    "declare it, or leave the placeholder out",
                );
            }
        }
    }
}

fn health_check(c: &mut Checker, field: &str, check: &HealthCheck) {
    if let Some(name) = &check.name {
        c.line(&format!("{field}.name"), name);
    }
    probe(c, &format!("{field}.probe"), &check.probe);
    at_least(c, &format!("{field}.interval"), check.interval, Duration::from_millis(100));
    at_least(c, &format!("{field}.timeout"), check.timeout, Duration::from_millis(100));
}

fn probe(c: &mut Checker, field: &str, probe: &Probe) {
    match probe {
        Probe::Unit(p) => {
            if let Some(unit) = &p.unit {
                c.unit(&format!("{field}.unit"), unit);
            }
        }
        Probe::Tcp(p) => {
            if p.host.is_empty() || p.host.contains(|ch: char| ch.is_whitespace() || ch == '/') {
                c.add(
                    "host",
                    format!("{field}.host"),
                    format!("`{}` is not a host", p.host),
                    "an IP address or a host name",
                );
            }
        }
        Probe::Http(p) => {
            c.http_url(&format!("{field}.url"), &p.url);
            if let Some(pattern) = &p.body_matches {
                c.regex(&format!("{field}.bodyMatches"), pattern);
            }
            for (i, status) in p.status.iter().enumerate() {
                if !(100..=599).contains(status) {
                    c.add(
                        "http-status",
                        format!("{field}.status[{i}]"),
                        format!("{status} is not an HTTP status"),
                        "100 to 599",
                    );
                }
            }
        }
        Probe::Command(p) => c.command(&format!("{field}.command"), &p.command, false),
    }
}

fn at_least(c: &mut Checker, field: &str, value: Duration, least: Duration) {
    if value < least {
        c.add("duration", field, format!("{value} is too short"), &format!("the least is {least}"));
    }
}
