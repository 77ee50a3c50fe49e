//! The runner: carries one switch out, from whatever state its record stands in.

use std::{ops::ControlFlow, sync::Arc, time::Duration as StdDuration};

use jiff::SignedDuration;
use osmoda_generation::{fragment::Gate, manifest::Manifest, plan::unit_changes, store_path::StorePath};
use osmoda_ledger::{Event, Ledger};
use osmoda_schemas::switch::{GateStatus, SwitchPurpose, SwitchRecord, SwitchState};
use osmoda_systemd::{ActiveState, Manager, UnitEvents, UnitStatus, Verb, transient::TransientService};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    time::MissedTickBehavior,
};

use crate::{
    Agentd, Journal, Machine, Prober, SwitchError,
    backend::{self, Way},
    conclude::{record_once, told},
    gates::{Verdict, ask_all, unanswered},
    start::deadman_name,
};

/// A runner that was started again more often than this rolls back.
const RESUMES: u32 = 3;
/// Beyond all that a switch may take, the dead-man waits this long.
const SLACK: StdDuration = StdDuration::from_secs(60);
/// Time that agentd gets to come back after a switch, before it counts as gone.
const COME_BACK: StdDuration = StdDuration::from_secs(20);

/// Why a switch ended that somebody did not wish to see built.
pub(crate) const CANCELLED: &str = "somebody asked for its end";

/// Why a switch ended whose systems somebody else has left.
pub(crate) const SUPERSEDED: &str = "another NixOS system was switched to meanwhile";

/// Carries out one switch.
#[derive(Debug)]
pub struct Runner {
    pub(crate) machine: Machine,
    pub(crate) manager: Manager,
    /// Open from the first event on.
    pub(crate) ledger: Option<Ledger>,
    pub(crate) journal: Journal,
    pub(crate) record: SwitchRecord,
    agentd: Agentd,
    wake: Arc<Notify>,
}

/// How probation ended.
enum Outcome {
    Commit,
    RollBack(String),
}

