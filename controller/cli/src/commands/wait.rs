//! `--wait`: following a switch to its end.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use jiff::{Timestamp, Unit};
use osmoda_schemas::{
    diagnostics::visible,
    ops::{common::Id, watch::GetSwitch},
    switch::{GateStatus, SwitchRecord, SwitchState},
};

use crate::{
    context::{Context, Failure},
    print::Tone,
};

/// Time between two looks while somebody waits in front of a terminal.
const LOOK: Duration = Duration::from_millis(100);

/// Exit status of a switch that was undone.
const ROLLED_BACK: u8 = 3;
/// Exit status of a switch that could not be undone.
pub const FAILED: u8 = 4;

/// Follows a switch to its end, and gives the exit status that says how it ended.
pub async fn follow(context: &Context, id: &str) -> Result<u8, Failure> {
    Ok(match end(context, id).await? {
        SwitchState::Committed => 0,
        SwitchState::RolledBack => ROLLED_BACK,
        _ => FAILED,
    })
}

/// Follows a switch to its end; progress goes to standard error.
pub async fn end(context: &Context, id: &str) -> Result<SwitchState, Failure> {
    let watch = context.watch();
    let request = Id { id: id.to_owned() };
    let mut shown = String::new();
    let mut silent = 0;
    let record = loop {
        let record = match watch.call::<GetSwitch>(&request).await {
            Ok(record) => record,
            // A switch may restart the very daemon that is asked.
            Err(_) if silent < 100 => {
                silent += 1;
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        silent = 0;
        if context.printer.for_people() {
            let line = progress(&record);
            if line != shown {
                show(&line, &shown);
                shown = line;
            }
        }
        if record.state.is_final() {
            break record;
        }
        tokio::time::sleep(LOOK).await;
    };
    if context.printer.for_people() && std::io::stderr().is_terminal() {
        eprintln!();
    }
    context.printer.print(&record, |printer| {
        let took = match (record.began(), record.since()) {
            (Some(from), Some(to)) => format!(" in {:.1} s", seconds(from, to)),
            _ => String::new(),
        };
        let failure = visible(record.failure.as_deref().unwrap_or_default());
        match record.state {
            SwitchState::Committed => {
                let number = record.number.map(|n| format!(" as generation {n}")).unwrap_or_default();
                format!("{}{number}{took}\n", printer.paint("committed", Tone::Good))
            }
            SwitchState::RolledBack => {
                format!("{}{took}: {failure}\n", printer.paint("rolled back", Tone::Warning))
            }
            _ => format!("{}: {failure}\n", printer.paint("THE ROLLBACK FAILED", Tone::Bad)),
        }
    })?;
    Ok(record.state)
}

/// On a terminal the line is replaced, elsewhere each state gets one of its own.
fn show(line: &str, before: &str) {
    let mut out = std::io::stderr().lock();
    let _ = if std::io::stderr().is_terminal() {
        write!(out, "\r\x1b[K{line}")
    } else if line.split(' ').next() == before.split(' ').next() {
        Ok(())
    } else {
        writeln!(out, "{line}")
    };
    let _ = out.flush();
}

fn progress(record: &SwitchRecord) -> String {
    let passing = record.gates.iter().filter(|gate| gate.passing == Some(true)).count();
    let waiting: Vec<String> = record.gates.iter().filter(|gate| gate.passing != Some(true)).map(gate_line).collect();
    match record.state {
        SwitchState::Probation => {
            let left = record.probation_until.map(|until| seconds(osmoda_schemas::now(), until).max(0.0));
            let left = left.map(|left| format!(", {left:.0} s left")).unwrap_or_default();
            let waiting = waiting.first().map(|gate| format!("; waiting for {gate}")).unwrap_or_default();
            format!("probation: {passing} of {} gates pass{left}{waiting}", record.gates.len())
        }
        state => format!("{state} ..."),
    }
}

fn gate_line(gate: &GateStatus) -> String {
    let object = gate.object.as_ref().map(|o| format!("{o} ")).unwrap_or_default();
    let message = gate.message.as_ref().map(|m| format!(" ({})", visible(m))).unwrap_or_default();
    format!("{object}{}{message}", gate.name)
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).total(Unit::Second).unwrap_or_default()
}
