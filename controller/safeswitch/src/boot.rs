//! After a boot: what a reboot or a power cut cut off is closed, and the committed generation is the active one.

use osmoda_ledger::Ledger;
use osmoda_schemas::switch::{SwitchPurpose, SwitchState, Transition};
use serde_json::json;

use crate::{Machine, QuarantineEntry, SwitchError, boot_id, machine::note};

/// Closes the records of switches that the machine went down in, and points `/run/osmoda/generation` to the committed
/// generation. systemd's generator has linked its units already. Does nothing to a switch of this boot.
///
/// # Errors
/// When a record or a link cannot be written.
pub async fn boot(machine: &Machine) -> Result<(), SwitchError> {
    let journal = machine.journal();
    let _lock = journal.lock().map_err(SwitchError::io("the lock of switches"))?;
    let committed = machine.profile.current().map_err(SwitchError::io("the profile"))?;
    if machine.active().map_err(SwitchError::io("the active generation"))?.is_none()
        && let Some(committed) = &committed
    {
        machine.set_active(Some(&committed.path)).map_err(SwitchError::io("the link to the active generation"))?;
    }
    let this_boot = boot_id();
    let open = journal.in_flight().map_err(SwitchError::io("the records of switches"))?;
    let mut ledger = None;
    for mut record in open.into_iter().filter(|record| record.boot != this_boot) {
        let ledger = match &ledger {
            Some(ledger) => ledger,
            None => ledger.insert(Ledger::open(&machine.ledger_folder())?),
        };
        let is_committed = committed.as_ref().is_some_and(|c| c.path.as_str() == record.target)
            && record.state == SwitchState::Probation;
        let (state, kind) = if is_committed {
            (SwitchState::Committed, "switch.committed")
        } else {
            (SwitchState::RolledBack, "switch.rolled-back")
        };
        let mut payload = json!({ "switch": record.id, "generation": committed.as_ref().map(|c| c.path.as_str()) });
        if is_committed {
            record.number = committed.as_ref().map(|c| c.number);
        } else {
            let reason = format!("the machine went down during the switch ({})", record.state);
            payload["reason"] = json!(reason);
            if record.state >= SwitchState::Activating && record.purpose == SwitchPurpose::Apply {
                // It may be what brought the machine down: somebody has to say yes before it is tried again.
                let entry = QuarantineEntry {
                    path: record.target.clone(),
                    reason: reason.clone(),
                    switch: record.id.clone(),
                    at: osmoda_schemas::now(),
                };
                machine.quarantine().add(entry).map_err(SwitchError::io("the quarantine"))?;
            }
            record.failure = Some(reason);
        }
        record.probation_until = None;
        record.state = state;
        record.history.push(Transition { state, at: osmoda_schemas::now() });
        journal.write(&record).map_err(SwitchError::io("the record of the switch"))?;
        note(ledger, kind, "boot", payload).await;
        for end in ["base", "target"] {
            let name = format!("switch-{}-{end}", record.id);
            machine.roots.unpin(&name).map_err(SwitchError::io("a root"))?;
        }
        journal.tidy(&record.id);
    }
    Ok(())
}
