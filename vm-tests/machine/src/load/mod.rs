//! Many objects, and edits of them without a pause: nothing is lost, memory stays flat, and how long an edit takes is
//! written down. The edits are made, and what is in force is looked at, in the machine (`drive.py`, `fleet.py`,
//! `check.py`); what is judged here is what that saw.

mod figures;

use anyhow::{Context, Result};

use crate::{Host, crash};
use figures::Seen;
pub use figures::{Figures, Judgement};

/// Where the programs are in the machine.
const FOLDER: &str = "/opt/load";
const PROGRAMS: [(&str, &str); 3] = [
    ("drive.py", include_str!("drive.py")),
    ("fleet.py", include_str!("fleet.py")),
    ("check.py", include_str!("check.py")),
];
/// Real probations, and short: an edit waits for the end of the switch before it.
const CONFIG: &str = "safeSwitch: {ttl: 1s}\n";

/// How much, how fast, how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Objects of all kinds.
    pub objects: u32,
    /// Apps among them that run, each as a unit.
    pub units: u32,
    /// Edits a second.
    pub rate: u32,
    /// Seconds of edits.
    pub seconds: u32,
    /// What the edits follow from.
    pub seed: u32,
}

/// Does all of it. What was lost, or grew, is in the judgement.
///
/// # Errors
/// When it could not be done, or not be looked at.
pub fn run(host: Host<'_>, load: Load) -> Result<Judgement> {
    host.clear()?;
    host.configure(CONFIG)?;
    for (name, text) in PROGRAMS {
        host.machine.write(&format!("{FOLDER}/{name}"), text)?;
    }
    let numbers = [load.objects, load.units, load.rate, load.seconds, load.seed].map(|number| number.to_string());
    let mut words = vec!["/usr/bin/python3", "/opt/load/drive.py"];
    words.extend(numbers.iter().map(String::as_str));
    words.push("/run/load.json");
    host.run(&words)?;
    let text = host.run(&["/bin/cat", "/run/load.json"])?;
    let mut seen: Seen = serde_json::from_str(&text).with_context(|| text.chars().take(2000).collect::<String>())?;
    if let Err(error) = whole(host) {
        seen.problems.push(format!("{error:#}"));
    }
    Ok(seen.judge(load))
}

/// Switches have left nothing but generations, and the ledger is whole by two verifiers.
fn whole(host: Host<'_>) -> Result<()> {
    crash::tidy(host, crash::ROOTS)?;
    crash::told(host)?;
    host.machine.write(&format!("{FOLDER}/verify_ledger.py"), include_str!("../../../../docs/verify_ledger.py"))?;
    host.run(&["/usr/bin/python3", "/opt/load/verify_ledger.py", "/var/lib/osmoda/ledger"])?;
    Ok(())
}
