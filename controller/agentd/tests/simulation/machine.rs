//! The simulated machine: its folders, its clock, its faults, agentd, and what runs switches.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use osmoda_agentd::{
    controller::{ApplyOptions, Controller},
    follow::nothing_changed,
    ingest::Judge,
    reconcile::{ChangedPaths, Key, Loop, follow_units},
    renderers,
};
use osmoda_failpoint::simulated::{self as failpoints, Action};
use osmoda_generation::{NixStore, Profile, Roots};
use osmoda_ipc::Metrics;
use osmoda_ledger::Ledger;
use osmoda_runtime::WorkQueue;
use osmoda_safeswitch::{Agentd, Machine, Runner, boot, deadman};
use osmoda_schemas::{authors::AuthorRule, config::Config};
use osmoda_systemd::Manager;
use rusqlite::{Connection, OpenFlags};
use tokio::{
    sync::{Mutex as Turn, Notify, mpsc},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    handle::Handle,
    process::{End, Process},
    store::Store,
    systemd::Systemd,
};

/// A user that is none of this machine's.
pub const OTHER_AUTHOR: u32 = 4711;

/// True where documents of several authors can be written.
pub fn has_authors() -> bool {
    rustix::process::getuid().is_root()
}

/// Lines of the trace that are kept.
const KEPT: usize = 5000;

/// What came of a story.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Invariants that did not hold.
    pub broken: Vec<String>,
    /// The digest of all that was noted.
    pub digest: u64,
    /// The last of that.
    pub lines: Vec<String>,
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
}

/// What everything on the machine shares: chance, and the trace of what happened.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Inner>>);

struct Inner {
    random: fastrand::Rng,
    began: Instant,
    /// How far the clock on the wall was set forth or back.
    stepped: SignedDuration,
    /// The machine's folder, which is another each time.
    folder: String,
    digest: u64,
    lines: VecDeque<String>,
    broken: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn new(seed: u64, folder: &Path) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            random: fastrand::Rng::with_seed(seed),
            began: Instant::now(),
            stepped: SignedDuration::ZERO,
            folder: folder.display().to_string(),
            digest: 0xcbf2_9ce4_8422_2325,
            lines: VecDeque::new(),
            broken: Vec::new(),
            counts: BTreeMap::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number below another.
    pub fn below(&self, end: u64) -> u64 {
        self.inner().random.u64(..end)
    }

    /// True with that probability.
    pub fn chance(&self, probability: f64) -> bool {
        self.inner().random.f64() < probability
    }

    /// Waits for up to so many milliseconds.
    pub async fn pause(&self, millis: u64) {
        let wait = self.below(millis * 1000);
        sleep(Duration::from_micros(wait)).await;
    }

    /// The clock on the wall.
    pub fn now(&self) -> Timestamp {
        let inner = self.inner();
        let since = SignedDuration::try_from(inner.began.elapsed()).unwrap_or_default() + inner.stepped;
        Timestamp::constant(1_800_000_000, 0).saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// Somebody, or NTP, sets it.
    pub fn step(&self, by: SignedDuration) {
        self.inner().stepped += by;
    }

    /// Notes what happens.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.inner();
        let line = format!("{:10.3} {}", inner.began.elapsed().as_secs_f64(), line().replace(&*inner.folder, ""));
        for byte in line.bytes() {
            inner.digest = (inner.digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if inner.lines.len() == KEPT {
            inner.lines.pop_front();
        }
        inner.lines.push_back(line);
    }

    /// Counts what a table tells of all stories.
    pub fn count(&self, what: &'static str) {
        *self.inner().counts.entry(what).or_default() += 1;
    }

    /// Notes that an invariant does not hold.
    pub fn broken(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(|| format!("BROKEN: {what}"));
        self.inner().broken.push(what);
    }

    /// What came of the story.
    pub fn outcome(&self) -> Outcome {
        let inner = self.inner();
        Outcome {
            broken: inner.broken.clone(),
            digest: inner.digest,
            lines: inner.lines.iter().cloned().collect(),
            counts: inner.counts.clone(),
        }
    }
}

/// A text without what is random in it: the parts of UUIDs.
pub fn plain(text: &str) -> String {
    let is_random = |word: &str| matches!(word.len(), 4 | 8 | 12) && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| if is_random(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())) { "*" } else { word })
        .collect()
}

