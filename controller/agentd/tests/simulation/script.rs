//! What happens to the machine: documents come, change and go, services die, programs are killed, the power fails, the
//! clock is set, the disk is full, people ask for things. All of it by chance, and the same again for the same seed.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use jiff::SignedDuration;
use osmoda_safeswitch::{Decision, Machine, SwitchRequest, decide, start};
use osmoda_schemas::switch::SwitchPurpose;
use osmoda_systemd::Manager;
use tokio::time::{Instant, sleep};

use crate::{
    handle::Handle,
    machine::{Armed, OTHER_AUTHOR, Request, Sim, has_authors},
    process::Process,
};

/// Names of the documents.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Those of root, where root writes them.
const OURS: [&str; 3] = ["a", "b", "c"];
/// Those that another author wishes; only root can make it so.
const THEIRS: [&str; 3] = ["d", "e", "f"];
/// How long everything gets to come to rest: longer than a dead-man waits, and than the longest wait after a failure.
const REST: Duration = Duration::from_secs(15 * 60);

/// How long one author's bad changes go on while the other one's have to become real.
const RESTLESS: Duration = Duration::from_secs(90);

/// Tells one story, from an empty machine to one at rest.
pub async fn story(sim: Arc<Sim>) {
    let mut author = Author::of(&sim);
    sim.power_on();
    for name in &NAMES[..3] {
        author.write(name, "runs", "pass");
    }
    for _ in 0..12 + sim.shared.below(20) {
        let wait = match sim.shared.below(10) {
            0 => 120_000,
            1..4 => 10_000,
            _ => 800,
        };
        sim.shared.pause(wait).await;
        author.something().await;
        author.look();
    }
    // Whatever was wished then: nothing more happens to the machine, and it comes to rest.
    sim.shared.note(|| "calm".to_owned());
    sim.calm();
    if !author.powered {
        sim.power_on();
    }
    sleep(REST).await;
    author.mend().await;
    sleep(REST).await;
    sim.look_at_rest("at rest").await;
    author.look_at_wishes().await;
    // The next change is as any other.
    author.write(NAMES[0], "runs", "pass");
    sleep(REST).await;
    sim.look_at_rest("after the next change").await;
    author.look_at_wishes().await;
    sim.count_switches();
}

/// Tells a story of two authors. Nothing goes wrong but what one of them writes, again and again; that of the other one becomes
/// real all the same.
pub async fn two_authors(sim: Arc<Sim>) {
    let mut author = Author::of(&sim);
    sim.power_on();
    for name in NAMES {
        author.write(name, "runs", "pass");
    }
    let (good, bad) = if sim.shared.chance(0.5) { (&THEIRS, &OURS) } else { (&OURS, &THEIRS) };
    for _ in 0..4 + sim.shared.below(12) {
        sim.shared.pause(20_000).await;
        let turn = sim.shared.below(4);
        if turn != 0 {
            author.write(author.pick(bad), author.pick(&["runs", "fails"]), author.pick(&["pass", "fail"]));
        }
        if turn != 1 {
            author.write(author.pick(good), "runs", "pass");
        }
        author.look();
    }
    // One has said all, and the other one goes on.
    let restless = Instant::now() + RESTLESS;
    while Instant::now() < restless {
        sim.shared.pause(8_000).await;
        author.write(author.pick(bad), "runs", "fail");
    }
    author.look_at_programs(|name| good.contains(&name));
    sleep(REST).await;
    sim.look_at_rest("after bad changes of one author").await;
    author.look_at_programs(|name| good.contains(&name));
    author.mend().await;
    sleep(REST).await;
    author.look_at_wishes().await;
    sim.count_switches();
}

/// Who writes documents, and breaks things.
struct Author {
    sim: Arc<Sim>,
    version: u64,
    /// What was written last.
    texts: BTreeMap<&'static str, String>,
    powered: bool,
    /// All documents went at once, and nobody has said that this was meant.
    vanished: bool,
}

impl Author {
    fn of(sim: &Arc<Sim>) -> Self {
        Self { sim: Arc::clone(sim), version: 0, texts: BTreeMap::new(), powered: true, vanished: false }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sim.desired().join(format!("{name}.yaml"))
    }

