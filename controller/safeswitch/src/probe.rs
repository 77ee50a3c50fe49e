//! Asking a probe: pass, or why not. Nothing here waits longer than it was told.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use osmoda_schemas::{
    kinds::{
        Probe, Tier,
        probe::{CommandProbe, HttpProbe, TcpProbe},
    },
    rules,
};
use osmoda_systemd::{
    ActiveState, Manager,
    transient::{CommandEnd, Confinement, TransientService},
};
use tokio::net::TcpStream;

/// Bytes of a body that are looked at.
const BODY: usize = 64 * 1024;
/// Characters of a command's output that an answer carries.
const OUTPUT: usize = 300;

/// Asks probes. Clones share what they remember of units.
#[derive(Clone, Debug)]
pub struct Prober {
    manager: Manager,
    /// Automatic restarts of units when they were asked about last.
    restarts: Arc<Mutex<HashMap<String, u32>>>,
}

impl Prober {
    /// A prober that asks units and runs commands through this connection.
    #[must_use]
    pub fn new(manager: Manager) -> Self {
        Self { manager, restarts: Arc::default() }
    }

    /// Asks once. The tier is that of the object that asks.
    ///
    /// # Errors
    /// Why it does not pass, in a line.
    pub async fn ask(&self, probe: &Probe, tier: Tier, timeout: Duration) -> Result<(), String> {
        match probe {
            // Its own deadline kills what it started; the others are simply dropped.
            Probe::Command(command) => self.command(command, tier, timeout).await,
            Probe::Unit(unit) => within(timeout, self.unit(unit.unit.as_deref().unwrap_or_default())).await,
            Probe::Tcp(probe) => within(timeout, tcp(probe)).await,
            Probe::Http(probe) => within(timeout, http(probe)).await,
        }
    }

    async fn unit(&self, unit: &str) -> Result<(), String> {
        let status = self.manager.status(unit).await.map_err(|e| e.to_string())?;
        if !matches!(status.active, ActiveState::Active | ActiveState::Reloading) {
            return Err(format!("{unit} is {} ({})", status.active, status.sub));
        }
        if !unit.ends_with(".service") {
            return Ok(());
        }
        let now = self.manager.restarts(unit).await.map_err(|e| e.to_string())?;
        let before = {
            let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
            restarts.insert(unit.to_owned(), now)
        };
        match before {
            // A unit that systemd restarts again and again looks active most of the time.
            Some(before) if now > before => {
                Err(format!("{unit} ended and was restarted by systemd ({now} times so far)"))
            }
            _ => Ok(()),
        }
    }

    async fn command(&self, probe: &CommandProbe, tier: Tier, timeout: Duration) -> Result<(), String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unit = format!("osmoda-probe-{}-{number}.service", std::process::id());
        let program = probe.command.first().map_or("", String::as_str);
        let mut service = TransientService::new(format!("osModa probe: {program}"), probe.command.clone());
        service.user.clone_from(&probe.user);
        service.confinement = confinement(probe, tier);
        // A net below this process: should it be killed, systemd ends the command all the same.
        service.runtime_max = Some(timeout + Duration::from_secs(10));
        service.stop_timeout = Duration::from_secs(1);
        let outcome = self.manager.run_command(&unit, &service, timeout).await.map_err(|e| e.to_string())?;
        let said = outcome.output.trim();
        let tail: String = said.chars().skip(said.chars().count().saturating_sub(OUTPUT)).collect();
        let tail = if tail.is_empty() { tail } else { format!(": {tail}") };
        match outcome.end {
            CommandEnd::Exit(0) => Ok(()),
            CommandEnd::Exit(status) => Err(format!("{program} exited with {status}{tail}")),
            CommandEnd::Signal(signal) => Err(format!("{program} was ended by signal {signal}{tail}")),
            CommandEnd::TimedOut => {
                Err(format!("{program} did not end within {} ms and was killed", timeout.as_millis()))
            }
            CommandEnd::NotRun(why) => Err(format!("{program} could not be run: {why}")),
        }
    }
}

/// How much a command may reach. Root's own word for root is taken as it is.
fn confinement(probe: &CommandProbe, tier: Tier) -> Confinement {
    match (tier, probe.user.as_deref()) {
        (Tier::Trusted, None | Some("root")) => Confinement::ReadOnly,
        (Tier::Trusted | Tier::Approved, _) => Confinement::Strict,
        (Tier::Untrusted, _) => Confinement::Offline,
    }
}

async fn within(timeout: Duration, work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} ms", timeout.as_millis())))
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    TcpStream::connect((bare, port)).await.map_err(|e| format!("{host}:{port}: {e}"))
}

async fn tcp(probe: &TcpProbe) -> Result<(), String> {
    connect(&probe.host, probe.port).await.map(drop)
}

