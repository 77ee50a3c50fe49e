//! Wallets: what keyd's unit cannot do, and what an agent gets signed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Case, quick};
use crate::{
    Host, wait,
    wallets::{self, DOCUMENTS, HOST, SHOP, THIEF, as_agent, refused, send},
};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("keyd: it reaches no network, runs no program, and is as closed as a unit gets", closed),
        case("keyd: an agent may send 0.1 a day to two addresses, and nothing else", story),
        case("keyd: the vault goes by another passphrase, and gives a key out when two say so", custody),
    ]
}

const SOON: Duration = Duration::from_secs(20);

/// Runs work with a keyd that has a passphrase, and leaves nothing of it behind.
fn with_keyd(host: Host<'_>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let result = quick::with_config(host, wallets::CONFIG, || {
        wallets::start(host)?;
        work()
    });
    wallets::stop(host)?;
    result
}

fn closed(host: Host<'_>) -> Result<()> {
    with_keyd(host, || is_closed(host))
}

/// What the daemon that runs there can do.
pub(super) fn is_closed(host: Host<'_>) -> Result<()> {
    let words = ["/usr/bin/systemd-analyze", "security", "--no-pager", "--threshold=10", "osmoda-keyd"];
    let (status, out, err) = host.end(&words)?;
    ensure!(status == 0, "{}\n{err}", out.lines().last().unwrap_or_default());
    let pid = host.main_pid("osmoda-keyd")?;
    let unprotected = host.json(&["wallet", "list"])?["unprotected"].clone();
    let (locked, _, _) = host.end(&["/bin/grep", "-q", "^VmLck:[[:space:]]*0 kB", &format!("/proc/{pid}/status")])?;
    if host.sh("grep '^Max locked memory' /proc/1/limits")?.contains("unlimited") {
        ensure!(unprotected == json!([]) && locked == 1, "{unprotected}");
    } else {
        // A container that may lock no more than its host lets it: then that is told, and nothing else.
        let told = unprotected.as_array().is_some_and(|all| all.len() == 1);
        ensure!(told && unprotected[0].as_str().is_some_and(|said| said.contains("LimitMEMLOCK")), "{unprotected}");
    }
    // Inside of what the daemon sees, with root's rights, which it has not.
    let inside = |what: &str, words: &str| host.end(&["/bin/sh", "-c", &format!("nsenter -t {pid} {what} {words}")]);
    let (status, _, err) = inside("-m", "/bin/true")?;
    ensure!(status != 0 && err.contains("ermission denied"), "a program runs there: {status} {err}");
    let connect = "python3 -c \"import socket; socket.create_connection(('192.0.2.1', 80), 2)\"";
    let (status, _, err) = inside("-n", connect)?;
    ensure!(status != 0 && err.contains("unreachable"), "it reaches a network: {status} {err}");
    let (_, names, _) = inside("-n", "ls /sys/class/net")?;
    let status = host.sh(&format!("grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp|Uid):' /proc/{pid}/status"))?;
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        ensure!(status.contains(line), "{line} is not in\n{status}{names}");
    }
    ensure!(!status.contains("Uid:\t0"), "{status}");
    // It writes its state and nothing else. systemd 252 does not make what is listed as ExecPaths= read-only, so there
    // the files' owners and modes have to.
    let mounts = host.sh(&format!("grep -v ' ro[, ]' /proc/{pid}/mountinfo | awk '{{print $5}}' | sort -u"))?;
    let known = ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp", "/var/lib/private/osmoda-keyd"];
    let is_known = |mount: &&str| known.iter().any(|k| mount == k || mount.starts_with(&format!("{k}/")));
    for mount in mounts.lines().filter(|mount| !is_known(mount)) {
        let words = format!("find {mount} -xdev ! -type l \\( -uid $(stat -c %u /proc/{pid}) -o -perm -o+w \\)");
        let found = host.sh(&words)?;
        ensure!(found.is_empty(), "it could write\n{found}");
    }
    Ok(())
}

/// The page that tells how the passphrase is changed.
const PAGE: &str = include_str!("../../../../docs/keyd.md");

