//! What osmoda-watch answers.

use std::{io, time::Duration};

use osmoda_generation::authors::Wishes;
use osmoda_ipc::{Call, Client, Metrics, Peer, Peers, Service, api_documents};
use osmoda_safeswitch::{Decision, Machine, decide, wishes};
use osmoda_schemas::{
    object::{Author, Kind, ObjectRef},
    operation::Nothing,
    ops::{
        agentd::{ApplyRequest, PostApply, SwitchStarted},
        common::{Accepted, Id},
        watch::{
            AddRequest, AddWatcher, BeginRequest, BeginSwitch, CommitSwitch, GetSwitch, ListSwitches,
            ListSwitchesRequest, ListWatchers, RemoveWatcher, RollbackSwitch, SwitchList, WatcherList,
        },
    },
    problem::Problem,
    quantity,
    switch::SwitchRecord,
};
use osmoda_systemd::Manager;

use crate::daemon::Watchers;

/// Time that a runner gets to act on a decision.
const DECIDE: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub machine: Machine,
    pub manager: Manager,
    pub watchers: Watchers,
}

/// osmoda-watch's service.
pub fn service(state: Api, peers: Peers, metrics: Metrics) -> Service<Api> {
    Service::new("watch", state, peers, metrics)
        .handle::<BeginSwitch, _, _>(begin)
        .handle::<GetSwitch, _, _>(|api, _, request| async move { record(&api, &request.id) })
        .handle::<CommitSwitch, _, _>(|api, _, request| async move { decided(&api, request, Decision::Commit).await })
        .handle::<RollbackSwitch, _, _>(|api, call, request: Id| async move {
            let wishes = wishes(&api.machine, &record(&api, &request.id)?).map_err(unreadable)?;
            check_asker(call.peer, &wishes)?;
            decided(&api, request, Decision::Rollback).await
        })
        .handle::<ListSwitches, _, _>(|api, _, request: ListSwitchesRequest| async move {
            let switches = api.machine.journal().list(request.limit.unwrap_or(20)).map_err(unreadable)?;
            Ok(SwitchList { switches })
        })
        .handle::<AddWatcher, _, _>(add)
        .handle::<RemoveWatcher, _, _>(remove)
        .handle::<ListWatchers, _, _>(
            |api, _, Nothing {}| async move { Ok(WatcherList { watchers: api.watchers.views() }) },
        )
}

fn unreadable(error: io::Error) -> Problem {
    Problem::new(500, "journal-not-readable", error.to_string())
}

fn record(api: &Api, id: &str) -> Result<SwitchRecord, Problem> {
    api.machine.journal().read(id).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Problem::new(404, "no-such-switch", format!("there is no switch {id}")).hint("`osmoda history` lists them")
        }
        _ => unreadable(error),
    })
}

/// A switch is ended by root, or by whose changes are all that is in it.
fn check_asker(peer: Peer, wishes: &Wishes) -> Result<(), Problem> {
    if peer.uid == 0 || wishes.keys().eq([&peer.uid]) {
        return Ok(());
    }
    let others = wishes.keys().filter(|uid| **uid != peer.uid).map(|uid| Author { uid: *uid }.to_string());
    let detail = format!("changes of {} are in the switch", others.collect::<Vec<_>>().join(", "));
    Err(Problem::new(403, "not-your-switch", detail).hint("ask root; or change your documents back"))
}

/// A plan is carried out by agentd, which knows the documents.
async fn begin(api: Api, call: Call, request: BeginRequest) -> Result<SwitchStarted, Problem> {
    if call.peer.uid != 0 {
        // agentd would take the call for root's.
        let problem = Problem::new(403, "use-agentd", "switches of other users are begun at agentd");
        return Err(problem.hint("POST /apply to agentd.sock, with the plan's id"));
    }
    let apply = ApplyRequest {
        plan: Some(request.plan),
        ttl: request.ttl_secs.map(quantity::Duration::from_secs),
        ..ApplyRequest::default()
    };
    let client = Client::new(api.machine.run.join("agentd.sock"));
    let answer = client.call::<PostApply>(&apply).await.map_err(osmoda_ipc::ClientError::into_problem)?;
    let nothing = || Problem::new(409, "nothing-to-do", "the plan changes nothing");
    Ok(SwitchStarted { switch: answer.switch.ok_or_else(nothing)? })
}

async fn decided(api: &Api, request: Id, decision: Decision) -> Result<SwitchRecord, Problem> {
    let open = record(api, &request.id)?;
    if open.state.is_final() {
        let problem = Problem::new(409, "switch-is-over", format!("the switch is {} already", open.state));
        return Err(problem.hint("`osmoda rollback` switches back to an older generation"));
    }
    let failed = |e: osmoda_safeswitch::SwitchError| Problem::new(503, "runner-unreachable", e.to_string());
    decide(&api.machine, &api.manager, &open.id, decision).await.map_err(failed)?;
    let until = tokio::time::Instant::now() + DECIDE;
    loop {
        let now = record(api, &open.id)?;
        if now.state.is_final() || tokio::time::Instant::now() > until {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn add(api: Api, call: Call, request: AddRequest) -> Result<Accepted, Problem> {
    let object = api_documents::object(Kind::Watcher, &request.name, &request.spec)?;
    api_documents::put(&api.machine.state, &object, call.peer.author())
}

async fn remove(api: Api, call: Call, request: Id) -> Result<Accepted, Problem> {
    let name = request.id.parse().map_err(|e| Problem::new(422, "invalid-name", format!("{e}")).field("id"))?;
    api_documents::remove(&api.machine.state, &ObjectRef::new(Kind::Watcher, name), call.peer.author())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_rolled_back_by_root_or_whose_changes_it_has() {
        let hash = osmoda_schemas::object::ContentHash::of("x");
        let code = |uid, of: &[u32]| {
            let wishes = of.iter().map(|uid| (*uid, hash)).collect();
            check_asker(Peer { uid, gid: uid, pid: None }, &wishes).err().map(|problem| problem.code)
        };
        for (uid, of) in [(0, &[][..]), (0, &[1000]), (1000, &[1000])] {
            assert_eq!(code(uid, of), None, "{uid} {of:?}");
        }
        for (uid, of) in [(1000, &[][..]), (1000, &[0]), (1000, &[0, 1000]), (100, &[1000])] {
            assert_eq!(code(uid, of).as_deref(), Some("not-your-switch"), "{uid} {of:?}");
        }
    }
}
