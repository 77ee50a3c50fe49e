//! Others who swap, move, link and grow files while osModa works: it reads nothing by way of them that they may not read,
//! takes nobody's words for somebody else's, writes through nothing, and goes on for everybody else.
//!
//! `victims` are files that root and an honest author have: what is in them says who is looking when it turns up elsewhere.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Case, quick, switch::runs};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("races: a document that is swapped for all there is to swap it for", swapped_files),
        case("races: folders that are swapped for links to others", swapped_folders),
        case("races: a file that a hard link or a mount has brought into a folder", brought_in),
        case("races: folders of the API's documents that are swapped for links", swapped_api),
        case("races: nothing of osModa's can be put in its way", out_of_reach),
    ]
}

const SOON: Duration = Duration::from_secs(30);
/// Who attacks, and an author who does not.
const MALLORY: u32 = 4711;
const ALICE: u32 = 4712;
/// Words that make a program the attacker's.
const AS_MALLORY: [&str; 4] = ["/usr/bin/setpriv", "--reuid=4711", "--regid=65534", "--clear-groups"];
const CONFIG: &str = "\
debounce: 20ms
safeSwitch: {ttl: 300ms}
authors:
- user: 4711
  kinds: [App]
  names: [mallory-*]
- user: 4712
  kinds: [App]
  names: [alice-*]
";
const DESIRED: &str = "/var/lib/osmoda/desired";
/// The victims: documents of root's and of another author's that were never wished, and one that is no document, whose
/// words a problem could quote.
const VICTIMS: &str = "/var/lib/osmoda-victims";

/// What they do: functions by their names.
const ATTACKS: &str = include_str!("races.py");

/// Sets the stage, runs a test beside an attacker, and looks at what has to hold after each.
fn attacked(host: Host<'_>, attack: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let canary = stage(host)?;
    let result = quick::with_config(host, CONFIG, || {
        // Clearing the stage has taken away what was in the folders, not the folders.
        let since = host.sh("date -u +%Y-%m-%dT%H:%M:%S.%3NZ")?;
        alice_wishes(host, 9800)?;
        let pid = host.main_pid("osmoda-agentd.service")?;
        let before = victims(host)?;
        host.machine.write("/run/races/attack.py", ATTACKS)?;
        host.sh("rm -f /run/races/count; chown 4711 /run/races")?;
        let run = ["/usr/bin/systemd-run", "--quiet", "--collect", "--unit", "races-attack"];
        let program = ["/usr/bin/python3", "/run/races/attack.py", attack];
        host.run(&[&run[..], &AS_MALLORY[..], &program[..]].concat())?;
        let result = counted(host, 100).and_then(|()| work()).and_then(|()| counted(host, 300));
        host.end(&["/usr/bin/systemctl", "stop", "races-attack"])?;
        result?;
        // The attack is over: what is wished is in force, also what the attacker wishes.
        host.sh(&format!(
            "umount -q {DESIRED}/mallory/mount || true; rm -rf {DESIRED}/mallory/*; [ ! -L {DESIRED}/api ] || rm {DESIRED}/api"
        ))?;
        wish(host, MALLORY, "mallory", &document("mallory-end", 9899))?;
        wait("the attacker's own document", SOON, || runs(host, 9899))?;
        alice_wishes(host, 9898)?;
        ensure!(host.main_pid("osmoda-agentd.service")? == pid, "agentd has died meanwhile");
        ensure!(victims(host)? == before, "before:\n{before}now:\n{}", victims(host)?);
        nothing_told(host, &canary, since.trim())?;
        nothing_misattributed(host, since.trim())
    });
    host.sh(&format!(
        "umount -q {DESIRED}/mallory/mount || true; rm -rf {DESIRED}/mallory {DESIRED}/alice {VICTIMS} /run/races"
    ))?;
    result?;
    quick::clear(host)
}

