//! The daemon: starts routines that events trigger, remembers how runs ended, answers calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use osmoda_generation::durable;
use osmoda_ipc::{Metrics, Peers};
use osmoda_ledger::{Event, Follower, Ledger, Query, Reader, type_matches};
use osmoda_safeswitch::Machine;
use osmoda_schemas::{
    kinds::routine::{EventTrigger, Trigger},
    name::Name,
};
use osmoda_systemd::{ActiveState, Manager, UnitEvents};
use serde_json::json;
use tokio::sync::watch;

use crate::{FOLDER, Slice, api};

/// Time in which a run has to begin.
const START: Duration = Duration::from_secs(25);
/// Rows that are looked at in one go.
const PAGE: usize = 500;
/// What the daemon records of runs; it triggers nothing, or a routine could trigger itself for ever.
pub(crate) const RAN: &str = "routine.ran";

/// What the parts of the daemon share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub machine: Machine,
    pub manager: Manager,
    pub ledger: Ledger,
    /// Routines that wait for the end of their debounce.
    waiting: Arc<Mutex<BTreeSet<Name>>>,
}

impl Shared {
    /// Routines of the active generation.
    pub fn slices(&self) -> BTreeMap<Name, Slice> {
        slices(&self.machine.active_link()).unwrap_or_else(|error| {
            tracing::error!("the routines of the active generation cannot be read: {error}");
            BTreeMap::new()
        })
    }

    /// Starts a run. One that is going on is not started a second time: systemd sees to that.
    pub async fn start(&self, name: &Name, why: &str) -> Result<String, osmoda_systemd::SystemdError> {
        let unit = unit_of(name);
        tracing::info!("routine {name}: {why}");
        self.manager.start_no_wait(&unit, START).await?;
        Ok(unit)
    }
}

/// Routines of a generation.
fn slices(generation: &Path) -> io::Result<BTreeMap<Name, Slice>> {
    let files = match std::fs::read_dir(generation.join("etc").join(FOLDER)) {
        // A generation without routines has no such folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other?,
    };
    let mut slices = BTreeMap::new();
    for file in files {
        let path = file?.path();
        match serde_json::from_slice::<Slice>(&std::fs::read(&path)?) {
            Ok(slice) => drop(slices.insert(slice.name.clone(), slice)),
            Err(error) => tracing::error!("{} cannot be read: {error}", path.display()),
        }
    }
    Ok(slices)
}

/// Routines that events trigger. Events come by the hundred, and a generation never changes: it is read once.
#[derive(Default)]
struct Triggered {
    generation: Option<PathBuf>,
    slices: Vec<(Slice, EventTrigger)>,
}

impl Triggered {
    /// Those of the generation that a link leads to by now.
    fn follow(&mut self, link: &Path) -> &[(Slice, EventTrigger)] {
        let generation = std::fs::read_link(link).ok();
        if generation != self.generation {
            let triggered = |slice: Slice| match slice.spec.trigger.clone() {
                Trigger::Event(trigger) if slice.spec.enabled => Some((slice, trigger)),
                _ => None,
            };
            match generation.as_deref().map_or(Ok(BTreeMap::new()), slices) {
                Ok(all) => {
                    self.slices = all.into_values().filter_map(triggered).collect();
                    self.generation = generation;
                }
                // Those of before, until it can be read.
                Err(error) => tracing::error!("the routines of the active generation cannot be read: {error}"),
            }
        }
        &self.slices
    }
}

/// The service of a routine.
pub(crate) fn unit_of(name: &Name) -> String {
    format!("osmoda-routine-{name}.service")
}

/// Runs until it is told to stop.
///
/// # Errors
/// When the bus, the ledger or the socket cannot be used.
pub async fn run(machine: Machine, socket: &Path, authors: Vec<u32>) -> Result<(), Box<dyn std::error::Error>> {
    let manager = Manager::connect().await?;
    let ledger = Ledger::open(&machine.ledger_folder())?;
    let shared = Shared { machine, manager, ledger, waiting: Arc::default() };
    let follower = Follower::new(&shared.machine.ledger_folder())?;
    tokio::spawn(trigger_by_events(shared.clone(), follower.head()));
    tokio::spawn(remember_runs(shared.clone()));
    let peers = Peers::root_only();
    peers.set_authors(authors);
    osmoda_ipc::serve(api::service(shared, peers, Metrics::default()), socket).await?;
    drop(follower);
    Ok(())
}

