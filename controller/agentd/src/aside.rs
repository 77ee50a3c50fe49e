//! Whose changes wait while those of others go on. What is wished is made real together; when that fails, it is tried by
//! author, so that one author's change that fails keeps nobody else's back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use osmoda_generation::authors::{Wishes, author_of_change, wishes};
use osmoda_safeswitch::QuarantineEntry;
use osmoda_schemas::{
    object::{ContentHash, Object, ObjectRef},
    plan::Plan,
    problem::Problem,
    rules::facts,
};

use crate::{
    controller::Controller,
    ingest::shared,
    planning::{is_changed, plan_of_changed},
    step_error::StepError,
    world::{Admitted, World},
};

/// What can be made real now.
pub(crate) enum Turn {
    /// All that is wished.
    All,
    /// A part of it, and what of it waits.
    Part(Box<Part>),
    /// Nothing: whose changes there are has seen them fail.
    Nobody(QuarantineEntry),
}

/// The changes of some authors.
pub(crate) struct Part {
    /// What would be then.
    pub world: World,
    pub plan: Plan,
    /// What waits, and why.
    pub waits: Vec<Problem>,
}

/// Why authors (uid) wait; who is not among them goes on.
type Waiting<'a> = BTreeMap<u32, &'a QuarantineEntry>;

/// Divides the authors of changes. `failed` is what has failed so far, alone or together.
///
/// Whoever has failed alone waits, and who is held until somebody says so. Where all others have failed together, as many of them go on, in the order of their
/// uids, as are not known to fail together: each try that fails makes that known of fewer, until it is known of whom.
fn divide<'a>(changes: &Wishes, failed: &'a [QuarantineEntry]) -> Waiting<'a> {
    let entry_of = |some: &Wishes| failed.iter().find(|entry| entry.wishes == *some);
    let only = |uid: u32| changes.iter().filter(|(u, _)| **u == uid).map(|(u, hash)| (*u, *hash)).collect::<Wishes>();
    // Nor does it come back with the next change of somebody else.
    let held =
        |uid: &u32, hash: &ContentHash| failed.iter().find(|entry| entry.held && entry.wishes.get(uid) == Some(hash));
    let waits = |(uid, hash): (&u32, &ContentHash)| Some((*uid, held(uid, hash).or_else(|| entry_of(&only(*uid)))?));
    let mut waiting: Waiting<'_> = changes.iter().filter_map(waits).collect();
    let going: Wishes = changes.iter().filter(|(uid, _)| !waiting.contains_key(uid)).map(|(u, h)| (*u, *h)).collect();
    if entry_of(&going).is_none() {
        return waiting;
    }
    let mut some = Wishes::new();
    for (uid, hash) in going {
        some.insert(uid, hash);
        if let Some(entry) = entry_of(&some) {
            some.remove(&uid);
            waiting.insert(uid, entry);
        }
    }
    waiting
}

impl Controller {
    /// What can be made real now, by what has failed. An author's change that has failed is not tried again because somebody else
    /// changes something.
    pub(crate) fn turn(&mut self) -> Result<Turn, StepError> {
        let now = osmoda_schemas::now();
        let mut failed = self.machine.quarantine().list()?;
        failed.retain(|entry| !entry.wishes.is_empty() && !entry.is_over(now));
        if failed.is_empty() {
            return Ok(Turn::All);
        }
        let changes = self.wishes_of_changes();
        let waiting = divide(&changes, &failed);
        let Some(first) = waiting.values().next() else { return Ok(Turn::All) };
        let mut out: BTreeMap<ObjectRef, &QuarantineEntry> = BTreeMap::new();
        for (uid, entry) in &waiting {
            let theirs = self.changed.iter().filter(|reference| self.author_of(reference) == Some(*uid));
            let theirs: Vec<ObjectRef> = theirs.cloned().collect();
            self.mark(&theirs, entry);
            out.extend(theirs.into_iter().map(|reference| (reference, *entry)));
        }
        if waiting.len() == changes.len() {
            return Ok(Turn::Nobody((*first).clone()));
        }
        let Some(mut world) = self.world_without(&out)? else { return Ok(Turn::Nobody((*first).clone())) };
        let changed: BTreeSet<ObjectRef> = self.changed.iter().filter(|r| !out.contains_key(*r)).cloned().collect();
        let plan = plan_of_changed(&self.base, &mut world, &changed, &self.judge)?;
        let waits = out.into_iter().map(|(reference, entry)| {
            let detail = format!("{reference} waits: its author's change has failed ({})", entry.reason);
            let problem = Problem::new(409, "left-out", detail);
            let problem = match self.world.admitted().get(&reference) {
                Some(admitted) => problem.at(admitted.position()),
                None => problem,
            };
            problem.hint("change a document, or say `osmoda apply --clear-quarantine`")
        });
        let waits = waits.collect();
        Ok(Turn::Part(Box::new(Part { world, plan, waits })))
    }

    /// Lets everything be tried again that is wished now and waits.
    pub(crate) fn clear_quarantine(&self, path: &str) -> Result<(), StepError> {
        let changes = self.wishes_of_changes();
        let is_wished = |wishes: &Wishes| wishes.iter().all(|(uid, hash)| changes.get(uid) == Some(hash));
        let concerns =
            |entry: &QuarantineEntry| entry.path == path || (!entry.wishes.is_empty() && is_wished(&entry.wishes));
        Ok(self.machine.quarantine().remove_all(concerns)?)
    }

