//! What agentd answers on its socket.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use osmoda_generation::store_path::StorePath;
use osmoda_ipc::{Call, Metrics, Peer, Peers, Service, api_documents};
use osmoda_ledger::Event;
use osmoda_runtime::WorkQueue;
use osmoda_safeswitch::{Machine, SwitchRequest, start};
use osmoda_schemas::{
    condition::{ConditionStatus, ConditionType},
    object::{Kind, Object, ObjectRef, SourcePosition},
    operation::Nothing,
    ops::{
        agentd::{
            ApplyAnswer, ApplyRequest, DeleteObject, DiscoverSystem, DocumentFile, GcAnswer, GcRequest, GenerationList,
            GenerationView, GetEvent, GetObject, GetPlan, GetStatus, ListEvents, ListGenerations, ListObjects,
            ListObjectsRequest, LoopStatus, ObjectDetail, ObjectId, ObjectList, PlanAnswer, PlanRequest, PostApply,
            PostGc, PostRollback, QueryAnswer, QuerySystem, RollbackRequest, StreamEvents, SwitchStarted,
        },
        common::Accepted,
    },
    plan::ClosureDiff,
    problem::Problem,
    switch::SwitchPurpose,
};
use serde_json::json;
use tokio::sync::{Mutex, watch};

use crate::{
    building::generation_of,
    controller::{ApplyOptions, Controller, Step},
    events,
    planning::plan_of,
    preview,
    reconcile::Key,
    step_error::StepError,
    system,
    world::World,
};

/// Time that a garbage collection may take.
const COLLECT: Duration = Duration::from_secs(1800);
/// Time that NixOS options may be checked while somebody waits for the answer.
const CHECKS: Duration = Duration::from_secs(120);
/// Time that taking in and building may take on a large machine.
const BUILD: Duration = Duration::from_secs(180);

/// Time that a system may be built to be looked at; what is downloaded meanwhile is there for the next try.
const PREVIEW: Duration = Duration::from_secs(1800);

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub controller: Arc<Mutex<Controller>>,
    pub queue: WorkQueue<Key>,
    pub machine: Machine,
    pub head: watch::Receiver<i64>,
}

/// agentd's service.
pub fn service(state: Api, peers: Peers, metrics: Metrics) -> Service<Api> {
    Service::new("agentd", state, peers, metrics)
        .handle::<ListObjects, _, _>(list_objects)
        .handle::<GetObject, _, _>(get_object)
        .handle::<DeleteObject, _, _>(delete_object)
        .handle_within::<GetPlan, _, _>(PREVIEW, get_plan)
        .handle_within::<PostApply, _, _>(BUILD, apply)
        .handle::<GetStatus, _, _>(status)
        .handle::<ListGenerations, _, _>(list_generations)
        .handle::<PostRollback, _, _>(rollback)
        .handle_within::<PostGc, _, _>(COLLECT, collect_garbage)
        .handle::<ListEvents, _, _>(
            |api, _, request| async move { events::list(&api.machine.ledger_folder(), request) },
        )
        .handle_stream::<StreamEvents, _, _>(|api, _, request| async move {
            Ok(events::stream(api.machine.ledger_folder(), request, api.head))
        })
        .handle::<GetEvent, _, _>(
            |api, _, request| async move { events::get(&api.machine.ledger_folder(), &request.id) },
        )
        .handle::<QuerySystem, _, _>(|_, _, request| async move {
            let result = system::query(&request.query, &request.args)?;
            Ok(QueryAnswer { query: request.query, result })
        })
        .handle::<DiscoverSystem, _, _>(|_, _, Nothing {}| async move { Ok(system::discover()) })
}

async fn list_objects(api: Api, _: Call, request: ListObjectsRequest) -> Result<ObjectList, Problem> {
    let controller = api.controller.lock().await;
    let label = request.label.as_ref().map(|label| {
        label.split_once('=').ok_or_else(|| {
            Problem::new(422, "invalid-request", format!("`{label}` is no label"))
                .field("label")
                .hint("write key=value")
        })
    });
    let label = label.transpose()?;
    let has_label = |reference: &ObjectRef| {
        let Some((key, value)) = label else { return true };
        let admitted = controller.world.admitted().get(reference);
        let object = admitted.and_then(|a| Object::from_json(&a.canonical).ok());
        object.is_some_and(|o| o.metadata.labels.get(key).map(String::as_str) == Some(value))
    };
    let objects = controller
        .book
        .entries()
        .iter()
        .filter(|(reference, _)| request.kind.is_none_or(|kind| reference.kind == kind) && has_label(reference))
        .map(|(_, status)| status.clone())
        .collect();
    let problems = controller.world.file_problems().cloned().collect();
    Ok(ObjectList { objects, problems })
}