async fn http(probe: &HttpProbe) -> Result<(), String> {
    let uri: http::Uri = probe.url.parse().map_err(|e| format!("{}: {e}", probe.url))?;
    let host = uri.host().ok_or_else(|| format!("{}: no host", probe.url))?;
    let stream = connect(host, uri.port_u16().unwrap_or(80)).await?;
    let failed = |e: hyper::Error| format!("{}: {e}", probe.url);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
        .header("host", uri.authority().map_or(host, http::uri::Authority::as_str))
        .header("user-agent", concat!("osmoda/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| format!("{}: {e}", probe.url))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let expected = if probe.status.is_empty() { status.is_success() } else { probe.status.contains(&status.as_u16()) };
    if !expected {
        driver.abort();
        return Err(format!("{} answers {status}", probe.url));
    }
    if probe.body_contains.is_none() && probe.body_matches.is_none() {
        driver.abort();
        return Ok(());
    }
    let mut body = response.into_body();
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < BODY {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame.map_err(failed)?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    driver.abort();
    bytes.truncate(BODY);
    let text = String::from_utf8_lossy(&bytes);
    if let Some(wanted) = probe.body_contains.as_ref().filter(|wanted| !text.contains(*wanted)) {
        return Err(format!("{}: the body does not contain {wanted:?}", probe.url));
    }
    if let Some(pattern) = &probe.body_matches {
        let regex = rules::regular_expression(pattern).map_err(|e| format!("{pattern:?}: {e}"))?;
        // A match may take a while, and everything else here runs on one thread.
        let text = text.into_owned();
        let matches = tokio::task::spawn_blocking(move || regex.is_match(&text)).await;
        if !matches.map_err(|e| e.to_string())? {
            return Err(format!("{}: the body does not match {pattern:?}", probe.url));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server that says the same to everybody.
    async fn serve(answer: &'static str) -> u16 {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    fn probe(port: u16, more: serde_json::Value) -> HttpProbe {
        let mut all = serde_json::json!({ "url": format!("http://127.0.0.1:{port}/x?y=1") });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[tokio::test]
    async fn http_looks_at_status_and_body() {
        let port = serve("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello you").await;
        for (more, passes) in [
            (serde_json::json!({}), true),
            (serde_json::json!({ "status": [204] }), false),
            (serde_json::json!({ "bodyContains": "you" }), true),
            (serde_json::json!({ "bodyContains": "me" }), false),
            (serde_json::json!({ "bodyMatches": "^h.*u$" }), true),
            (serde_json::json!({ "bodyMatches": "^you" }), false),
        ] {
            assert_eq!(http(&probe(port, more.clone())).await.is_ok(), passes, "{more}");
        }
        let port = serve("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
        let why = http(&probe(port, serde_json::json!({}))).await.unwrap_err();
        assert!(why.contains("500"), "{why}");
    }

    #[tokio::test]
    async fn what_hangs_or_is_not_there_fails_in_time() {
        let port = serve("").await;
        let hangs = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let silent = hangs.local_addr().unwrap().port();
        let started = std::time::Instant::now();
        let why = within(Duration::from_millis(200), http(&probe(silent, serde_json::json!({})))).await.unwrap_err();
        assert!(why.contains("within 200 ms") && started.elapsed() < Duration::from_secs(2), "{why}");
        http(&probe(port, serde_json::json!({}))).await.unwrap_err();
        drop(hangs);
        let gone = TcpProbe { host: "127.0.0.1".to_owned(), port: silent };
        assert!(tcp(&gone).await.unwrap_err().contains("refused"));
    }

    #[test]
    fn only_root_of_tier_0_is_let_near_the_system() {
        for (user, tier, expected) in [
            (None, Tier::Trusted, Confinement::ReadOnly),
            (Some("root"), Tier::Trusted, Confinement::ReadOnly),
            (Some("nobody"), Tier::Trusted, Confinement::Strict),
            (Some("root"), Tier::Approved, Confinement::Strict),
            (Some("nobody"), Tier::Untrusted, Confinement::Offline),
        ] {
            let probe = CommandProbe { command: vec!["/bin/true".to_owned()], user: user.map(str::to_owned) };
            assert_eq!(confinement(&probe, tier), expected, "{user:?} {tier}");
        }
    }

    #[tokio::test]
    async fn a_slow_match_keeps_nobody_waiting() {
        let body = "a".repeat(BODY);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n{body}");
        let port = serve(answer.leak()).await;
        // The slowest kind that admission lets through: a hundred states are alive at every byte.
        let slow = probe(port, serde_json::json!({ "bodyMatches": "(a?){100}b" }));
        let ticks = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&ticks);
        let clock = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let began = std::time::Instant::now();
        within(Duration::from_millis(200), http(&slow)).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(ticks.load(Ordering::Relaxed) > 5, "the runtime stood still");
        clock.abort();
    }
}
