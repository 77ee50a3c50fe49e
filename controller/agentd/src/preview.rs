//! What a plan would change in the machine's closure; on NixOS, too, what the system that is built for it would do.

use std::{collections::BTreeSet, time::Instant};

use osmoda_generation::{
    NixStore, Units, assemble::Generation, manifest::Manifest, nixos::Nixos, packages::changes, plan::unit_changes,
    store_path::StorePath,
};
use osmoda_ipc::Peer;
use osmoda_safeswitch::Machine;
use osmoda_schemas::{
    ops::agentd::{PlanRequest, SystemPreview},
    plan::{ClosureDiff, PackageChange},
    problem::Problem,
};
use osmoda_systemd::{Manager, plan_activation};
use tokio::sync::Mutex;

use crate::step_error::StepError;

/// Names of the roots of what is being looked at.
const ROOTS: [&str; 2] = ["preview", "preview-system"];

/// May this be asked for?
pub fn check(machine: &Machine, peer: Peer, request: &PlanRequest) -> Result<(), Problem> {
    if request.build && machine.nixos.is_none() {
        let problem =
            Problem::new(422, "needs-nixos-backend", "only the backend `nixos` builds a system").field("build");
        return Err(problem.hint("leave it out: the plan tells it all"));
    }
    if request.build && peer.uid != 0 {
        return Err(Problem::new(403, "root-only", "to build a system takes a lot of the machine").field("build"));
    }
    Ok(())
}

/// Builds the system that a generation would be a part of, and asks it what it would do.
pub async fn build(machine: &Machine, manager: &Manager, generation: &Generation) -> Result<SystemPreview, Problem> {
    // The roots have one name.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let preview = look(machine, manager, generation).await;
    for root in ROOTS {
        if let Err(error) = machine.roots.unpin(root) {
            tracing::warn!("the root {root}: {error}");
        }
    }
    preview
}

async fn look(machine: &Machine, manager: &Manager, generation: &Generation) -> Result<SystemPreview, Problem> {
    let io = |e: std::io::Error| StepError::from(e).problem();
    let refused = |e: &dyn std::error::Error| Problem::new(422, "build-failed", e.to_string());
    let Some(source) = machine.nixos.clone() else { return Err(Problem::new(422, "needs-nixos-backend", "no system")) };
    let began = Instant::now();
    machine.roots.pin(ROOTS[0], generation.path()).map_err(io)?;
    machine.store.add(generation).await.map_err(|e| StepError::from(e).problem())?;
    let root = machine.roots.link(ROOTS[1]).map_err(io)?;
    let nixos = Nixos::new(machine.programs.join("nix"), source);
    let system = nixos.build(generation.path(), &root).await.map_err(|e| refused(&e))?;
    let build_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let running = machine.current_system().map_err(|e| refused(&e))?;
    let (before, after) = tokio::try_join!(machine.store.closure([&running]), machine.store.closure([&system]))
        .map_err(|e| StepError::from(e).problem())?;
    let (old, new) =
        (Units::of_system(running.as_path()).map_err(io)?, Units::of_system(system.as_path()).map_err(io)?);
    let states = manager.snapshot().await.map_err(|e| refused(&e))?;
    let mut plan = plan_activation(&old.files, &new.files, &new.wanted, |unit| states.active(unit));
    // What is wanted and has come to its end is no change.
    plan.start.retain(|step| old.files.get(&step.unit) != new.files.get(&step.unit));
    let units = unit_changes(&plan);
    Ok(SystemPreview { system: system.into(), packages: changes(&before, &after), units, build_ms })
}

/// What a plan changes in the closure. It is for people only: where Nix cannot be asked, the plan is as good without.
pub async fn packages(store: &NixStore, base: &Manifest, change: &ClosureDiff) -> Vec<PackageChange> {
    let old = base.references();
    let new = change.added.iter().filter_map(|path| path.parse().ok()).collect::<BTreeSet<StorePath>>();
    // What a generation brings itself, such as an app's files, is not there before it is built.
    let (there, unbuilt): (BTreeSet<_>, BTreeSet<_>) = new.into_iter().partition(|path| path.as_path().exists());
    let stay = old.iter().copied().filter(|path| !change.removed.iter().any(|gone| gone == path.as_str()));
    match tokio::try_join!(store.closure(old.iter().copied()), store.closure(stay.chain(&there))) {
        Ok((before, after)) => changes(&before, &after.into_iter().chain(unbuilt).collect()),
        Err(error) => {
            tracing::warn!("the closure cannot be told: {error}");
            Vec::new()
        }
    }
}