/// Gives the word that the victims' files have, and nothing else on the machine: not what an earlier run has left.
fn stage(host: Host<'_>) -> Result<String> {
    let canary = format!("canary-{}", host.sh("cut -c1-8 /proc/sys/kernel/random/uuid")?.trim());
    host.sh(&format!(
        "rm -rf {VICTIMS} {DESIRED}/mallory {DESIRED}/alice; \
         install -d /run/races; install -d -m 0755 {VICTIMS} {VICTIMS}/inner {VICTIMS}/App; \
         install -d -o 4711 {DESIRED}/mallory; install -d -o 4712 {DESIRED}/alice"
    ))?;
    for (name, owner, text) in [
        ("root.json", 0, document(&format!("{canary}-root"), 9890).to_string()),
        ("alice.json", ALICE, document(&format!("alice-{canary}"), 9891).to_string()),
        ("words.json", 0, format!("{canary}: {canary}\n{canary}\n")),
    ] {
        for folder in ["", "/inner", "/App"] {
            let file = format!("{VICTIMS}{folder}/{name}");
            host.machine.write(&file, &text)?;
            host.sh(&format!("chown {owner} {file}; chmod 600 {file}"))?;
        }
    }
    Ok(canary)
}

fn document(name: &str, seconds: u32) -> Value {
    json!({
        "apiVersion": "os.moda/v1", "kind": "App", "metadata": { "name": name },
        "spec": { "command": ["/bin/sleep", seconds.to_string()], "probation": { "ttl": "0s" } },
    })
}

fn wish(host: Host<'_>, uid: u32, folder: &str, document: &Value) -> Result<()> {
    let file = format!("{DESIRED}/{folder}/.new");
    host.machine.write(&file, &document.to_string())?;
    host.sh(&format!("chown {uid} {file}; mv -T {file} {DESIRED}/{folder}/wish.json"))?;
    Ok(())
}

/// The honest author's change comes into force, whatever else goes on.
fn alice_wishes(host: Host<'_>, seconds: u32) -> Result<()> {
    wish(host, ALICE, "alice", &document("alice-web", seconds))?;
    wait("the honest author's change", SOON, || runs(host, seconds))?;
    Ok(())
}

/// Waits until the attacker has done his work that often.
fn counted(host: Host<'_>, times: u32) -> Result<()> {
    let more = host.end(&["/bin/cat", "/run/races/count"])?.1.trim().parse().unwrap_or(0) + times;
    let result = wait("the attack", SOON, || {
        Ok(host.end(&["/bin/cat", "/run/races/count"])?.1.trim().parse::<u32>().unwrap_or(0) >= more)
    });
    result.with_context(|| {
        host.run(&["/usr/bin/journalctl", "-q", "-u", "races-attack", "-n", "20"]).unwrap_or_default()
    })?;
    Ok(())
}

/// Names, owners, modes and contents of the victims.
fn victims(host: Host<'_>) -> Result<String> {
    host.sh(&format!(
        "find {VICTIMS} | sort | while read f; do stat -c '%n %F %u:%g %a' \"$f\"; [ ! -f \"$f\" ] || md5sum < \"$f\"; done"
    ))
}

/// The victims' words are nowhere: not in what agentd says, remembers, logs or builds.
fn nothing_told(host: Host<'_>, canary: &str, since: &str) -> Result<()> {
    let script = format!(
        "cd /var/lib/osmoda; grep -rla {canary} status switch ledger state.db* desired/api /run/osmoda 2>/dev/null || true; \
         [ ! -e /run/osmoda/generation ] || grep -rla {canary} /run/osmoda/generation/ || true; \
         journalctl -q -o cat --since \"@$(date -d {since} +%s)\" _SYSTEMD_UNIT=osmoda-agentd.service | grep -a {canary} || true; \
         osmoda -o json status | grep {canary} || true; osmoda -o json get | grep {canary} || true"
    );
    let found = host.sh(&script)?;
    ensure!(found.is_empty(), "what nobody said to osModa is in\n{found}");
    Ok(())
}

