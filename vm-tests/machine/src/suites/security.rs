//! What others may do on the machine: nothing that they are not allowed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Case, quick};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("security: no unit of a daemon is more exposed than it has to be", exposure),
        case("security: nobody else can write, or swap, anything of osModa's", nobody_writes),
        case("security: no daemon can leave its memory in a core dump", no_core_dumps),
        case("security: keys and secrets are nowhere but in their files", secrets_stay),
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

/// Looks for secrets in arguments, environments, logs, states and units.
const LOOK: &str = include_str!("secrets.py");
/// Where the test's own secrets are.
const OWN: &str = "/etc/osmoda-test-secrets";

fn secrets_stay(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.machine.write("/run/secrets.py", LOOK)?;
    host.sh(&format!(
        "install -d -m 0700 {OWN}; for n in file credential control; do \
         head -c 24 /dev/urandom | base64 > {OWN}/$n; done; chmod 600 {OWN}/*"
    ))?;
    let result = with_secrets(host);
    host.sh(&format!("systemctl stop secret-control 2>/dev/null || true; rm -rf {OWN} /run/credstore/osmoda-test"))?;
    result?;
    quick::clear(host)
}

fn with_secrets(host: Host<'_>) -> Result<()> {
    // Programs that have secrets from a file and from a credential, a check that fails beside them, and a routine that runs.
    host.sh(&format!(
        "install -d -m 0700 /run/credstore; install -m 0600 {OWN}/credential /run/credstore/osmoda-test"
    ))?;
    let secrets = json!({ "a": { "file": format!("{OWN}/file") }, "b": { "credential": "osmoda-test" } });
    let program = "test -s \"$CREDENTIALS_DIRECTORY/a\" && cat \"$CREDENTIALS_DIRECTORY\"/* > ${runtime}/had && exec /bin/sleep 9950";
    let app = json!({
        "apiVersion": "os.moda/v1", "kind": "App", "metadata": { "name": "secret" },
        "spec": { "command": ["/bin/sh", "-c", program], "secrets": secrets, "files": { "a": { "content": "x" } } },
    });
    let routine = json!({
        "apiVersion": "os.moda/v1", "kind": "Routine", "metadata": { "name": "secret" },
        "spec": {
            "trigger": { "type": "webhook" }, "secrets": secrets,
            "action": { "type": "command", "command": ["/bin/sh", "-c", "test -s \"$CREDENTIALS_DIRECTORY/a\""] },
        },
    });
    quick::apply(host, &[app, routine])?;
    let url = "http://localhost/routine/trigger/secret";
    host.run(&["/usr/bin/curl", "-sf", "-X", "POST", "--unix-socket", "/run/osmoda/routines.sock", url])?;
    wait("the routine", Duration::from_secs(20), || {
        let runs = host.events("routine.ran")?;
        Ok(runs.iter().any(|event| event["actor"] == "routine/secret" && event["payload"]["result"] == "success"))
    })?;
    let had = host.sh("wc -c < /run/osmoda-app-secret/had")?;
    ensure!(had.trim().parse::<u32>()? >= 64, "the program did not have its secrets: {had}");
    // A key that is used: checkpoints are signed, and cosigned.
    host.json(&["ledger", "verify"])?;
    let look = |more: &str| -> Result<String> {
        host.sh(&format!(
            "python3 /run/secrets.py ledger=/var/lib/osmoda/ledger/checkpoint.key \
             witness=/var/lib/osmoda-witness/witness.key file={OWN}/file credential={OWN}/credential {more}"
        ))
    };
    let found = look("")?;
    ensure!(found.is_empty(), "found where they should not be:\n{found}");
    // The same look finds what is where it should not be, in each kind of place.
    host.sh(&format!(
        "s=$(cat {OWN}/control); systemd-run --quiet --collect --unit secret-control -E \"OPEN=$s\" \
         /bin/sh -c \"echo told $s; sleep 60; true\"; printf %s \"x$s\" | base64 -w0 > /var/lib/osmoda/status/control; \
         printf %s \"$s\" | od -An -tx1 | tr -d ' \\n' > /run/osmoda/control; sleep 0.5"
    ))?;
    let found = look(&format!("control={OWN}/control"));
    host.sh("rm -f /var/lib/osmoda/status/control /run/osmoda/control")?;
    let found = found?;
    for place in
        ["cmdline", "environ", "the journal", "status/control", "/run/osmoda/control", "transient/secret-control"]
    {
        ensure!(
            found.lines().any(|line| line.starts_with("control ") && line.contains(place)),
            "{place} is not in\n{found}"
        );
    }
    let others = found.lines().filter(|line| !line.starts_with("control ")).collect::<Vec<_>>();
    ensure!(others.is_empty(), "{others:?}");
    let mode = host.run(&["/usr/bin/stat", "-c", "%a %U", "/var/lib/osmoda/ledger/checkpoint.key"])?;
    ensure!(mode.trim() == "600 root", "the ledger's key is {mode}");
    host.run(&["/usr/bin/stat", "/var/lib/osmoda-witness/witness.key"]).context("the witness's key")?;
    Ok(())
}
