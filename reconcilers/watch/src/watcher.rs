//! One watcher at work: asks, climbs its ladder, remembers.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use osmoda_generation::manifest::Manifest;
use osmoda_ipc::{Client, Counter};
use osmoda_ledger::{Event, Ledger, Query, Reader};
use osmoda_safeswitch::{Machine, Prober, StartError, SwitchRequest, start};
use osmoda_schemas::{
    kinds::{
        Probe, Watcher,
        watcher::{Check, Remedy},
    },
    name::Name,
    object::{Kind, ObjectRef},
    ops::{
        agentd::{GcRequest, PostGc},
        watch::WatcherView,
    },
    quantity,
    switch::SwitchPurpose,
};
use osmoda_systemd::{ActiveState, Manager, UnitEvent, Verb};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{
    Slice,
    figures::{CpuTime, CpuWindow, disk_percent, memory_percent},
    ladder::{Decision, Ladder},
};

/// Time that a restart may take.
const RESTART: Duration = Duration::from_secs(90);
/// Generations that a garbage collection keeps.
const KEEP: usize = 10;
/// How long and how often a watcher's rollback is watched in turn.
const ROLLBACK_TTL: quantity::Duration = quantity::Duration::from_secs(10);

/// What all watchers share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub machine: Machine,
    pub manager: Manager,
    pub ledger: Ledger,
    pub prober: Prober,
    pub events: broadcast::Sender<UnitEvent>,
    pub remedies: Counter,
}

/// A watcher's state, for its task and for the API.
pub type View = Arc<Mutex<WatcherView>>;

/// Watches until it is dropped.
pub async fn watch(shared: Shared, slice: Slice, view: View) {
    let spec = &slice.spec;
    let name = &slice.name;
    let remembered = remembered(&shared.machine, name, spec.flap.window.as_std());
    let mut ladder = Ladder::new(spec, remembered);
    let mut question = Question::new(&shared, spec);
    let mut events = shared.events.subscribe();
    let unit = match &spec.check {
        Check::Unit(probe) => probe.unit.clone(),
        _ => None,
    };
    loop {
        let answer = question.ask().await;
        if let Some(answer) = answer {
            take(&shared, &slice, &view, &mut ladder, answer).await;
        }
        let now = since_epoch();
        let pause = match ladder.ask_again_at() {
            // A remedy is looked at when it has had its time.
            Some(at) => at.saturating_sub(now).min(spec.interval.as_std()).max(Duration::from_millis(100)),
            None => spec.interval.as_std(),
        };
        let next = tokio::time::sleep(pause);
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = &mut next => break,
                event = events.recv() => match event {
                    Ok(event) if Some(&event.unit) == unit.as_ref() => break,
                    Ok(_) => {}
                    // Some were missed: ours may be among them.
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
        }
    }
}

async fn take(shared: &Shared, slice: &Slice, view: &View, ladder: &mut Ladder, answer: Result<(), String>) {
    let now = since_epoch();
    // While a switch stops and starts units, and asks its own gates, everything here holds still.
    if answer.is_err() && shared.machine.journal().is_moving().unwrap_or_default() {
        show(view, "paused", Some("a switch is going on".to_owned()), false);
        return;
    }
    let decision = match &answer {
        Ok(()) => ladder.passed(),
        Err(_) => ladder.failed(now),
    };
    let state = match (&answer, ladder.is_flapping()) {
        (Ok(()), _) => "passing",
        (Err(_), true) => "flapping",
        (Err(_), false) => "failing",
    };
    let why = answer.err();
    show(view, state, why.clone(), matches!(decision, Some(Decision::Climb { .. })));
    let Some(decision) = decision else { return };
    let actor = format!("watcher/{}", slice.name);
    let why = why.unwrap_or_default();
    match decision {
        Decision::Recovered => note(shared, "watcher.recovered", &actor, json!({})).await,
        Decision::Flapping { remedies } => {
            let payload = json!({ "reason": why, "remedies": remedies, "window": slice.spec.flap.window });
            note(shared, "watcher.flapping", &actor, payload).await;
        }
        Decision::Exhausted => note(shared, "watcher.exhausted", &actor, json!({ "reason": why })).await,
        Decision::Climb { rung, attempt, remedy: Remedy::Notify } => {
            let payload = json!({ "reason": why, "rung": rung, "attempt": attempt });
            note(shared, "watcher.alert", &actor, payload).await;
        }
        Decision::Climb { rung, attempt, remedy } => {
            let unit = slice.spec.ladder[rung].unit.clone();
            let payload = json!({ "remedy": remedy, "unit": unit, "rung": rung, "attempt": attempt, "reason": why });
            // Nothing is done that cannot be recorded first.
            if let Err(error) = shared.ledger.append(Event::new("watcher.remedy", actor.clone(), payload)).await {
                tracing::error!("{actor}: the remedy is held back: {error}");
                return;
            }
            shared.remedies.increment();
            let unit = unit.unwrap_or_default();
            let outcome = match remedy {
                Remedy::Restart => may_restart(&shared.machine, &slice.name, &unit),
                _ => Ok(()),
            };
            let outcome = match outcome {
                Ok(()) => carry_out(shared, remedy, &unit, &actor, &why).await,
                Err(words) => Err(words),
            };
            let (kind, words) = match outcome {
                Ok(words) => ("watcher.remedied", words),
                Err(words) => ("watcher.remedy-failed", words),
            };
            note(shared, kind, &actor, json!({ "remedy": remedy, "outcome": words })).await;
        }
    }
}