async fn get_object(api: Api, _: Call, request: ObjectId) -> Result<ObjectDetail, Problem> {
    let controller = api.controller.lock().await;
    let reference = ObjectRef::new(request.kind, request.name);
    let status =
        controller.book.entries().get(&reference).cloned().ok_or_else(|| no_such_object(&controller, &reference))?;
    let document = controller.world.admitted().get(&reference).and_then(|a| serde_json::from_str(&a.canonical).ok());
    let names = controller.base.manifest.objects.get(&reference).map(|e| e.units.clone()).unwrap_or_default();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut units = BTreeMap::new();
    if !names.is_empty() {
        let states = controller.manager.statuses(&names).await.map_err(|e| unavailable(&e))?;
        units = states.units.into_iter().map(|(unit, s)| (unit, format!("{} ({})", s.active, s.sub))).collect();
    }
    Ok(ObjectDetail { status, document, units })
}

fn no_such_object(controller: &Controller, reference: &ObjectRef) -> Problem {
    let problem = Problem::new(404, "no-such-object", format!("there is no {reference}"));
    let names = controller.book.entries().keys().filter(|r| r.kind == reference.kind).map(ToString::to_string);
    match osmoda_schemas::document::did_you_mean(&reference.to_string(), names) {
        Some(hint) => problem.hint(hint),
        None => problem.hint("`osmoda get` lists what there is"),
    }
}

fn unavailable(error: &dyn std::error::Error) -> Problem {
    Problem::new(503, "systemd-unavailable", error.to_string())
}

async fn delete_object(api: Api, call: Call, request: ObjectId) -> Result<Accepted, Problem> {
    let reference = ObjectRef::new(request.kind, request.name);
    let answer = api_documents::remove(&api.machine.state, &reference, call.peer.author())?;
    api.queue.add(Key::Documents, "delete", Duration::ZERO);
    Ok(answer)
}

async fn get_plan(api: Api, call: Call, request: PlanRequest) -> Result<PlanAnswer, Problem> {
    preview::check(&api.machine, call.peer, &request)?;
    check_options(&api, call.peer, &request.documents, false).await?;
    let mut controller = api.controller.lock().await;
    controller.admit(None, false).await.map_err(|e| e.problem())?;
    let (plan, held, generation) = if request.documents.is_empty() {
        // What would be made real next: an apply can be held to it.
        let mut turn = controller.turn().map_err(|e| e.problem())?;
        controller.left_out = std::mem::take(&mut turn.waits);
        let generation = request.build.then(|| turn.take_generation(&controller.world, &controller.judge.renderers));
        (turn.plan, controller.world.held().iter().cloned().collect(), generation)
    } else {
        let mut trial = trial(&controller, &request.documents, call.peer, &api.machine)?;
        let plan = plan_of(&controller.base, &mut trial, &controller.judge);
        let generation = request.build.then(|| generation_of(&trial, &controller.judge.renderers));
        (plan.map_err(|e| StepError::from(e).problem())?, Vec::new(), generation)
    };
    let generation = generation.transpose().map_err(|e| e.problem())?;
    let problems = controller.problems();
    let manager = controller.manager.clone();
    let base = if plan.body.closure == ClosureDiff::default() { None } else { Some(controller.base.manifest.clone()) };
    drop(controller);
    let packages = match base {
        Some(base) => preview::packages(&api.machine.store, &base, &plan.body.closure).await,
        None => Vec::new(),
    };
    let preview = match generation {
        Some(generation) => Some(preview::build(&api.machine, &manager, &generation).await?),
        None => None,
    };
    Ok(PlanAnswer { plan, packages, preview, problems, held })
}