/// What came from a folder is its owner's, in what is said of objects and in the ledger.
fn nothing_misattributed(host: Host<'_>, since: &str) -> Result<()> {
    let check = |file: &str, author: &str, what: &Value| -> Result<()> {
        for (folder, owner) in [("mallory", "uid:4711"), ("alice", "uid:4712")] {
            if file.starts_with(&format!("{DESIRED}/{folder}/")) {
                ensure!(author == owner, "{author} is not {owner} in {what:#}");
            }
        }
        Ok(())
    };
    let mut seen = 0;
    for object in host.json(&["get"])?["objects"].as_array().into_iter().flatten() {
        let author = format!("uid:{}", object["author"]["uid"]);
        check(object["source"]["file"].as_str().unwrap_or_default(), &author, object)?;
        seen += 1;
    }
    ensure!(seen >= 2, "there are only {seen} objects");
    let later = |event: &Value| event["ts"].as_str().is_some_and(|ts| ts >= since);
    for event in host.events("document.admitted")?.into_iter().filter(later) {
        let file = event["payload"]["source"]["file"].as_str().unwrap_or_default();
        check(file, event["actor"].as_str().unwrap_or_default(), &event)?;
    }
    for event in host.events("document.refused")?.into_iter().filter(later) {
        let file = event["payload"]["source"]["file"].as_str().unwrap_or_default();
        // Of what could not be opened nobody knows whose it is.
        if let Some(author) = event["payload"]["author"].as_str() {
            check(file, author, &event)?;
        }
    }
    Ok(())
}

fn swapped_files(host: Host<'_>) -> Result<()> {
    attacked(host, "swap", || {
        for round in 0..2 {
            alice_wishes(host, 9810 + round)?;
        }
        Ok(())
    })
}

fn swapped_folders(host: Host<'_>) -> Result<()> {
    attacked(host, "folders", || {
        for round in 0..2 {
            alice_wishes(host, 9830 + round)?;
            follows_documents_only(host)?;
        }
        Ok(())
    })
}

/// agentd follows folders with inotify: none that somebody has led it to.
fn follows_documents_only(host: Host<'_>) -> Result<()> {
    let pid = host.main_pid("osmoda-agentd.service")?;
    let numbers = |script: &str| -> Result<Vec<u64>> {
        let text = host.sh(script)?;
        let words = text.split_whitespace();
        words.map(|word| u64::from_str_radix(word, 16).with_context(|| format!("{word}: an inode"))).collect()
    };
    let followed = numbers(&format!(
        "sed -n 's/^inotify .* ino:\\([0-9a-f]*\\) .*/\\1/p' /proc/{pid}/fdinfo/* 2>/dev/null || true"
    ))?;
    let own = numbers(&format!("printf '%x ' $(stat -c %i {DESIRED} {DESIRED}/alice)"))?;
    ensure!(own.iter().all(|inode| followed.contains(inode)), "it follows {followed:x?}, and not all of {own:x?}");
    let others =
        numbers(&format!("printf '%x ' $(stat -c %i {VICTIMS} {VICTIMS}/inner {VICTIMS}/App /etc/ssl /usr /usr/bin)"))?;
    let led: Vec<_> = others.iter().filter(|inode| followed.contains(inode)).collect();
    ensure!(led.is_empty(), "somebody has led it to {led:x?} of {others:x?}");
    Ok(())
}

