//! Whatever values an object has: its unit files say what it says, and nothing that a value brought in.

use std::collections::BTreeMap;

use osmoda_generation::fragment::Fragment;
use osmoda_schemas::{
    kinds::routine::Action,
    object::{Object, Spec},
};

use crate::{
    hostile::INJECTED,
    systemd::{lines, words},
};

/// All that has to hold for what an object became.
pub fn check(object: &Object, fragment: &Fragment) {
    fragment.units.values().for_each(|text| has_only_our_lines(text));
    for (_, unit) in &fragment.wants {
        assert!(fragment.units.contains_key(unit), "{unit} is wanted and not there");
    }
    // Where no placeholder is filled in, the program gets exactly what the document says.
    match &object.spec {
        Spec::Routine(routine) => {
            if let Action::Command(action) = &routine.action {
                reaches_the_program(fragment, &action.command, &routine.environment);
            }
        }
        Spec::McpServer(server) if server.package.is_none() && !fragment.units.is_empty() => {
            reaches_the_program(fragment, &server.command, &server.environment);
        }
        _ => {}
    }
}

/// Each line is a section of ours, or a setting that is no value's doing and ends where it ends.
fn has_only_our_lines(text: &str) {
    let mut in_section = false;
    for line in lines(text) {
        let name = line.split_once('=').map(|(name, _)| name);
        let is_setting =
            name.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let is_section = ["[Unit]", "[Service]", "[Timer]"].contains(&line);
        assert!(line.is_empty() || is_section || (is_setting && in_section), "{line:?} in\n{text}");
        assert!(!line.ends_with('\\'), "{line:?} goes on in the next line in\n{text}");
        assert!(!name.is_some_and(|name| name.contains(INJECTED)), "{line:?} was brought in in\n{text}");
        in_section |= is_section;
    }
    assert!(text.ends_with('\n'), "the last line has no end in\n{text}");
}

/// systemd, reading the unit, runs these words in this environment.
fn reaches_the_program(fragment: &Fragment, command: &[String], environment: &BTreeMap<String, String>) {
    let text = fragment.units.iter().find(|(name, _)| name.ends_with(".service")).map(|(_, text)| text).unwrap();
    let values = |name: &str| {
        let prefix = format!("{name}=");
        lines(text).filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect::<Vec<String>>()
    };
    let [line] = values("ExecStart").try_into().unwrap();
    let expected: Vec<Vec<u8>> = command.iter().map(|word| word.clone().into_bytes()).collect();
    let found = match line.strip_prefix(':') {
        // Dollars are left alone.
        Some(rest) => words(rest),
        // Two dollars are one, but for the word that is asked for.
        None => words(&line.replace("$$", "$")),
    };
    assert_eq!(found, expected, "{line}");
    let variables: Vec<Vec<u8>> = values("Environment").iter().flat_map(|value| words(value)).collect();
    for (name, value) in environment {
        let wanted = format!("{name}={value}").into_bytes();
        let last = variables.iter().rev().find(|v| v.starts_with(format!("{name}=").as_bytes()));
        assert_eq!(last, Some(&wanted), "{text}");
    }
}
