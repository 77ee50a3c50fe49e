//! `status`, `doctor`, `explain`, `schema`.

use std::{fs, io::Write, path::Path, process::Command};

use jiff::{SignedDuration, Timestamp};
use osmoda_ipc::{Client, read_config};
use osmoda_ledger::{Cosigning, cosigning, verify};
use osmoda_schemas::{
    diagnostics::visible,
    explain as explanation, generate,
    object::Kind,
    operation::Nothing,
    ops::{agentd::GetStatus, common::GetHealth},
    rules::Backend,
};
use serde::Serialize;

use crate::{
    context::{CONFIG, Context, Failure},
    print::{Cell, Tone},
};

/// Where systemd finds the generator of the backend `profile`: as installed, and on NixOS.
const GENERATORS: [&str; 2] =
    ["/usr/lib/systemd/system-generators/osmoda-generator", "/etc/systemd/system-generators/osmoda-generator"];

/// Shows how osModa is.
pub async fn status(context: &Context) -> Result<u8, Failure> {
    let status = context.agentd().call::<GetStatus>(&Nothing {}).await?;
    if context.printer.for_people() {
        context.show_problems(&status.problems);
    }
    context.printer.print(&status, |printer| {
        let tone = match status.state.as_str() {
            "idle" => Tone::Good,
            "switching" | "manual" => Tone::Warning,
            _ => Tone::Bad,
        };
        let message = if status.message.is_empty() { String::new() } else { format!(": {}", visible(&status.message)) };
        let mut out = format!("{}{message}\n", printer.paint(&status.state, tone));
        let mut line = |name: &str, value: String| {
            out += &format!("  {} {value}\n", printer.paint(&format!("{name:<12}"), Tone::Dim));
        };
        line(
            "objects",
            format!(
                "{} wished, {} refused, {} degraded, {} held",
                status.objects, status.refused, status.degraded, status.held
            ),
        );
        line("active", status.active.clone().unwrap_or_else(|| "none".to_owned()));
        line("boot default", status.boot_default.map_or_else(|| "none".to_owned(), |n| format!("generation {n}")));
        if let Some(id) = &status.switch {
            line("switch", id.clone());
        }
        for path in &status.quarantined {
            line("quarantined", path.clone());
        }
        line("ledger", status.ledger_head.map_or_else(|| "empty".to_owned(), |id| format!("{id} events")));
        out
    })?;
    Ok(0)
}

/// How late a witness may cosign what is signed.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    ok: bool,
    /// It keeps nothing from working.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warning: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// What was found, in words.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Good(String),
    Warning(String),
    Bad(String),
}

impl From<Result<String, String>> for Found {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::Bad, Self::Good)
    }
}

/// Looks for what keeps osModa from working.
pub async fn doctor(context: &Context) -> Result<u8, Failure> {
    let mut checks = Vec::new();
    let mut look = |what, found: Found, advice| {
        let (ok, warning, found) = match found {
            Found::Good(found) => (true, false, found),
            Found::Warning(found) => (true, true, found),
            Found::Bad(found) => (false, false, found),
        };
        checks.push(Check { what, ok, warning, found, advice: (!ok || warning).then_some(advice) });
    };
    let mut add = |what, result: Result<String, String>, advice| look(what, result.into(), advice);
    let exists =
        |path: &str| if Path::new(path).exists() { Ok(path.to_owned()) } else { Err(format!("{path} is not there")) };
    add("systemd", exists("/run/systemd/system"), "osModa needs systemd as process 1");
    add("D-Bus", exists("/run/dbus/system_bus_socket"), "install it and start it: `apt install dbus`");
    add("Nix", program("nix-store", &["--version"]), "install it: `apt install nix-bin`");
    let store = fs::metadata("/nix/store").map(|_| "/nix/store".to_owned()).map_err(|e| format!("/nix/store: {e}"));
    add("Nix store", store, "nix-bin makes it; is /nix mounted?");
    add("boot unit", unit("osmoda-boot.service"), "`systemctl enable --now osmoda-boot`");
    // With the backend `nixos` units are the system's own.
    if read_config(Path::new(CONFIG)).is_ok_and(|config| config.backend == Backend::Profile) {
        let found = GENERATORS.iter().find(|path| Path::new(path).exists());
        let found = found.map(|path| (*path).to_owned()).ok_or_else(|| format!("{} is not there", GENERATORS[0]));
        add("generator", found, "install osModa again");
    }
    for (what, socket) in [("agentd", context.agentd()), ("watch", context.watch()), ("routines", context.routines())] {
        add(what, answers(&socket).await, "`systemctl status osmoda-agentd osmoda-watch osmoda-routines`");
    }
    add("state", writable(&context.state_dir), "is the disk full, or read-only? are you root?");
    let room = room(&context.state_dir);
    add("room", room, "make room: `osmoda gc --keep 3`");
    let ledger =
        verify(&context.ledger(), None).map_err(|e| e.to_string()).and_then(|report| match report.problems.first() {
            None => Ok(format!("{} events", report.events)),
            Some(damage) => Err(damage.what.clone()),
        });
    add("ledger", ledger, "somebody has changed it behind osModa's back: keep a copy, look at `osmoda ledger verify`");
    look("witness", witness(context).await, "`systemctl status osmoda-witness`, and what osmoda-agentd logs of it");
    let bad = checks.iter().any(|check| !check.ok);
    context.printer.print(&checks, |printer| {
        let row = |check: &Check| {
            let mark = match (check.ok, check.warning) {
                (true, false) => Cell::toned("ok", Tone::Good),
                (true, true) => Cell::toned("warn", Tone::Warning),
                (false, _) => Cell::toned("BAD", Tone::Bad),
            };
            let advice = check.advice.map(|a| format!("  -> {a}")).unwrap_or_default();
            vec![mark, check.what.into(), format!("{}{advice}", check.found).into()]
        };
        let rows: Vec<Vec<Cell>> = checks.iter().map(row).collect();
        printer.table(&["", "", ""], &rows).trim_start().to_owned()
    })?;
    Ok(u8::from(bad))
}