/// Authors restart units of their own objects only, as the active generation has them.
fn may_restart(machine: &Machine, name: &Name, unit: &str) -> Result<(), String> {
    let manifest = Manifest::read(&machine.active_link()).map_err(|e| e.to_string())?;
    owns(&manifest, name, unit)
}

fn owns(manifest: &Manifest, name: &Name, unit: &str) -> Result<(), String> {
    let watcher = ObjectRef::new(Kind::Watcher, name.clone());
    let author = manifest.objects.get(&watcher).map(|entry| entry.author);
    let author = author.ok_or_else(|| format!("{watcher} is not in the active generation"))?;
    let mut owners = manifest.objects.values().filter(|entry| entry.units.iter().any(|u| u == unit));
    if author.uid == 0 || owners.any(|entry| entry.author == author) {
        Ok(())
    } else {
        Err(format!("unit-not-yours: {unit} belongs to no object of {author}, whose watcher this is"))
    }
}

async fn carry_out(shared: &Shared, remedy: Remedy, unit: &str, actor: &str, why: &str) -> Result<String, String> {
    match remedy {
        Remedy::Restart => {
            shared.manager.reset_failed(unit).await.map_err(|e| e.to_string())?;
            let result = shared.manager.run_job(Verb::Restart, unit, RESTART).await.map_err(|e| e.to_string())?;
            if result.is_ok() {
                Ok(format!("{unit} restarted"))
            } else {
                Err(format!("the restart of {unit} ended as {result:?}"))
            }
        }
        Remedy::Rollback => {
            let before = shared.machine.before_active().map_err(|e| e.to_string())?;
            let target = before.ok_or("there is no generation before the active one")?;
            let request = SwitchRequest {
                purpose: SwitchPurpose::Rollback,
                actor: actor.to_owned(),
                reason: why.to_owned(),
                plan: None,
                target: target.path,
                system: target.system,
                ttl: ROLLBACK_TTL,
                interval: quantity::Duration::from_secs(5),
                activation_timeout: quantity::Duration::from_secs(120),
            };
            match start(&shared.machine, &shared.manager, request).await {
                Ok(id) => Ok(format!("switch {id}")),
                Err(StartError::Busy(id)) => Err(format!("the switch {id} is still going on")),
                Err(error) => Err(error.to_string()),
            }
        }
        Remedy::CollectGarbage => {
            let client = Client::new(shared.machine.run.join("agentd.sock")).deadline(Duration::from_secs(1800));
            let answer = client.call::<PostGc>(&GcRequest { keep: KEEP }).await.map_err(|e| e.to_string())?;
            Ok(answer.summary)
        }
        Remedy::Notify => Ok(String::new()),
    }
}

async fn note(shared: &Shared, kind: &'static str, actor: &str, payload: Value) {
    tracing::info!("{actor}: {kind} {payload}");
    if let Err(error) = shared.ledger.append(Event::new(kind, actor.to_owned(), payload)).await {
        tracing::error!("{actor}: {kind} could not be recorded: {error}");
    }
}

fn show(view: &View, state: &str, message: Option<String>, remedied: bool) {
    let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
    state.clone_into(&mut view.state);
    view.message = message;
    view.last_answer = Some(osmoda_schemas::now());
    view.remedies += u64::from(remedied);
}

