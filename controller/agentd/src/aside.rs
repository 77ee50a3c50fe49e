//! Whose changes are made real next. All that is wished is made real together; when that fails, each of its authors is tried
//! alone, so that one author's change that fails keeps nobody else's back ([`crate::standing`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use osmoda_generation::{
    assemble::Generation,
    authors::{Wishes, wishes},
    plan::{Base, Renderers, old_document},
    store_path::StorePath,
};
use osmoda_safeswitch::QuarantineEntry;
use osmoda_schemas::{
    object::{Object, ObjectRef},
    plan::Plan,
    problem::Problem,
    rules::facts,
};

use crate::{
    building::generation_of,
    controller::Controller,
    ingest::shared,
    planning::{is_changed, plan_of_changed},
    standing::standing,
    step_error::StepError,
    world::{Admitted, World},
};

/// What is made real next.
pub(crate) struct Turn {
    /// What will be then, unless it is all that is wished.
    pub world: Option<World>,
    /// That as a generation, where it was needed to choose.
    generation: Option<Generation>,
    /// The way there.
    pub plan: Plan,
    /// What waits, with its author (uid), and why.
    pub waits: Vec<(u32, Problem)>,
    /// Why it waits that has failed, or is held.
    pub failed: Option<QuarantineEntry>,
    /// An author is tried whose last change has failed.
    pub is_trial: bool,
}

/// Why an author (uid) is not among those whose turn it is.
type Waiting = BTreeMap<u32, Wait>;

#[derive(Clone)]
enum Wait {
    /// It has failed, or is held.
    Failed(QuarantineEntry),
    /// Others come first.
    Turn,
    /// By a rule about several objects it cannot be without what waits.
    Rule(String),
}

impl Turn {
    /// What will be then, as a generation; `all` that is wished, unless it is a part of that.
    pub(crate) fn take_generation(&mut self, all: &World, renderers: &Renderers) -> Result<Generation, StepError> {
        match self.generation.take() {
            Some(generation) => Ok(generation),
            None => generation_of(self.world.as_ref().unwrap_or(all), renderers),
        }
    }
}

impl Controller {
    /// What is made real next.
    pub(crate) fn turn(&mut self) -> Result<Turn, StepError> {
        let entries = self.machine.quarantine().list()?;
        let all = |plan| Turn { world: None, generation: None, plan, waits: Vec::new(), failed: None, is_trial: false };
        if entries.is_empty() || self.changed.is_empty() {
            return Ok(all(self.plan()?));
        }
        let changes = self.wishes_of_changes();
        let now = osmoda_schemas::now();
        let standing = standing(&changes, &entries, now);
        let failed = standing.waits.iter().map(|(uid, entry)| (*uid, Wait::Failed((*entry).clone())));
        let mut failed: Waiting = failed.collect();
        for (uid, wait) in &failed {
            if let Wait::Failed(entry) = wait {
                let theirs = self.changes_of(*uid);
                self.mark(&theirs, entry);
            }
        }
        // Those who go together, and then each of the others; in the other order when the former have just had their turn.
        let mut turns: Vec<(bool, BTreeSet<u32>)> =
            standing.trials.iter().map(|uid| (true, BTreeSet::from([*uid]))).collect();
        if !standing.good.is_empty() {
            let place = if self.is_trial_next { turns.len().min(1) } else { 0 };
            turns.insert(place, (false, standing.good.clone()));
        }
        // What fails together, though nobody failed alone; and what cannot be without the other.
        turns.extend(standing.good.iter().map(|uid| (true, BTreeSet::from([*uid]))));
        turns.push((true, standing.good.iter().chain(&standing.trials).copied().collect()));
        // That very state may have failed before, although others have been committed since.
        let failed_before =
            |path: &StorePath| entries.iter().find(|entry| entry.path == path.as_str() && !entry.is_over(now));
        let mut everybody = Waiting::new();
        let mut tried = BTreeSet::new();
        for (is_trial, mut going) in turns {
            going.retain(|uid| !failed.contains_key(uid));
            if !tried.insert(going.clone()) {
                continue;
            }
            if going.len() == changes.len() {
                let generation = generation_of(&self.world, &self.judge.renderers)?;
                // Whose fault it was is not known, and nobody asks for parts of what is held.
                if going.len() == 1 || failed_before(generation.path()).is_none_or(|entry| entry.held) {
                    return Ok(Turn { generation: Some(generation), is_trial, ..all(self.plan()?) });
                }
                continue;
            }
            let others = changes.keys().filter(|uid| !going.contains(uid) && !failed.contains_key(uid));
            let mut waiting = failed.clone();
            waiting.extend(others.map(|uid| (*uid, Wait::Turn)));
            let Some(world) = self.world_of_others(&mut waiting, &changes)? else {
                everybody = waiting;
                continue;
            };
            let generation = generation_of(&world, &self.judge.renderers)?;
            if let Some(entry) = failed_before(generation.path()) {
                if let (1, Some(uid)) = (going.len(), going.pop_first()) {
                    let theirs = self.changes_of(uid);
                    self.mark(&theirs, entry);
                    failed.insert(uid, Wait::Failed(entry.clone()));
                }
                continue;
            }
            return Ok(Turn { generation: Some(generation), ..self.part(world, &waiting, is_trial)? });
        }
        everybody.extend(failed);
        for uid in changes.keys() {
            everybody.entry(*uid).or_insert(Wait::Turn);
        }
        let world = self.world_without(&everybody)?;
        self.part(world, &everybody, false)
    }