/// What is done at one of the next failpoints.
#[derive(Debug)]
pub struct Armed {
    pub program: Option<&'static str>,
    pub countdown: u64,
}

/// What people ask of agentd.
#[derive(Debug)]
pub enum Request {
    Apply { clear_quarantine: bool, accept_mass_delete: bool },
    Rollback,
}

/// What the running agentd has, for who writes documents.
#[derive(Clone)]
pub struct Running {
    pub process: Arc<Process>,
    pub controller: Arc<Turn<Controller>>,
    pub queue: WorkQueue<Key>,
    pub changed: ChangedPaths,
    pub requests: mpsc::UnboundedSender<Request>,
}

/// The machine.
pub struct Sim {
    pub shared: Shared,
    pub systemd: Arc<Systemd>,
    pub wake: Arc<Notify>,
    folder: PathBuf,
    store: Arc<Store>,
    pub agentd: Mutex<Option<Running>>,
    pub armed: Mutex<Option<Armed>>,
    /// Until then writes fail.
    pub full_until: Mutex<Option<Instant>>,
    /// A write has failed, sometime.
    pub was_full: Mutex<bool>,
    power: Mutex<Vec<JoinHandle<()>>>,
    boot: Mutex<Option<Arc<Process>>>,
}

impl Sim {
    /// A machine that is off.
    pub fn new(seed: u64, folder: &Path) -> Arc<Self> {
        let shared = Shared::new(seed, folder);
        let store = Arc::new(Store { folder: folder.join("store"), shared: shared.clone() });
        for sub in ["store", "state/desired", "run", "profiles", "roots"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        let sim = Arc::new(Self {
            systemd: Arc::new(Systemd::new(shared.clone())),
            shared,
            wake: Arc::new(Notify::new()),
            folder: folder.to_owned(),
            store,
            agentd: Mutex::new(None),
            armed: Mutex::new(None),
            full_until: Mutex::new(None),
            was_full: Mutex::new(false),
            power: Mutex::new(Vec::new()),
            boot: Mutex::new(None),
        });
        let clock = sim.shared.clone();
        osmoda_schemas::simulated::set(Some(Box::new(move || clock.now())));
        let weak = Arc::downgrade(&sim);
        failpoints::set(Some(Rc::new(move |side, point, detail| match weak.upgrade() {
            Some(sim) => sim.decide(side, point, &detail.to_string()),
            None => Action::Pass,
        })));
        sim
    }

    /// Its folders, as osModa knows them.
    pub fn machine(&self) -> Machine {
        Machine {
            nixos: None,
            state: self.folder.join("state"),
            run: self.folder.join("run"),
            programs: PathBuf::from("/usr/lib/osmoda"),
            profile: Profile::in_folder(self.folder.join("profiles")),
            roots: Roots::in_folder(self.folder.join("roots")),
            store: NixStore::simulated(Arc::clone(&self.store) as _, self.store.folder.clone()),
            ledger: Ledger::open_inline,
        }
    }

    pub fn desired(&self) -> PathBuf {
        self.folder.join("state/desired")
    }

    /// Objects in force, as `state.db` says.
    pub fn durable(&self) -> usize {
        let file = self.folder.join("state/state.db");
        let count = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|db| db.query_row("SELECT count(*) FROM admitted", [], |row| row.get::<_, u32>(0)));
        count.map_or(0, |count| count as usize)
    }

