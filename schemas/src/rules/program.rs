//! Rules of what runs a program, whichever kind it is: packages, environments, secrets, users, sandboxes, probes.

use std::collections::BTreeMap;

use super::{Backend, text::Checker};
use crate::{
    kinds::{Access, App, HealthCheck, Network, Probe, RunAs, SecretSource, Tier},
    nixos::package_attribute,
    object::Metadata,
    quantity::Duration,
};

/// Annotation that lists environment variables which look like secrets and are none.
const LITERAL_SECRETS: &str = "os.moda/literal-secrets";

pub(super) fn package(c: &mut Checker, package: Option<&str>, backend: Backend) {
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
    } else if package_attribute(package).is_none() {
        c.add(
            "package-attribute",
            "spec.package",
            format!("`{package}` is neither a store path nor an attribute"),
            "such as `pkgs.nginx`",
        );
    }
}

pub(super) fn environment(c: &mut Checker, environment: &BTreeMap<String, String>, metadata: &Metadata) {
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

pub(super) fn secrets(c: &mut Checker, secrets: &BTreeMap<String, SecretSource>) {
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

pub(super) fn run_as(c: &mut Checker, user: &RunAs) {
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

pub(super) fn sandbox(c: &mut Checker, tier: Tier, user: &RunAs, access: &Access) {
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
pub(super) fn placeholders(c: &mut Checker, app: &App) {
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

pub(super) fn health_check(c: &mut Checker, field: &str, check: &HealthCheck) {
    if let Some(name) = &check.name {
        c.line(&format!("{field}.name"), name);
    }
    probe(c, &format!("{field}.probe"), &check.probe);
    at_least(c, &format!("{field}.interval"), check.interval, Duration::from_millis(100));
    at_least(c, &format!("{field}.timeout"), check.timeout, Duration::from_millis(100));
}

pub(super) fn probe(c: &mut Checker, field: &str, probe: &Probe) {
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

pub(super) fn at_least(c: &mut Checker, field: &str, value: Duration, least: Duration) {
    if value < least {
        c.add("duration", field, format!("{value} is too short"), &format!("the least is {least}"));
    }
}
