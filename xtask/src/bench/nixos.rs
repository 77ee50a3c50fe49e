//! Figures of the backend `nixos`, on a real NixOS.

use anyhow::{Context, Result};
use machine_suites::Host;

use super::{Figure, machine::at_most};

/// Edits that are measured, and changes by hand.
const EDITS: usize = 5;

/// A file saved until its program runs as a part of the system; and the floor: the same unit, changed, built and switched
/// to by hand.
pub fn measure(host: Host<'_>) -> Result<Vec<Figure>> {
    host.clear()?;
    let app = "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: edited}\nspec:\n  command: [/bin/sleep, \"4999\"]\n  \
               tier: 0\n  update: restart\n  probation: {ttl: 0s}\n";
    host.document("edited.yaml", app)?;
    host.apply(&[])?;
    host.settle()?;
    host.machine.write("/opt/edits.py", include_str!("nixos.py"))?;
    let text = host.run(&["/usr/bin/python3", "/opt/edits.py", &EDITS.to_string()])?;
    let figures: serde_json::Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let number = |key: &str| figures[key].as_f64().with_context(|| format!("{key} is missing in {text}"));
    let reference = "nix-build + switch-to-configuration test by hand";
    Ok(vec![at_most("edit to converged, backend nixos", number("edit")?, "s", reference, number("floor")?, 1.2)])
}