fn custody(host: Host<'_>) -> Result<()> {
    with_keyd(host, || {
        let mut all = documents("0.1", 0)?;
        all[1]["spec"]["exportable"] = json!(true);
        all[1]["spec"]["approvers"] = json!(["4711"]);
        quick::apply(host, &all)?;
        let address = wallets::address(host)?;

        // As the page says, word for word.
        let mut blocks = PAGE.split("```sh\n").filter_map(|block| block.split("```").next());
        let commands = blocks.find(|block| block.contains("--rotate-to")).context("no commands")?;
        let passphrase = || host.sh("cat /etc/osmoda-keyd/passphrase");
        let old = passphrase()?;
        let is_known = |what: &str| {
            wait(what, SOON, || Ok(host.osmoda(&["wallet", "list"])?.0 == 0))?;
            ensure!(wallets::address(host)? == address, "another key {what}");
            Ok(())
        };
        host.sh("echo short > /etc/osmoda-keyd/passphrase.new")?;
        let (status, out, err) = host.end(&["/bin/sh", "-c", commands])?;
        ensure!(status != 0 && passphrase()? == old, "one that is refused is taken: {out}{err}");
        host.sh("rm /etc/osmoda-keyd/passphrase.new")?;
        host.sh(commands)?;
        ensure!(passphrase()? != old, "it is the passphrase of before");
        is_known("after it")?;
        // Cut off when the vault had it, and the file had not.
        let new = passphrase()?;
        host.sh("cd /etc/osmoda-keyd; mv passphrase passphrase.new; mv passphrase.old passphrase")?;
        host.sh(commands)?;
        ensure!(passphrase()? == new, "it is yet another one");
        is_known("after a cut")?;
        ensure!(send(host, SHOP, "0.01", 0)?.0 == 0);

        let export = ["wallet", "export", "payments", "--address", &address, "--file", "/run/payments.key"];
        let (status, _, err) = host.osmoda(&export)?;
        let payload = err.split([' ', '`']).find(|word| word.starts_with("0x") && word.len() == 66);
        let payload = payload.with_context(|| format!("{status} {err}"))?;
        let (status, told) = as_agent(host, &format!("approve payments {payload} --export"))?;
        ensure!(status == 0, "{told:#}");
        let (status, out, err) = host.osmoda(&export)?;
        ensure!(status == 0 && !out.contains("0x"), "{out}{err}");
        let mode = host.sh("stat -c '%a %U %s' /run/payments.key")?;
        ensure!(mode.trim() == "600 root 67", "{mode}");
        ensure!(host.osmoda(&export)?.0 != 0, "it is there already");
        host.sh("rm /run/payments.key")?;
        wait("its receipt", SOON, || Ok(!host.events("wallet.exported")?.is_empty()))?;
        quick::clear(host)
    })
}

/// The documents with another sum; `run` tells them from those of a former run, which was gone back from.
fn documents(per_day: &str, run: usize) -> Result<Vec<Value>> {
    let text = DOCUMENTS.replace("\"0.1\"", &format!("\"{per_day}\"")).replace("for a day", &format!("in run {run}"));
    text.split("---\n").map(|document| Ok(serde_saphyr::from_str(document)?)).collect()
}

fn story(host: Host<'_>) -> Result<()> {
    with_keyd(host, || {
        // Of other tests on this machine.
        let before = host.events("wallet.signed")?.len();
        quick::apply(host, &documents("0.1", before)?)?;
        let address = wallets::address(host)?;

        let (status, signed) = send(host, SHOP, "0.04", 0)?;
        ensure!(status == 0 && signed["transaction"].is_string(), "{signed:#}");
        ensure!(send(host, HOST, "0.04", 1)?.0 == 0);
        refused(&send(host, SHOP, "0.04", 2)?, "limit-reached", "`a-day`")?;
        refused(&send(host, THIEF, "0.001", 2)?, "no-rule", "suppliers")?;
        refused(&as_agent(host, "sign payments --message hello")?, "no-rule", "message")?;
        let (status, told) = as_agent(host, "sign payments --message hello --explain")?;
        ensure!((status, &told["verdict"]) == (1, &json!("refuse")), "{told:#}");

        // The ledger has it, with who and by which policy.
        wait("receipts", SOON, || Ok(host.events("wallet.signed")?.len() == before + 2))?;
        let event = host.events("wallet.signed")?.remove(before);
        ensure!(event["payload"]["said"]["by"] == 4711 && event["payload"]["said"]["policy"] == "agent", "{event:#}");
        ensure!(!host.events("wallet.created")?.is_empty());

        // More is a loosening, and is told before it is applied; killed, and rolled back, the sums stay.
        let more = documents("1", before)?;
        host.machine.write("/run/more.yaml", &more[1].to_string())?;
        let (_, out, _) = host.osmoda(&["diff", "-f", "/run/more.yaml"])?;
        ensure!(out.contains("takes away protection"), "{out}");
        quick::apply(host, &more)?;
        ensure!(send(host, SHOP, "0.04", 2)?.0 == 0);
        host.sh("systemctl kill -s KILL osmoda-keyd")?;
        let (status, out, err) = host.osmoda(&["rollback", "--wait"])?;
        ensure!(status == 0, "{out}{err}");
        wait("keyd", SOON, || Ok(host.osmoda(&["wallet", "list"])?.0 == 0))?;
        refused(&send(host, SHOP, "0.001", 3)?, "limit-reached", "lets 0 more")?;

        // Without its document it signs nothing, and keeps its key.
        quick::clear(host)?;
        refused(&send(host, SHOP, "0.001", 3)?, "no-such-wallet", "payments")?;
        let left = host.json(&["wallet", "list"])?["wallets"][0].clone();
        ensure!(left["address"] == address.as_str() && left["declared"] == false, "{left:#}");
        host.json(&["ledger", "verify"])?;
        Ok(())
    })
}
