//! After a boot: what a reboot or a power cut cut off is closed, and the committed generation is the active one.

use osmoda_schemas::switch::SwitchState;

use crate::{
    Machine, SwitchError,
    conclude::{told, write_down},
};

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
    let this_boot = machine.boot_id()?;
    let open = journal.in_flight().map_err(SwitchError::io("the records of switches"))?;
    let mut ledger = None;
    for mut record in open.into_iter().filter(|record| record.boot != this_boot) {
        let is_committed = committed.as_ref().is_some_and(|c| c.path.as_str() == record.target)
            && record.state == SwitchState::Probation;
        record.probation_until = None;
        if let Some(state) = told(machine, &mut record) {
            record.enter(state);
        } else if is_committed {
            record.number = committed.as_ref().map(|c| c.number);
            record.enter(SwitchState::Committed);
        } else {
            record.failure = Some(format!("the machine went down during the switch ({})", record.state));
            record.enter(SwitchState::RolledBack);
        }
        // What was touched may be what brought the machine down: somebody has to say yes before it is tried again.
        if let Err(error) = write_down(machine, &mut ledger, &record, "boot").await {
            tracing::error!(switch = record.id, "how it ended cannot be written down yet: {error}");
            // A full disk keeps nothing of osModa down: agentd sees to it that a runner goes on with this.
            record.boot.clone_from(&this_boot);
            journal.keep(&record).map_err(SwitchError::io("the record of the switch in /run"))?;
            continue;
        }
        journal.tidy(&record.id);
    }
    if let Err(error) = machine.unpin_ended(&journal) {
        tracing::warn!("a root could not be removed, the next switch tries again: {error}");
    }
    Ok(())
}
