//! What is wished: the admitted version of every object, and the files that define them.
//!
//! [`World::update`] is the whole of admission and is pure: files that changed go in, and out comes what is now wished.
//! A document that is bad never takes anything away; the last admitted version of its object stays in force.

mod judge;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use osmoda_generation::desired::Desired;
use osmoda_schemas::{
    object::{Author, ContentHash, ObjectRef, SourcePosition},
    problem::Problem,
    rules::{Facts, SetEntry, check_set},
};

/// One definition of an object in a file, valid by itself.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What it defines.
    pub reference: ObjectRef,
    /// The object's canonical JSON.
    pub canonical: Arc<str>,
    /// The hash of that.
    pub hash: ContentHash,
    /// What rules about several objects look at.
    pub facts: Arc<Facts>,
    /// The line it begins on, from 1.
    pub line: u32,
    /// The column it begins in, from 1.
    pub column: u32,
}

/// A document that may not be admitted.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What it would define, if that much could be read.
    pub reference: Option<ObjectRef>,
    /// Why not; never empty.
    pub problems: Vec<Problem>,
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// The owner of the file.
    pub author: Author,
    /// Valid documents.
    pub definitions: Vec<Definition>,
    /// Other documents; or, with no reference, the file itself.
    pub refused: Vec<Refused>,
}

/// The version of an object that is in force.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Canonical JSON.
    pub canonical: Arc<str>,
    /// The hash of that.
    pub hash: ContentHash,
    /// Who wished for it.
    pub author: Author,
    /// The file that defines it.
    pub file: Arc<Path>,
    /// Line in the file.
    pub line: u32,
    /// Column in the line.
    pub column: u32,
    /// Grows by one with every admitted change.
    pub generation: u64,
    /// What rules about several objects look at.
    pub facts: Arc<Facts>,
}

impl Admitted {
    /// Where its document is.
    #[must_use]
    pub fn position(&self) -> SourcePosition {
        SourcePosition { file: self.file.to_path_buf(), line: self.line, column: self.column }
    }
}

/// When a wave of deletions looks like an accident.
#[derive(Clone, Copy, Debug)]
pub struct MassDelete {
    /// Share of all objects, 0 to 1; more than this is held.
    pub share: f64,
    /// Fewer deletions than this are never held.
    pub minimum: usize,
}

/// What an update did. Everything else stayed as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Objects whose admitted version is new or different (also: its author or place).
    pub admitted: BTreeSet<ObjectRef>,
    /// Objects that are no longer wished.
    pub deleted: BTreeSet<ObjectRef>,
    /// Objects whose problems are different now, among others or for the first time.
    pub judged: BTreeSet<ObjectRef>,
}

/// All files and what is admitted of them.
#[derive(Clone, Debug, Default)]
pub struct World {
    files: BTreeMap<Arc<Path>, FileEntry>,
    /// Sorted; nearly always one.
    defined_in: BTreeMap<ObjectRef, Vec<Arc<Path>>>,
    admitted: BTreeMap<ObjectRef, Admitted>,
    problems: BTreeMap<ObjectRef, Vec<Problem>>,
    /// Problems of documents about objects that belong to somebody else.
    intrusions: BTreeMap<ObjectRef, Vec<Problem>>,
    held: BTreeSet<ObjectRef>,
    /// Objects about which something was to be decided when deletions were held: they are looked at again.
    postponed: BTreeSet<ObjectRef>,
    desired: Desired,
}

enum Verdict {
    Admit(Admitted),
    /// What is in force stays so.
    Keep(Vec<Problem>),
    /// It is no longer wished; documents that may not be admitted may still name it.
    Delete(Vec<Problem>),
}

impl World {
    /// A world in which these objects are in force and no file has been seen yet.
    #[must_use]
    pub fn restored(admitted: BTreeMap<ObjectRef, Admitted>) -> Self {
        let mut desired = Desired::default();
        admitted.iter().for_each(|(reference, a)| desired.set(reference, a.hash, a.author));
        Self { admitted, desired, ..Self::default() }
    }

    /// The digest of what is in force.
    pub fn digest(&mut self) -> ContentHash {
        self.desired.digest()
    }

    /// What is in force.
    #[must_use]
    pub fn admitted(&self) -> &BTreeMap<ObjectRef, Admitted> {
        &self.admitted
    }

    /// Problems of the latest documents, by the object they would define.
    #[must_use]
    pub fn problems(&self) -> &BTreeMap<ObjectRef, Vec<Problem>> {
        &self.problems
    }

    /// Problems of files, of documents that name no object, and of documents about objects that belong to somebody else.
    pub fn file_problems(&self) -> impl Iterator<Item = &Problem> {
        let nameless = self.files.values().flat_map(|entry| entry.refused.iter().filter(|r| r.reference.is_none()));
        nameless.flat_map(|r| &r.problems).chain(self.intrusions.values().flatten())
    }