    fn part(&mut self, mut world: World, waiting: &Waiting, is_trial: bool) -> Result<Turn, StepError> {
        let changed = self.changed.iter().filter(|reference| is_changed(&self.base, &world, reference));
        let changed: BTreeSet<ObjectRef> = changed.cloned().collect();
        let plan = plan_of_changed(&self.base, &mut world, &changed, &self.judge)?;
        let mut waits = Vec::new();
        for (uid, wait) in waiting {
            for reference in self.changes_of(*uid) {
                let problem = wait.problem(&reference);
                let at = self.world.admitted().get(&reference).map(Admitted::position);
                waits.push((*uid, at.map_or(problem.clone(), |at| problem.at(at))));
            }
        }
        let failed = waiting.values().find_map(|wait| match wait {
            Wait::Failed(entry) => Some(entry.clone()),
            Wait::Turn | Wait::Rule(_) => None,
        });
        Ok(Turn { world: Some(world), generation: None, plan, waits, failed, is_trial })
    }

    /// Lets everybody's changes be tried again.
    pub(crate) fn clear_quarantine(&self, path: &str) -> Result<(), StepError> {
        Ok(self.machine.quarantine().release(path, || self.wishes_of_changes())?)
    }

    /// Objects with changes of an author. Who had an object and who has it now have both changed it.
    fn changes_of(&self, uid: u32) -> Vec<ObjectRef> {
        let theirs = self.changed.iter().filter(|reference| {
            let (old, new) = self.authors_of(reference);
            old == Some(uid) || new == Some(uid)
        });
        theirs.cloned().collect()
    }

    /// Who had an object, and who has it now.
    fn authors_of(&self, reference: &ObjectRef) -> (Option<u32>, Option<u32>) {
        let old = self.base.manifest.objects.get(reference).map(|entry| entry.author.uid);
        (old, self.world.admitted().get(reference).map(|admitted| admitted.author.uid))
    }

    fn wishes_of_changes(&self) -> Wishes {
        let authors = self.changed.iter().flat_map(|reference| {
            let (old, new) = self.authors_of(reference);
            [old, new].into_iter().flatten()
        });
        wishes(&authors.collect(), self.world.admitted().iter().map(|(reference, a)| (reference, a.hash, a.author)))
    }

    /// What would be without the changes of those who wait, and of those who then wait for a rule's sake, who are added; none
    /// where that leaves nobody.
    fn world_of_others(&self, waiting: &mut Waiting, changes: &Wishes) -> Result<Option<World>, StepError> {
        loop {
            if waiting.len() == changes.len() {
                return Ok(None);
            }
            let world = self.world_without(waiting)?;
            let mut is_whole = true;
            for (reference, why) in world.broken_rules(|reference| !is_changed(&self.base, &world, reference)) {
                // What is broken already is not the fault of a change.
                let (Some(author), true) = (
                    world.admitted().get(&reference).map(|a| a.author.uid),
                    is_changed(&self.base, &world, &reference),
                ) else {
                    continue;
                };
                is_whole &= waiting.contains_key(&author);
                waiting.entry(author).or_insert(Wait::Rule(why));
            }
            if is_whole {
                return Ok(Some(world));
            }
        }
    }

    /// What would be if the changes of these authors were not made.
    fn world_without(&self, waiting: &Waiting) -> Result<World, StepError> {
        let waits = |uid: Option<u32>| uid.is_some_and(|uid| waiting.contains_key(&uid));
        // After somebody else's switch nothing of ours may be active: what was committed is what stays.
        let committed = match &self.base.path {
            Some(_) => None,
            None => self.machine.profile.current()?.map(|c| Base::read(&self.machine.store, c.path)).transpose()?,
        };
        let kept = committed.as_ref().unwrap_or(&self.base);
        let mut objects = self.world.admitted().clone();
        for reference in &self.changed {
            let (old, new) = self.authors_of(reference);
            if !waits(new) && (new.is_some() || !waits(old)) {
                continue;
            }
            // Who waits keeps what was theirs; what was not is given up by who had it.
            let as_it_was = kept.manifest.objects.get(reference).filter(|entry| waits(Some(entry.author.uid)));
            match as_it_was {
                Some(_) => drop(objects.insert(reference.clone(), admitted_in(kept, reference)?)),
                None => drop(objects.remove(reference)),
            }
        }
        Ok(World::restored(objects))
    }
}

/// An object as it is in a generation.
fn admitted_in(base: &Base, reference: &ObjectRef) -> Result<Admitted, StepError> {
    let missing = || std::io::Error::other(format!("{reference} is not in {}", base.folder.display()));
    let entry = base.manifest.objects.get(reference).ok_or_else(missing)?;
    let text = old_document(base, reference)?.ok_or_else(missing)?;
    let file = base.document(reference);
    let object = Object::from_json(&text).map_err(|e| std::io::Error::other(format!("{}: {e}", file.display())))?;
    Ok(Admitted {
        canonical: text.into(),
        hash: entry.hash,
        author: entry.author,
        file: Arc::from(file),
        line: 1,
        column: 1,
        generation: 1,
        facts: shared(facts(&object)),
    })
}

impl Wait {
    fn problem(&self, reference: &ObjectRef) -> Problem {
        match self {
            Self::Failed(entry) if entry.held => {
                Problem::new(409, "held-back", format!("{reference} waits for somebody to say so ({})", entry.reason))
                    .hint("change it, or say `osmoda apply --clear-quarantine`")
            }
            Self::Failed(entry) => Problem::new(
                409,
                "author-failed",
                format!("{reference} waits: a change of its author has failed ({})", entry.reason),
            )
            .hint("change it, or say `osmoda apply --clear-quarantine`"),
            Self::Turn => Problem::new(409, "waits-its-turn", format!("{reference} is tried next"))
                .hint("look again when the switch is over"),
            Self::Rule(why) => Problem::new(409, "waits-for-others", format!("{reference} waits for others: {why}"))
                .hint("change it, or what it needs"),
        }
    }
}
