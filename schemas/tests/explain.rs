//! Explanations, as `osmoda explain` shows them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use insta::assert_snapshot;
use osmoda_schemas::{
    explain::{Explanation, explain, field_table, render},
    generate,
    object::Kind,
};

fn shown(path: &str) -> String {
    render(&explain(path).unwrap(), false)
}

/// What is said of a path that leads nowhere, with the hint.
fn refused(path: &str) -> (String, String) {
    let problem = explain(path).unwrap_err();
    assert_eq!(problem.code, "unknown-path");
    (problem.detail, problem.hint.unwrap())
}

#[test]
fn a_kind_is_shown_with_an_example() {
    assert_snapshot!(shown("App"));
}

#[test]
fn a_list_is_shown_with_the_fields_of_its_entries() {
    assert_snapshot!(shown("App.spec.health"));
}

#[test]
fn a_choice_is_shown_with_the_fields_of_each() {
    assert_snapshot!(shown("Watcher.spec.check"));
}

#[test]
fn a_field_of_one_choice_says_which() {
    assert_snapshot!(shown("Routine.spec.trigger.schedule"));
}

#[test]
fn the_meaning_of_each_value_is_shown() {
    assert_snapshot!(shown("App.spec.startup"));
}

#[test]
fn colours_change_no_text() {
    let explanation = explain("App.spec.health").unwrap();
    let mut plain = String::new();
    let mut rest = render(&explanation, true);
    while let Some((before, after)) = rest.clone().split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1.to_owned();
    }
    assert_eq!(plain + &rest, render(&explanation, false));
}

#[test]
fn kinds_are_found_in_any_case_and_number() {
    for path in ["App", "app", "APPS", "apps"] {
        assert_eq!(explain(path).unwrap().path, "App");
    }
    for path in ["WalletPolicy.spec", "walletpolicies.spec", "wallet-policy.spec"] {
        assert_eq!(explain(path).unwrap().path, "WalletPolicy.spec");
    }
}

#[test]
fn types_are_named_as_a_person_would() {
    for (path, name) in [
        ("App.spec", "App"),
        ("App.spec.command", "list of string"),
        ("App.spec.health", "list of HealthCheck"),
        ("App.spec.health.probe", "one of: unit, tcp, http, command"),
        ("App.spec.health.interval", "Duration"),
        ("App.spec.files", "map of FileContent"),
        ("App.spec.environment", "map of string"),
        ("App.spec.resources.memory", "ByteSize"),
        ("App.spec.startup", "one of: exec, notify, forking, oneshot"),
        ("App.spec.tier", "one of: 0, 1, 2"),
        ("App.kind", "always `App`"),
        ("WalletPolicy.spec.rules.match.chains", "list of Chain"),
        ("Routine.spec.action.method", "one of: GET, POST, PUT, PATCH, DELETE"),
        ("NixosConfig.spec.options", "map of any value"),
    ] {
        assert_eq!(explain(path).unwrap().type_name, name, "{path}");
    }
}

#[test]
fn paths_of_problems_can_be_asked_for_as_they_are() {
    for (path, meant) in [
        ("App.spec.health[0].probe.url", "App.spec.health.probe.url"),
        ("App.spec.ports.http.port", "App.spec.ports.http.port"),
        ("App.spec.ports.port", "App.spec.ports.port"),
        ("App.spec.files[\"a.conf\"].content", "App.spec.files[\"a.conf\"].content"),
        ("App.spec.environment.PORT", "App.spec.environment.PORT"),
        ("NixosConfig.spec.options[\"services.nginx.enable\"]", "NixosConfig.spec.options[\"services.nginx.enable\"]"),
        ("Routine.spec.trigger.cron.schedule", "Routine.spec.trigger.cron.schedule"),
        // `command` is a choice and a field of that choice.
        ("Routine.spec.action.command.command", "Routine.spec.action.command.command"),
    ] {
        assert_eq!(explain(path).unwrap().path, meant);
    }
    assert_eq!(explain("Routine.spec.trigger.jitter").unwrap().only_with, ["cron", "interval"]);
    assert_eq!(explain("Routine.spec.action.type").unwrap().variants.len(), 6);
}

#[test]
fn a_slip_is_answered_with_the_nearest_name() {
    assert_eq!(refused("Ap").1, "did you mean `App`?");
    assert_eq!(refused("App.spec.helth").1, "did you mean `health`?");
    assert_eq!(refused("App.spec.health.prob.url").1, "did you mean `probe`?");
    assert_eq!(refused("App.spec.ports.http.prot").1, "did you mean `port`?");
    assert_eq!(refused("Watcher.spec.check.bodyContain").1, "did you mean `bodyContains`?");
    assert_eq!(refused("App.health.probe").1, "did you mean `App.spec.health.probe`?");
    assert_eq!(refused("App.spec.tier.x").1, "`App.spec.tier` has no fields");
    assert_eq!(refused("").0, "there is no kind ``");
    assert!(refused("Pod").1.contains("App, McpServer"));
    assert!(refused("App.zzz").1.contains("known there: apiVersion, kind, metadata, spec"));
}

/// An explanation, and those of everything below it.
fn all_below(path: &str) -> Vec<Explanation> {
    let explanation = explain(path).unwrap();
    let fields = explanation.fields.iter().chain(explanation.variants.iter().flat_map(|v| &v.fields));
    let below: Vec<Explanation> = fields.flat_map(|field| all_below(&format!("{path}.{}", field.name))).collect();
    [explanation].into_iter().chain(below).collect()
}

#[test]
fn every_field_of_every_kind_can_be_explained_and_says_something() {
    for kind in Kind::ALL {
        for explanation in all_below(kind.as_str()) {
            assert!(!explanation.description.is_empty(), "{} has no description", explanation.path);
            let words = render(&explanation, false);
            for line in words.lines().filter(|line| line.contains("  ") && explanation.example.is_none()) {
                assert!(line.chars().count() <= 100 || line.contains("one of:"), "too long: {line}");
            }
            for variant in &explanation.variants {
                let number = variant.name.parse::<u8>().is_ok() || variant.name.to_uppercase() == variant.name;
                assert!(number || !variant.description.is_empty(), "{} of {}", variant.name, explanation.path);
            }
        }
    }
}

#[test]
fn every_field_is_in_the_table() {
    for kind in Kind::ALL {
        let table = field_table(*kind);
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(table.lines().all(|line| cells(line) == 5), "{table}");
        for field in explain(&format!("{kind}.spec")).unwrap().fields {
            assert!(table.contains(&format!("| `{}` | ", field.name)), "{kind}.spec.{}", field.name);
        }
    }
}

#[test]
fn a_page_keeps_everything_but_its_table() {
    let page = "# App\n\n<!-- fields:App -->\nold\n<!-- /fields -->\n\nEnd.\n";
    let fresh = generate::docs(page, Kind::App);
    assert!(
        fresh.starts_with("# App\n\n<!-- fields:App -->\n\n| field |") && fresh.ends_with("<!-- /fields -->\n\nEnd.\n")
    );
    assert_eq!(generate::docs(&fresh, Kind::App), fresh, "it is stable");
    assert_eq!(generate::docs(page, Kind::Watcher), page, "other kinds' tables stay");
}