    /// All problems of documents about an object; those of its own documents first.
    pub fn problems_about(&self, reference: &ObjectRef) -> impl Iterator<Item = &Problem> {
        let own = self.problems.get(reference).into_iter().flatten();
        own.chain(self.intrusions.get(reference).into_iter().flatten())
    }

    /// Why what an author wishes of an object is not in force.
    pub fn problems_for(&self, reference: &ObjectRef, author: Author) -> impl Iterator<Item = &Problem> {
        let own = self.problems.get(reference).into_iter().flatten();
        let intrusions = self.intrusions.get(reference).into_iter().flatten();
        own.chain(intrusions.filter(move |problem| self.author_of(problem) == Some(author)))
    }

    /// Whose document has this problem.
    #[must_use]
    pub fn author_of(&self, problem: &Problem) -> Option<Author> {
        Some(self.files.get(problem.source.as_ref()?.file.as_path())?.author)
    }

    /// Objects whose deletion is held back by the mass-delete guard.
    #[must_use]
    pub fn held(&self) -> &BTreeSet<ObjectRef> {
        &self.held
    }

    /// Takes in what changed: for each file what it says now, or that it is gone. With `all` every object is judged
    /// again, as after a start.
    pub fn update(
        &mut self,
        changes: impl IntoIterator<Item = (PathBuf, Option<FileEntry>)>,
        all: bool,
        guard: Option<MassDelete>,
    ) -> Update {
        let mut touched: BTreeSet<ObjectRef> = self.problems.keys().chain(self.intrusions.keys()).cloned().collect();
        touched.extend(self.held.iter().cloned());
        touched.append(&mut self.postponed);
        let was_held = self.held.clone();
        for (path, entry) in changes {
            self.replace_file(path.into(), entry, &mut touched);
        }
        if all {
            touched.extend(self.admitted.keys().cloned());
            touched.extend(self.defined_in.keys().cloned());
        }
        let mut verdicts: BTreeMap<ObjectRef, Verdict> = BTreeMap::new();
        let mut intrusions: BTreeMap<ObjectRef, Vec<Problem>> = BTreeMap::new();
        for reference in touched {
            let (verdict, of_others) = self.judge(&reference);
            intrusions.insert(reference.clone(), of_others);
            verdicts.insert(reference, verdict);
        }
        self.apply_set_rules(&mut verdicts);
        self.hold_mass_delete(&mut verdicts, guard);
        let mut update = self.settle(verdicts);
        // What is no longer held is told to be as it was.
        update.judged.extend(was_held.difference(&self.held).cloned());
        for (reference, problems) in intrusions {
            if self.intrusions.get(&reference).map_or(&[][..], Vec::as_slice) != problems {
                update.judged.insert(reference.clone());
            }
            if problems.is_empty() {
                self.intrusions.remove(&reference);
            } else {
                self.intrusions.insert(reference, problems);
            }
        }
        update
    }

    fn replace_file(&mut self, path: Arc<Path>, entry: Option<FileEntry>, touched: &mut BTreeSet<ObjectRef>) {
        if let Some(old) = self.files.remove(&path) {
            for reference in old.references() {
                touched.insert(reference.clone());
                if let Some(paths) = self.defined_in.get_mut(reference) {
                    paths.retain(|other| *other != path);
                    if paths.is_empty() {
                        self.defined_in.remove(reference);
                    }
                }
            }
            // A file that could not be read in whole may have kept objects in force that it no longer names.
            if old.refused.iter().any(|r| r.reference.is_none()) {
                touched.extend(self.admitted.iter().filter(|(_, a)| a.file == path).map(|(r, _)| r.clone()));
            }
        }
        if let Some(entry) = entry {
            for reference in entry.references() {
                touched.insert(reference.clone());
                let paths = self.defined_in.entry(reference.clone()).or_default();
                if let Err(place) = paths.binary_search(&path) {
                    paths.reserve_exact(1);
                    paths.insert(place, Arc::clone(&path));
                }
            }
            self.files.insert(path, entry);
        }
    }

    /// Rules about several objects. What breaks one goes back to its former version, which may make others break one in
    /// turn (a reference to an object that is not admitted); each round settles at least one object, so this ends.
    fn apply_set_rules(&self, verdicts: &mut BTreeMap<ObjectRef, Verdict>) {
        if !verdicts.iter().any(|(reference, verdict)| self.matters_to_others(reference, verdict)) {
            return;
        }
        loop {
            let broken = {
                let kept = self.admitted.iter().filter(|(reference, _)| match verdicts.get(*reference) {
                    None | Some(Verdict::Keep(_)) => true,
                    Some(Verdict::Admit(_) | Verdict::Delete(_)) => false,
                });
                let kept = kept.map(|(reference, a)| set_entry(reference, a, true));
                let fresh = verdicts.iter().filter_map(|(reference, verdict)| match verdict {
                    Verdict::Admit(a) => {
                        let same = self.admitted.get(reference).is_some_and(|old| old.hash == a.hash);
                        Some(set_entry(reference, a, same))
                    }
                    Verdict::Keep(_) | Verdict::Delete(_) => None,
                });
                let entries: Vec<SetEntry<'_>> = kept.chain(fresh).collect();
                check_set(&entries)
            };
            let mut settled = false;
            for (reference, violation) in broken {
                let Some(position) = (match verdicts.get(&reference) {
                    Some(Verdict::Admit(a)) => Some(a.position()),
                    _ => None,
                }) else {
                    continue;
                };
                settled = true;
                verdicts.insert(reference, Verdict::Keep(vec![violation.into_problem().at(position)]));
            }
            if !settled {
                return;
            }
        }
    }

