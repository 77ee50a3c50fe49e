//! The end of a switch: what is written down of it, once each, and also when the disk has no room for a while.

use std::time::Duration;

use osmoda_ledger::{Event, Ledger, Query, Reader};
use osmoda_schemas::switch::{SwitchPurpose, SwitchRecord, SwitchState};
use serde_json::json;

use crate::{Machine, QuarantineEntry, Runner, SwitchError};

/// Time between two attempts to write.
const AGAIN: Duration = Duration::from_secs(1);
/// Events of a kind among which that of the switch is, if it was recorded.
const LATEST: usize = 20;

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

    async fn write_down(&self) -> Result<(), SwitchError> {
        judge(&self.machine, &self.record)?;
        record_outcome(&self.machine, &self.ledger, &self.record, &self.record.actor).await?;
        self.journal.write(&self.record).map_err(SwitchError::io("the record of the switch"))
    }
}

/// Quarantines what failed or was left on purpose, and lets go of what proved good.
pub(crate) fn judge(machine: &Machine, record: &SwitchRecord) -> Result<(), SwitchError> {
    let quarantine = machine.quarantine();
    let failed = || record.failure.clone().unwrap_or_default();
    let bad = match (record.state, record.purpose) {
        (SwitchState::Committed, SwitchPurpose::Apply) => None,
        // Otherwise the documents, which still wish it, would bring it back at once.
        (SwitchState::Committed, SwitchPurpose::Rollback) => {
            record.base.clone().map(|left| (left, "somebody went back from it".to_owned()))
        }
        (_, SwitchPurpose::Apply) if record.touched() => Some((record.target.clone(), failed())),
        _ => None,
    };
    let written = match bad {
        Some((path, reason)) => {
            quarantine.add(QuarantineEntry { path, reason, switch: record.id.clone(), at: osmoda_schemas::now() })
        }
        None => Ok(()),
    };
    let freed = match record.state {
        SwitchState::Committed => quarantine.remove(&record.target),
        _ => Ok(()),
    };
    written.and(freed).map_err(SwitchError::io("the quarantine"))
}

/// Appends the event that tells how a switch ended, unless it is there.
pub(crate) async fn record_outcome(
    machine: &Machine,
    ledger: &Ledger,
    record: &SwitchRecord,
    actor: &str,
) -> Result<(), SwitchError> {
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
    let query = Query { kind: Some(kind.to_owned()), limit: LATEST, newest_first: true, ..Query::default() };
    let known = Reader::open(&machine.ledger_folder())?.rows(&query)?;
    if !known.iter().any(|row| row.payload["switch"] == record.id.as_str()) {
        ledger.append(Event::new(kind, actor.to_owned(), payload)).await?;
    }
    Ok(())
}
