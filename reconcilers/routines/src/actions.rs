//! What routines do that are no commands. Each gives the alerts that are new.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use osmoda_schemas::kinds::routine::{HealthCheckAction, LogScanAction, ServiceMonitorAction, WebhookAction};
use osmoda_systemd::{ActiveState, Manager};
use osmoda_watch::figures::{CpuTime, disk_percent, load_hundredths, memory_percent};
use tokio::{net::TcpStream, process::Command};

use crate::run::Memory;

/// Time over which processor use is measured.
const MEASURE: Duration = Duration::from_secs(1);
/// Runs in a row with busy processors that make an alert.
const BUSY_RUNS: u32 = 3;
/// Most lines of the journal that a digest looks at.
const LINES: usize = 10_000;

/// Compares the machine's figures with limits.
pub async fn health_check(action: &HealthCheckAction, memory: &mut Memory) -> Result<Vec<String>, String> {
    let words = |e: std::io::Error| e.to_string();
    let before = CpuTime::now().map_err(words)?;
    tokio::time::sleep(MEASURE).await;
    let cpu = CpuTime::now().map_err(words)?.percent_since(before);
    memory.busy_runs = if cpu > action.cpu { memory.busy_runs + 1 } else { 0 };
    let mut found = Vec::new();
    if memory.busy_runs >= BUSY_RUNS {
        found.push(format!("processors were more than {} % busy in {BUSY_RUNS} runs in a row", action.cpu));
    }
    if memory_percent().map_err(words)? > action.memory {
        found.push(format!("more than {} % of memory is in use", action.memory));
    }
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    if load_hundredths().map_err(words)? > u64::from(action.load_per_cpu) * cpus * 100 {
        found.push(format!("the load is more than {} times the number of processors", action.load_per_cpu));
    }
    for mount in mounts() {
        if disk_percent(Path::new(&mount)).is_ok_and(|percent| percent > action.disk) {
            found.push(format!("more than {} % of {mount} is used", action.disk));
        }
    }
    Ok(new_ones(found, memory))
}

/// Mount points of disks (proc(5), /proc/self/mounts).
fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let is_disk = |kind: &str| matches!(kind, "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "f2fs" | "zfs" | "bcachefs");
    let mut mounts: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, mount, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (is_disk(kind) && device.starts_with('/') || mount == "/").then(|| mount.replace("\\040", " "))
        })
        .collect();
    mounts.sort();
    mounts.dedup();
    mounts
}

/// Looks for failed units.
pub async fn service_monitor(action: &ServiceMonitorAction, memory: &mut Memory) -> Result<Vec<String>, String> {
    let manager = Manager::connect().await.map_err(|e| e.to_string())?;
    let snapshot = manager.snapshot().await.map_err(|e| e.to_string())?;
    let failed = snapshot.units.iter().filter(|(unit, status)| {
        status.active == ActiveState::Failed && !action.ignore.iter().any(|ignored| ignored == *unit)
    });
    let found = failed.map(|(unit, _)| format!("{unit} has failed")).collect();
    Ok(new_ones(found, memory))
}

/// What was not told before; what has gone away may be told again.
fn new_ones(found: Vec<String>, memory: &mut Memory) -> Vec<String> {
    let new = found.iter().filter(|alert| !memory.told.contains(alert)).cloned().collect();
    memory.told = found;
    new
}

/// Looks for errors in the journal since the last run. The first run only remembers where the journal ends.
pub async fn log_scan(action: &LogScanAction, memory: &mut Memory) -> Result<Vec<String>, String> {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--quiet", "--no-pager", "--output-fields=PRIORITY,SYSLOG_IDENTIFIER,MESSAGE"]);
    match &memory.journal_cursor {
        Some(cursor) => {
            // Not `--after-cursor`: together with a filter that leaves out one entry too many.
            let priority = format!("--priority={}", action.priority);
            command.arg(format!("--cursor={cursor}")).arg(priority).arg(format!("--lines={LINES}"));
        }
        None => {
            command.arg("--lines=1");
        }
    }
    let output = command.output().await.map_err(|e| format!("journalctl cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(format!("journalctl: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let read = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let entries: Vec<_> = read.filter(|entry| entry["__CURSOR"].as_str() != memory.journal_cursor.as_deref()).collect();
    let first_run = memory.journal_cursor.is_none();
    if let Some(cursor) = entries.last().and_then(|entry| entry["__CURSOR"].as_str()) {
        memory.journal_cursor = Some(cursor.to_owned());
    }
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    if first_run || count == 0 || count < action.threshold {
        return Ok(Vec::new());
    }
    Ok(vec![digest(&entries)])
}

/// How many entries of whom; and the last one in its own words.
fn digest(entries: &[serde_json::Value]) -> String {
    let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for entry in entries {
        *counts.entry(entry["SYSLOG_IDENTIFIER"].as_str().unwrap_or("?")).or_default() += 1;
    }
    let mut sorted: Vec<(&str, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let who: Vec<String> = sorted.iter().take(5).map(|(name, count)| format!("{name} {count}")).collect();
    let last: String =
        entries.last().and_then(|e| e["MESSAGE"].as_str()).unwrap_or_default().chars().take(200).collect();
    format!("{} entries in the journal ({}); the last one: {last}", entries.len(), who.join(", "))
}

/// Sends an HTTP request.
pub async fn webhook(action: &WebhookAction, timeout: Duration) -> Result<(), String> {
    let send = async {
        let uri: http::Uri = action.url.parse().map_err(|e| format!("{}: {e}", action.url))?;
        let host = uri.host().ok_or_else(|| format!("{}: no host", action.url))?;
        let address = (host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await.map_err(|e| format!("{}: {e}", action.url))?;
        let failed = |e: hyper::Error| format!("{}: {e}", action.url);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        tokio::spawn(connection);
        let mut request = http::Request::builder()
            .method(action.method.as_str())
            .uri(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
            .header("host", uri.authority().map_or(host, http::uri::Authority::as_str))
            .header("user-agent", concat!("osmoda/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &action.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(action.body.clone().unwrap_or_default()));
        let request = request.body(body).map_err(|e| e.to_string())?;
        let status = sender.send_request(request).await.map_err(failed)?.status();
        if status.is_success() { Ok(()) } else { Err(format!("{} answers {status}", action.url)) }
    };
    tokio::time::timeout(timeout, send).await.unwrap_or_else(|_| Err(format!("{}: no answer in time", action.url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_told_once_until_it_has_gone_away() {
        let mut memory = Memory::default();
        let a = || vec!["a".to_owned()];
        assert_eq!(new_ones(a(), &mut memory), a());
        assert_eq!(new_ones(a(), &mut memory), Vec::<String>::new());
        assert_eq!(new_ones(Vec::new(), &mut memory), Vec::<String>::new());
        assert_eq!(new_ones(a(), &mut memory), a());
    }
}
