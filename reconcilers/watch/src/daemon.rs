//! The daemon: follows the active generation, runs its watchers, and answers for them and for switches.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use notify::{RecursiveMode, Watcher as _};
use osmoda_ipc::{Metrics, Peers};
use osmoda_ledger::Ledger;
use osmoda_safeswitch::{Machine, Prober};
use osmoda_schemas::{name::Name, ops::watch::WatcherView};
use osmoda_systemd::{Manager, UnitEvents};
use tokio::{sync::broadcast, task::JoinHandle};

use crate::{
    FOLDER, Slice, api,
    watcher::{Shared, View, watch},
};

/// State changes that a slow watcher may lag behind.
const EVENTS: usize = 1024;

/// A watcher that runs.
struct Running {
    slice: Slice,
    view: View,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The watchers of the active generation.
#[derive(Clone, Default)]
pub struct Watchers {
    running: Arc<Mutex<BTreeMap<Name, Running>>>,
}

impl Watchers {
    /// How they are.
    #[must_use]
    pub fn views(&self) -> Vec<WatcherView> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().map(|r| r.view.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    /// Starts what is new or different, ends what is gone, leaves the rest alone.
    fn follow(&self, shared: &Shared) {
        let slices = read(&shared.machine.active_link().join("etc").join(FOLDER));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|name, r| slices.get(name).is_some_and(|slice| *slice == r.slice));
        for (name, slice) in slices {
            if running.contains_key(&name) {
                continue;
            }
            let state = if slice.spec.enabled { "unknown" } else { "paused" };
            let view: View = Arc::new(Mutex::new(WatcherView {
                name: name.clone(),
                state: state.to_owned(),
                message: None,
                last_answer: None,
                remedies: 0,
            }));
            let task = if slice.spec.enabled {
                tokio::spawn(watch(shared.clone(), slice.clone(), Arc::clone(&view)))
            } else {
                tokio::spawn(async {})
            };
            running.insert(name, Running { slice, view, task });
        }
    }
}

fn read(folder: &Path) -> BTreeMap<Name, Slice> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let read = |file: std::fs::DirEntry| {
        let text = std::fs::read(file.path()).ok()?;
        let slice = serde_json::from_slice::<Slice>(&text);
        slice.inspect_err(|e| tracing::error!("{} cannot be read: {e}", file.path().display())).ok()
    };
    files.filter_map(read).map(|slice| (slice.name.clone(), slice)).collect()
}

/// Runs until it is told to stop.
///
/// # Errors
/// When the bus, the ledger or the socket cannot be used.
pub async fn run(machine: Machine, socket: &Path, authors: Vec<u32>) -> Result<(), Box<dyn std::error::Error>> {
    let manager = Manager::connect().await?;
    let ledger = Ledger::open(&machine.ledger_folder())?;
    let metrics = Metrics::default();
    let (events, _) = broadcast::channel(EVENTS);
    let shared = Shared {
        prober: Prober::new(manager.clone()),
        remedies: metrics.counter("osmoda_watcher_remedies_total", "Remedies that watchers carried out."),
        machine,
        manager,
        ledger,
        events,
    };
    let watchers = Watchers::default();
    tokio::spawn(bring_events(shared.clone()));
    let (moved, mut moves) = tokio::sync::mpsc::unbounded_channel();
    let mut link = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = |event: &notify::Event| event.paths.iter().any(|p| p.ends_with("generation"));
        if event.map_or(true, |event| ours(&event)) {
            let _ = moved.send(());
        }
    })?;
    std::fs::create_dir_all(&shared.machine.run)?;
    link.watch(&shared.machine.run, RecursiveMode::NonRecursive)?;
    watchers.follow(&shared);
    tokio::spawn({
        let (watchers, shared) = (watchers.clone(), shared.clone());
        async move {
            while moves.recv().await.is_some() {
                watchers.follow(&shared);
            }
        }
    });
    let peers = Peers::root_only();
    peers.set_authors(authors);
    let state = api::Api { machine: shared.machine.clone(), manager: shared.manager.clone(), watchers };
    osmoda_ipc::serve(api::service(state, peers, metrics), socket).await?;
    drop(link);
    Ok(())
}

/// One subscription for all watchers. Without the bus nothing can be seen or mended: systemd starts us again.
async fn bring_events(shared: Shared) {
    if let Ok(mut events) = UnitEvents::new(&shared.manager).await {
        while let Some(event) = events.next().await {
            // Nobody listens while there are no watchers.
            let _ = shared.events.send(event);
        }
    }
    tracing::error!("the connection to systemd ended");
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::process::exit(1);
}
