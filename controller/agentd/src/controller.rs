//! The controller's state, and the steps of a change: admit, plan, build, switch.

use std::{collections::BTreeSet, path::PathBuf};

use osmoda_generation::plan::{Base, PlanError};
use osmoda_ledger::{Event, Ledger};
use osmoda_safeswitch::{Machine, QuarantineEntry, resume, start};
use osmoda_schemas::{
    config::{Config, Reconcile},
    object::ObjectRef,
    plan::Plan,
    problem::Problem,
    quantity::Duration,
    switch::{SwitchPurpose, SwitchRecord, SwitchState},
};
use osmoda_systemd::Manager;
use serde_json::json;

use crate::{
    building::generation_of,
    ingest::Judge,
    options::{CHECKING, OptionChecks},
    planning::{changed, is_changed, plan_of_changed, read_base},
    sources::Sources,
    status::StatusBook,
    step_error::StepError,
    store::Store,
    world::{MassDelete, Update, World},
};

/// Name of the root that keeps what is being built.
const NEXT: &str = "next";

/// All that agentd knows and talks to.
#[derive(Debug)]
pub struct Controller {
    pub(crate) machine: Machine,
    pub(crate) manager: Manager,
    pub(crate) ledger: Ledger,
    pub(crate) config: Config,
    pub(crate) judge: Judge,
    pub(crate) world: World,
    pub(crate) book: StatusBook,
    pub(crate) base: Base,
    /// Everything that is wished otherwise than it is in the base.
    pub(crate) changed: BTreeSet<ObjectRef>,
    store: Store,
    sources: Sources,
    /// Admitted, but not durable yet: nothing is done about it before it is.
    unsaved: Update,
    source_problems: Vec<Problem>,
    /// The first scan has to look at every object, whatever changed.
    fresh: bool,
    /// Why nothing is done although something is wished, as (state, message).
    pub(crate) holding: Option<(&'static str, String)>,
    /// What waits although others' changes go on, by its author (uid).
    pub(crate) left_out: Vec<(u32, Problem)>,
    /// Those whose last changes did not fail have just had their turn.
    pub(crate) is_trial_next: bool,
    /// The switch that was started last, until its end was seen.
    pub(crate) switch: Option<String>,
    /// The end of a switch was seen, and its units have not been looked at since.
    pub(crate) ended: bool,
    /// How long steps took.
    pub(crate) timings: Timings,
}

/// How long steps took the last time, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Reading and admitting all documents, at the start.
    pub load: u64,
    /// Reading and admitting what had changed.
    pub admit: u64,
    /// The last plan that changed something.
    pub plan: u64,
}

fn microseconds(since: std::time::Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What the loop does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Everything is as it is wished, or is held until something happens.
    Settled,
    /// A switch goes on; its record tells when it is over.
    Switching(String),
}

/// How an apply differs from what the loop does by itself.
#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    pub actor: String,
    pub plan: Option<String>,
    pub ttl: Option<Duration>,
    pub clear_quarantine: bool,
    /// Although no document has changed: the system that it is a part of has.
    pub rebuild: bool,
}