    /// The rules about several objects that are broken by what is in force here, with who is to blame: of two that collide the
    /// one that was not so before.
    pub fn broken_rules(&self, was_before: impl Fn(&ObjectRef) -> bool) -> Vec<(ObjectRef, String)> {
        let entry = |(reference, a)| set_entry(reference, a, was_before(reference));
        let entries: Vec<SetEntry<'_>> = self.admitted.iter().map(entry).collect();
        check_set(&entries).into_iter().map(|(reference, violation)| (reference, violation.detail)).collect()
    }

    /// True when a verdict may make another object break a rule, or this one. Most edits do not touch what the rules look
    /// at, and then nobody else has to be looked at.
    fn matters_to_others(&self, reference: &ObjectRef, verdict: &Verdict) -> bool {
        let before = self.admitted.get(reference);
        if self.problems.contains_key(reference) {
            return true;
        }
        match verdict {
            Verdict::Admit(new) => before.map_or(&Facts::default(), |old| &old.facts) != &*new.facts,
            Verdict::Delete(_) => before.is_some(),
            Verdict::Keep(_) => false,
        }
    }

    /// Invariant 10: a folder that vanishes is not a wish. Everything stays as it is until somebody says yes.
    fn hold_mass_delete(&mut self, verdicts: &mut BTreeMap<ObjectRef, Verdict>, guard: Option<MassDelete>) {
        self.held.clear();
        self.postponed.clear();
        let doomed: BTreeSet<ObjectRef> = verdicts
            .iter()
            .filter(|(reference, v)| matches!(v, Verdict::Delete(_)) && self.admitted.contains_key(*reference))
            .map(|(reference, _)| reference.clone())
            .collect();
        let Some(guard) = guard else { return };
        #[allow(clippy::cast_precision_loss, reason = "a share of a count of objects")]
        let share = doomed.len() as f64 / self.admitted.len().max(1) as f64;
        if doomed.len() >= guard.minimum && share > guard.share {
            self.postponed = std::mem::take(verdicts).into_keys().filter(|r| !doomed.contains(r)).collect();
            self.held = doomed;
        }
    }

    fn settle(&mut self, verdicts: BTreeMap<ObjectRef, Verdict>) -> Update {
        let mut update = Update::default();
        for (reference, verdict) in verdicts {
            let problems = match verdict {
                Verdict::Admit(new) => {
                    let same = |old: &&mut Admitted| {
                        old.hash == new.hash
                            && old.author == new.author
                            && (&old.file, old.line, old.column) == (&new.file, new.line, new.column)
                    };
                    if let Some(old) = self.admitted.get_mut(&reference).filter(same) {
                        // The same, but shared with the file's entry: that of the store is not kept beside it.
                        (old.canonical, old.facts, old.file) = (new.canonical, new.facts, new.file);
                    } else {
                        self.desired.set(&reference, new.hash, new.author);
                        self.admitted.insert(reference.clone(), new);
                        update.admitted.insert(reference.clone());
                    }
                    Vec::new()
                }
                Verdict::Keep(problems) => problems,
                Verdict::Delete(problems) => {
                    if self.admitted.remove(&reference).is_some() {
                        self.desired.remove(&reference);
                        update.deleted.insert(reference.clone());
                    }
                    problems
                }
            };
            let before = self.problems.get(&reference).map_or(&[][..], Vec::as_slice);
            if before != problems {
                update.judged.insert(reference.clone());
            }
            if problems.is_empty() {
                self.problems.remove(&reference);
            } else {
                self.problems.insert(reference, problems);
            }
        }
        update
    }
}

impl FileEntry {
    /// Every object that the file names.
    fn references(&self) -> impl Iterator<Item = &ObjectRef> {
        let refused = self.refused.iter().filter_map(|r| r.reference.as_ref());
        self.definitions.iter().map(|d| &d.reference).chain(refused)
    }
}

fn set_entry<'a>(reference: &'a ObjectRef, admitted: &'a Admitted, in_force: bool) -> SetEntry<'a> {
    SetEntry { reference, hash: admitted.hash, in_force, facts: &admitted.facts }
}