/// The world as it would be with these documents. Refuses all of them when one is not valid.
fn trial(controller: &Controller, documents: &[DocumentFile], peer: Peer, machine: &Machine) -> Result<World, Problem> {
    let mut world = controller.world.clone();
    let mut changes = Vec::new();
    let mut mine = BTreeSet::new();
    let mut problems = Vec::new();
    for file in documents {
        let entry = controller.judge.text(Path::new(&file.file), peer.author(), file.text.as_bytes());
        problems.extend(entry.refused.iter().flat_map(|refused| refused.problems.clone()));
        mine.extend(entry.definitions.iter().map(|d| d.reference.clone()));
        if controller.roots().iter().any(|root| Path::new(&file.file).starts_with(root)) {
            changes.push((PathBuf::from(&file.file), Some(entry)));
            continue;
        }
        // Each object goes to a file of its own, as it will when it is taken in.
        for definition in entry.definitions {
            let path = api_documents::file_of(&machine.state, &definition.reference);
            let there = controller.world.admitted().get(&definition.reference);
            if let Some(there) = there.filter(|there| *there.file != *path && there.file.exists()) {
                let detail = format!("{} is defined in {}", definition.reference, there.position());
                let at =
                    SourcePosition { file: file.file.clone().into(), line: definition.line, column: definition.column };
                let hint = "edit that file; or remove the document from it, then apply yours";
                problems.push(Problem::new(409, "defined-in-a-file", detail).at(at).hint(hint));
                continue;
            }
            let entry =
                crate::world::FileEntry { author: entry.author, definitions: vec![definition], refused: Vec::new() };
            changes.push((path, Some(entry)));
        }
    }
    if problems.is_empty() {
        world.update(changes, false, Some(controller.mass_delete_guard()));
        problems.extend(mine.iter().flat_map(|reference| world.problems_for(reference, peer.author())).cloned());
    }
    let mut problems = problems.into_iter();
    match problems.next() {
        None => Ok(world),
        Some(mut first) => {
            first.errors = problems.collect();
            Err(first)
        }
    }
}

/// What NixOS has against options of documents is told with the answer, and not after it. An apply has them checked anew,
/// for the system may be another one by now.
async fn check_options(api: &Api, peer: Peer, documents: &[DocumentFile], anew: bool) -> Result<(), Problem> {
    let checks = {
        let mut controller = api.controller.lock().await;
        let Some(checks) = controller.judge.options.clone() else { return Ok(()) };
        if anew {
            let problems =
                controller.world.problems().iter().filter(|(reference, _)| reference.kind == Kind::NixosConfig);
            checks.forget_refused(
                problems.flat_map(|(_, problems)| problems).filter_map(|p| Some(p.source.as_ref()?.file.clone())),
            );
        }
        controller.admit(None, false).await.map_err(|e| e.problem())?;
        for file in documents {
            let _asks = controller.judge.text(Path::new(&file.file), peer.author(), file.text.as_bytes());
        }
        checks
    };
    checks.settled(CHECKS).await;
    Ok(())
}

async fn apply(api: Api, call: Call, request: ApplyRequest) -> Result<ApplyAnswer, Problem> {
    check_overrides(call.peer, &request)?;
    if request.rebuild && api.machine.nixos.is_none() {
        let problem = Problem::new(422, "needs-nixos-backend", "only the backend `nixos` builds a system");
        return Err(problem.field("rebuild").hint("leave it out"));
    }
    check_options(&api, call.peer, &request.documents, true).await?;
    let mut controller = api.controller.lock().await;
    let failed = |e: StepError| e.problem();
    controller.admit(None, request.accept_mass_delete).await.map_err(failed)?;
    let mut written = BTreeSet::new();
    if !request.documents.is_empty() {
        trial(&controller, &request.documents, call.peer, &api.machine)?;
        for file in &request.documents {
            if controller.roots().iter().any(|root| Path::new(&file.file).starts_with(root)) {
                continue;
            }
            for document in osmoda_schemas::document::read(Path::new(&file.file), file.text.as_bytes()) {
                if let Ok(object) = document.result {
                    api_documents::put(&api.machine.state, &object, call.peer.author())?;
                    written.insert(api_documents::file_of(&api.machine.state, &object.reference()));
                }
            }
        }
        controller.admit(Some(&written), request.accept_mass_delete).await.map_err(failed)?;
    }
    let has_documents = !request.documents.is_empty();
    let options = ApplyOptions {
        actor: call.peer.actor(),
        plan: request.plan,
        ttl: request.ttl,
        clear_quarantine: request.clear_quarantine,
        rebuild: request.rebuild,
    };
    let (plan, step) = match controller.converge(Some(&options)).await {
        Ok(done) => done,
        Err(error) => {
            // The loop goes on trying.
            controller.holding = Some(("retrying", error.to_string()));
            api.queue.add(Key::Documents, "apply failed", Duration::from_secs(5));
            return Err(failed(error));
        }
    };
    let problems = controller.problems();
    // Whoever waits for it would take what others wish for it.
    let left_out = controller.left_out.iter().find(|(uid, _)| *uid == call.peer.uid && has_documents);
    if let Some((_, problem)) = left_out {
        return Err(problem.clone());
    }
    match step {
        Step::Switching(id) => {
            let ours = controller.switch.as_deref() == Some(&*id)
                && api.machine.journal().read(&id).is_ok_and(|record| record.plan == Some(plan.id));
            if !ours {
                // It is taken in, and follows when the one that goes on is over.
                return Err(Problem::new(409, "switch-in-flight", format!("the switch {id} is still going on"))
                    .hint("the documents are taken in; they follow when it is over"));
            }
            Ok(ApplyAnswer { plan, switch: Some(id), problems })
        }
        Step::Settled => match controller.holding.clone() {
            Some((code @ ("plan-changed" | "quarantined" | "held"), message)) => {
                Err(Problem::new(409, code, message).hint(way_out(code)))
            }
            _ => Ok(ApplyAnswer { plan, switch: None, problems }),
        },
    }
}

