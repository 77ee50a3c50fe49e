//! The whole machine cut off in the middle of the story, as by a power cut.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{check, prepare, story::versions};
use crate::Host;

/// How long the edits go on that a cut interrupts.
pub const SPAN: Duration = Duration::from_secs(6);

/// Edits without anybody to wait for them: a machine that is cut off has nobody to talk to.
const EDITS: &str = "cd /run/edits
put() { cp $1 /var/lib/osmoda/desired/.new; mv /var/lib/osmoda/desired/.new /var/lib/osmoda/desired/crash.yaml; }
put good-1; sleep 1.1; put bad; sleep 1.3; put good-2; sleep 0.9
osmoda apply -f extra; sleep 0.8; osmoda delete App/crash-extra; sleep 0.7; osmoda rollback; sleep 0.8
osmoda apply --clear-quarantine; osmoda gc --keep 4";

/// Cuts the machine off so long after the edits have begun, boots it, and looks whether everything holds.
///
/// # Errors
/// When something does not hold.
pub fn cut(host: Host<'_>, after: Duration) -> Result<()> {
    prepare(host)?;
    host.sh("rm -rf /run/edits; mkdir /run/edits")?;
    for (name, document) in versions() {
        host.machine.write(&format!("/run/edits/{name}"), &document)?;
    }
    host.machine.write("/run/edits.sh", EDITS)?;
    host.sh("setsid sh /run/edits.sh >/dev/null 2>&1 &")?;
    std::thread::sleep(after);
    // It takes longer than its pauses.
    let alive = host.end(&["/usr/bin/pgrep", "-f", "/run/edits.sh"])?.0 == 0;
    ensure!(alive || after + Duration::from_secs(1) > SPAN, "the edits were over before the cut");
    host.machine.cut()?;
    host.machine.boot()?;
    check(host).with_context(|| format!("cut off {} ms after the edits began", after.as_millis()))
}