impl Runner {
    /// Takes up a switch where its record stands.
    ///
    /// # Errors
    /// When the record cannot be read, or systemd not reached.
    pub async fn open(machine: Machine, id: &str) -> Result<Self, SwitchError> {
        let agentd = Agentd::At(machine.run.join("agentd.sock"));
        let wake = Arc::new(Notify::new());
        let (waking, mut signals) =
            (Arc::clone(&wake), signal(SignalKind::user_defined1()).map_err(SwitchError::io("SIGUSR1"))?);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                waking.notify_one();
            }
        });
        let manager = Manager::connect().await?;
        Self::with(machine, manager, agentd, wake, id)
    }

    /// [`Runner::open`] with all that it talks to. Whoever has asked something of it in the journal wakes it.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn with(
        machine: Machine,
        manager: Manager,
        agentd: Agentd,
        wake: Arc<Notify>,
        id: &str,
    ) -> Result<Self, SwitchError> {
        let journal = machine.journal();
        let record = journal.read(id).map_err(SwitchError::io(format!("the record of switch {id}")))?;
        Ok(Self { machine, manager, ledger: None, journal, record, agentd, wake })
    }

    /// Runs to a final state, which is returned.
    ///
    /// # Errors
    /// When not even a rollback could be begun; the dead-man is still there then.
    pub async fn run(self) -> Result<SwitchState, SwitchError> {
        match self.close_if_decided().await? {
            ControlFlow::Break(state) => Ok(state),
            ControlFlow::Continue(runner) => runner.go_on().await,
        }
    }

    /// Brings a switch to its end that is decided: its record says so, or the ledger, or the profile. Any other one goes on.
    pub(crate) async fn close_if_decided(mut self) -> Result<ControlFlow<SwitchState, Self>, SwitchError> {
        let state = if self.record.state.is_final() {
            self.wind_up().await?
        } else if let Some(state) = told(&self.machine, &mut self.record) {
            self.conclude(state).await?
        } else if self.is_in_profile()? {
            self.close_as_committed().await?
        } else {
            return Ok(ControlFlow::Continue(self));
        };
        Ok(ControlFlow::Break(state))
    }

    async fn go_on(mut self) -> Result<SwitchState, SwitchError> {
        if self.record.state == SwitchState::RollingBack {
            self.record.resumes += 1;
            let reason = self.record.failure.clone().unwrap_or_default();
            return self.roll_back(reason).await;
        }
        if self.record.state != SwitchState::Pending {
            self.record.resumes += 1;
            if self.record.resumes > RESUMES {
                return self.roll_back("its runner ended too often".to_owned()).await;
            }
        }
        let outcome = match self.forward().await {
            Ok(outcome) => outcome,
            Err(error @ SwitchError::Cancelled) => {
                self.record.held = true;
                Outcome::RollBack(error.to_string())
            }
            Err(error) => Outcome::RollBack(error.to_string()),
        };
        match outcome {
            Outcome::Commit => match self.commit().await {
                Ok(number) => self.committed_as(number).await,
                // It is committed, whatever else went wrong: the next runner writes it down.
                Err(error) if self.is_in_profile()? => Err(error),
                Err(error) => self.roll_back(format!("it could not be committed: {error}")).await,
            },
            Outcome::RollBack(reason) => self.roll_back(reason).await,
        }
    }

    async fn forward(&mut self) -> Result<Outcome, SwitchError> {
        let target = self.target()?;
        let base = self.base()?;
        if self.record.state < SwitchState::Activating {
            self.prepare(&target, base.as_ref()).await?;
        }
        if self.record.state == SwitchState::Activating {
            let report = self.move_machine(Way::Forth).await?;
            self.record.activation_ms = Some(report.took_ms);
            self.record.units = unit_changes(&report.plan);
            self.record.killed.clone_from(&report.killed);
            if !report.failures.is_empty() {
                let words: Vec<String> = report.failures.iter().map(|f| format!("{}: {}", f.unit, f.reason)).collect();
                return Ok(Outcome::RollBack(words.join("; ")));
            }
        }
        self.probation(base.as_ref(), &target).await
    }

    /// Roots both generations and arms the dead-man. Nothing that runs is touched before the record says so.
    async fn prepare(&mut self, target: &StorePath, base: Option<&StorePath>) -> Result<(), SwitchError> {
        let roots = &self.machine.roots;
        roots
            .pin(&format!("switch-{}-target", self.record.id), target)
            .map_err(SwitchError::io("a root of the new generation"))?;
        if let Some(base) = base {
            roots
                .pin(&format!("switch-{}-base", self.record.id), base)
                .map_err(SwitchError::io("a root of the old generation"))?;
        }
        backend::of(&self.record).build(self).await?;
        self.enter(SwitchState::Built);
        self.arm(target, base).await?;
        self.enter(SwitchState::Armed);
        let before = self.manager.snapshot().await?;
        // Nor is it the switch's fault when something fails and is started again all the time.
        let is_failed = |status: &UnitStatus| status.active == ActiveState::Failed || status.sub == "auto-restart";
        let failed_units = before.units.iter().filter(|(_, status)| is_failed(status));
        self.record.failed_before = failed_units.map(|(unit, _)| unit.clone()).collect();
        let payload = json!({
            "switch": self.record.id, "purpose": self.record.purpose, "reason": self.record.reason,
            "plan": self.record.plan, "base": self.record.base, "target": self.record.target,
            "systems": self.record.nixos.as_ref().map(|systems| json!({ "base": systems.base, "target": systems.target })),
            "ttl": self.record.ttl,
        });
        let intent = Event::new("switch.activating", self.record.actor.clone(), payload);
        record_once(&self.machine, &mut self.ledger, &["switch.activating"], intent).await?;
        let mut record = self.record.clone();
        record.enter(SwitchState::Activating);
        // Not on a full disk.
        self.journal.write(&record).map_err(SwitchError::io("the record of the switch"))?;
        self.record = record;
        tracing::info!(switch = self.record.id, "activating");
        Ok(())
    }

    /// A timer of systemd's that rolls back although every process of osModa is dead.
    async fn arm(&self, target: &StorePath, base: Option<&StorePath>) -> Result<(), SwitchError> {
        let gates = changed_gates(&self.machine, target, base)?;
        let first_health = gates.iter().map(longest_first_look).max().unwrap_or_default();
        let own = backend::of(&self.record).longest(&self.record);
        let after = own + first_health + self.record.ttl.as_std() + SLACK;
        let id = &self.record.id;
        let command = vec![self.machine.program("osmoda-switch"), "deadman".to_owned(), id.clone()];
        let mut service = TransientService::new("osModa dead-man: rolls a switch back whose runner is gone", command);
        service.restart_after = Some(StdDuration::from_secs(1));
        let name = deadman_name(id);
        let timer = format!("{name}.timer");
        // It is there already when a runner before this one got so far.
        if self.manager.status(&timer).await?.active != ActiveState::Active {
            self.manager.start_transient_timer(&name, after, &service).await?;
        }
        let status = self.manager.status(&timer).await?;
        if status.active == ActiveState::Active {
            Ok(())
        } else {
            Err(SwitchError::Record(format!("{timer} does not tick: it is {} ({})", status.active, status.sub)))
        }
    }

    async fn probation(&mut self, base: Option<&StorePath>, target: &StorePath) -> Result<Outcome, SwitchError> {
        if self.record.ttl.is_zero() {
            if let Some(words) = self.newly_failed().await? {
                return Ok(Outcome::RollBack(words));
            }
            // A runner that ends while it commits has come this far.
            self.enter(SwitchState::Probation);
            self.save()?;
            return Ok(Outcome::Commit);
        }
        let gates = changed_gates(&self.machine, target, base)?;
        self.record.gates = gates.iter().map(unanswered).collect();
        self.record.gates.push(GateStatus {
            object: None,
            name: MACHINE_GATE.to_owned(),
            passing: None,
            answers: 0,
            message: None,
        });
        self.enter(SwitchState::Probation);
        self.save()?;
        let mut events = UnitEvents::new(&self.manager).await?;
        let (_asking, mut answers) = ask_all(&Prober::new(self.manager.clone()), &gates);
        let began = tokio::time::Instant::now();
        let mut looks = tokio::time::interval(self.record.interval.as_std().max(StdDuration::from_millis(100)));
        // A look that takes longer than the time between two of them leaves room for the others.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut until: Option<tokio::time::Instant> = None;
        loop {
            match self.journal.requested(&self.record.id).as_deref() {
                Some("commit") => return Ok(Outcome::Commit),
                Some("rollback") => {
                    self.record.held = true;
                    return Ok(Outcome::RollBack("somebody asked for it".to_owned()));
                }
                _ => {}
            }
            let over = async {
                match until {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let mut news = false;
            // In this order: what gates have said counts before the time that is over, and unit signals without end come last.
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                // With no gate at all only the machine's own is asked, by the timer.
                Some(answer) = answers.recv(), if !gates.is_empty() => {
                    let gate = &mut self.record.gates[answer.index];
                    let passing = match answer.verdict {
                        Verdict::Open => None,
                        Verdict::Healthy => Some(true),
                        Verdict::Unhealthy => Some(false),
                    };
                    news = gate.passing != passing;
                    gate.passing = passing;
                    gate.answers += 1;
                    gate.message = answer.message;
                    if answer.verdict == Verdict::Unhealthy {
                        let who = gate.object.as_ref().map(ToString::to_string).unwrap_or_default();
                        let why = gate.message.clone().unwrap_or_default();
                        return Ok(Outcome::RollBack(format!("{who}: gate `{}`: {why}", gate.name)));
                    }
                }
                () = over => {
                    // The last word has the whole machine, and whoever has said something meanwhile.
                    if let Some(words) = self.newly_failed().await? {
                        return Ok(Outcome::RollBack(words));
                    }
                    if answers.is_empty() && self.journal.requested(&self.record.id).is_none() {
                        return Ok(Outcome::Commit);
                    }
                }
                _ = looks.tick() => {
                    if let Some(words) = self.newly_failed().await? {
                        return Ok(Outcome::RollBack(words));
                    }
                    let answer = self.agentd.answers().await;
                    let gate = self.record.gates.last_mut().expect("the machine's own gate is always there");
                    gate.answers += 1;
                    gate.message = answer.clone().err();
                    match answer {
                        Ok(()) => {
                            news = gate.passing != Some(true);
                            gate.passing = Some(true);
                        }
                        Err(why) if began.elapsed() > COME_BACK => return Ok(Outcome::RollBack(why)),
                        Err(_) => {}
                    }
                }
                event = events.next() => {
                    let Some(event) = event else {
                        return Err(SwitchError::Record("the connection to systemd ended".to_owned()));
                    };
                    if event.active == ActiveState::Failed && let Some(words) = self.newly_failed().await? {
                        return Ok(Outcome::RollBack(words));
                    }
                }
            }
            if until.is_none() && self.record.gates.iter().all(|gate| gate.passing == Some(true)) {
                let ttl = self.record.ttl.as_std();
                until = Some(tokio::time::Instant::now() + ttl);
                self.record.probation_until =
                    osmoda_schemas::now().checked_add(SignedDuration::try_from(ttl).unwrap_or_default()).ok();
                news = true;
            }
            if news {
                self.save()?;
            }
        }
    }

    /// Units that are failed now and were not before the switch, as words.
    pub(crate) async fn newly_failed(&self) -> Result<Option<String>, SwitchError> {
        let now = self.manager.snapshot().await?;
        let ours = |unit: &str| {
            ["osmoda-probe-", "osmoda-switch-", "osmoda-deadman-"].iter().any(|prefix| unit.starts_with(prefix))
        };
        let failed = now.units.iter().filter(|(unit, status)| {
            status.active == ActiveState::Failed && !self.record.failed_before.contains(unit) && !ours(unit)
        });
        let mut names: Vec<&str> = failed.map(|(unit, _)| unit.as_str()).collect();
        // When a routine runs is its author's affair: what it comes to says nothing about others' changes.
        if names.iter().any(|unit| unit.starts_with(ROUTINE)) {
            let (from, to) = self.ends(Way::Forth)?;
            names.retain(|unit| !unit.starts_with(ROUTINE) || from.files.get(*unit) != to.files.get(*unit));
        }
        Ok((!names.is_empty()).then(|| format!("{} failed since the switch began", names.join(", "))))
    }

    /// The profile's link is the commit; the record follows it. Gives the number of the generation.
    async fn commit(&self) -> Result<u64, SwitchError> {
        if !self.is_in_profile()? {
            backend::ensure_unmoved(&self.machine, &self.record, &[backend::boots(&self.record)])?;
        }
        let missing = || SwitchError::Record("there is nothing to commit".to_owned());
        let target: StorePath = backend::boots(&self.record).and_then(|path| path.parse().ok()).ok_or_else(missing)?;
        // Whoever finds the profile moved has to find this state, too, also after a power cut: no commit on a full disk.
        self.journal.write(&self.record).map_err(SwitchError::io("the record of the switch"))?;
        let lock = self.journal.lock().map_err(SwitchError::io("the lock of switches"))?;
        // A power cut after the commit has to find the files of the generation, and not only their names.
        let store = std::fs::File::open(self.machine.store.folder()).map_err(SwitchError::io("the Nix store"))?;
        rustix::fs::syncfs(&store).map_err(|e| SwitchError::io("the Nix store")(e.into()))?;
        let profile = self.machine.profile_of(&self.record);
        let number = match self.record.purpose {
            SwitchPurpose::Apply => profile.commit(&target),
            SwitchPurpose::Rollback => profile.go_back(&target),
        };
        let number = number.map_err(SwitchError::io("the profile"))?;
        drop(lock);
        backend::of(&self.record).after_commit(self).await?;
        Ok(number)
    }

    /// True when the profile was moved to the target of a switch on probation: it is committed, and its record is not.
    fn is_in_profile(&self) -> Result<bool, SwitchError> {
        // Any other one does not depend on the profile, least of all its way back.
        if self.record.state != SwitchState::Probation {
            return Ok(false);
        }
        backend::is_boot_default(&self.machine, &self.record).map_err(SwitchError::io("the profile"))
    }

    /// The profile was moved, and then the runner ended: the record follows.
    async fn close_as_committed(self) -> Result<SwitchState, SwitchError> {
        if let Err(error) = backend::of(&self.record).after_commit(&self).await {
            return self.roll_back(format!("it could not be committed: {error}")).await;
        }
        let current = self.machine.profile_of(&self.record).current().map_err(SwitchError::io("the profile"))?;
        let number = current.map(|committed| committed.number);
        self.committed_as(number.unwrap_or_default()).await
    }

    /// What comes of it, unless somebody asks for the way back first.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, SwitchError> {
        tokio::pin!(work);
        loop {
            if self.journal.requested(&self.record.id).as_deref() == Some("rollback") {
                return Err(SwitchError::Cancelled);
            }
            tokio::select! {
                done = &mut work => return Ok(done),
                () = self.wake.notified() => {}
            }
        }
    }

    async fn committed_as(mut self, number: u64) -> Result<SwitchState, SwitchError> {
        self.record.number = Some(number);
        self.conclude(SwitchState::Committed).await
    }

    /// The record says how it ended; what is left to do is to write that down, if that could not be done at once, and to
    /// tidy up.
    async fn wind_up(self) -> Result<SwitchState, SwitchError> {
        let state = self.record.state;
        if self.journal.is_kept(&self.record.id) {
            return self.conclude(state).await;
        }
        self.finish().await;
        Ok(state)
    }

    /// Disarms and lets go. What cannot be done here does no harm: the dead-man finds a final state.
    pub(crate) async fn finish(&self) {
        let id = &self.record.id;
        for unit in [format!("{}.timer", deadman_name(id))] {
            if let Err(error) = self.manager.run_job(Verb::Stop, &unit, StdDuration::from_secs(10)).await {
                tracing::debug!("{unit}: {error}");
            }
        }
        if let Err(error) = self.machine.unpin_ended(&self.journal) {
            tracing::warn!("a root could not be removed, the next switch tries again: {error}");
        }
        self.journal.tidy(id);
    }

    /// Enters a state in memory; [`Runner::save`] makes it last.
    pub(crate) fn enter(&mut self, state: SwitchState) {
        self.record.enter(state);
        tracing::info!(switch = self.record.id, "{state}");
    }

    /// Writes the record to the disk, and when there is no room, at least to where the next runner finds it.
    pub(crate) fn save(&self) -> Result<(), SwitchError> {
        self.journal
            .write(&self.record)
            .or_else(|_| self.journal.keep(&self.record))
            .map_err(SwitchError::io("the record of the switch"))
    }

    pub(crate) fn target(&self) -> Result<StorePath, SwitchError> {
        self.record.target.parse().map_err(|e| SwitchError::Record(format!("{e}")))
    }

    pub(crate) fn base(&self) -> Result<Option<StorePath>, SwitchError> {
        let parse = |path: &String| path.parse().map_err(|e| SwitchError::Record(format!("{e}")));
        self.record.base.as_ref().map(parse).transpose()
    }
}

/// How the names of routines' units begin.
const ROUTINE: &str = "osmoda-routine-";

/// What the gate is called that asks about the whole machine.
const MACHINE_GATE: &str = "osModa answers, and no other unit fails";

/// Gates of the objects that differ between two generations.
pub(crate) fn changed_gates(
    machine: &Machine,
    target: &StorePath,
    base: Option<&StorePath>,
) -> Result<Vec<Gate>, SwitchError> {
    let read = |path: &StorePath| {
        Manifest::read(&machine.store.locate(path)).map_err(SwitchError::io("the manifest of a generation"))
    };
    let new = read(target)?;
    // The same documents in another system: everything may be different.
    let base = base.filter(|base| *base != target);
    let old = base.map(read).transpose()?.unwrap_or_default();
    Ok(new.changed_since(&old).flat_map(|(_, entry)| entry.gates.clone()).collect())
}

/// How long it may take until a gate has a verdict for the first time.
pub(crate) fn longest_first_look(gate: &Gate) -> StdDuration {
    let check = &gate.check;
    let failures = check.failure_threshold.max(check.success_threshold);
    check.grace.as_std() + (check.interval.as_std() + check.timeout.as_std()) * failures
}