    /// Writes a document: what its program does, and what its gate says.
    fn write(&mut self, name: &'static str, does: &str, gate: &str) {
        self.version += 1;
        let policy = if does == "dies" { "always" } else { "onFailure" };
        let text = format!(
            "apiVersion: os.moda/v1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  tier: 0\n  \
             command: [/bin/app, {does}, v{}]\n  update: restart\n  restart: {{policy: {policy}}}\n  \
             probation: {{ttl: 5s}}\n  health:\n  - probe: {{type: unit}}\n    interval: 1s\n    grace: 2s\n  \
             - probe: {{type: command, command: [/bin/gate, {gate}]}}\n    interval: 1s\n    timeout: 2s\n    grace: 2s\n",
            self.version
        );
        self.put(name, text, does, gate);
    }

    fn put(&mut self, name: &'static str, text: String, does: &str, gate: &str) {
        self.sim.shared.note(|| format!("write {name}: {does}, {gate}"));
        let path = self.path(name);
        let new = path.with_extension("new");
        fs::write(&new, &text).unwrap();
        if THEIRS.contains(&name) && has_authors() {
            std::os::unix::fs::chown(&new, Some(OTHER_AUTHOR), None).unwrap();
        }
        fs::rename(&new, &path).unwrap();
        self.texts.insert(name, text);
        self.vanished = false;
        self.sim.tell_documents([path]);
    }

    fn remove(&mut self, name: &'static str) {
        self.sim.shared.note(|| format!("remove {name}"));
        let path = self.path(name);
        if fs::remove_file(&path).is_ok() {
            self.sim.tell_documents([path]);
        }
        self.texts.remove(name);
    }

