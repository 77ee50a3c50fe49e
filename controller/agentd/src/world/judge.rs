//! What becomes of one object, by the documents that name it.

use std::{path::Path, sync::Arc};

use osmoda_schemas::{
    object::{ObjectRef, SourcePosition},
    problem::Problem,
};

use super::{Admitted, Definition, FileEntry, Refused, Verdict, World};
use crate::options::CHECKING;

/// A valid document, with its file.
type Place<'a> = (&'a Arc<Path>, &'a FileEntry, &'a Definition);

impl World {
    /// Decides about one object by the documents of its author, and says what is wrong with those of others.
    pub(super) fn judge(&self, reference: &ObjectRef) -> (Verdict, Vec<Problem>) {
        let in_force = self.admitted.get(reference);
        let paths = self.defined_in.get(reference).into_iter().flatten();
        let is_foreign = |path: &&Arc<Path>| in_force.is_some_and(|a| a.is_foreign(path, &self.files[*path]));
        let (theirs, ours): (Vec<_>, Vec<_>) = paths.partition(is_foreign);
        if ours.is_empty() {
            if let Some(problems) = in_force.and_then(|a| self.unreadable(&a.file)) {
                return (Verdict::Keep(problems), self.intrusions_of(reference, &theirs));
            }
            // Nobody wishes it any more, or now it may be somebody else's.
            let (definitions, problems) = self.documents(reference, &theirs);
            let verdict = match definitions.as_slice() {
                [place] if problems.is_empty() => Verdict::Admit(admit(*place, in_force)),
                _ => Verdict::Delete(problems),
            };
            return (verdict, Vec::new());
        }
        let (definitions, problems) = self.documents(reference, &ours);
        let verdict = match definitions.as_slice() {
            [place] if problems.is_empty() => Verdict::Admit(admit(*place, in_force)),
            _ => Verdict::Keep(problems),
        };
        (verdict, self.intrusions_of(reference, &theirs))
    }

    /// Valid documents about an object, and all that is wrong with them and others.
    fn documents(&self, reference: &ObjectRef, paths: &[&Arc<Path>]) -> (Vec<Place<'_>>, Vec<Problem>) {
        let mut definitions = Vec::new();
        let mut problems = Vec::new();
        for path in paths {
            let (path, entry) = self.files.get_key_value(*path).expect("files are known by what they define");
            let valid = entry.definitions.iter().filter(|d| d.reference == *reference);
            definitions.extend(valid.map(|d| (path, entry, d)));
            let refused = entry.refused.iter().filter(|r| r.reference.as_ref() == Some(reference));
            problems.extend(refused.flat_map(|r| r.problems.clone()));
        }
        if definitions.len() > 1 {
            problems.extend(duplicates(reference, &definitions, self.admitted.get(reference)));
        }
        (definitions, problems)
    }

    /// What is wrong with documents about an object that belongs to somebody else.
    fn intrusions_of(&self, reference: &ObjectRef, paths: &[&Arc<Path>]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(in_force) = self.admitted.get(reference) else { return problems };
        for path in paths {
            let (definitions, refused) = self.documents(reference, &[*path]);
            problems.extend(refused);
            problems.extend(definitions.iter().map(|definition| {
                let detail =
                    format!("{reference} belongs to {}; it is defined at {}", in_force.author, in_force.position());
                let problem = Problem::new(403, "not-your-object", detail).field("metadata.name");
                problem.at(place(definition)).hint("give it another name")
            }));
        }
        problems
    }

    /// Why a file cannot be read in whole, if so: what it defined before has to stay.
    fn unreadable(&self, file: &Arc<Path>) -> Option<Vec<Problem>> {
        // Nor is anything of a file gone while another part of it waits for a verdict: it may have been given a new name.
        let waits = |refused: &Refused| refused.problems.iter().any(|problem| problem.code == CHECKING);
        let undecided = self.files.get(file)?.refused.iter().filter(|r| r.reference.is_none() || waits(r));
        let problems: Vec<Problem> = undecided.flat_map(|r| r.problems.clone()).collect();
        (!problems.is_empty()).then_some(problems)
    }
}

impl Admitted {
    /// True for a document of another author: it neither takes the object over nor keeps it as it is. Root's word
    /// counts for every object.
    fn is_foreign(&self, path: &Arc<Path>, entry: &FileEntry) -> bool {
        entry.author.uid != 0 && entry.author != self.author && *path != self.file
    }
}

fn admit((path, entry, definition): Place<'_>, in_force: Option<&Admitted>) -> Admitted {
    let generation = match in_force {
        Some(old) if old.hash == definition.hash => old.generation,
        Some(old) => old.generation + 1,
        None => 1,
    };
    Admitted {
        canonical: Arc::clone(&definition.canonical),
        hash: definition.hash,
        author: entry.author,
        file: Arc::clone(path),
        line: definition.line,
        column: definition.column,
        generation,
        facts: Arc::clone(&definition.facts),
    }
}

