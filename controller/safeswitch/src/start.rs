//! Asking for a switch, and for its decision.

use std::time::Duration as StdDuration;

use jiff::SignedDuration;
use osmoda_generation::store_path::StorePath;
use osmoda_schemas::{
    object::ContentHash,
    quantity::Duration,
    switch::{SwitchPurpose, SwitchRecord, SwitchState, SystemSwitch, Transition},
};
use osmoda_systemd::{Manager, SystemdError, transient::TransientService};
use uuid::{Builder, Uuid};

use crate::{Machine, SwitchError, short_id};

/// SIGUSR1: the runner looks for a request.
const WAKE: i32 = 10;

/// What a switch is to do.
#[derive(Clone, Debug)]
pub struct SwitchRequest {
    /// What it is for.
    pub purpose: SwitchPurpose,
    /// Who asks.
    pub actor: String,
    /// Why, in a line.
    pub reason: String,
    /// The plan that it carries out.
    pub plan: Option<ContentHash>,
    /// The generation that it leads to; it is in the store, and rooted.
    pub target: StorePath,
    /// The NixOS system that it is a part of, when there is one already: on the way back to it.
    pub system: Option<StorePath>,
    /// How long all gates have to pass.
    pub ttl: Duration,
    /// Time between two looks at the machine.
    pub interval: Duration,
    /// Time that stopping and starting units may take.
    pub activation_timeout: Duration,
}

/// Why a switch cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// At most one is in flight.
    #[error("the switch {0} is still going on")]
    Busy(String),
    /// Something else.
    #[error(transparent)]
    Switch(#[from] SwitchError),
}

/// How somebody decides a probation early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Keep the new generation.
    Commit,
    /// Back to the old one.
    Rollback,
}

/// Starts a switch in a unit of its own and returns its id.
///
/// # Errors
/// When another one is in flight, or the unit cannot be started; nothing has happened then.
pub async fn start(machine: &Machine, manager: &Manager, request: SwitchRequest) -> Result<String, StartError> {
    let journal = machine.journal();
    let lock = journal.lock().map_err(SwitchError::io("the lock of switches"))?;
    let others = journal.in_flight().map_err(SwitchError::io("the records of switches"))?;
    if let Some(other) = others.first() {
        return Err(StartError::Busy(other.id.clone()));
    }
    let base = machine.active().map_err(SwitchError::io("the active generation"))?;
    let id = later_than(journal.latest().map_err(SwitchError::io("the records of switches"))?).to_string();
    let nixos = match &machine.nixos {
        None => None,
        Some(source) => Some(SystemSwitch {
            source: source.clone(),
            base: machine.current_system()?.into(),
            default: machine.profile.boots().map_err(SwitchError::io("the profile"))?.map(String::from),
            target: request.system.map(String::from),
            build_ms: None,
            packages: Vec::new(),
        }),
    };
    let mut record = SwitchRecord {
        id: id.clone(),
        purpose: request.purpose,
        actor: request.actor,
        reason: request.reason,
        plan: request.plan,
        state: SwitchState::Pending,
        base: base.map(String::from),
        target: request.target.into(),
        nixos,
        ttl: request.ttl,
        interval: request.interval,
        activation_timeout: request.activation_timeout,
        boot: machine.boot_id()?,
        resumes: 0,
        history: vec![Transition { state: SwitchState::Pending, at: osmoda_schemas::now() }],
        failed_before: Vec::new(),
        units: Vec::new(),
        activation_ms: None,
        killed: Vec::new(),
        gates: Vec::new(),
        probation_until: None,
        failure: None,
        held: false,
        number: None,
    };
    journal.write(&record).map_err(SwitchError::io("the record of the switch"))?;
    drop(lock);
    let started = manager.start_transient(&runner_unit(&id), &runner(machine, &id)).await;
    // Where systemd may have taken it and could not say so, the runner or `resume` goes on with the record.
    if let Err(error @ SystemdError::Refused { .. }) = started {
        // It may be refused because somebody else was quicker: `resume`, after a long wait for systemd.
        let runs = manager.status(&runner_unit(&id)).await.is_ok_and(|status| status.active.is_up());
        let _lock = journal.lock().map_err(SwitchError::io("the lock of switches"))?;
        let is_pending = journal.read(&id).is_ok_and(|record| record.state == SwitchState::Pending);
        if runs || !is_pending {
            return Ok(id);
        }
        record.failure = Some(format!("its runner could not be started: {error}"));
        record.enter(SwitchState::RolledBack);
        journal.write(&record).map_err(SwitchError::io("the record of the switch"))?;
        return Err(SwitchError::from(error).into());
    }
    Ok(id)
}

