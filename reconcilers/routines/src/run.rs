//! `osmoda-routines run NAME`: one run of a routine whose action is no command. Its timer or the daemon starts it as a
//! unit of its own.

use std::path::{Path, PathBuf};

use osmoda_generation::durable;
use osmoda_ledger::{Event, Ledger};
use osmoda_safeswitch::Machine;
use osmoda_schemas::{kinds::routine::Action, name::Name};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{FOLDER, Slice, actions};

/// What a routine remembers from run to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// Runs in a row in which the processors were too busy.
    pub busy_runs: u32,
    /// Things that were told already and have not gone away.
    pub told: Vec<String>,
    /// Where the journal was read to.
    pub journal_cursor: Option<String>,
}

/// Runs a routine once.
///
/// # Errors
/// When it is not in the active generation, or its action fails.
pub async fn run(machine: &Machine, name: &Name) -> Result<(), String> {
    let slice = read(&machine.active_link(), name)?;
    let file = memory_file(machine, name);
    let mut memory: Memory =
        std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let before = memory.clone();
    let alerts = match &slice.spec.action {
        Action::HealthCheck(action) => actions::health_check(action, &mut memory).await?,
        Action::ServiceMonitor(action) => actions::service_monitor(action, &mut memory).await?,
        Action::LogScan(action) => actions::log_scan(action, &mut memory).await?,
        Action::Webhook(action) => actions::webhook(action, slice.spec.timeout.as_std()).await.map(|()| Vec::new())?,
        Action::Command(_) => return Err("its action is a command, which its unit runs itself".to_owned()),
        Action::MemoryMaintenance(_) => return Err("this version has no agent memory to maintain yet".to_owned()),
    };
    if !alerts.is_empty() {
        let ledger = Ledger::open(&machine.ledger_folder()).map_err(|e| e.to_string())?;
        let actor = format!("routine/{name}");
        let events =
            alerts.into_iter().map(|alert| Event::new("routine.alert", actor.clone(), json!({ "reason": alert })));
        ledger.append_all(events.collect()).await.map_err(|e| e.to_string())?;
    }
    if memory != before {
        let text = serde_json::to_vec(&memory).map_err(|e| e.to_string())?;
        let folder = file.parent().ok_or("the memory has no folder")?;
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        durable::write(&file, &text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

/// The routine of that name in a generation.
///
/// # Errors
/// When there is none.
pub fn read(generation: &Path, name: &Name) -> Result<Slice, String> {
    let file = generation.join("etc").join(FOLDER).join(format!("{name}.json"));
    let text = std::fs::read(&file).map_err(|e| format!("there is no routine {name} in the active generation: {e}"))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))
}

fn memory_file(machine: &Machine, name: &Name) -> PathBuf {
    machine.state.join("routines").join(format!("{name}.json"))
}
