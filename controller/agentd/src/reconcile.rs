//! The loop. Files, signals of systemd, records of switches and a timer all lead to the same: look, compare, mend.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use osmoda_ipc::{Gauge, Metrics};
use osmoda_runtime::{Backoff, WorkQueue};
use osmoda_systemd::{Manager, UnitEvents};
use tokio::sync::Mutex;

use crate::{
    controller::{Controller, Step},
    follow::DocumentFolders,
    heal::Wanted,
};

/// What there is to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The documents, or some of them.
    Documents,
    /// The switch that goes on.
    Switch,
    /// A unit that changed its state.
    Unit(String),
    /// Everything.
    Resync,
}

/// Time between two looks at a switch that goes on; its record tells of every step, so that this is only the net below.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Waits after a failed step.
const RETRY: Backoff = Backoff { first: Duration::from_millis(500), most: Duration::from_secs(60) };
/// Burst of signals of one unit that are looked at together.
const SETTLE: Duration = Duration::from_millis(5);

/// Paths that file events named since they were last looked at; none: everything has to be looked at.
pub type ChangedPaths = Arc<StdMutex<Option<BTreeSet<PathBuf>>>>;

/// The loop with what it needs.
pub struct Loop {
    pub controller: Arc<Mutex<Controller>>,
    pub queue: WorkQueue<Key>,
    pub changed: ChangedPaths,
    /// None: whoever changes documents says so.
    pub folders: Option<DocumentFolders>,
    pub resync: Duration,
    pub metrics: Metrics,
}

impl Loop {
    /// Runs for ever.
    pub async fn run(mut self) {
        let mut wanted = Wanted::default();
        let objects = self.metrics.gauge("osmoda_objects", "Objects that are wished.");
        let refused = self.metrics.gauge("osmoda_objects_refused", "Objects whose latest document is refused.");
        let steps = self.metrics.counter("osmoda_reconcile_steps_total", "Steps of the loop.");
        let failures = self.metrics.counter("osmoda_reconcile_failures_total", "Steps of the loop that failed.");
        let load = self.metrics.gauge("osmoda_load_microseconds", "Taking in all documents when agentd was started.");
        let admit = self.metrics.gauge("osmoda_admit_microseconds", "Taking in what had changed, the last time.");
        let plan = self.metrics.gauge("osmoda_changed_plan_microseconds", "The last plan that changed something.");
        self.queue.add(Key::Resync, "start", Duration::ZERO);
        loop {
            let work = self.queue.next().await;
            tracing::debug!(key = ?work.key, reasons = ?work.reasons, "looking");
            steps.increment();
            if matches!(work.key, Key::Documents | Key::Resync) {
                self.follow_folders(work.key == Key::Resync);
            }
            let shared = Arc::clone(&self.controller);
            let mut controller = shared.lock().await;
            let result = match &work.key {
                Key::Documents => self.documents(&mut controller, &mut wanted).await,
                Key::Resync => self.resync(&mut controller, &mut wanted).await,
                Key::Switch => self.switch(&mut controller, &mut wanted).await,
                Key::Unit(unit) => self.unit(&mut controller, &mut wanted, unit).await,
            };
            load.set(controller.timings.load);
            admit.set(controller.timings.admit);
            plan.set(controller.timings.plan);
            set(&objects, controller.world.admitted().len());
            set(&refused, controller.world.problems().len());
            match result {
                Ok(()) => self.queue.succeeded(&work.key),
                Err(error) => {
                    failures.increment();
                    tracing::warn!(key = ?work.key, "{error}");
                    controller.holding = Some(("retrying", error.to_string()));
                    drop(controller);
                    self.queue.retry(work.key, RETRY);
                }
            }
        }
    }

    /// A folder that came back is followed again, and everything in it looked at.
    fn follow_folders(&mut self, resync: bool) {
        let Some(folders) = &mut self.folders else { return };
        let news = if resync { folders.follow_again() } else { folders.follow() };
        if news {
            *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    async fn documents(
        &self,
        controller: &mut Controller,
        wanted: &mut Wanted,
    ) -> Result<(), crate::step_error::StepError> {
        let paths = {
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.replace(BTreeSet::new())
        };
        if let Err(error) = controller.admit(paths.as_ref(), false).await {
            // What was named is looked at again, and everything else, too.
            *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(error);
        }
        self.converge(controller, wanted).await
    }

    async fn converge(
        &self,
        controller: &mut Controller,
        wanted: &mut Wanted,
    ) -> Result<(), crate::step_error::StepError> {
        match controller.converge(None).await?.1 {
            // Its record is followed; this is only the net below that.
            Step::Switching(_) => self.queue.add(Key::Switch, "switch goes on", LOOK_AGAIN),
            Step::Settled => {}
        }
        if controller.ended {
            self.health(controller, wanted).await;
        }
        Ok(())
    }

    async fn resync(
        &self,
        controller: &mut Controller,
        wanted: &mut Wanted,
    ) -> Result<(), crate::step_error::StepError> {
        self.queue.add(Key::Resync, "resync", self.resync);
        controller.admit(None, false).await?;
        self.converge(controller, wanted).await?;
        self.health(controller, wanted).await;
        Ok(())
    }

    async fn health(&self, controller: &mut Controller, wanted: &mut Wanted) {
        controller.ended = false;
        wanted.follow(controller);
        match controller.manager.snapshot().await {
            Ok(states) => {
                controller.judge_health(&states, None);
                for unit in wanted.all().iter().filter(|unit| !states.active(unit).is_up()) {
                    self.queue.add(Key::Unit(unit.clone()), "does not run", Duration::from_secs(1));
                }
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }

    async fn switch(
        &self,
        controller: &mut Controller,
        wanted: &mut Wanted,
    ) -> Result<(), crate::step_error::StepError> {
        controller.look_at_switch()?;
        if !controller.ended && controller.in_flight()?.is_some() {
            self.queue.add(Key::Switch, "switch goes on", LOOK_AGAIN);
            return controller.see_to_switch().await;
        }
        // Edits that came during the switch are looked at now, all together.
        self.converge(controller, wanted).await
    }

    async fn unit(
        &self,
        controller: &mut Controller,
        wanted: &mut Wanted,
        unit: &str,
    ) -> Result<(), crate::step_error::StepError> {
        wanted.follow(controller);
        if let Ok(states) = controller.manager.statuses(&[unit]).await {
            controller.judge_health(&states, Some(unit));
        }
        if let Some(wait) = controller.heal(wanted, unit).await? {
            self.queue.add(Key::Unit(unit.to_owned()), "healing", wait);
        }
        Ok(())
    }
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(value as u64);
}

/// Brings state changes of osModa's units to the loop. Without the bus nothing can be seen or done: systemd starts us
/// again then, with a fresh connection.
pub async fn follow_units(manager: Manager, queue: WorkQueue<Key>) {
    match UnitEvents::new(&manager).await {
        Ok(mut events) => {
            while let Some(event) = events.next().await {
                let ours = ["osmoda-app-", "osmoda-mcp-", "osmoda-routine-"];
                if ours.iter().any(|prefix| event.unit.starts_with(prefix)) {
                    let delay = if event.active.is_up() { SETTLE } else { Duration::from_secs(1) };
                    queue.add(Key::Unit(event.unit), "signal", delay);
                }
            }
            tracing::error!("the connection to systemd ended");
        }
        Err(error) => tracing::error!("{error}"),
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::process::exit(1);
}
