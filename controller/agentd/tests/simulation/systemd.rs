//! The simulated systemd: units of the active generation, transient services and timers, jobs that take their time,
//! services that die, hang and are started again.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use osmoda_generation::Units;
use osmoda_systemd::{
    ActiveState, JobResult, SystemdError, UnitEvent, UnitSnapshot, UnitStatus, Verb, transient::TransientService,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    machine::{Shared, Sim},
    process::Process,
};

/// A start that does not end gets this time (`DefaultTimeoutStartSec`)...
const START: Duration = Duration::from_secs(90);
/// ...and a stop this one: that of an app is in its document.
const STOP: Duration = Duration::from_secs(30);

/// What a unit of an app does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Runs,
    /// Its start fails.
    Fails,
    /// Its start does not end.
    Hangs,
    /// It dies some time after its start.
    Dies,
    /// It does not stop until it is killed.
    Stays,
}

fn behaviour(exec: &str) -> Behaviour {
    let word = |word: &str| exec.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == word);
    match () {
        () if word("fails") => Behaviour::Fails,
        () if word("hangs") => Behaviour::Hangs,
        () if word("dies") => Behaviour::Dies,
        () if word("stays") => Behaviour::Stays,
        () => Behaviour::Runs,
    }
}

/// A unit that systemd has loaded.
#[derive(Clone, Debug)]
struct Unit {
    active: ActiveState,
    sub: &'static str,
    /// The program that runs, with its arguments.
    exec: String,
    restarts: u32,
    /// Grows with every change: what was to come of an earlier state does not.
    turn: u64,
    /// Starts of late, for the start limit.
    starts: Vec<Instant>,
}

/// How far a job has come.
enum Begun {
    Over(JobResult),
    /// The unit is in that turn; one that stays does not stop by itself.
    Turn {
        turn: u64,
        stays: bool,
    },
}

/// A transient service or timer.
#[derive(Debug)]
struct Transient {
    command: Vec<String>,
    restart_after: Option<Duration>,
    /// None between two runs, and for a timer.
    process: Option<Arc<Process>>,
    turn: u64,
}

#[derive(Debug, Default)]
struct State {
    units: BTreeMap<String, Unit>,
    transients: BTreeMap<String, Transient>,
    files: BTreeMap<String, String>,
    wanted: Vec<String>,
    listeners: Vec<mpsc::UnboundedSender<UnitEvent>>,
    turns: u64,
    /// The machine has no power; nothing happens.
    off: bool,
    boot: u64,
}

/// systemd itself. Processes talk to it by a [`crate::handle::Handle`] of their own.
pub struct Systemd {
    state: Mutex<State>,
    shared: Shared,
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Systemd")
    }
}

impl Systemd {
    pub fn new(shared: Shared) -> Self {
        Self { state: Mutex::default(), shared }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything stops at once.
    pub fn power_off(&self) {
        let mut state = self.state();
        let (turns, boot) = (state.turns, state.boot + 1);
        for transient in state.transients.values() {
            if let Some(process) = &transient.process {
                process.kill();
            }
        }
        *state = State { turns, boot, off: true, ..State::default() };
    }

    /// Loads the units of the committed generation.
    pub fn power_on(&self, sim: &Sim) {
        self.state().off = false;
        self.load(sim);
    }

    /// What the generator does at a daemon-reload: links the units of the active generation, or of the boot default.
    pub fn load(&self, sim: &Sim) {
        let machine = sim.machine();
        let active = machine.active().unwrap_or_default();
        let path = active.or_else(|| machine.profile.current().unwrap_or_default().map(|c| c.path));
        let folder = path.map(|path| machine.store.locate(&path));
        let units = folder.as_deref().map_or(Ok(Units::default()), Units::read).unwrap_or_default();
        let exec = |unit: &osmoda_systemd::UnitFile| unit.values("Service", "ExecStart").last().cloned();
        let mut state = self.state();
        state.files = units.files.iter().map(|(name, file)| (name.clone(), exec(file).unwrap_or_default())).collect();
        state.wanted = units.wanted.into_iter().collect();
    }

    /// Starts what the boot target wants.
    pub fn start_wanted(self: &Arc<Self>) {
        // Now and then what they come after (the network, say) takes its time.
        let wait = if self.shared.chance(0.2) { 5000 } else { 1 };
        let boot = self.state().boot;
        for unit in self.state().wanted.clone() {
            let systemd = Arc::clone(self);
            tokio::spawn(async move {
                systemd.shared.pause(wait).await;
                if systemd.state().boot == boot {
                    let _ = systemd.job(Verb::Start, &unit).await;
                }
            });
        }
    }

    /// Programs of units of apps that are up, by unit.
    pub fn running(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let up = state.units.iter().filter(|(_, unit)| unit.active.is_up());
        up.map(|(name, unit)| (name.clone(), unit.exec.clone())).collect()
    }

    /// Programs of the loaded unit files that the boot target wants.
    pub fn wanted(&self) -> BTreeMap<String, String> {
        let state = self.state();
        state.wanted.iter().filter_map(|unit| Some((unit.clone(), state.files.get(unit)?.clone()))).collect()
    }

    /// Transient units that are there.
    pub fn transients(&self) -> Vec<String> {
        self.state().transients.keys().cloned().collect()
    }

    /// The programs of transient services that run.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.state().transients.values().filter_map(|t| t.process.clone()).filter(|p| !p.is_dead()).collect()
    }