    /// At a failpoint.
    fn decide(self: &Arc<Self>, side: &str, point: &'static str, detail: &str) -> Action {
        let Some(process) = Process::current() else { return Action::Pass };
        let detail = detail.strip_prefix(&*self.folder.to_string_lossy()).unwrap_or(detail);
        self.look_at_place(side, point, detail);
        if point == "durable.write" && side == "after" && detail.starts_with("/state/switch/") {
            self.tell(Key::Switch, Duration::ZERO);
        }
        let mut armed = self.armed.lock().unwrap();
        if let Some(next) = armed.as_mut().filter(|a| a.program.is_none_or(|program| program == process.program)) {
            if next.countdown == 0 {
                *armed = None;
                self.shared.count("killed at a failpoint");
                self.shared.note(|| format!("{} is killed {side} {point} {}", process.program, plain(detail)));
                return Action::Kill;
            }
            next.countdown -= 1;
        }
        drop(armed);
        // What is in /run is memory.
        let on_disk = !detail.starts_with("/run/");
        if side == "before" && on_disk && self.full_until.lock().unwrap().is_some_and(|until| Instant::now() < until) {
            let can_fail = point.starts_with("durable.") || matches!(point, "ledger.append" | "state.save");
            if can_fail {
                *self.was_full.lock().unwrap() = true;
                self.shared.count("writes refused");
                self.shared.note(|| format!("{}: no room for {point} {}", process.program, plain(detail)));
                return Action::Fail(std::io::ErrorKind::StorageFull.into());
            }
        }
        Action::Pass
    }

    /// What inotify would tell agentd.
    pub fn tell(&self, key: Key, delay: Duration) {
        if let Some(running) = &*self.agentd.lock().unwrap() {
            running.queue.add(key, "told", delay);
        }
    }

    /// Documents changed; now and then so many that nobody knows which.
    pub fn tell_documents(&self, paths: impl IntoIterator<Item = PathBuf>) {
        let overflow = self.shared.chance(0.05);
        if let Some(running) = &*self.agentd.lock().unwrap() {
            let mut changed = running.changed.lock().unwrap();
            if overflow {
                *changed = None;
            } else if let Some(changed) = &mut *changed {
                changed.extend(paths);
            }
        }
        self.tell(Key::Documents, Duration::from_millis(100));
    }

    /// Carries out a command line of `osmoda-switch`.
    pub fn run_switch(self: &Arc<Self>, command: &[String]) -> (Arc<Process>, JoinHandle<bool>) {
        let sim = Arc::clone(self);
        let (verb, id) = (command[1].clone(), command[2].clone());
        Process::spawn("osmoda-switch", move |process| async move {
            let open = || {
                let agentd = Arc::clone(&sim);
                let answers = Agentd::Simulated(Arc::new(move || agentd.agentd.lock().unwrap().is_some()));
                let handle = Handle { sim: Arc::clone(&sim), process: Arc::clone(&process) };
                let manager = Manager::simulated(Arc::new(handle));
                Runner::with(sim.machine(), manager, answers, Arc::clone(&sim.wake), &id)
            };
            let ended = match open() {
                Ok(runner) if verb == "deadman" => deadman(runner).await,
                Ok(runner) => runner.run().await,
                Err(error) => Err(error),
            };
            sim.shared.note(|| match &ended {
                Ok(state) => format!("osmoda-switch {verb}: {state:?}"),
                Err(error) => format!("osmoda-switch {verb} ends: {}", plain(&error.to_string())),
            });
            ended.is_ok()
        })
    }

    /// Boots: the generator, what closes cut-off switches, the units, agentd.
    pub fn power_on(self: &Arc<Self>) {
        self.shared.note(|| "power on".to_owned());
        self.systemd.power_on(self);
        let sim = Arc::clone(self);
        let booting = tokio::spawn(async move {
            loop {
                let machine = sim.machine();
                let (process, handle) =
                    Process::spawn("osmoda-boot", |_| async move { boot::boot(&machine).await.is_ok() });
                *sim.boot.lock().unwrap() = Some(Arc::clone(&process));
                if process.end(handle).await == End::Exit(true) {
                    break;
                }
                sim.shared.note(|| "osmoda-boot is run again".to_owned());
                sleep(Duration::from_secs(1)).await;
            }
            sim.look_after_boot();
            sim.systemd.start_wanted();
            loop {
                let end = sim.run_agentd().await;
                sim.shared.note(|| format!("agentd: {end:?}"));
                sleep(Duration::from_secs(1)).await;
            }
        });
        self.power.lock().unwrap().push(booting);
    }

