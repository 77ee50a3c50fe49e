//! After a boot: what a reboot or a power cut cut off is closed, and the committed generation is the active one.

use osmoda_schemas::switch::{SwitchRecord, SwitchState};

use crate::{
    Machine, SwitchError, backend,
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
    // On NixOS the activation of the system that was booted has done that.
    if machine.nixos.is_none()
        && machine.active().map_err(SwitchError::io("the active generation"))?.is_none()
        && let Some(committed) = &committed
    {
        machine.set_active(Some(&committed.path)).map_err(SwitchError::io("the link to the active generation"))?;
    }
    let this_boot = machine.boot_id()?;
    let open = journal.in_flight().map_err(SwitchError::io("the records of switches"))?;
    let mut ledger = None;
    for mut record in open.into_iter().filter(|record| record.boot != this_boot) {
        let is_committed = record.state == SwitchState::Probation && is_committed(machine, &record)?;
        record.probation_until = None;
        if let Some(state) = told(machine, &mut record) {
            record.enter(state);
        } else if is_committed {
            let committed = machine.profile_of(&record).current().map_err(SwitchError::io("the profile"))?;
            record.number = committed.map(|c| c.number);
            record.enter(SwitchState::Committed);
        } else {
            // What was touched may be what brought the machine down: somebody has to say yes before it is tried again.
            if record.state != SwitchState::RollingBack {
                record.failure = Some(format!("the machine went down during the switch ({})", record.state));
                record.held = record.touched();
            }
            record.enter(SwitchState::RolledBack);
        }
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

/// True when a switch that was cut off on probation had been committed. On NixOS the profile moves before the boot loader:
/// where the machine went down between the two, it has booted the old system, and the profile follows it.
fn is_committed(machine: &Machine, record: &SwitchRecord) -> Result<bool, SwitchError> {
    if !backend::is_boot_default(machine, record).map_err(SwitchError::io("the profile"))? {
        return Ok(false);
    }
    let Some(systems) = &record.nixos else { return Ok(true) };
    let booted = machine.booted_system();
    if booted.as_ref().map(|path| path.as_str()) == systems.target.as_deref() {
        return Ok(true);
    }
    let base = systems.way_back().parse().map_err(|e| SwitchError::Record(format!("{e}")))?;
    backend::lead_back(&machine.profile_of(record), &base)?;
    Ok(false)
}