fn program(name: &str, arguments: &[&str]) -> Result<String, String> {
    match Command::new(name).args(arguments).output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
        }
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned()),
        Err(error) => Err(format!("`{name}` cannot be run: {error}")),
    }
}

fn unit(name: &str) -> Result<String, String> {
    program("systemctl", &["is-active", name]).map_err(|_| format!("{name} is not active"))
}

async fn answers(client: &Client) -> Result<String, String> {
    let client = client.clone().deadline(std::time::Duration::from_secs(5));
    let health = client.call::<GetHealth>(&Nothing {}).await.map_err(|e| e.to_string())?;
    Ok(format!("{} {}, up for {} s", health.service, health.version, health.uptime_secs))
}

/// Does the witness answer, and how far is it behind? A ledger that has never met one can do without.
async fn witness(context: &Context) -> Found {
    let cosigning = match cosigning(&context.ledger()) {
        Ok(cosigning) => cosigning,
        Err(error) => return Found::Bad(error.to_string()),
    };
    match answers(&context.witness()).await {
        Ok(found) => behind(&found, &cosigning, Timestamp::now()),
        Err(error) if cosigning.witness => Found::Bad(error),
        Err(error) => Found::Warning(error),
    }
}

fn behind(found: &str, cosigning: &Cosigning, now: Timestamp) -> Found {
    let Cosigning { signed, cosigned, .. } = cosigning;
    let found = format!("{found}; {cosigned} of {signed} signed rows are cosigned");
    match cosigning.waiting_since {
        Some(since) if now.duration_since(since) > LATE => {
            Found::Warning(format!("{found}, the rest waits since {since}"))
        }
        _ => Found::Good(found),
    }
}

fn writable(folder: &Path) -> Result<String, String> {
    let probe = folder.join(".doctor");
    let written = osmoda_generation::durable::create_anew(&probe)
        .and_then(|mut file| file.write_all(b"x"))
        .and_then(|()| fs::remove_file(&probe));
    written.map(|()| folder.display().to_string()).map_err(|e| format!("{}: {e}", folder.display()))
}

fn room(folder: &Path) -> Result<String, String> {
    let stat = rustix::fs::statvfs(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mebibytes = stat.f_bavail * stat.f_frsize / 1024 / 1024;
    let found = format!("{mebibytes} MiB free");
    if mebibytes >= 200 { Ok(found) } else { Err(found) }
}

/// Explains a kind or a field.
pub fn explain(context: &Context, path: &str) -> Result<u8, Failure> {
    let explained = explanation::explain(path)?;
    context.printer.print(&explained, |printer| explanation::render(&explained, printer.color))?;
    Ok(0)
}

/// Prints JSON Schemas.
pub fn schema(context: &Context, kind: Option<Kind>) -> Result<u8, Failure> {
    let schema = kind.map_or_else(generate::any_document_schema, generate::document_schema);
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    context.printer.print(&schema, |_| text + "\n")?;
    Ok(0)
}