    /// The power is cut: what was running is gone, and so is what was in memory.
    pub fn power_off(&self) {
        self.shared.note(|| "power off".to_owned());
        self.shared.count("power cuts");
        for task in self.power.lock().unwrap().drain(..) {
            task.abort();
        }
        if let Some(boot) = self.boot.lock().unwrap().take() {
            boot.kill();
        }
        if let Some(running) = self.agentd.lock().unwrap().take() {
            running.process.kill();
        }
        self.systemd.power_off();
        let run = self.folder.join("run");
        fs::remove_dir_all(&run).unwrap();
        fs::create_dir(&run).unwrap();
    }

    async fn run_agentd(self: &Arc<Self>) -> End {
        let sim = Arc::clone(self);
        let (process, handle) =
            Process::spawn("agentd", move |process| async move { sim.agentd(process).await.is_ok() });
        let end = process.end(handle).await;
        *self.agentd.lock().unwrap() = None;
        end
    }

    async fn agentd(self: Arc<Self>, process: Arc<Process>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let machine = self.machine();
        fs::create_dir_all(machine.journal().folder())?;
        let ledger = Ledger::open_inline(&machine.ledger_folder())?;
        let manager = Manager::simulated(Arc::new(Handle { sim: Arc::clone(&self), process: Arc::clone(&process) }));
        let config = self.config();
        let judge = Judge {
            backend: config.backend,
            authors: config.authors.clone(),
            renderers: renderers(),
            allowed_options: None,
            options: None,
        };
        let resync = config.resync.as_std();
        let controller =
            Controller::new(machine.clone(), manager.clone(), ledger, config, judge).map_err(|e| e.to_string())?;
        let (queue, changed) = (WorkQueue::new(), nothing_changed());
        let controller = Arc::new(Turn::new(controller));
        let (requests, mut asked) = mpsc::unbounded_channel();
        let turning = Loop {
            controller: Arc::clone(&controller),
            queue: queue.clone(),
            changed: Arc::clone(&changed),
            folders: None,
            resync,
            metrics: Metrics::default(),
        };
        *self.agentd.lock().unwrap() =
            Some(Running { process, controller: Arc::clone(&controller), queue: queue.clone(), changed, requests });
        let answering = async {
            while let Some(request) = asked.recv().await {
                self.answer(&machine, &manager, &mut *controller.lock().await, request).await;
            }
        };
        let all = futures_util::future::select(Box::pin(turning.run()), Box::pin(answering));
        futures_util::future::select(all, Box::pin(follow_units(manager.clone(), queue))).await;
        Ok(())
    }

    /// As `api.rs` does it.
    async fn answer(&self, machine: &Machine, manager: &Manager, controller: &mut Controller, request: Request) {
        let said = match request {
            Request::Apply { clear_quarantine, accept_mass_delete } => {
                let options = ApplyOptions { actor: "uid:0".to_owned(), clear_quarantine, ..ApplyOptions::default() };
                match controller.admit(None, accept_mass_delete).await {
                    Ok(()) => controller.converge(Some(&options)).await.map(|(_, step)| format!("{step:?}")),
                    Err(error) => Err(error),
                }
                .map_err(|e| e.to_string())
            }
            Request::Rollback => crate::script::roll_back(machine, manager).await,
        };
        self.shared.note(|| format!("answered: {}", plain(&said.unwrap_or_else(|e| e))));
    }

    fn config(&self) -> Config {
        let mut config = Config { sources: vec![self.desired().display().to_string()], ..Config::default() };
        // Who runs the simulation writes the documents, and as root some in another one's name.
        let uid = if has_authors() { OTHER_AUTHOR } else { rustix::process::getuid().as_raw() };
        let rule =
            serde_json::json!({ "user": uid, "kinds": ["App"], "tiers": [0, 1, 2], "users": ["dynamic", "root"] });
        config.authors.push(serde_json::from_value::<AuthorRule>(rule).unwrap());
        config
    }

    /// Everything that writes has room again, nobody is killed any more.
    pub fn calm(&self) {
        *self.armed.lock().unwrap() = None;
        *self.full_until.lock().unwrap() = None;
    }

    /// Paths in the store that are in quarantine.
    pub fn quarantined(&self) -> BTreeSet<String> {
        let list = self.machine().quarantine().list().unwrap_or_default();
        list.into_iter().map(|entry| entry.path).collect()
    }
}