/// One problem for each definition but the one in force (or else the first one).
fn duplicates(reference: &ObjectRef, definitions: &[Place<'_>], in_force: Option<&Admitted>) -> Vec<Problem> {
    let kept = in_force
        .and_then(|a| definitions.iter().position(|(path, _, d)| **path == a.file && d.line == a.line))
        .or_else(|| in_force.and_then(|a| definitions.iter().position(|(path, ..)| **path == a.file)))
        .unwrap_or(0);
    let first = place(&definitions[kept]);
    let others = definitions.iter().enumerate().filter(|(i, _)| *i != kept);
    others
        .map(|(_, definition)| {
            Problem::new(
                422,
                "duplicate-object",
                format!("{reference} is defined a second time; it is defined at {first}"),
            )
            .field("metadata.name")
            .at(place(definition))
            .hint("an object may be defined once: remove one of the two, or give it another name")
        })
        .collect()
}

fn place((path, _, definition): &Place<'_>) -> SourcePosition {
    SourcePosition { file: path.to_path_buf(), line: definition.line, column: definition.column }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use osmoda_schemas::object::{Author, ContentHash};

    use super::*;
    use crate::world::{MassDelete, Refused};

    fn web() -> ObjectRef {
        "App/web".parse().unwrap()
    }

    fn file(uid: u32, text: &str) -> FileEntry {
        let definition = Definition {
            reference: web(),
            canonical: text.into(),
            hash: ContentHash::of(text),
            facts: Arc::default(),
            line: 1,
            column: 1,
        };
        FileEntry { author: Author { uid }, definitions: vec![definition], refused: Vec::new() }
    }

    fn refused(uid: u32, code: &'static str) -> FileEntry {
        let problems = vec![Problem::new(422, code, "no")];
        FileEntry {
            author: Author { uid },
            definitions: Vec::new(),
            refused: vec![Refused { reference: Some(web()), problems }],
        }
    }

    fn update(world: &mut World, name: &str, entry: Option<FileEntry>) {
        world.update([(PathBuf::from(name), entry)], false, None);
    }

    fn text(world: &World) -> Option<&str> {
        world.admitted().get(&web()).map(|a| &*a.canonical)
    }

    #[test]
    fn documents_of_others_neither_take_an_object_nor_keep_it_back() {
        let mut world = World::default();
        update(&mut world, "a.yaml", Some(file(1, "first")));
        update(&mut world, "b.yaml", Some(file(2, "theirs")));
        update(&mut world, "c.yaml", Some(refused(3, "author-unknown")));
        let codes: Vec<&str> = world.problems_about(&web()).map(|p| &*p.code).collect();
        assert_eq!((text(&world), codes), (Some("first"), vec!["not-your-object", "author-unknown"]));
        assert!(world.problems().is_empty(), "the object itself is fine");
        update(&mut world, "a.yaml", Some(file(1, "second")));
        assert_eq!(text(&world), Some("second"));
    }

    #[test]
    fn what_its_author_gives_up_may_be_anothers_but_is_not_kept_by_a_refused_document() {
        let mut world = World::default();
        update(&mut world, "a.yaml", Some(file(1, "first")));
        update(&mut world, "c.yaml", Some(refused(3, "author-unknown")));
        update(&mut world, "a.yaml", None);
        assert_eq!((text(&world), world.problems()[&web()].len()), (None, 1));
        update(&mut world, "c.yaml", None);
        update(&mut world, "a.yaml", Some(file(1, "first")));
        update(&mut world, "b.yaml", Some(file(2, "theirs")));
        update(&mut world, "a.yaml", None);
        assert_eq!((text(&world), world.problems().len()), (Some("theirs"), 0));
    }

    #[test]
    fn an_own_document_that_is_refused_keeps_the_object_as_it_is() {
        let mut world = World::default();
        update(&mut world, "a.yaml", Some(file(1, "first")));
        update(&mut world, "a.yaml", Some(refused(1, "unknown-field")));
        assert_eq!((text(&world), world.problems()[&web()].len()), (Some("first"), 1));
        // Nor does it go away with the right to wish it, or with its file's owner.
        update(&mut world, "a.yaml", Some(refused(5, "author-unknown")));
        assert_eq!(text(&world), Some("first"));
        // Root's word counts, too.
        update(&mut world, "a.yaml", Some(file(1, "second")));
        update(&mut world, "root.yaml", Some(file(0, "third")));
        assert_eq!((text(&world), &*world.problems()[&web()][0].code), (Some("second"), "duplicate-object"));
    }

    #[test]
    fn another_document_does_not_release_a_hold_and_is_not_lost_to_it() {
        let named = |name: &str| {
            let mut entry = file(1, name);
            entry.definitions[0].reference = format!("App/{name}").parse().unwrap();
            entry
        };
        let guard = Some(MassDelete { share: 0.5, minimum: 3 });
        let mut world = World::default();
        let names = ["a", "b", "c", "d"];
        world.update(names.map(|n| (PathBuf::from(n), Some(named(n)))), false, guard);
        world.update(names.map(|n| (PathBuf::from(n), None)), false, guard);
        assert_eq!((world.held().len(), world.admitted().len()), (4, 4));
        world.update([(PathBuf::from("web"), Some(file(2, "new")))], false, guard);
        assert_eq!((world.held().len(), world.admitted().len()), (4, 4));
        // The owner says yes, or the documents come back: either way what came meanwhile is taken in.
        let mut other = world.clone();
        other.update([], false, None);
        assert_eq!((other.admitted().len(), text(&other)), (1, Some("new")));
        world.update(names.map(|n| (PathBuf::from(n), Some(named(n)))), false, guard);
        assert_eq!((world.held().len(), world.admitted().len(), text(&world)), (0, 5, Some("new")));
    }
}