    fn author_of(&self, reference: &ObjectRef) -> Option<u32> {
        let new = self.world.admitted().get(reference).map(|admitted| admitted.author);
        let old = self.base.manifest.objects.get(reference).map(|entry| entry.author);
        author_of_change(new, old).map(|author| author.uid)
    }

    fn wishes_of_changes(&self) -> Wishes {
        let authors = self.changed.iter().filter_map(|reference| self.author_of(reference)).collect();
        wishes(&authors, self.world.admitted().iter().map(|(reference, a)| (reference, a.hash, a.author)))
    }

    /// What would be if these objects stayed as they are; none where rules about several objects do not allow it.
    fn world_without(&self, out: &BTreeMap<ObjectRef, &QuarantineEntry>) -> Result<Option<World>, StepError> {
        let mut objects = self.world.admitted().clone();
        for reference in out.keys() {
            match self.base.manifest.objects.get(reference) {
                None => drop(objects.remove(reference)),
                Some(entry) => {
                    let file = self.base.folder.join(format!("desired/{}/{}.json", reference.kind, reference.name));
                    let text = fs::read_to_string(&file)?;
                    let object = Object::from_json(&text)
                        .map_err(|e| std::io::Error::other(format!("{}: {e}", file.display())))?;
                    let as_it_is = Admitted {
                        canonical: text.into(),
                        hash: entry.hash,
                        author: entry.author,
                        file: Arc::from(file),
                        line: 1,
                        column: 1,
                        generation: 1,
                        facts: shared(facts(&object)),
                    };
                    objects.insert(reference.clone(), as_it_is);
                }
            }
        }
        let world = World::restored(objects);
        Ok(world.breaks_no_rule(|reference| !is_changed(&self.base, &world, reference)).then_some(world))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(of: &[(u32, &str)]) -> Wishes {
        of.iter().map(|(uid, text)| (*uid, ContentHash::of(text))).collect()
    }

    fn failed(of: &[(u32, &str)]) -> QuarantineEntry {
        QuarantineEntry {
            path: String::new(),
            reason: "it failed".to_owned(),
            switch: String::new(),
            at: osmoda_schemas::now(),
            again: None,
            wishes: wishes(of),
            held: false,
        }
    }

    fn waiting(changes: &[(u32, &str)], entries: &[QuarantineEntry]) -> Vec<u32> {
        divide(&wishes(changes), entries).into_keys().collect()
    }

    #[test]
    fn who_failed_alone_waits_until_something_of_theirs_changes() {
        let entries = [failed(&[(1, "bad")])];
        assert_eq!(waiting(&[(1, "bad"), (2, "new")], &entries), [1]);
        assert_eq!(waiting(&[(1, "mended"), (2, "new")], &entries), Vec::<u32>::new());
    }

    #[test]
    fn what_is_held_is_not_tried_by_halves() {
        let entry = QuarantineEntry { held: true, ..failed(&[(1, "a"), (2, "b")]) };
        let entries = [entry];
        assert_eq!(waiting(&[(1, "a"), (2, "b")], &entries), [1, 2]);
        assert_eq!(waiting(&[(1, "a"), (2, "b2")], &entries), [1], "nor does it come back with a change of others");
    }

    /// Whoever is bad, and whether alone or only together with another one: everybody else's change is made real.
    #[test]
    fn everybody_who_can_gets_their_change() {
        let all = [(1, "a"), (2, "b"), (3, "c"), (4, "d")];
        for bad in (0..16_u32).flat_map(|alone| (0..16_u32).map(move |together| (alone, together))) {
            let is_bad = |some: &Wishes| {
                let has = |n: &u32| some.contains_key(&(n + 1));
                let (alone, together): (Vec<u32>, Vec<u32>) = (
                    (0..4).filter(|n| bad.0 >> n & 1 == 1).collect(),
                    (0..4).filter(|n| bad.1 >> n & 1 == 1).collect(),
                );
                alone.iter().any(has) || (together.len() > 1 && together.iter().all(has))
            };
            let (mut entries, mut tries) = (Vec::new(), 0);
            let mut changes = wishes(&all);
            let mut real = Wishes::new();
            while !changes.is_empty() {
                let waiting = divide(&changes, &entries);
                let going: Wishes =
                    changes.iter().filter(|(uid, _)| !waiting.contains_key(uid)).map(|(u, h)| (*u, *h)).collect();
                if going.is_empty() {
                    break;
                }
                tries += 1;
                assert!(tries < 32, "{bad:?}");
                let then: Wishes = real.iter().chain(&going).map(|(u, h)| (*u, *h)).collect();
                if is_bad(&then) {
                    let of: Vec<(u32, &str)> = all.into_iter().filter(|(uid, _)| going.contains_key(uid)).collect();
                    entries.push(failed(&of));
                } else {
                    changes.retain(|uid, _| !going.contains_key(uid));
                    real = then;
                }
            }
            let good = (0..4).filter(|n| bad.0 >> n & 1 == 0).count();
            let kept_back = usize::from(bad.1.count_ones() > 1 && bad.0 & bad.1 == 0);
            assert_eq!(real.len(), good - kept_back, "{bad:?}: {real:?}");
        }
    }
}
