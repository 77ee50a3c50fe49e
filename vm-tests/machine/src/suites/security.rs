//! What others may do on the machine: nothing that they are not allowed.

use anyhow::{Result, ensure};

use super::Case;
use crate::Host;

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("security: no unit of a daemon is more exposed than it has to be", exposure),
        case("security: nobody else can write, or swap, anything of osModa's", nobody_writes),
        case("security: no daemon can leave its memory in a core dump", no_core_dumps),
    ]
}

/// Units with the exposure, times ten, that systemd-analyze(1) may find. agentd adds to the Nix store, talks to the
/// machine's services and reads documents wherever they are, as root: what is left of its 4.6 is that.
const UNITS: [(&str, u32); 5] =
    [("osmoda-agentd", 46), ("osmoda-watch", 20), ("osmoda-routines", 20), ("osmoda-boot", 20), ("osmoda-witness", 20)];

fn exposure(host: Host<'_>) -> Result<()> {
    for (unit, limit) in UNITS {
        let words = ["/usr/bin/systemd-analyze", "security", "--no-pager", &format!("--threshold={limit}"), unit];
        let (status, out, err) = host.end(&words)?;
        let overall = out.lines().last().unwrap_or_default().trim().to_owned();
        ensure!(status == 0, "{overall}; at most {limit} tenths\n{err}");
    }
    Ok(())
}

fn nobody_writes(host: Host<'_>) -> Result<()> {
    let places = "/var/lib/osmoda /run/osmoda /etc/osmoda /usr/lib/osmoda /nix/var/nix/profiles/osmoda* /nix/var/nix/gcroots/osmoda";
    // What nobody may look into is not complained about.
    let writable = |what: &str| {
        host.sh(&format!(
            "setpriv --reuid=65534 --regid=65534 --clear-groups find {what} -writable 2>/dev/null || true"
        ))
    };
    ensure!(!writable("/tmp -maxdepth 0")?.is_empty(), "the question finds nothing at all");
    let found = writable(&format!("{places} ! -type l"))?;
    ensure!(found.is_empty(), "nobody may write\n{found}");
    // A folder that others may write lets them swap what is in it.
    let folders = host.sh(&format!("for f in {places}; do dirname \"$f\"; done | sort -u | tr '\\n' ' '"))?;
    let found = writable(&format!("{folders} -maxdepth 0"))?;
    ensure!(found.is_empty(), "nobody may write in\n{found}");
    Ok(())
}

fn no_core_dumps(host: Host<'_>) -> Result<()> {
    for (unit, _) in UNITS {
        let limit = host.run(&["/usr/bin/systemctl", "show", "-P", "LimitCORE", unit])?;
        ensure!(limit.trim() == "0", "{unit}: core dumps of up to {limit}");
    }
    Ok(())
}