/// Guards are root's to override. So is the time of a probation: it is that of everybody's changes in the switch.
fn check_overrides(peer: Peer, request: &ApplyRequest) -> Result<(), Problem> {
    let override_of = [
        ("acceptMassDelete", request.accept_mass_delete, "ask the machine's owner"),
        ("clearQuarantine", request.clear_quarantine, "ask the machine's owner"),
        ("rebuild", request.rebuild, "ask the machine's owner"),
        ("ttl", request.ttl.is_some(), "leave it out; a document says how long its own probation is"),
    ];
    match override_of.into_iter().find(|(_, asked, _)| peer.uid != 0 && *asked) {
        None => Ok(()),
        Some((field, _, hint)) => {
            Err(Problem::new(403, "guard-override", "only root may override a guard").field(field).hint(hint))
        }
    }
}

/// What would end that state of the loop.
fn way_out(state: &str) -> &'static str {
    match state {
        "plan-changed" => "look at `osmoda diff` again",
        "quarantined" => "change a document, or say `osmoda apply --clear-quarantine`",
        _ => "bring the documents back, or say `osmoda apply --accept-mass-delete`",
    }
}

async fn status(api: Api, _: Call, Nothing {}: Nothing) -> Result<LoopStatus, Problem> {
    let controller = api.controller.lock().await;
    let switch = controller.in_flight().map_err(|e| e.problem())?;
    let (state, message) = match (&switch, &controller.holding) {
        (Some(_), _) => ("switching", String::new()),
        (None, Some((state @ ("quarantined" | "held"), message))) => (*state, format!("{message}: {}", way_out(state))),
        (None, Some((state, message))) => (*state, message.clone()),
        (None, None) => ("idle", String::new()),
    };
    let is_degraded = |s: &&osmoda_schemas::condition::ObjectStatus| {
        s.condition(ConditionType::Degraded).is_some_and(|c| c.status == ConditionStatus::True)
    };
    let quarantined = api.machine.quarantine().list().unwrap_or_default();
    Ok(LoopStatus {
        state: state.to_owned(),
        message,
        objects: controller.world.admitted().len(),
        refused: controller.world.problems().len(),
        held: controller.world.held().len(),
        degraded: controller.book.entries().values().filter(is_degraded).count(),
        active: controller.base.path.as_ref().map(ToString::to_string),
        boot_default: api.machine.profile.current().ok().flatten().map(|c| c.number),
        switch,
        quarantined: quarantined.into_iter().map(|entry| entry.path).collect(),
        ledger_head: Some(*api.head.borrow()).filter(|id| *id > 0),
        problems: controller.problems(),
    })
}

