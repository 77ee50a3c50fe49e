//! `generations`, `rollback`, `gc`, `history`.

use jiff::Unit;
use osmoda_safeswitch::short_id;
use osmoda_schemas::{
    operation::Nothing,
    ops::{
        agentd::{GcRequest, ListGenerations, PostGc, PostRollback, RollbackRequest},
        watch::SwitchList,
    },
    switch::{SwitchPurpose, SwitchState},
};

use super::{switch, wait};
use crate::{
    context::{Context, Failure},
    print::{Cell, Tone},
};

/// Lists generations.
pub async fn list(context: &Context) -> Result<u8, Failure> {
    let list = context.agentd().call::<ListGenerations>(&Nothing {}).await?;
    context.printer.print(&list, |printer| {
        let rows: Vec<Vec<Cell>> = list
            .generations
            .iter()
            .map(|generation| {
                let mark = match (generation.active, generation.boot_default) {
                    (true, true) => Cell::toned("active, boot default", Tone::Good),
                    (true, false) => Cell::toned("active", Tone::Warning),
                    (false, true) => Cell::toned("boot default", Tone::Warning),
                    (false, false) => "".into(),
                };
                vec![
                    generation.number.to_string().into(),
                    generation.created.strftime("%Y-%m-%d %H:%M:%S").to_string().into(),
                    generation.objects.to_string().into(),
                    mark,
                    Cell::toned(generation.path.as_str(), Tone::Dim),
                ]
            })
            .collect();
        printer.table(&["NUMBER", "CREATED (UTC)", "OBJECTS", "", "PATH"], &rows)
    })?;
    Ok(0)
}

/// Switches back.
pub async fn rollback(context: &Context, generation: Option<u64>, wait: bool) -> Result<u8, Failure> {
    let started = context.agentd().call::<PostRollback>(&RollbackRequest { generation }).await?;
    if wait {
        return wait::follow(context, &started.switch).await;
    }
    context.printer.print(&started, |_| format!("switch {} has begun; see `osmoda history`\n", started.switch))?;
    Ok(0)
}

/// Removes old generations.
pub async fn gc(context: &Context, keep: u32) -> Result<u8, Failure> {
    let agentd = context.agentd().deadline(std::time::Duration::from_secs(1800));
    let answer = agentd.call::<PostGc>(&GcRequest { keep: keep as usize }).await?;
    context.printer.print(&answer, |_| {
        let numbers: Vec<String> = answer.removed.iter().map(ToString::to_string).collect();
        let removed = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
        format!("generations removed: {removed}\n{}\n", answer.summary)
    })?;
    Ok(0)
}

/// Shows switches of the past, from their records: also when no daemon runs.
pub fn history(context: &Context, limit: usize) -> Result<u8, Failure> {
    let list = SwitchList { switches: switch::latest(context, limit)? };
    context.printer.print(&list, |printer| {
        let rows: Vec<Vec<Cell>> = list
            .switches
            .iter()
            .map(|record| {
                let tone = match record.state {
                    SwitchState::Committed => Tone::Good,
                    SwitchState::RolledBack => Tone::Warning,
                    SwitchState::Failed => Tone::Bad,
                    _ => Tone::Plain,
                };
                let began = record.began().map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
                let took = match (record.began(), record.since()) {
                    (Some(from), Some(to)) => format!("{:.1} s", (to - from).total(Unit::Second).unwrap_or_default()),
                    _ => String::new(),
                };
                let purpose = match record.purpose {
                    SwitchPurpose::Apply => "apply",
                    SwitchPurpose::Rollback => "rollback",
                };
                let number = record.number.map(|n| n.to_string()).unwrap_or_default();
                let why = record.failure.as_deref().unwrap_or(&record.reason);
                let why: String = why.lines().next().unwrap_or_default().chars().take(90).collect();
                vec![
                    short_id(&record.id).to_owned().into(),
                    began.unwrap_or_default().into(),
                    purpose.into(),
                    Cell::toned(record.state.as_str(), tone),
                    number.into(),
                    took.into(),
                    record.actor.as_str().into(),
                    why.into(),
                ]
            })
            .collect();
        printer.table(&["SWITCH", "BEGAN (UTC)", "", "STATE", "GEN", "TOOK", "BY", "WHY"], &rows)
    })?;
    Ok(0)
}
