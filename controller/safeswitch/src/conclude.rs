//! The end of a switch: what is written down of it, once each, and also when the disk has no room for a while.

use std::time::Duration;

use osmoda_generation::{
    authors::{Wishes, changed_wishes},
    manifest::Manifest,
    store_path::StorePath,
};
use osmoda_ledger::{Event, Ledger, LedgerError, Query, Reader, Row};
use osmoda_schemas::switch::{SwitchPurpose, SwitchRecord, SwitchState};
use serde_json::json;

use crate::{Again, Machine, QuarantineEntry, Runner, SwitchError, backend, runner::SUPERSEDED};

/// Time between two attempts to write.
const AGAIN: Duration = Duration::from_secs(1);
/// Events among which those of a switch that was cut off are.
const LATEST: i64 = 2000;
/// Kinds of events of which a switch has one.
const OUTCOMES: [&str; 4] = ["switch.committed", "switch.rolled-back", "switch.failed", "switch.refused"];

impl Runner {
    /// Enters a final state, and returns when whatever others have to know of it is durable. The machine is as the
    /// state says by now, so a disk without room is waited for; meanwhile the record is in `/run`, and nobody does
    /// anything again.
    ///
    /// # Errors
    /// When not even that can be written; the next runner tries again then.
    pub(crate) async fn conclude(mut self, state: SwitchState) -> Result<SwitchState, SwitchError> {
        self.record.probation_until = None;
        self.enter(state);
        let mut told = false;
        while let Err(error) = self.write_down().await {
            if !told {
                tracing::error!(switch = self.record.id, "{state}, which cannot be written down yet: {error}");
                self.journal.keep(&self.record).map_err(SwitchError::io("the record of the switch in /run"))?;
                self.finish().await;
                told = true;
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.finish().await;
        Ok(state)
    }

    async fn write_down(&mut self) -> Result<(), SwitchError> {
        let actor = self.record.actor.clone();
        write_down(&self.machine, &mut self.ledger, &self.record, &actor).await
    }
}

/// What has to be durable of a switch that is over: the judgement, the event, and, last, the record. May be done again.
pub(crate) async fn write_down(
    machine: &Machine,
    ledger: &mut Option<Ledger>,
    record: &SwitchRecord,
    actor: &str,
) -> Result<(), SwitchError> {
    judge(machine, record)?;
    record_once(machine, ledger, &OUTCOMES, outcome(record, actor)).await?;
    machine.journal().write(record).map_err(SwitchError::io("the record of the switch"))
}

/// Quarantines what failed or was left on purpose, and lets go of what proved good.
pub(crate) fn judge(machine: &Machine, record: &SwitchRecord) -> Result<(), SwitchError> {
    let quarantine = machine.quarantine();
    // Why, and whether somebody has to say so before anything of it is tried again.
    let bad = match (record.state, record.purpose) {
        (SwitchState::Committed, SwitchPurpose::Apply) => None,
        // Otherwise the documents, which still wish it, would bring it back at once.
        (SwitchState::Committed, SwitchPurpose::Rollback) => {
            record.base.clone().map(|left| (left, "somebody went back from it".to_owned(), true))
        }
        (_, SwitchPurpose::Apply) if record.failure.as_deref() == Some(SUPERSEDED) => None,
        // The same documents in another system: it is the system that failed.
        (_, SwitchPurpose::Apply) if record.base.as_ref() == Some(&record.target) => None,
        (_, SwitchPurpose::Apply) if record.touched() || backend::boots(record).is_none() => {
            Some((record.target.clone(), record.failure.clone().unwrap_or_default(), record.held))
        }
        _ => None,
    };
    let written = match bad {
        Some((path, reason, held)) => {
            let wishes = told_wishes(machine, record);
            let now = osmoda_schemas::now();
            // Whoever asked for its end does not want to see it tried again.
            let is_unbuilt = !held && backend::boots(record).is_none();
            let again = is_unbuilt.then(|| {
                // The same wishes have another path once others' are committed.
                let same = |entry: &QuarantineEntry| {
                    entry.path == path || entry.alone && !wishes.is_empty() && entry.wishes == wishes
                };
                let known = quarantine.list().unwrap_or_default();
                let before = known.into_iter().rfind(|entry| same(entry) && entry.switch != record.id);
                Again::after(before.and_then(|entry| entry.again).map_or(1, |again| again.tries.saturating_add(1)), now)
            });
            let (switch, alone) = (record.id.clone(), wishes.len() == 1);
            quarantine.add(QuarantineEntry { path, reason, switch, at: now, again, wishes, alone, held })
        }
        None => Ok(()),
    };
    let freed = match (record.state, record.purpose) {
        (SwitchState::Committed, SwitchPurpose::Apply) => {
            quarantine.release(&record.target, || told_wishes(machine, record))
        }
        (SwitchState::Committed, SwitchPurpose::Rollback) => quarantine.release(&record.target, Wishes::new),
        _ => Ok(()),
    };
    written.and(freed).map_err(SwitchError::io("the quarantine"))
}

/// [`wishes`], as far as they can be told.
fn told_wishes(machine: &Machine, record: &SwitchRecord) -> Wishes {
    wishes(machine, record).unwrap_or_else(|error| {
        tracing::warn!("whose change it was cannot be told: {error}");
        Wishes::new()
    })
}

/// Whose wishes a switch was to make real, or, on a way back, took away.
///
/// # Errors
/// When a generation cannot be read.
pub fn wishes(machine: &Machine, record: &SwitchRecord) -> std::io::Result<Wishes> {
    let read = |path: Option<&str>| {
        let Some(path) = path else { return Ok(Manifest::default()) };
        Manifest::read(&machine.store.locate(&path.parse::<StorePath>().map_err(std::io::Error::other)?))
    };
    let (base, target) = (read(record.base.as_deref())?, read(Some(&record.target))?);
    Ok(match record.purpose {
        SwitchPurpose::Apply => changed_wishes(&base, &target),
        SwitchPurpose::Rollback => changed_wishes(&target, &base),
    })
}

/// The event that tells how a switch ended.
fn outcome(record: &SwitchRecord, actor: &str) -> Event {
    let reason = record.failure.as_deref().unwrap_or_default();
    let (kind, payload) = match record.state {
        SwitchState::Committed => {
            let of = json!({ "switch": record.id, "generation": record.target, "number": record.number, "plan": record.plan });
            ("switch.committed", of)
        }
        SwitchState::RolledBack if !record.touched() => (
            "switch.refused",
            json!({ "switch": record.id, "reason": reason, "touched": false, "target": record.target }),
        ),
        state => {
            let kind = if state == SwitchState::Failed { "switch.failed" } else { "switch.rolled-back" };
            (kind, json!({ "switch": record.id, "reason": reason, "generation": record.base }))
        }
    };
    Event::new(kind, actor.to_owned(), payload)
}

/// Takes over the end of a switch that the ledger tells already: its runner was killed before the record said so, too.
pub(crate) fn told(machine: &Machine, record: &mut SwitchRecord) -> Option<SwitchState> {
    let known = latest(machine).ok()?;
    let is_ours = |row: &&Row| OUTCOMES.contains(&row.kind.as_str()) && row.payload["switch"] == record.id.as_str();
    let Row { kind, payload, .. } = known.iter().find(is_ours)?;
    record.number = payload["number"].as_u64();
    record.failure = payload["reason"].as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "switch.committed" => SwitchState::Committed,
        "switch.failed" => SwitchState::Failed,
        _ => SwitchState::RolledBack,
    })
}

/// The latest events of switches.
fn latest(machine: &Machine) -> Result<Vec<Row>, LedgerError> {
    let reader = Reader::open(&machine.ledger_folder())?;
    let after = reader.head()?.map(|(id, _)| id - LATEST);
    reader.rows(&Query { after, kind: Some("switch.*".to_owned()), limit: usize::MAX, ..Query::default() })
}

/// Appends an event of a switch, unless one of these kinds is there for it: who is killed after it does not say it again.
pub(crate) async fn record_once(
    machine: &Machine,
    ledger: &mut Option<Ledger>,
    kinds: &[&str],
    event: Event,
) -> Result<(), SwitchError> {
    // What cannot be read keeps nobody from telling: once too often is better than never.
    let known = latest(machine).unwrap_or_default();
    let said = |row: &Row| kinds.contains(&row.kind.as_str()) && row.payload["switch"] == event.payload["switch"];
    if !known.iter().any(said) {
        let ledger = match ledger {
            Some(ledger) => ledger,
            // Not before it is needed: on a full disk it may not be had, and the way back does not depend on it.
            None => ledger.insert((machine.ledger)(&machine.ledger_folder())?),
        };
        ledger.append(event).await?;
    }
    Ok(())
}
