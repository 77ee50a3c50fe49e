//! Who may wish what. Root may wish everything; any other author only what an entry of agentd's configuration lets it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kinds::{
        Probe, RunAs, SecretSource, Tier,
        probe::CommandProbe,
        watcher::{Check, Remedy},
    },
    nixos::OptionPath,
    object::{Author, Kind, Object, Spec},
    quantity::Duration,
    rules::Violation,
};

/// Beginnings of the names of units that objects become.
const UNITS: [&str; 3] = ["osmoda-app-", "osmoda-mcp-", "osmoda-routine-"];

/// What one user may wish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthorRule {
    /// The user: a uid, or a name of this machine.
    pub user: UserId,
    /// Kinds of objects.
    pub kinds: Vec<Kind>,
    /// Trust tiers. Default: 1 and 2.
    #[serde(default = "sandboxed")]
    pub tiers: Vec<Tier>,
    /// Unix users that programs may run as; `dynamic` stands for users of their own. Default: `dynamic`.
    #[serde(default = "dynamic")]
    pub users: Vec<String>,
    /// Remedies of watchers. Default: restart and notify.
    #[serde(default = "mild")]
    pub remedies: Vec<Remedy>,
    /// Linux capabilities that programs may keep. Default: none.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Files and credentials that programs may get as secrets; a trailing `*` stands for any ending. The service manager
    /// reads them as root, so this list, not the file's mode, is what guards them. Default: none.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Names of objects; a trailing `*` stands for any ending. Default: all.
    #[serde(default = "any")]
    pub names: Vec<String>,
    /// Beginnings of the NixOS options that documents may set, such as `services.postgresql`. Many options run programs
    /// as root: whoever may set them is root. Default: none.
    #[serde(default)]
    pub nixos_options: Vec<String>,
}

/// A user by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UserId {
    /// A uid.
    Number(u32),
    /// A name; agentd resolves it when it reads its configuration.
    Name(String),
}

fn sandboxed() -> Vec<Tier> {
    vec![Tier::Approved, Tier::Untrusted]
}

fn dynamic() -> Vec<String> {
    vec!["dynamic".to_owned()]
}

fn mild() -> Vec<Remedy> {
    vec![Remedy::Restart, Remedy::Notify]
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

/// What an object asks of its author.
#[derive(Default)]
struct Asks<'a> {
    tier: Tier,
    /// Users and groups, `dynamic` for a user of its own.
    users: Vec<&'a str>,
    capabilities: &'a [String],
    secrets: Vec<&'a str>,
    remedies: Vec<Remedy>,
    nixos_options: Vec<&'a str>,
}

