//! What osmoda-routines answers.

use std::time::Duration;

use osmoda_generation::manifest::Manifest;
use osmoda_ipc::{Call, Metrics, Peer, Peers, Service, api_documents};
use osmoda_ledger::{Query, Reader};
use osmoda_schemas::{
    kinds::routine::Trigger,
    name::Name,
    object::{Kind, ObjectRef},
    operation::Nothing,
    ops::{
        common::{Accepted, Id},
        routines::{
            AddRoutine, HistoryRequest, Hook, HookRoutine, ListRoutines, ListRuns, RemoveRoutine, RoutineList,
            RoutineView, Run, RunList, TriggerRoutine, Triggered,
        },
        watch::AddRequest,
    },
    problem::Problem,
};

use crate::{
    Slice,
    daemon::{RAN, Shared, unit_of},
};

/// osmoda-routines' service.
pub(crate) fn service(state: Shared, peers: Peers, metrics: Metrics) -> Service<Shared> {
    Service::new("routines", state, peers, metrics)
        .handle::<AddRoutine, _, _>(add)
        .handle::<RemoveRoutine, _, _>(remove)
        .handle::<ListRoutines, _, _>(list)
        .handle::<TriggerRoutine, _, _>(|shared, call, request| async move {
            let slice = find(&shared, &request)?;
            check_caller(&shared, call.peer, &slice.name)?;
            triggered(&shared, &slice.name, &format!("triggered by {}", call.peer.actor())).await
        })
        .handle::<HookRoutine, _, _>(hook)
        .handle::<ListRuns, _, _>(|shared, _, request| async move { history(&shared, &request, 50) })
}

fn name_of(request: &Id) -> Result<Name, Problem> {
    request.id.parse().map_err(|e| Problem::new(422, "invalid-name", format!("{e}")).field("id"))
}

fn find(shared: &Shared, request: &Id) -> Result<Slice, Problem> {
    let name = name_of(request)?;
    shared.slices().remove(&name).ok_or_else(|| {
        Problem::new(404, "no-such-routine", format!("there is no routine {name} in the active generation"))
    })
}

/// A routine is run by root, or by who wished for it: it may run as a user that others may not use.
fn check_caller(shared: &Shared, peer: Peer, name: &Name) -> Result<(), Problem> {
    let manifest = Manifest::read(&shared.machine.active_link());
    let manifest = manifest.map_err(|e| Problem::new(500, "generation-not-readable", e.to_string()))?;
    check_author(&manifest, peer, name)
}

fn check_author(manifest: &Manifest, peer: Peer, name: &Name) -> Result<(), Problem> {
    let reference = ObjectRef::new(Kind::Routine, name.clone());
    let author = manifest.objects.get(&reference).map(|entry| entry.author);
    if peer.uid == 0 || author == Some(peer.author()) {
        return Ok(());
    }
    let theirs = author.map_or_else(|| "somebody else".to_owned(), |author| author.to_string());
    let detail = format!("{reference} belongs to {theirs}, not to {}", peer.actor());
    Err(Problem::new(403, "not-your-object", detail).hint("only its author and root run a routine by a call"))
}

async fn triggered(shared: &Shared, name: &Name, why: &str) -> Result<Triggered, Problem> {
    let unit = shared.start(name, why).await;
    unit.map(|unit| Triggered { unit }).map_err(|e| Problem::new(503, "systemd-unavailable", e.to_string()))
}

