//! Documents that come over an API instead of a file: they are written to `desired/api/<Kind>/<name>.json`, owned by the
//! caller, and from there on go the way of all documents.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, fchown},
    path::{Path, PathBuf},
};

use osmoda_schemas::{
    document,
    object::{API_VERSION, Author, Kind, Object, ObjectRef},
    ops::common::Accepted,
    problem::Problem,
};
use serde_json::{Value, json};

/// Where the document of an object is, or would be.
#[must_use]
pub fn file_of(state_dir: &Path, object: &ObjectRef) -> PathBuf {
    state_dir.join("desired/api").join(object.kind.as_str()).join(format!("{}.json", object.name))
}

/// Reads an object from what a call says of it.
///
/// # Errors
/// What is wrong with it.
pub fn object(kind: Kind, name: &osmoda_schemas::name::Name, spec: &Value) -> Result<Object, Problem> {
    let text =
        json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": name }, "spec": spec }).to_string();
    let mut documents = document::read(Path::new("request"), text.as_bytes());
    match documents.pop().map(|d| d.result) {
        Some(Ok(object)) => Ok(object),
        Some(Err(refusal)) => {
            let mut problems = refusal.problems.into_iter().map(|mut p| {
                // Places in a text that nobody wrote help nobody.
                p.source = None;
                p
            });
            let mut first = problems.next().expect("a refusal has a problem");
            first.errors = problems.collect();
            Err(first)
        }
        None => Err(Problem::new(422, "not-a-document", "the request describes nothing")),
    }
}

/// Writes an object's document, durably, in the name of its author.
///
/// # Errors
/// When another author's document is there, or it cannot be written.
pub fn put(state_dir: &Path, object: &Object, author: Author) -> Result<Accepted, Problem> {
    let reference = object.reference();
    let file = file_of(state_dir, &reference);
    check_owner(&file, &reference, author)?;
    let failed = |e: io::Error| Problem::new(507, "cannot-write", format!("{}: {e}", file.display()));
    let folder = file.parent().expect("the file is in its kind's folder");
    fs::create_dir_all(folder).map_err(failed)?;
    let new = folder.join(format!(".{}.new", reference.name));
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&new);
        let mut out = File::create_new(&new)?;
        out.write_all(pretty(object).as_bytes())?;
        fchown(&out, Some(author.uid), None)?;
        out.sync_all()?;
        fs::rename(&new, &file)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed)?;
    Ok(Accepted { object: reference, file: file.display().to_string() })
}

/// Removes an object's document.
///
/// # Errors
/// When there is none, or it is another author's.
pub fn remove(state_dir: &Path, object: &ObjectRef, author: Author) -> Result<Accepted, Problem> {
    let file = file_of(state_dir, object);
    if file.symlink_metadata().is_err() {
        let problem = Problem::new(404, "no-such-document", format!("no document of {object} came over an API"));
        return Err(problem.hint("an object that a file defines is removed by removing its document from that file"));
    }
    check_owner(&file, object, author)?;
    fs::remove_file(&file).map_err(|e| Problem::new(507, "cannot-write", format!("{}: {e}", file.display())))?;
    Ok(Accepted { object: object.clone(), file: file.display().to_string() })
}

fn check_owner(file: &Path, object: &ObjectRef, author: Author) -> Result<(), Problem> {
    match file.symlink_metadata() {
        Ok(meta) if author.uid != 0 && meta.uid() != author.uid => {
            let detail = format!("{object} belongs to uid:{}", meta.uid());
            Err(Problem::new(403, "not-your-object", detail).hint("its author or root may change it"))
        }
        _ => Ok(()),
    }
}

fn pretty(object: &Object) -> String {
    serde_json::to_string_pretty(object).expect("an object is JSON") + "\n"
}