/// May this author wish this object?
///
/// `rules` hold uids only.
///
/// # Errors
/// The rule that refuses, and what would make it pass.
pub fn authorize(author: Author, object: &Object, rules: &[AuthorRule]) -> Result<(), Violation> {
    if author.uid == 0 {
        return Ok(());
    }
    let mine: Vec<&AuthorRule> = rules.iter().filter(|rule| rule.user == UserId::Number(author.uid)).collect();
    let refuse = |rule, field: &str, detail: String| {
        Err(Violation::new(rule, field, detail, "an operator can allow it under `authors` in /etc/osmoda/agentd.yaml"))
    };
    if mine.is_empty() {
        return refuse("author-unknown", "kind", format!("{author} may not wish anything"));
    }
    let by_kind: Vec<&AuthorRule> = mine.into_iter().filter(|rule| rule.kinds.contains(&object.kind)).collect();
    if by_kind.is_empty() {
        return refuse("author-kind", "kind", format!("{author} may not wish objects of kind {}", object.kind));
    }
    let by_name: Vec<&AuthorRule> = by_kind
        .into_iter()
        .filter(|rule| rule.names.iter().any(|n| matches(n, object.metadata.name.as_str())))
        .collect();
    if by_name.is_empty() {
        return refuse(
            "author-name",
            "metadata.name",
            format!("{author} may not use the name {}", object.metadata.name),
        );
    }
    let asks = asks(object);
    let by_tier: Vec<&AuthorRule> = by_name.into_iter().filter(|rule| rule.tiers.contains(&asks.tier)).collect();
    if by_tier.is_empty() {
        return refuse("author-tier", "spec.tier", format!("{author} may not use tier {}", asks.tier));
    }
    let by_user: Vec<&AuthorRule> =
        by_tier.into_iter().filter(|rule| asks.users.iter().all(|user| rule.users.iter().any(|u| u == user))).collect();
    if by_user.is_empty() {
        return refuse(
            "author-user",
            "spec.user",
            format!("{author} may not run programs as {}", asks.users.join(", ")),
        );
    }
    let by_capability: Vec<&AuthorRule> =
        by_user.into_iter().filter(|rule| asks.capabilities.iter().all(|c| rule.capabilities.contains(c))).collect();
    if by_capability.is_empty() {
        let names = asks.capabilities.join(", ");
        return refuse(
            "author-capability",
            "spec.access.capabilities",
            format!("{author} may not give programs {names}"),
        );
    }
    let may_read = |rule: &AuthorRule, secret: &str| rule.secrets.iter().any(|pattern| matches(pattern, secret));
    let by_secret: Vec<&AuthorRule> =
        by_capability.into_iter().filter(|rule| asks.secrets.iter().all(|s| may_read(rule, s))).collect();
    if by_secret.is_empty() {
        return refuse(
            "author-secret",
            "spec.secrets",
            format!("{author} may not give programs {}", asks.secrets.join(", ")),
        );
    }
    let may_set =
        |rule: &AuthorRule, option: &str| OptionPath::parse(option).is_some_and(|o| o.is_allowed(&rule.nixos_options));
    let by_option: Vec<&AuthorRule> =
        by_secret.into_iter().filter(|rule| asks.nixos_options.iter().all(|option| may_set(rule, option))).collect();
    if by_option.is_empty() {
        return refuse("author-option", "spec.options", format!("{author} may not set all of these NixOS options"));
    }
    if let Some((field, detail)) = too_slow(object) {
        let hint = "nothing else of the machine changes or is healed while a switch is judged: make it shorter";
        return Err(Violation::new("author-patience", field, format!("{author} may not ask for {detail}"), hint));
    }
    if !by_option.iter().any(|rule| asks.remedies.iter().all(|r| rule.remedies.contains(r))) {
        return refuse("author-remedy", "spec.ladder", format!("{author} may not use one of these remedies"));
    }
    restarts_osmoda_only(author, object)
}

/// To restart a unit is also to start one that does not run: an author has only those that objects became. That the
/// object is the author's own is seen to when the remedy is carried out.
fn restarts_osmoda_only(author: Author, object: &Object) -> Result<(), Violation> {
    let Spec::Watcher(watcher) = &object.spec else { return Ok(()) };
    let is_object = |unit: &str| UNITS.iter().any(|prefix| unit.starts_with(prefix));
    let restarts = watcher.ladder.iter().enumerate().filter(|(_, step)| step.action == Remedy::Restart);
    match restarts.filter_map(|(i, _)| watcher.named_unit(i)).find(|(_, unit)| !is_object(unit)) {
        None => Ok(()),
        Some((field, unit)) => {
            let detail = format!("{author} may not restart {unit}, which is not a unit of an object");
            let hint = "name an object in `spec.target`, or use `notify` alone; other units are for root's watchers";
            Err(Violation::new("unit-not-yours", field, detail, hint))
        }
    }
}

/// Longest probation that users other than root may ask for.
const PROBATION: Duration = Duration::from_secs(600);
/// Longest time until a health check has to have passed or failed.
const FIRST_LOOK: Duration = Duration::from_secs(1800);

/// What of an object could hold a switch, and with it everybody else's changes, for too long.
fn too_slow(object: &Object) -> Option<(String, String)> {
    let Spec::App(app) = &object.spec else { return None };
    if let Some(ttl) = app.probation.ttl.filter(|ttl| *ttl > PROBATION) {
        return Some(("spec.probation.ttl".to_owned(), format!("a probation of {ttl}; {PROBATION} is the longest")));
    }
    app.health.iter().enumerate().find_map(|(i, check)| {
        let round = check.interval.as_millis().saturating_add(check.timeout.as_millis());
        let rounds = u64::from(check.failure_threshold.max(check.success_threshold));
        let look = check.grace.as_millis().saturating_add(round.saturating_mul(rounds));
        (look > FIRST_LOOK.as_millis()).then(|| {
            let detail = format!("a check that may take longer than {FIRST_LOOK} to pass or fail");
            (format!("spec.health[{i}]"), detail)
        })
    })
}

