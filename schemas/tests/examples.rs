//! Every example is one that a user can copy: it reads, breaks no rule, and all of them live together on one machine.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{collections::BTreeSet, fs, path::Path};

use osmoda_schemas::{
    document::read,
    explain::explain,
    object::{ContentHash, Kind, Object, ObjectRef},
    rules::{Backend, Facts, SetEntry, check_object, check_set, facts},
};

/// The objects of a folder's documents, or all that is wrong with them.
fn objects(folder: &str, backend: Backend) -> Vec<Object> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut objects = Vec::new();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        for document in read(&path, &fs::read(&path).unwrap()) {
            match &document.result {
                Ok(object) => {
                    let violations = check_object(object, backend).into_iter();
                    wrong.extend(violations.map(|v| document.at_field(&v.field.clone(), v.into_problem()).to_string()));
                    objects.push(object.clone());
                }
                Err(refusal) => wrong.extend(refusal.problems.iter().map(ToString::to_string)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    objects
}

fn live_together(objects: &[Object]) {
    let all: Vec<(ObjectRef, Facts)> = objects.iter().map(|object| (object.reference(), facts(object))).collect();
    let entry = |(reference, facts)| SetEntry { reference, hash: ContentHash::of(""), in_force: false, facts };
    let entries: Vec<SetEntry<'_>> = all.iter().map(|(reference, facts)| entry((reference, facts))).collect();
    assert_eq!(check_set(&entries), []);
    let names: BTreeSet<&ObjectRef> = all.iter().map(|(reference, _)| reference).collect();
    assert_eq!(names.len(), objects.len(), "an object is defined twice");
}

#[test]
fn examples_work_together_on_any_linux() {
    let objects = objects("examples", Backend::Profile);
    live_together(&objects);
    for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::NixosConfig) {
        assert!(objects.iter().any(|object| object.kind == *kind), "there is no example of {kind}");
    }
}

#[test]
fn examples_for_nixos_work_together_with_the_others() {
    let mut all = objects("examples/nixos", Backend::Nixos);
    assert!(all.iter().any(|object| object.kind == Kind::NixosConfig));
    all.extend(objects("examples", Backend::Nixos));
    live_together(&all);
}

#[test]
fn examples_survive_their_canonical_form() {
    for object in objects("examples", Backend::Profile).into_iter().chain(objects("examples/nixos", Backend::Nixos)) {
        assert_eq!(Object::from_json(&object.canonical_json()).unwrap(), object);
    }
}

#[test]
fn the_example_of_each_kind_is_of_that_kind() {
    for kind in Kind::ALL {
        let example = explain(kind.as_str()).unwrap().example.unwrap();
        let documents = read("example.yaml".as_ref(), example.as_bytes());
        assert_eq!(documents[0].result.as_ref().unwrap().kind, *kind);
    }
}