async fn hook(shared: Shared, call: Call, request: Hook) -> Result<Triggered, Problem> {
    let slice = find(&shared, &Id { id: request.id })?;
    check_caller(&shared, call.peer, &slice.name)?;
    let Trigger::Webhook(trigger) = &slice.spec.trigger else {
        let problem = Problem::new(409, "no-webhook", format!("{} is not triggered by calls", slice.name));
        return Err(problem.hint("POST /routine/trigger/NAME runs it now, or give it the trigger `type: webhook`"));
    };
    if !slice.spec.enabled {
        return Err(Problem::new(409, "disabled", format!("{} is disabled", slice.name)));
    }
    let only = HistoryRequest { name: Some(slice.name.clone()), limit: Some(1) };
    let last = history(&shared, &only, 1)?.runs.pop();
    let since = last.map(|run| osmoda_schemas::now().duration_since(run.ended).unsigned_abs());
    if since.is_some_and(|since: Duration| since < trigger.min_interval.as_std()) {
        let detail = format!("{} ran less than {} ago", slice.name, trigger.min_interval);
        return Err(Problem::new(429, "too-soon", detail).hint("wait, or make `minInterval` shorter"));
    }
    triggered(&shared, &slice.name, &format!("hook called by {}", call.peer.actor())).await
}

async fn list(shared: Shared, _: Call, Nothing {}: Nothing) -> Result<RoutineList, Problem> {
    let mut routines = Vec::new();
    for slice in shared.slices().into_values() {
        let trigger = match slice.spec.trigger {
            Trigger::Cron(_) => "cron",
            Trigger::Interval(_) => "interval",
            Trigger::Event(_) => "event",
            Trigger::Webhook(_) => "webhook",
        };
        let status = shared.manager.status(&unit_of(&slice.name)).await;
        let unit = status.map_or_else(|e| e.to_string(), |s| format!("{} ({})", s.active, s.sub));
        let only = HistoryRequest { name: Some(slice.name.clone()), limit: Some(1) };
        let last_result = history(&shared, &only, 1)?.runs.pop().map(|run| run.result);
        let enabled = slice.spec.enabled;
        routines.push(RoutineView { name: slice.name, trigger: trigger.to_owned(), unit, last_result, enabled });
    }
    Ok(RoutineList { routines })
}

fn history(shared: &Shared, request: &HistoryRequest, default: usize) -> Result<RunList, Problem> {
    let query = Query {
        kind: Some(RAN.to_owned()),
        actor: request.name.as_ref().map(|name| format!("routine/{name}")),
        limit: request.limit.unwrap_or(default).min(1000),
        newest_first: true,
        ..Query::default()
    };
    let rows = Reader::open(&shared.machine.ledger_folder()).and_then(|reader| reader.rows(&query));
    let rows = rows.map_err(|e| Problem::new(500, "ledger-not-readable", e.to_string()))?;
    let run = |row: osmoda_ledger::Row| {
        Some(Run {
            name: row.payload["name"].as_str()?.parse().ok()?,
            ended: row.ts.parse().ok()?,
            result: row.payload["result"].as_str()?.to_owned(),
        })
    };
    Ok(RunList { runs: rows.into_iter().filter_map(run).collect() })
}

async fn add(shared: Shared, call: Call, request: AddRequest) -> Result<Accepted, Problem> {
    let object = api_documents::object(Kind::Routine, &request.name, &request.spec)?;
    api_documents::put(&shared.machine.state, &object, call.peer.author())
}

async fn remove(shared: Shared, call: Call, request: Id) -> Result<Accepted, Problem> {
    let name = name_of(&request)?;
    api_documents::remove(&shared.machine.state, &ObjectRef::new(Kind::Routine, name), call.peer.author())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_is_run_by_root_or_its_author() {
        let manifest: Manifest = serde_json::from_value(serde_json::json!({ "version": 1, "objects": {
            "Routine/mine": { "hash": "0".repeat(64), "author": { "uid": 1000 } },
            "App/other": { "hash": "0".repeat(64), "author": { "uid": 1001 } },
        } }))
        .unwrap();
        let code = |uid, name: &str| {
            let peer = Peer { uid, gid: uid, pid: None };
            check_author(&manifest, peer, &name.parse().unwrap()).err().map(|problem| problem.code)
        };
        assert_eq!((code(0, "mine"), code(1000, "mine"), code(0, "other")), (None, None, None));
        assert_eq!(code(1001, "mine").as_deref(), Some("not-your-object"));
        assert_eq!(code(1001, "other").as_deref(), Some("not-your-object"), "an app of that name is not the routine");
    }
}