/// Times of remedies that the ledger remembers: a daemon that was restarted has not forgotten that it flaps.
fn remembered(machine: &Machine, name: &Name, window: Duration) -> Vec<Duration> {
    let query = Query {
        kind: Some("watcher.remedy".to_owned()),
        actor: Some(format!("watcher/{name}")),
        limit: 1000,
        newest_first: true,
        ..Query::default()
    };
    let rows = Reader::open(&machine.ledger_folder()).and_then(|reader| reader.rows(&query)).unwrap_or_default();
    let begin = since_epoch().saturating_sub(window);
    let times = rows.iter().filter_map(|row| row.ts.parse::<Timestamp>().ok());
    let mut times: Vec<Duration> = times
        .filter_map(|ts| Some(Duration::from_millis(u64::try_from(ts.as_millisecond()).ok()?)))
        .filter(|at| *at > begin)
        .collect();
    times.sort_unstable();
    times
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// What is asked, with what has to be remembered between two answers.
struct Question<'a> {
    shared: &'a Shared,
    spec: &'a Watcher,
    cpu: Option<CpuWindow>,
}

impl<'a> Question<'a> {
    fn new(shared: &'a Shared, spec: &'a Watcher) -> Self {
        let cpu = match &spec.check {
            Check::Cpu(check) => Some(CpuWindow::new(check.window.as_std())),
            _ => None,
        };
        Self { shared, spec, cpu }
    }

    /// Asks once; none: nobody can tell yet.
    async fn ask(&mut self) -> Option<Result<(), String>> {
        let timeout = self.spec.timeout.as_std();
        let prober = &self.shared.prober;
        let probe = match &self.spec.check {
            Check::Unit(probe) => {
                return Some(unit(&self.shared.manager, probe.unit.as_deref().unwrap_or_default()).await);
            }
            Check::Tcp(probe) => Probe::Tcp(probe.clone()),
            Check::Http(probe) => Probe::Http(probe.clone()),
            Check::Command(probe) => Probe::Command(probe.clone()),
            Check::Cpu(check) => {
                let sample = CpuTime::now().ok()?;
                let percent = self.cpu.as_mut()?.add(since_epoch(), sample)?;
                return Some(limit("processors are busy", percent, check.above));
            }
            Check::Memory(check) => {
                return Some(
                    memory_percent()
                        .map_err(|e| e.to_string())
                        .and_then(|p| limit("of memory is in use", p, check.above)),
                );
            }
            Check::Disk(check) => {
                let percent = disk_percent(Path::new(&check.path)).map_err(|e| format!("{}: {e}", check.path));
                return Some(percent.and_then(|p| limit(&format!("of {} is used", check.path), p, check.above)));
            }
        };
        Some(prober.ask(&probe, self.spec.tier, timeout).await)
    }
}

fn limit(what: &str, percent: u8, above: u8) -> Result<(), String> {
    if percent > above { Err(format!("{percent} % {what}, more than {above} %")) } else { Ok(()) }
}

/// A unit is well while it is active. One that waits for systemd to start it again has died.
async fn unit(manager: &Manager, unit: &str) -> Result<(), String> {
    let status = manager.status(unit).await.map_err(|e| e.to_string())?;
    match status.active {
        ActiveState::Active | ActiveState::Reloading => Ok(()),
        // It is on its way, by somebody's wish.
        ActiveState::Activating if status.sub != "auto-restart" && status.sub != "auto-restart-queued" => Ok(()),
        active => Err(format!("{unit} is {active} ({})", status.sub)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_restarts_units_of_own_objects_only() {
        let entry = |uid: u32, units: &[&str]| serde_json::json!({ "hash": "0".repeat(64), "author": { "uid": uid }, "units": units });
        let manifest: Manifest = serde_json::from_value(serde_json::json!({ "version": 1, "objects": {
            "App/mine": entry(1000, &["osmoda-app-mine.service"]),
            "App/theirs": entry(0, &["osmoda-app-theirs.service"]),
            "Watcher/root": entry(0, &[]),
            "Watcher/w": entry(1000, &[]),
        } }))
        .unwrap();
        let may = |name: &str, unit: &str| owns(&manifest, &name.parse().unwrap(), unit).is_ok();
        assert!(
            may("w", "osmoda-app-mine.service") && may("root", "osmoda-app-mine.service") && may("root", "a.service")
        );
        assert!(!may("w", "osmoda-app-theirs.service") && !may("w", "osmoda-app-gone.service"));
        assert!(!may("gone", "osmoda-app-mine.service"));
    }
}