fn asks(object: &Object) -> Asks<'_> {
    match &object.spec {
        Spec::App(app) => Asks {
            tier: app.tier,
            users: users(&app.user)
                .chain(app.health.iter().filter_map(|check| match &check.probe {
                    Probe::Command(command) => prober(command, app.tier),
                    _ => None,
                }))
                .collect(),
            capabilities: &app.access.capabilities,
            secrets: secrets(&app.secrets).collect(),
            ..Asks::default()
        },
        Spec::Routine(routine) => Asks {
            tier: routine.tier,
            users: users(&routine.user).collect(),
            capabilities: &routine.access.capabilities,
            secrets: secrets(&routine.secrets).collect(),
            ..Asks::default()
        },
        Spec::McpServer(server) => Asks {
            tier: server.tier,
            users: users(&server.user).collect(),
            capabilities: &server.access.capabilities,
            secrets: secrets(&server.secrets).collect(),
            ..Asks::default()
        },
        Spec::Watcher(watcher) => Asks {
            tier: watcher.tier,
            users: match &watcher.check {
                Check::Command(command) => prober(command, watcher.tier).into_iter().collect(),
                _ => Vec::new(),
            },
            remedies: watcher.ladder.iter().map(|step| step.action).collect(),
            ..Asks::default()
        },
        // Kinds that have no tier are asked for by being listed at all; the mildest tier stands for "none".
        Spec::Wallet(_) | Spec::WalletPolicy(_) => Asks { tier: Tier::Untrusted, ..Asks::default() },
        Spec::NixosConfig(config) => Asks {
            tier: Tier::Untrusted,
            nixos_options: config.options.keys().map(String::as_str).collect(),
            ..Asks::default()
        },
    }
}

/// Who a probe's command runs as, if that has to be allowed: of trusted objects root does, where nobody else is named.
fn prober(command: &CommandProbe, tier: Tier) -> Option<&str> {
    command.user.as_deref().or((tier == Tier::Trusted).then_some("root"))
}

fn users(user: &RunAs) -> impl Iterator<Item = &str> {
    let name = user.name.as_deref().unwrap_or("dynamic");
    [name].into_iter().chain(user.group.iter().chain(&user.supplementary_groups).map(String::as_str))
}