/// Looks at every event once, also at those that came while the daemon was away.
async fn trigger_by_events(shared: Shared, mut head: watch::Receiver<i64>) {
    let file = shared.machine.state.join("routines/cursor");
    let mut cursor = read_cursor(&shared, &file);
    let mut triggered = Triggered::default();
    loop {
        let query = Query { after: Some(cursor), limit: PAGE, ..Query::default() };
        head.mark_unchanged();
        let rows = Reader::open(&shared.machine.ledger_folder()).and_then(|reader| reader.rows(&query));
        match rows {
            Ok(rows) if !rows.is_empty() => {
                let triggered = triggered.follow(&shared.machine.active_link());
                for row in &rows {
                    cursor = row.id;
                    for (slice, trigger) in triggered {
                        let own = row.actor == format!("routine/{}", slice.name);
                        if row.kind != RAN && !own && trigger.types.iter().any(|t| type_matches(t, &row.kind)) {
                            later(&shared, &slice.name, trigger.debounce.as_std(), &row.kind);
                        }
                    }
                }
                if let Err(error) = write_cursor(&file, cursor) {
                    tracing::error!("{}: {error}", file.display());
                }
            }
            Ok(_) => {
                if head.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("{error}");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

/// Runs a routine when its debounce is over; events until then share the run.
fn later(shared: &Shared, name: &Name, debounce: Duration, kind: &str) {
    if !shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        return;
    }
    let (shared, name, why) = (shared.clone(), name.clone(), format!("event {kind}"));
    tokio::spawn(async move {
        tokio::time::sleep(debounce).await;
        shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        if let Err(error) = shared.start(&name, &why).await {
            tracing::error!("routine {name}: {error}");
        }
    });
}

fn read_cursor(shared: &Shared, file: &PathBuf) -> i64 {
    let remembered = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    // On a new machine, what happened before is not news.
    remembered.unwrap_or_else(|| {
        let head = Reader::open(&shared.machine.ledger_folder()).and_then(|reader| reader.head());
        head.ok().flatten().map_or(0, |(id, _)| id)
    })
}

fn write_cursor(file: &Path, cursor: i64) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    durable::write(file, cursor.to_string().as_bytes())
}

/// Records how runs ended, whoever started them.
async fn remember_runs(shared: Shared) {
    if let Ok(mut events) = UnitEvents::new(&shared.manager).await {
        let mut running: BTreeSet<String> = BTreeSet::new();
        while let Some(event) = events.next().await {
            let name = event.unit.strip_prefix("osmoda-routine-").and_then(|rest| rest.strip_suffix(".service"));
            let Some(name) = name.map(str::to_owned) else { continue };
            match event.active {
                ActiveState::Activating => {
                    running.insert(name);
                }
                ActiveState::Inactive | ActiveState::Failed if running.remove(&name) => {
                    let result = shared.manager.service_result(&event.unit).await.unwrap_or_else(|e| e.to_string());
                    let payload = json!({ "name": name, "result": result });
                    let event = Event::new(RAN, format!("routine/{name}"), payload);
                    if let Err(error) = shared.ledger.append(event).await {
                        tracing::error!("a run of {name} could not be recorded: {error}");
                    }
                }
                _ => {}
            }
        }
    }
    tracing::error!("the connection to systemd ended");
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routines_that_events_trigger_are_those_of_the_active_generation() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("generation");
        let mut triggered = Triggered::default();
        let mut after = |routines: &[(&str, &str)]| {
            let generation = tempfile::tempdir_in(dir.path()).unwrap().keep();
            let folder = generation.join("etc").join(FOLDER);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, spec) in routines {
                let text = format!(r#"{{"name":"{name}","spec":{{"action":{{"type":"healthCheck"}},{spec}}}}}"#);
                std::fs::write(folder.join(format!("{name}.json")), text).unwrap();
            }
            durable::set_link(&link, &generation).unwrap();
            triggered.follow(&link).iter().map(|(slice, _)| slice.name.to_string()).collect::<Vec<_>>()
        };
        let event = r#""trigger":{"type":"event","types":["a"]}"#;
        let off = r#""trigger":{"type":"event","types":["a"]},"enabled":false"#;
        let timed = r#""trigger":{"type":"interval","every":"1h"}"#;
        assert_eq!(after(&[("a", event), ("b", off), ("c", timed)]), ["a"]);
        assert_eq!(after(&[("b", event)]), ["b"]);
        assert_eq!(after(&[]), [""; 0]);
        std::fs::remove_file(&link).unwrap();
        assert!(triggered.follow(&link).is_empty());
    }
}
