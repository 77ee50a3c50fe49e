//! `logs`: what an object's program wrote, from the journal.

use std::{os::unix::process::CommandExt, process::Command};

use osmoda_generation::fragment::primary_unit;
use osmoda_schemas::problem::Problem;

use crate::{
    args::{Logs, Output},
    context::{Context, Failure},
};

/// Becomes journalctl(1) for the object's unit.
pub fn logs(context: &Context, arguments: &Logs) -> Result<u8, Failure> {
    let object = &arguments.object;
    let unit = primary_unit(object).ok_or_else(|| {
        Problem::new(422, "no-unit", format!("{object} runs nothing that could write logs"))
            .hint("`osmoda events` shows what happened to it")
    })?;
    let mut command = Command::new("journalctl");
    command.args(["--unit", &unit, "--no-pager", "--quiet", "--lines", &arguments.lines.to_string()]);
    command.args(["--output", if context.printer.output() == Output::Table { "short-iso" } else { "json" }]);
    if arguments.follow {
        command.arg("--follow");
    }
    let error = command.exec();
    Err(Problem::new(503, "journal-unavailable", format!("journalctl cannot be run: {error}")).into())
}
