//! Every example is one that a user can copy: it reads, breaks no rule, and all of them live together on one machine.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use osmoda_schemas::{
    document::read,
    explain::explain,
    object::{ContentHash, Kind, Object, ObjectRef},
    rules::{Backend, Facts, SetEntry, check_object, check_set, facts},
};

/// The objects of a text, all of which have to be right.
fn right(path: &Path, text: &str, backend: Backend) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut wrong = Vec::new();
    for document in read(path, text.as_bytes()) {
        match &document.result {
            Ok(object) => {
                let violations = check_object(object, backend).into_iter();
                wrong.extend(violations.map(|v| document.at_field(&v.field.clone(), v.into_problem()).to_string()));
                objects.push(object.clone());
            }
            Err(refusal) => wrong.extend(refusal.problems.iter().map(ToString::to_string)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    objects
}

/// Files of a folder, from the root of the repository, with what they say.
fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn objects(folder: &str, backend: Backend) -> Vec<Object> {
    files(folder, "yaml").iter().flat_map(|(path, text)| right(path, text, backend)).collect()
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
    let objects = objects("schemas/examples", Backend::Profile);
    live_together(&objects);
    for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::NixosConfig) {
        assert!(objects.iter().any(|object| object.kind == *kind), "there is no example of {kind}");
    }
}

#[test]
fn examples_for_nixos_work_together_with_the_others() {
    let mut all = objects("schemas/examples/nixos", Backend::Nixos);
    assert!(all.iter().any(|object| object.kind == Kind::NixosConfig));
    all.extend(objects("schemas/examples", Backend::Nixos));
    live_together(&all);
}

#[test]
fn examples_survive_their_canonical_form() {
    for object in objects("schemas/examples", Backend::Profile)
        .into_iter()
        .chain(objects("schemas/examples/nixos", Backend::Nixos))
    {
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

#[test]
fn documents_in_the_pages_are_right() {
    for (path, text) in files("docs/kinds", "md") {
        let blocks = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
        let objects: Vec<Object> = blocks.flat_map(|block| right(&path, block, Backend::Nixos)).collect();
        let name = path.file_stem().unwrap().to_str().unwrap().replace('-', "");
        let own = objects.iter().filter(|object| object.kind.as_str().to_ascii_lowercase() == name).count();
        assert!(own >= 2 || name == "README", "{} shows too few", path.display());
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(path.parent().unwrap().join(link).exists(), "{}: {link} leads nowhere", path.display());
        }
    }
}

#[test]
fn every_example_is_on_a_page() {
    let pages: String = files("docs/kinds", "md").into_iter().map(|(_, text)| text).collect();
    for (path, _) in files("schemas/examples", "yaml").into_iter().chain(files("schemas/examples/nixos", "yaml")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(pages.contains(&format!("/{name})")), "no page leads to {name}");
    }
}
