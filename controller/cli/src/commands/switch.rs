//! `switch`: deciding about one that goes on.

use osmoda_safeswitch::{Decision, Journal};
use osmoda_schemas::{
    ops::{
        common::Id,
        watch::{CommitSwitch, RollbackSwitch},
    },
    problem::Problem,
    switch::{SwitchRecord, SwitchState},
};

use super::wait;
use crate::context::{Context, Failure};

/// Switches among which the one that is meant is looked for.
const LATEST: usize = 1000;
/// Exit status where the other thing has come of it.
const OTHERWISE: u8 = 3;

/// Decides, and waits for the end.
pub async fn decide(context: &Context, id: Option<&str>, decision: Decision) -> Result<u8, Failure> {
    let request = Id { id: find(context, id)? };
    let watch = context.watch();
    let wanted = match decision {
        Decision::Commit => {
            watch.call::<CommitSwitch>(&request).await?;
            SwitchState::Committed
        }
        Decision::Rollback => {
            watch.call::<RollbackSwitch>(&request).await?;
            SwitchState::RolledBack
        }
    };
    Ok(match wait::end(context, &request.id).await? {
        SwitchState::Failed => wait::FAILED,
        state if state == wanted => 0,
        _ => OTHERWISE,
    })
}

/// The latest switches, the newest first.
pub fn latest(context: &Context, limit: usize) -> Result<Vec<SwitchRecord>, Problem> {
    let journal = Journal::new(context.state_dir.join("switch"), context.run_dir.join("switch"));
    journal
        .list(limit)
        .map_err(|e| Problem::new(500, "journal-not-readable", format!("{}: {e}", journal.folder().display())))
}

fn find(context: &Context, id: Option<&str>) -> Result<String, Problem> {
    let records = latest(context, LATEST)?;
    let Some(id) = id else {
        let open = records.into_iter().find(|record| !record.state.is_final());
        let nothing = || Problem::new(409, "no-switch", "no switch goes on");
        return Ok(open.ok_or_else(|| nothing().hint("`osmoda history` lists those that are over"))?.id);
    };
    let mut meant =
        records.into_iter().map(|record| record.id).filter(|known| known.starts_with(id) || known.ends_with(id));
    match (meant.next(), meant.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(Problem::new(422, "ambiguous-switch", format!("several switches are `{id}`"))
            .hint("write more of its number")),
        (None, _) => {
            Err(Problem::new(404, "no-such-switch", format!("there is no switch {id}"))
                .hint("`osmoda history` lists them"))
        }
    }
}