/// An id that follows the latest one, also when the clock went back in between.
fn later_than(latest: Option<Uuid>) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[6..]);
    let millis = u64::try_from(osmoda_schemas::now().as_millisecond()).unwrap_or_default();
    let now = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let Some(latest) = latest.filter(|latest| *latest >= now) else { return now };
    // The first six bytes are milliseconds (RFC 9562, section 5.7).
    let millis = u64::try_from(latest.as_u128() >> 80).unwrap_or_default() + 1;
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Starts the runner of a switch again that has none, and no dead-man that would see to it: it was killed between the
/// record and the runner, or ended too often. Does nothing when there is no such switch.
///
/// # Errors
/// When the records or systemd cannot be asked.
pub async fn resume(machine: &Machine, manager: &Manager) -> Result<(), StartError> {
    let open = machine.journal().in_flight().map_err(SwitchError::io("the records of switches"))?;
    let this_boot = machine.boot_id()?;
    let Some(record) = open.first().filter(|record| record.boot == this_boot) else { return Ok(()) };
    // Whoever is about to start it gets the time for that. A record of the future is of a clock that was set back.
    let age = osmoda_schemas::now().duration_since(record.since().unwrap_or_default());
    if (SignedDuration::ZERO..SignedDuration::from_secs(10)).contains(&age) {
        return Ok(());
    }
    let deadman = deadman_name(&record.id);
    for unit in [runner_unit(&record.id), format!("{deadman}.timer"), format!("{deadman}.service")] {
        if manager.status(&unit).await.map_err(SwitchError::from)?.active.is_up() {
            return Ok(());
        }
    }
    tracing::warn!(switch = record.id, "nobody sees to this switch: starting its runner again");
    let unit = runner_unit(&record.id);
    manager.reset_failed(&unit).await.map_err(SwitchError::from)?;
    manager.start_transient(&unit, &runner(machine, &record.id)).await.map_err(|e| SwitchError::from(e).into())
}

/// The service that carries a switch out.
fn runner(machine: &Machine, id: &str) -> TransientService {
    let command = vec![machine.program("osmoda-switch"), "run".to_owned(), id.to_owned()];
    let mut runner = TransientService::new(format!("osModa switch {}", short_id(id)), command);
    if machine.nixos.is_some() {
        runner.environment = forwarded(|name| std::env::var(name).ok());
    }
    runner.restart_after = Some(StdDuration::from_millis(200));
    runner.stop_timeout = StdDuration::from_secs(10);
    runner
}

/// What Nix needs to build a system, and has from the unit of the daemon that asks for it: programs such as git, channels,
/// the way to the network.
fn forwarded(value_of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let names =
        ["PATH", "NIX_PATH", "NIX_REMOTE", "NIX_SSL_CERT_FILE", "http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    names.into_iter().filter_map(|name| Some(format!("{name}={}", value_of(name)?))).collect()
}

/// Decides a switch early. The runner takes it in when it can; the record shows what came of it.
///
/// # Errors
/// When the request cannot be written or the runner not woken.
pub async fn decide(machine: &Machine, manager: &Manager, id: &str, decision: Decision) -> Result<(), SwitchError> {
    let word = match decision {
        Decision::Commit => "commit",
        Decision::Rollback => "rollback",
    };
    machine.journal().request(id, word).map_err(SwitchError::io("the request to the runner"))?;
    manager.kill(&runner_unit(id), WAKE).await?;
    Ok(())
}

/// The unit that carries a switch out.
pub(crate) fn runner_unit(id: &str) -> String {
    format!("osmoda-switch-{}.service", short_id(id))
}

/// The timer (and service) that undoes a switch whose runner is gone.
pub(crate) fn deadman_name(id: &str) -> String {
    format!("osmoda-deadman-{}", short_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_has_what_nix_needs_and_nothing_else() {
        let own = |name: &str| ["PATH", "NIX_PATH", "OSMODA_LOG"].contains(&name).then(|| "x".to_owned());
        assert_eq!(forwarded(own), ["PATH=x", "NIX_PATH=x"]);
    }

    #[test]
    fn ids_grow_although_the_clock_goes_back() {
        let future = Builder::from_unix_timestamp_millis(0x1fff_ffff_ffff, &[0xff; 10]).into_uuid();
        let next = later_than(Some(future));
        assert!(next > future && next.get_version_num() == 7, "{next}");
        assert!(later_than(Some(next)) > next);
        assert!(later_than(None) < future);
    }
}