impl Controller {
    /// A controller that has looked at nothing yet.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn new(
        machine: Machine,
        manager: Manager,
        ledger: Ledger,
        config: Config,
        judge: Judge,
    ) -> Result<Self, StepError> {
        let store = Store::open(&machine.state.join("state.db"))?;
        let world = World::restored(store.load()?);
        let roots = config.source_paths();
        let existed = roots
            .iter()
            .filter(|root| world.admitted().values().any(|admitted| admitted.file.starts_with(root)))
            .cloned()
            .collect::<Vec<PathBuf>>();
        for root in roots.iter().filter(|root| root.starts_with(&machine.state) && !existed.contains(root)) {
            std::fs::create_dir_all(root)?;
        }
        if let Some(checks) = &judge.options {
            checks.admitted(world.admitted().values().map(|admitted| admitted.hash));
        }
        let sources = Sources::new(roots, existed);
        let book = StatusBook::open(machine.state.join("status"));
        let base = read_base(&machine)?;
        let changed = changed(&base, &world);
        Ok(Self {
            machine,
            manager,
            ledger,
            config,
            judge,
            world,
            book,
            base,
            changed,
            store,
            sources,
            unsaved: Update::default(),
            source_problems: Vec::new(),
            fresh: true,
            holding: None,
            left_out: Vec::new(),
            is_trial_next: false,
            switch: None,
            ended: false,
            timings: Timings::default(),
        })
    }

    /// What is wished, as far as it is admitted.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Folders of documents.
    pub fn roots(&self) -> &[PathBuf] {
        self.sources.roots()
    }

    /// When deletions are held.
    pub fn mass_delete_guard(&self) -> MassDelete {
        MassDelete { share: self.config.mass_delete.share, minimum: self.config.mass_delete.minimum }
    }

    /// Takes in what changed in the folders: these paths, or everything.
    ///
    /// # Errors
    /// When it cannot be made durable; nothing is done about it then.
    pub async fn admit(
        &mut self,
        paths: Option<&BTreeSet<PathBuf>>,
        accept_mass_delete: bool,
    ) -> Result<(), StepError> {
        let began = std::time::Instant::now();
        let first = self.fresh;
        let everything = paths.is_none() || self.fresh;
        let again = self.judge.options.as_ref().map(OptionChecks::take_again).unwrap_or_default();
        again.iter().for_each(|path| self.sources.forget(path));
        let mut scan = match paths {
            Some(paths) if !self.fresh => self.sources.scan_paths(&(paths | &again)),
            _ => self.sources.scan_all(),
        };
        let problems = std::mem::take(&mut scan.problems);
        if everything || !problems.is_empty() {
            self.source_problems = problems;
        }
        let entries = self.judge.changes(scan);
        // A folder that cannot be read says nothing about what it held: nothing of it is deleted (invariant 10).
        let guard = (!accept_mass_delete).then(|| self.mass_delete_guard());
        let blind = !self.source_problems.is_empty();
        let update = self.world.update(entries, self.fresh && !blind, guard);
        self.fresh &= blind;
        for reference in update.admitted.iter().chain(&update.deleted) {
            if is_changed(&self.base, &self.world, reference) {
                self.changed.insert(reference.clone());
            } else {
                self.changed.remove(reference);
            }
        }
        merge(&mut self.unsaved, update);
        let taken = microseconds(began);
        if first {
            self.timings.load = taken;
        } else {
            self.timings.admit = taken;
        }
        self.save().await
    }

    /// What is admitted is recorded, made durable, and said in the status files, in that order.
    async fn save(&mut self) -> Result<(), StepError> {
        let update = self.unsaved.clone();
        let events = self.events_of(&update);
        for batch in events.chunks(1000) {
            self.ledger.append_all(batch.to_vec()).await?;
        }
        self.store.save(&self.world, &update)?;
        self.unsaved = Update::default();
        let now = osmoda_schemas::now();
        let held: Vec<ObjectRef> = self.world.held().iter().cloned().collect();
        for reference in update.admitted.iter().chain(&update.judged).chain(&held) {
            if self.world.admitted().contains_key(reference) || self.world.problems().contains_key(reference) {
                self.book.accept(&self.world, reference, now);
            }
        }
        self.book.retain_known(&self.world);
        self.book.write_files()?;
        Ok(())
    }

    fn events_of(&self, update: &Update) -> Vec<Event> {
        let mut events = Vec::new();
        for reference in &update.admitted {
            let Some(admitted) = self.world.admitted().get(reference) else { continue };
            let payload = json!({
                "object": reference, "hash": admitted.hash, "generation": admitted.generation,
                "source": admitted.position(),
            });
            events.push(Event::new("document.admitted", admitted.author.to_string(), payload));
        }
        for reference in &update.deleted {
            events.push(Event::new("document.deleted", "agentd", json!({ "object": reference })));
        }
        for reference in &update.judged {
            let Some(problem) = self.world.problems_about(reference).next() else { continue };
            // That is no judgement yet.
            if problem.code == CHECKING {
                continue;
            }
            let author = self.world.author_of(problem).map(|author| author.to_string());
            let payload = json!({ "object": reference, "code": problem.code, "detail": problem.detail,
                "field": problem.field, "source": problem.source, "author": author });
            events.push(Event::new("document.refused", "agentd", payload));
        }
        events
    }

    /// What stands between the active generation and the documents.
    ///
    /// # Errors
    /// When an object cannot be rendered, or the active generation not read.
    pub fn plan(&mut self) -> Result<Plan, PlanError> {
        plan_of_changed(&self.base, &mut self.world, &self.changed, &self.judge)
    }

    /// Problems of all documents that are not in force as they are written.
    pub fn problems(&self) -> Vec<Problem> {
        let of_files = self.world.file_problems().cloned();
        let of_objects = self.world.problems().values().flatten().cloned();
        let waits = self.left_out.iter().map(|(_, problem)| problem.clone());
        self.source_problems.iter().cloned().chain(of_files).chain(of_objects).chain(waits).collect()
    }

    /// Makes the documents real, as far as that is not held back.
    ///
    /// # Errors
    /// When a step fails; what runs is as it was.
    pub async fn converge(&mut self, apply: Option<&ApplyOptions>) -> Result<(Plan, Step), StepError> {
        self.holding = None;
        if self.unsaved != Update::default() {
            self.save().await?;
        }
        if let Some(id) = self.in_flight()? {
            let plan = match apply {
                None => self.plan()?,
                Some(_) => {
                    let turn = self.turn()?;
                    self.left_out = turn.waits;
                    turn.plan
                }
            };
            return Ok((plan, Step::Switching(id)));
        }
        if self.machine.is_being_switched()? {
            return Err(StepError::SystemSwitching);
        }
        // Once the next one has begun, nobody tells how the last one ended.
        self.look_at_switch()?;
        self.base_follows()?;
        let began = std::time::Instant::now();
        if apply.is_some_and(|a| a.clear_quarantine) {
            self.clear_quarantine(generation_of(&self.world, &self.judge.renderers)?.path().as_str())?;
        }
        let mut turn = self.turn()?;
        self.left_out = std::mem::take(&mut turn.waits);
        if !turn.plan.is_empty() {
            self.timings.plan = microseconds(began);
        }
        if let Some(wanted) = apply.and_then(|a| a.plan.as_ref()).filter(|id| **id != turn.plan.id.to_string()) {
            let waits = if self.left_out.is_empty() { "" } else { ", for some changes wait" };
            let message = format!("the plan is {} now, not {wanted}{waits}", turn.plan.id);
            self.holding = Some(("plan-changed", message));
            return Ok((turn.plan, Step::Settled));
        }
        if !self.world.held().is_empty() {
            let message =
                format!("{} of {} documents are gone at once", self.world.held().len(), self.world.admitted().len());
            self.holding = Some(("held", message));
        }
        let rebuild = apply.is_some_and(|a| a.rebuild);
        let is_nothing = turn.world.as_ref().unwrap_or(&self.world).admitted().is_empty();
        if turn.plan.is_empty() && !rebuild && (self.base.path.is_some() || is_nothing) {
            self.settle_statuses();
            if let Some(entry) = turn.failed {
                return Ok(self.hold(turn.plan, &entry));
            }
            if let Some((_, problem)) = self.left_out.first() {
                self.holding = Some(("quarantined", problem.detail.clone()));
            }
            return Ok((turn.plan, Step::Settled));
        }
        if apply.is_none()
            && let Some(why) = self.waits_for_apply()?
        {
            self.holding = Some(why);
            return Ok((turn.plan, Step::Settled));
        }
        let generation = turn.take_generation(&self.world, &self.judge.renderers)?;
        let path = generation.path().clone();
        let entry = self.machine.quarantine().get(path.as_str())?;
        if let Some(entry) = entry.filter(|entry| !entry.is_over(osmoda_schemas::now())) {
            let objects: Vec<ObjectRef> = turn.plan.body.objects.iter().map(|change| change.object.clone()).collect();
            self.mark(&objects, &entry);
            return Ok(self.hold(turn.plan, &entry));
        }
        // The root comes first: a garbage collection at any instant finds it.
        self.machine.roots.pin(NEXT, &path)?;
        self.machine.store.add(&generation).await?;
        let request = self.request(&turn.plan, &generation, apply);
        let id = start(&self.machine, &self.manager, request).await?;
        self.switch = Some(id.clone());
        self.is_trial_next = !turn.is_trial;
        Ok((turn.plan, Step::Switching(id)))
    }

    /// What is wished was tried, and did not work out.
    fn hold(&mut self, plan: Plan, entry: &QuarantineEntry) -> (Plan, Step) {
        let state = match entry.again {
            Some(again) => format!("could not be built, and is tried again after {}", again.at),
            None => "was rolled back".to_owned(),
        };
        self.holding = Some(("quarantined", format!("this state {state} ({})", entry.reason)));
        (plan, Step::Settled)
    }

    /// Why nothing is changed unless somebody says so.
    fn waits_for_apply(&self) -> Result<Option<(&'static str, String)>, StepError> {
        if self.config.reconcile == Reconcile::Manual {
            return Ok(Some(("manual", "changes wait for `osmoda apply`".to_owned())));
        }
        // A commit would make it what boots.
        let message = "another NixOS system runs than the one that boots: changes wait for `osmoda apply`";
        Ok(self.machine.runs_on_trial()?.then(|| ("on-trial", message.to_owned())))
    }

    /// The switch that is not over yet.
    pub fn in_flight(&self) -> Result<Option<String>, StepError> {
        // The one that we started is the one, most of the time.
        if let Some(id) = &self.switch
            && let Ok(record) = self.machine.journal().read(id)
            && !record.state.is_final()
        {
            return Ok(Some(id.clone()));
        }
        Ok(self.machine.journal().in_flight()?.first().map(|record| record.id.clone()))
    }

    /// Looks whether the switch that was started last is over, and says in the statuses how it ended.
    ///
    /// # Errors
    /// When records or statuses cannot be read or written.
    pub fn look_at_switch(&mut self) -> Result<(), StepError> {
        let Some(id) = self.switch.clone() else { return Ok(()) };
        let record = match self.machine.journal().read(&id) {
            Ok(record) if !record.state.is_final() => return Ok(()),
            Ok(record) => Some(record),
            // Whatever became of it, the others go on.
            Err(error) => {
                tracing::error!("the record of switch {id}: {error}");
                None
            }
        };
        self.switch = None;
        self.base_follows()?;
        let undone =
            |record: &&SwitchRecord| record.state != SwitchState::Committed && record.purpose == SwitchPurpose::Apply;
        if let Some(record) = record.as_ref().filter(undone) {
            let tried = self.tried(record);
            let is_built = record.nixos.as_ref().is_none_or(|systems| systems.target.is_some());
            self.mark_failed(&tried, is_built, record.failure.as_deref().unwrap_or_default());
        }
        self.machine.roots.unpin(NEXT)?;
        self.settle_statuses();
        self.ended |= record.is_some();
        Ok(())
    }

    /// A switch that nobody sees to any more goes on.
    ///
    /// # Errors
    /// When it cannot be started again.
    pub async fn see_to_switch(&mut self) -> Result<(), StepError> {
        resume(&self.machine, &self.manager).await.map_err(StepError::Start)
    }

    fn base_follows(&mut self) -> Result<(), StepError> {
        if self.machine.active()? != self.base.path {
            self.base = read_base(&self.machine)?;
            self.changed = changed(&self.base, &self.world);
        }
        Ok(())
    }
}

fn merge(into: &mut Update, update: Update) {
    into.deleted.retain(|reference| !update.admitted.contains(reference));
    into.admitted.retain(|reference| !update.deleted.contains(reference));
    into.admitted.extend(update.admitted);
    into.deleted.extend(update.deleted);
    into.judged.extend(update.judged);
}