fn secrets(secrets: &BTreeMap<String, SecretSource>) -> impl Iterator<Item = &str> {
    secrets.values().flat_map(|source| source.file.iter().chain(&source.credential)).map(String::as_str)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, spec: &str) -> Object {
        Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"{kind}","metadata":{{"name":"agent-web"}},"spec":{spec}}}"#
        ))
        .unwrap()
    }

    fn verdict(rule: serde_json::Value, kind: &str, spec: &str) -> Option<&'static str> {
        let rule: AuthorRule = serde_json::from_value(rule).unwrap();
        authorize(Author { uid: 1000 }, &object(kind, spec), &[rule]).err().map(|v| v.rule)
    }

    #[test]
    fn root_may_all_and_a_stranger_nothing() {
        let app = object("App", r#"{"command":["/bin/true"],"tier":0}"#);
        assert_eq!(authorize(Author { uid: 0 }, &app, &[]), Ok(()));
        assert_eq!(authorize(Author { uid: 1000 }, &app, &[]).unwrap_err().rule, "author-unknown");
    }

    #[test]
    fn a_refusal_names_the_rule_that_refuses() {
        let rule = serde_json::json!({ "user": 1000, "kinds": ["App", "Watcher"], "names": ["agent-*"] });
        let app = r#"{"command":["/bin/true"]}"#;
        assert_eq!(verdict(rule.clone(), "App", app), None);
        assert_eq!(verdict(rule.clone(), "App", r#"{"command":["/bin/true"],"tier":0}"#), Some("author-tier"));
        let as_root = r#"{"command":["/bin/true"],"user":{"name":"root"}}"#;
        assert_eq!(verdict(rule.clone(), "App", as_root), Some("author-user"));
        let in_group = r#"{"command":["/bin/true"],"user":{"supplementaryGroups":["disk"]}}"#;
        assert_eq!(verdict(rule.clone(), "App", in_group), Some("author-user"));
        assert_eq!(verdict(rule.clone(), "WalletPolicy", r#"{"wallets":["*"]}"#), Some("author-kind"));
        let rollback = r#"{"check":{"type":"unit","unit":"a.service"},"ladder":[{"action":"rollback"}]}"#;
        let reads_shadow = r#"{"command":["/bin/true"],"secrets":{"s":{"file":"/etc/shadow"}}}"#;
        assert_eq!(verdict(rule.clone(), "App", reads_shadow), Some("author-secret"));
        let like_root = r#"{"command":["/bin/true"],"access":{"capabilities":["CAP_DAC_OVERRIDE"]}}"#;
        assert_eq!(verdict(rule.clone(), "App", like_root), Some("author-capability"));
        let probes_as_root = r#"{"command":["/bin/true"],"health":[{"probe":{"type":"command","command":["/bin/true"],"user":"root"}}]}"#;
        assert_eq!(verdict(rule.clone(), "App", probes_as_root), Some("author-user"));
        let sets = r#"{"options":{"services.postgresql.enable":true,"services.postgresql.port":5433}}"#;
        let nixos =
            |options: &[&str]| serde_json::json!({ "user": 1000, "kinds": ["NixosConfig"], "nixosOptions": options });
        assert_eq!(verdict(nixos(&["services.postgresql"]), "NixosConfig", sets), None);
        for options in [&[][..], &["services.postgresql.enable"], &["services.postgres"]] {
            assert_eq!(verdict(nixos(options), "NixosConfig", sets), Some("author-option"));
        }
        let own = serde_json::json!({ "user": 1000, "kinds": ["App"] });
        for slow in [
            r#"{"command":["/bin/true"],"probation":{"ttl":"36500d"}}"#,
            r#"{"command":["/bin/true"],"health":[{"probe":{"type":"unit"},"grace":"365d"}]}"#,
            r#"{"command":["/bin/true"],"health":[{"probe":{"type":"unit"},"interval":"30m","failureThreshold":100}]}"#,
        ] {
            assert_eq!(verdict(own.clone(), "App", slow), Some("author-patience"), "{slow}");
        }
        // Nobody is named: of a trusted object that is root.
        let trusted = serde_json::json!({ "user": 1000, "kinds": ["App", "Watcher"], "tiers": [0, 1] });
        let probes =
            r#"{"command":["/bin/true"],"tier":0,"health":[{"probe":{"type":"command","command":["/bin/true"]}}]}"#;
        assert_eq!(verdict(trusted.clone(), "App", probes), Some("author-user"));
        assert_eq!(verdict(trusted.clone(), "App", &probes.replace(":0", ":1")), None);
        let watches = r#"{"tier":0,"check":{"type":"command","command":["/bin/true"]},"ladder":[{"action":"notify"}]}"#;
        assert_eq!(verdict(trusted, "Watcher", watches), Some("author-user"));
        assert_eq!(verdict(rule.clone(), "Watcher", rollback), Some("author-remedy"));
        for (unit, step, expected) in [
            ("osmoda-app-agent-web.service", "{}", None),
            ("nginx.service", "{}", Some("unit-not-yours")),
            ("osmoda-agentd.service", "{}", Some("unit-not-yours")),
            ("nginx.service", r#"{"unit":"osmoda-mcp-a.service"}"#, None),
            ("osmoda-app-a.service", r#"{"unit":"sshd.service"}"#, Some("unit-not-yours")),
        ] {
            let step = step.replacen('{', r#"{"action":"restart","#, 1).replace(",}", "}");
            let watcher = format!(r#"{{"check":{{"type":"unit","unit":"{unit}"}},"ladder":[{step}]}}"#);
            assert_eq!(verdict(rule.clone(), "Watcher", &watcher), expected, "{watcher}");
        }
        let target = r#"{"target":"App/agent-web","check":{"type":"tcp","port":80},"ladder":[{"action":"restart"}]}"#;
        assert_eq!(verdict(rule.clone(), "Watcher", target), None);
        let only_tells = r#"{"check":{"type":"unit","unit":"nginx.service"},"ladder":[{"action":"notify"}]}"#;
        assert_eq!(verdict(rule, "Watcher", only_tells), None);
        let others = serde_json::json!({ "user": 1000, "kinds": ["App"], "names": ["shop"] });
        assert_eq!(verdict(others, "App", app), Some("author-name"));
    }
}