    /// A service of an app dies.
    pub fn die(self: &Arc<Self>, unit: &str) {
        let turn = self.state().units.get(unit).filter(|u| u.active == ActiveState::Active).map(|u| u.turn);
        if let Some(turn) = turn {
            self.died(unit, turn);
        }
    }

    /// systemd starts it again after a second, but not more than five times in ten.
    fn died(self: &Arc<Self>, name: &str, turn: u64) {
        let mut state = self.state();
        let Some(unit) = state.units.get_mut(name).filter(|unit| unit.turn == turn) else { return };
        let now = Instant::now();
        unit.starts.retain(|at| now.duration_since(*at) < Duration::from_secs(10));
        if unit.starts.len() >= 5 {
            Self::enter(&mut state, name, ActiveState::Failed, "failed");
            return;
        }
        let turn = Self::enter(&mut state, name, ActiveState::Activating, "auto-restart");
        drop(state);
        let (systemd, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            let is_its_turn = |unit: &mut Unit| {
                let is_its_turn = unit.turn == turn;
                unit.restarts += u32::from(is_its_turn);
                is_its_turn
            };
            if systemd.state().units.get_mut(&name).is_some_and(is_its_turn) {
                systemd.run(&name, turn).await;
            }
        });
    }

    /// A new state, and a word of it to everybody. Gives the turn.
    fn enter(state: &mut State, name: &str, active: ActiveState, sub: &'static str) -> u64 {
        state.turns += 1;
        let turn = state.turns;
        if let Some(unit) = state.units.get_mut(name) {
            (unit.active, unit.sub, unit.turn) = (active, sub, turn);
        }
        let event = UnitEvent { unit: name.to_owned(), active, sub: sub.to_owned() };
        state.listeners.retain(|listener| listener.send(event.clone()).is_ok());
        turn
    }

    /// Brings up a unit that is in that turn. Gives none when something else came over it.
    async fn run(self: &Arc<Self>, name: &str, turn: u64) -> Option<JobResult> {
        let exec = {
            let mut state = self.state();
            let file = state.files.get(name)?.clone();
            let unit = state.units.get_mut(name).filter(|unit| unit.turn == turn)?;
            unit.exec.clone_from(&file);
            unit.starts.push(Instant::now());
            file
        };
        let does = behaviour(&exec);
        if does == Behaviour::Hangs {
            sleep(START).await;
        } else {
            self.shared.pause(200).await;
        }
        let mut state = self.state();
        state.units.get(name).filter(|unit| unit.turn == turn)?;
        match does {
            Behaviour::Fails | Behaviour::Hangs => {
                Self::enter(&mut state, name, ActiveState::Failed, "failed");
                Some(if does == Behaviour::Fails { JobResult::Failed } else { JobResult::Timeout })
            }
            Behaviour::Runs | Behaviour::Dies | Behaviour::Stays => {
                let turn = Self::enter(&mut state, name, ActiveState::Active, "running");
                if does == Behaviour::Dies {
                    let (systemd, name) = (Arc::clone(self), name.to_owned());
                    tokio::spawn(async move {
                        systemd.shared.pause(4000).await;
                        systemd.died(&name, turn);
                    });
                }
                Some(JobResult::Done)
            }
        }
    }

    /// Runs a job on a unit of the generation.
    pub async fn job(self: &Arc<Self>, verb: Verb, name: &str) -> Result<JobResult, SystemdError> {
        let boot = self.state().boot;
        self.shared.pause(30).await;
        let Some(begun) = self.begin(verb, name, boot) else { return pending().await };
        let (mut turn, stays) = match begun? {
            Begun::Over(result) => return Ok(result),
            Begun::Turn { turn, stays } => (turn, stays),
        };
        if verb != Verb::Start {
            // systemd would kill it after its timeout; whoever has asked is faster.
            let until = Instant::now() + STOP;
            while stays && Instant::now() < until && self.is_turn(name, turn) {
                sleep(Duration::from_millis(100)).await;
            }
            self.shared.pause(100).await;
            match self.stopped(verb, name, turn, boot) {
                Some(Begun::Turn { turn: next, .. }) => turn = next,
                Some(Begun::Over(result)) => return Ok(result),
                None => return pending().await,
            }
        }
        Ok(self.run(name, turn).await.unwrap_or(JobResult::Canceled))
    }

    fn is_turn(&self, name: &str, turn: u64) -> bool {
        self.state().units.get(name).is_some_and(|unit| unit.turn == turn)
    }

    /// The beginning of a job; none when its machine is off.
    fn begin(&self, verb: Verb, name: &str, boot: u64) -> Option<Result<Begun, SystemdError>> {
        let mut state = self.state();
        if state.off || state.boot != boot {
            return None;
        }
        let (known, loaded) = (state.files.contains_key(name), state.units.contains_key(name));
        if !known && (verb != Verb::Stop || !loaded) {
            return Some(Err(no_such_unit(name)));
        }
        let is_active = state.units.get(name).is_some_and(|unit| unit.active == ActiveState::Active);
        if verb == Verb::Reload || verb == Verb::Start && is_active {
            return Some(Ok(Begun::Over(JobResult::Done)));
        }
        let fresh = Unit {
            active: ActiveState::Inactive,
            sub: "dead",
            exec: String::new(),
            restarts: 0,
            turn: 0,
            starts: Vec::new(),
        };
        let unit = state.units.entry(name.to_owned()).or_insert(fresh);
        let stays = unit.active.is_up() && behaviour(&unit.exec) == Behaviour::Stays;
        unit.restarts = 0;
        let turn = match verb {
            Verb::Start => Self::enter(&mut state, name, ActiveState::Activating, "start"),
            _ => Self::enter(&mut state, name, ActiveState::Deactivating, "stop-sigterm"),
        };
        Some(Ok(Begun::Turn { turn, stays }))
    }

    /// It has stopped, or was killed; none when its machine is off.
    fn stopped(&self, verb: Verb, name: &str, turn: u64, boot: u64) -> Option<Begun> {
        let mut state = self.state();
        if state.boot != boot {
            return None;
        }
        let Some(unit) = state.units.get(name) else { return Some(Begun::Over(JobResult::Done)) };
        let was_killed = unit.active == ActiveState::Inactive;
        if unit.turn != turn && !was_killed {
            return Some(Begun::Over(JobResult::Canceled));
        }
        let turn = Self::enter(&mut state, name, ActiveState::Inactive, "dead");
        if verb == Verb::Restart {
            return Some(Begun::Turn { turn, stays: false });
        }
        if !state.files.contains_key(name) {
            state.units.remove(name);
        }
        Some(Begun::Over(JobResult::Done))
    }

    /// Starts a transient service, and again when it fails.
    pub fn start_service(self: &Arc<Self>, sim: &Arc<Sim>, name: &str, service: &TransientService) {
        let transient = Transient {
            command: service.command.clone(),
            restart_after: service.restart_after,
            process: None,
            turn: 0,
        };
        self.state().transients.insert(name.to_owned(), transient);
        self.run_service(sim, name);
    }

    fn run_service(self: &Arc<Self>, sim: &Arc<Sim>, name: &str) {
        let mut state = self.state();
        state.turns += 1;
        let turn = state.turns;
        let Some(transient) = state.transients.get_mut(name) else { return };
        let (process, handle) = sim.run_switch(&transient.command);
        (transient.process, transient.turn) = (Some(Arc::clone(&process)), turn);
        let again = transient.restart_after;
        drop(state);
        let (systemd, sim, name) = (Arc::clone(self), Arc::clone(sim), name.to_owned());
        tokio::spawn(async move {
            let end = process.end(handle).await;
            let is_ours = |state: &State| state.transients.get(&name).is_some_and(|t| t.turn == turn);
            let failed = end != crate::process::End::Exit(true);
            if let Some(after) = again.filter(|_| failed) {
                if is_ours(&systemd.state()) {
                    sleep(after).await;
                }
                if is_ours(&systemd.state()) {
                    systemd.run_service(&sim, &name);
                }
                return;
            }
            let mut state = systemd.state();
            if is_ours(&state) {
                state.transients.remove(&name);
            }
        });
    }

    /// Starts a timer that runs a service once.
    pub fn start_timer(self: &Arc<Self>, sim: &Arc<Sim>, name: &str, after: Duration, service: &TransientService) {
        let timer = format!("{name}.timer");
        let turn = {
            let mut state = self.state();
            state.turns += 1;
            let turn = state.turns;
            let transient = Transient { command: Vec::new(), restart_after: None, process: None, turn };
            state.transients.insert(timer.clone(), transient);
            turn
        };
        let (systemd, sim) = (Arc::clone(self), Arc::clone(sim));
        let (unit, service, due) = (format!("{name}.service"), service.clone(), Instant::now() + after);
        tokio::spawn(async move {
            sleep_until(due).await;
            let elapsed = {
                let mut state = systemd.state();
                let ours = state.transients.get(&timer).is_some_and(|transient| transient.turn == turn);
                ours.then(|| state.transients.remove(&timer))
            };
            if elapsed.is_some() {
                sim.shared.note(|| "the dead-man's time has come".to_owned());
                systemd.start_service(&sim, &unit, &service);
            }
        });
    }

    /// Ends a transient unit, if it is one.
    pub fn stop_transient(&self, name: &str) -> bool {
        let stopped = self.state().transients.remove(name);
        if let Some(process) = stopped.as_ref().and_then(|transient| transient.process.as_ref()) {
            process.kill();
        }
        stopped.is_some()
    }

    pub fn reset_failed(&self, name: &str) {
        let mut state = self.state();
        if state.units.get(name).is_none_or(|unit| unit.active != ActiveState::Failed) {
            return;
        }
        Self::enter(&mut state, name, ActiveState::Inactive, "dead");
        if let Some(unit) = state.units.get_mut(name) {
            unit.starts.clear();
        }
        if !state.files.contains_key(name) {
            state.units.remove(name);
        }
    }

    /// Sends SIGKILL.
    pub fn kill(&self, name: &str) {
        let mut state = self.state();
        if let Some(process) = state.transients.get(name).and_then(|transient| transient.process.clone()) {
            process.kill();
        } else if state.units.contains_key(name) {
            Self::enter(&mut state, name, ActiveState::Inactive, "dead");
        }
    }

    pub fn restarts(&self, name: &str) -> u32 {
        self.state().units.get(name).map_or(0, |unit| unit.restarts)
    }

    pub fn listen(&self) -> mpsc::UnboundedReceiver<UnitEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state().listeners.push(sender);
        receiver
    }

    pub fn snapshot(&self) -> UnitSnapshot {
        let state = self.state();
        let mut units = BTreeMap::new();
        for (name, unit) in &state.units {
            let status =
                UnitStatus { active: unit.active, sub: unit.sub.to_owned(), loaded: state.files.contains_key(name) };
            units.insert(name.clone(), status);
        }
        for (name, transient) in &state.transients {
            let is_timer = name.ends_with(".timer");
            let (active, sub) = match &transient.process {
                None if is_timer => (ActiveState::Active, "waiting"),
                Some(process) if !process.is_dead() => (ActiveState::Active, "running"),
                _ => (ActiveState::Activating, "auto-restart"),
            };
            units.insert(name.clone(), UnitStatus { active, sub: sub.to_owned(), loaded: true });
        }
        UnitSnapshot { units }
    }
}

fn no_such_unit(unit: &str) -> SystemdError {
    SystemdError::Refused {
        what: unit.to_owned(),
        name: "org.freedesktop.systemd1.NoSuchUnit".to_owned(),
        message: format!("Unit {unit} not loaded."),
    }
}