/// Root does here what a kernel without fs.protected_hardlinks lets everybody do, and what fusermount(1) does for whoever
/// asks: a file system that says of its files that they are root's.
fn brought_in(host: Host<'_>) -> Result<()> {
    attacked(host, "noise", || {
        let mallory = format!("{DESIRED}/mallory");
        for name in ["root.json", "alice.json", "words.json"] {
            let there = format!("{VICTIMS}/{name}");
            // With two names, and when the first one is given to another file, as editors do.
            host.sh(&format!("ln {there} {mallory}/brought-{name}"))?;
            refused(host, &format!("{mallory}/brought-{name}"), "need not be who put it here")?;
            host.sh(&format!("cp -p {there} {there}.new; mv {there}.new {there}"))?;
        }
        host.sh(&format!(
            "install -d {mallory}/mount; mount -t tmpfs -o mode=755 tmpfs {mallory}/mount; cp -p {VICTIMS}/*.json {mallory}/mount/"
        ))?;
        // A mount makes no event: it is seen when everything is looked at.
        host.osmoda(&["diff"])?;
        refused(host, &format!("{mallory}/mount"), "a mount of its own")?;
        for name in ["root.json", "alice.json", "words.json"] {
            refused(host, &format!("{mallory}/brought-{name}"), "need not be who put it here")?;
        }
        alice_wishes(host, 9841)?;
        // A file that everybody may write is nobody's word, not even root's.
        wish(host, 0, "alice/..", &document("root-open", 9842))?;
        wait("root's document", SOON, || runs(host, 9842))?;
        host.sh(&format!(
            "chmod 666 {DESIRED}/wish.json; sed -i s/9842/9843/ {DESIRED}/wish.json; chmod 666 {DESIRED}/wish.json"
        ))?;
        refused(host, &format!("{DESIRED}/wish.json"), "everybody may write it")?;
        ensure!(!runs(host, 9843)?, "what everybody may write is in force");
        host.sh(&format!("rm {DESIRED}/wish.json"))?;
        Ok(())
    })
}

/// Waits until a file, or a folder, is refused in these words.
fn refused(host: Host<'_>, file: &str, words: &str) -> Result<()> {
    let told = |status: &Value| {
        let problems = status["problems"].as_array().into_iter().flatten();
        let mut about = problems.filter(|problem| problem["source"]["file"] == file);
        about.any(|problem| problem["detail"].as_str().is_some_and(|detail| detail.contains(words)))
    };
    let mut last = Value::Null;
    let waited = wait(&format!("the refusal of {file}"), SOON, || {
        last = host.json(&["status"])?;
        Ok(told(&last))
    });
    waited.with_context(|| format!("{:#}", last["problems"]))?;
    Ok(())
}

fn swapped_api(host: Host<'_>) -> Result<()> {
    let result = attacked(host, "api", || {
        host.sh(&format!("chmod 777 {DESIRED}"))?;
        let mut ends = [0, 0];
        for round in 0..12 {
            host.machine.write("/run/races/apply.json", &document("root-api", 9850 + round % 2).to_string())?;
            let (status, _, err) = host.osmoda(&["apply", "-f", "/run/races/apply.json"])?;
            ensure!(status != 0 || err.is_empty() || !err.contains("panic"), "{err}");
            ends[usize::from(status != 0)] += 1;
            if ends[0] > 2 && ends[1] > 2 {
                break;
            }
        }
        host.sh(&format!("chmod 755 {DESIRED}"))?;
        // Refused when a link was met, and written to a folder of the daemon's own otherwise.
        ensure!(ends[0] + ends[1] > 5, "only {ends:?} were tried");
        Ok(())
    });
    host.sh(&format!("chmod 755 {DESIRED}; rm -rf {DESIRED}/.api-away"))?;
    result?;
    quick::clear(host)
}

fn out_of_reach(host: Host<'_>) -> Result<()> {
    stage(host)?;
    host.sh("groupadd --system osmoda")?;
    let result = quick::with_config(host, CONFIG, || {
        alice_wishes(host, 9860)?;
        host.machine.write("/run/races/attack.py", ATTACKS)?;
        for groups in ["--clear-groups", "--groups=osmoda"] {
            let who = ["/usr/bin/setpriv", "--reuid=4711", "--regid=65534", groups];
            let said = host.run(&[&who[..], &["/usr/bin/python3", "/run/races/attack.py", "reach"]].concat())?;
            let (done, tried) = said.split_once("tried ").context("it did not come to its end")?;
            ensure!(done.is_empty(), "with {groups}, somebody may\n{done}");
            ensure!(tried.trim().parse::<u32>()? > 150, "only {tried} things were tried");
        }
        Ok(())
    });
    host.sh(&format!("groupdel osmoda; rm -rf {DESIRED}/mallory {DESIRED}/alice {VICTIMS} /run/races"))?;
    quick::restart(host)?;
    result?;
    quick::clear(host)
}