async fn list_generations(api: Api, _: Call, Nothing {}: Nothing) -> Result<GenerationList, Problem> {
    let failed = |e: std::io::Error| StepError::from(e).problem();
    let all = api.machine.profile.list().map_err(failed)?;
    let current = api.machine.profile.current().map_err(failed)?.map(|c| c.number);
    let view = |c: osmoda_generation::Committed| GenerationView {
        number: c.number,
        created: Timestamp::try_from(c.created).unwrap_or_default(),
        boot_default: Some(c.number) == current,
        active: api.machine.is_running(&c).unwrap_or_default(),
        objects: osmoda_generation::manifest::Manifest::read(c.path.as_path()).map_or(0, |m| m.objects.len()),
        system: c.system.map(String::from),
        path: c.path.into(),
    };
    Ok(GenerationList { generations: all.into_iter().map(view).collect() })
}

async fn rollback(api: Api, call: Call, request: RollbackRequest) -> Result<SwitchStarted, Problem> {
    let mut controller = api.controller.lock().await;
    let failed = |e: std::io::Error| StepError::from(e).problem();
    let all = api.machine.profile.list().map_err(failed)?;
    let target = match request.generation {
        Some(number) => all.into_iter().find(|c| c.number == number),
        None => api.machine.before_active().map_err(failed)?,
    };
    let Some(target) = target else {
        let detail = match request.generation {
            Some(number) => format!("there is no generation {number}"),
            None => "there is no generation before the active one".to_owned(),
        };
        return Err(Problem::new(404, "no-such-generation", detail).hint("`osmoda generations` lists them"));
    };
    if api.machine.is_running(&target).map_err(failed)? {
        return Err(Problem::new(409, "already-active", "that generation is active already"));
    }
    let settings = controller.config.safe_switch.clone();
    let request = SwitchRequest {
        purpose: SwitchPurpose::Rollback,
        actor: call.peer.actor(),
        reason: "osmoda rollback".to_owned(),
        plan: None,
        target: target.path,
        system: target.system,
        ttl: settings.ttl,
        interval: settings.interval,
        activation_timeout: settings.activation_timeout,
    };
    let id = start(&api.machine, &controller.manager, request).await.map_err(|e| StepError::from(e).problem())?;
    controller.switch = Some(id.clone());
    Ok(SwitchStarted { switch: id })
}

async fn collect_garbage(api: Api, call: Call, request: GcRequest) -> Result<GcAnswer, Problem> {
    if request.keep == 0 {
        return Err(Problem::new(422, "invalid-request", "at least one generation is kept").field("keep"));
    }
    let failed = |e: std::io::Error| StepError::from(e).problem();
    let (ledger, in_flight) = {
        let controller = api.controller.lock().await;
        (controller.ledger.clone(), controller.in_flight().map_err(|e| e.problem())?)
    };
    if let Some(id) = in_flight {
        return Err(Problem::new(409, "switch-in-flight", format!("the switch {id} is still going on")));
    }
    let mut needed: BTreeSet<StorePath> = api.machine.active().map_err(failed)?.into_iter().collect();
    needed.extend(api.machine.roots.list().map_err(failed)?.into_iter().map(|(_, path)| path));
    // The way back always stays open.
    needed.extend(api.machine.before_active().map_err(failed)?.map(|c| c.path));
    let recorded = |e: osmoda_ledger::LedgerError| StepError::from(e).problem();
    let intent = Event::new("gc.starting", call.peer.actor(), json!({ "keep": request.keep }));
    ledger.append(intent).await.map_err(recorded)?;
    let removed = api.machine.profile.prune(request.keep, &needed).map_err(failed)?;
    let summary = api.machine.store.collect_garbage().await.map_err(|e| StepError::from(e).problem())?;
    let outcome = Event::new("gc.done", call.peer.actor(), json!({ "removed": removed, "summary": summary }));
    ledger.append(outcome).await.map_err(recorded)?;
    Ok(GcAnswer { removed, summary })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_overrides_guards() {
        let requests = [
            ApplyRequest { accept_mass_delete: true, ..ApplyRequest::default() },
            ApplyRequest { clear_quarantine: true, ..ApplyRequest::default() },
            ApplyRequest { ttl: Some(osmoda_schemas::quantity::Duration::from_secs(0)), ..ApplyRequest::default() },
        ];
        let peer = |uid| Peer { uid, gid: uid, pid: None };
        for request in &requests {
            assert_eq!(check_overrides(peer(0), request), Ok(()));
            assert_eq!(check_overrides(peer(1000), request).unwrap_err().code, "guard-override");
        }
        assert_eq!(check_overrides(peer(1000), &ApplyRequest::default()), Ok(()));
    }
}