    fn any(&self) -> &'static str {
        NAMES[usize::try_from(self.sim.shared.below(NAMES.len() as u64)).unwrap()]
    }

    fn pick(&self, of: &[&'static str]) -> &'static str {
        of[usize::try_from(self.sim.shared.below(of.len() as u64)).unwrap()]
    }

    /// Objects in force, where agentd can say that right now.
    fn admitted(&self) -> Option<usize> {
        let running = self.sim.agentd.lock().unwrap().clone()?;
        let count = running.controller.try_lock().ok()?.world().admitted().len();
        Some(count)
    }

    /// At any time: at most one switch is in flight, and a folder that vanishes is not a wish.
    fn look(&self) {
        self.sim.look();
        if self.vanished && self.admitted() == Some(0) {
            self.sim.shared.broken("all documents went at once, and so did the objects");
        }
    }

    async fn something(&mut self) {
        let sim = Arc::clone(&self.sim);
        if !self.powered && sim.shared.chance(0.7) {
            self.powered = true;
            return sim.power_on();
        }
        let name = self.any();
        match sim.shared.below(24) {
            0..5 => self.write(name, "runs", "pass"),
            5..8 => {
                let does = self.pick(&["runs", "fails", "hangs", "dies", "stays"]);
                let gate = self.pick(&["pass", "fail", "hang", "flaky"]);
                self.write(name, does, gate);
            }
            8 => self.put(name, "kind: App\nspec: [".to_owned(), "no document", ""),
            9..11 => self.remove(name),
            11 => {
                let all: Vec<_> = self.texts.keys().copied().collect();
                all.into_iter().for_each(|name| self.remove(name));
                // What no disk had room for was never in force: a restart forgets it, and of the others there may be too few.
                let count = self.admitted().map_or(0, |count| count.min(self.sim.durable()));
                self.vanished |= count >= 3;
            }
            12 => {
                let running: Vec<String> = sim.systemd.running().into_keys().collect();
                if !running.is_empty() {
                    let unit = &running[usize::try_from(sim.shared.below(running.len() as u64)).unwrap()];
                    sim.shared.note(|| format!("{unit} dies"));
                    sim.systemd.die(unit);
                }
            }
            13 => {
                let running = sim.agentd.lock().unwrap().clone();
                if let Some(running) = running {
                    sim.shared.count("killed at an await");
                    sim.shared.note(|| "kill -9 agentd".to_owned());
                    running.process.kill();
                }
            }
            14 => {
                for process in sim.systemd.processes() {
                    sim.shared.count("killed at an await");
                    sim.shared.note(|| "kill -9 osmoda-switch".to_owned());
                    process.kill();
                }
            }
            15..18 => {
                let programs =
                    [None, Some("agentd"), Some("osmoda-switch"), Some("osmoda-switch"), Some("osmoda-boot")];
                let program = programs[usize::try_from(sim.shared.below(5)).unwrap()];
                let countdown = sim.shared.below(40);
                sim.shared.note(|| format!("armed: {program:?} {countdown}"));
                *sim.armed.lock().unwrap() = Some(Armed { program, countdown });
            }
            18 => {
                if self.powered {
                    sim.power_off();
                    self.powered = false;
                }
            }
            19 => {
                let seconds = i64::try_from(sim.shared.below(200_000)).unwrap() - 100_000;
                sim.shared.count("clock steps");
                sim.shared.note(|| format!("the clock is set by {seconds} s"));
                sim.shared.step(SignedDuration::from_secs(seconds));
            }
            20 => {
                let until = Instant::now() + Duration::from_millis(sim.shared.below(60_000));
                sim.shared.note(|| "the disk is full".to_owned());
                *sim.full_until.lock().unwrap() = Some(until);
            }
            21 => self.ask(Request::Apply { clear_quarantine: sim.shared.chance(0.5), accept_mass_delete: false }),
            22 => self.ask(Request::Rollback),
            _ => self.decide().await,
        }
    }

    fn ask(&self, request: Request) {
        self.sim.shared.note(|| format!("asked: {request:?}"));
        if let Some(running) = &*self.sim.agentd.lock().unwrap() {
            let _ = running.requests.send(request);
        }
    }

    /// `osmoda switch commit` or `rollback`, on whatever goes on.
    async fn decide(&self) {
        let machine = self.sim.machine();
        let open = machine.journal().in_flight().unwrap_or_default();
        let Some(record) = open.first() else { return };
        let decision = if self.sim.shared.chance(0.5) { Decision::Commit } else { Decision::Rollback };
        let (sim, id) = (Arc::clone(&self.sim), record.id.clone());
        self.sim.shared.note(|| format!("decided: {decision:?}"));
        let _asked = Process::spawn("osmoda", move |process| async move {
            let manager = Manager::simulated(Arc::new(Handle { sim, process }));
            decide(&machine, &manager, &id, decision).await.is_ok()
        });
    }

    /// What is wished can be had, and whoever has to say yes does.
    async fn mend(&mut self) {
        for name in &NAMES[..4] {
            self.write(name, "runs", "pass");
        }
        for name in &NAMES[4..] {
            self.remove(name);
        }
        // A switch that goes on would be in the way.
        for _ in 0..3 {
            sleep(REST).await;
            self.ask(Request::Apply { clear_quarantine: true, accept_mass_delete: true });
        }
    }

    /// What is written is what runs, of these documents.
    fn look_at_programs(&self, which: impl Fn(&str) -> bool) {
        let running = self.sim.systemd.running();
        for (name, text) in self.texts.iter().filter(|(name, _)| which(name)) {
            let version = text.split(", ").find_map(|word| word.strip_prefix('v')?.split(']').next()).unwrap();
            let exec = running.get(&format!("osmoda-app-{name}.service"));
            if !exec.is_some_and(|exec| {
                exec.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == format!("v{version}"))
            }) {
                self.sim.shared.broken(format!("App/{name} is wished as v{version}, and runs as {exec:?}"));
            }
        }
    }

    /// Everything is as it is written.
    async fn look_at_wishes(&self) {
        self.look_at_programs(|_| true);
        let Some(agentd) = self.sim.agentd.lock().unwrap().clone() else {
            return self.sim.shared.broken("agentd does not run");
        };
        let mut controller = agentd.controller.lock().await;
        match controller.plan() {
            Ok(plan) if plan.is_empty() => {}
            other => self.sim.shared.broken(format!("there is still something to do: {other:?}")),
        }
        let problems = controller.problems();
        if !problems.is_empty() {
            self.sim.shared.broken(format!("{problems:?}"));
        }
    }
}

/// `osmoda rollback`, as `api.rs` does it.
pub async fn roll_back(machine: &Machine, manager: &Manager) -> Result<String, String> {
    let Some(target) = machine.before_active().map_err(|e| e.to_string())? else { return Ok("nothing before".into()) };
    let request = SwitchRequest {
        purpose: SwitchPurpose::Rollback,
        actor: "uid:0".to_owned(),
        reason: "osmoda rollback".to_owned(),
        plan: None,
        target: target.path,
        system: target.system,
        ttl: osmoda_schemas::quantity::Duration::from_secs(5),
        interval: osmoda_schemas::quantity::Duration::from_secs(5),
        activation_timeout: osmoda_schemas::quantity::Duration::from_secs(120),
    };
    start(machine, manager, request).await.map(|_| "rolling back".to_owned()).map_err(|e| e.to_string())
}
