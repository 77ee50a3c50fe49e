//! Serving a [`Service`] on a Unix socket until the daemon is told to stop.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};

use osmoda_schemas::problem::{PROBLEM_JSON, Problem};

use crate::{Peer, Service, slots::Slots};

/// Time in which a request's head has to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// Time that calls get to end when the daemon stops.
const GRACE: Duration = Duration::from_secs(5);
/// The group whose members may connect, if there is such a group.
const GROUP: &str = "osmoda";

/// Why a socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .socket.display())]
pub struct ServeError {
    socket: PathBuf,
    source: io::Error,
}

/// Serves until SIGTERM or SIGINT, then lets calls end. Tells systemd that the daemon is ready, and that it lives.
///
/// The socket is taken from systemd (sd_listen_fds(3)) when it passes one.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve<S: Clone + Send + Sync + 'static>(service: Service<S>, socket: &Path) -> Result<(), ServeError> {
    let failed = |source| ServeError { socket: socket.to_owned(), source };
    let listener = listen(socket).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let router = service.into_router();
    let graceful = GracefulShutdown::new();
    let slots = Slots::default();
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(feed_watchdog());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(credentials) = stream.peer_cred() else { continue };
                    let peer = Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
                    let Some(slot) = slots.take(peer.uid) else {
                        turn_away(&stream, peer);
                        continue;
                    };
                    let watched = graceful.watch(connection(stream, peer, &router));
                    tokio::spawn(async move {
                        if let Err(error) = watched.await {
                            tracing::debug!("a connection ended: {error}");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: others have to end first.
                    tracing::warn!("accept: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    watchdog.abort();
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    Ok(())
}

type Connection = hyper::server::conn::http1::Connection<TokioIo<UnixStream>, TowerToHyperService<Router>>;

fn connection(stream: UnixStream, peer: Peer, router: &Router) -> Connection {
    let router = router.clone().layer(Extension(peer));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// Says why a connection is not served, if that can be said at once.
fn turn_away(stream: &UnixStream, peer: Peer) {
    tracing::debug!(uid = peer.uid, "turned away: too many connections");
    let problem = Problem::new(503, "too-many-connections", format!("uid {} has too many connections open", peer.uid))
        .hint("close some, or wait for them to end");
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    let _ = stream.try_write(answer.as_bytes());
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    if let Some(passed) = listenfd::ListenFd::from_env().take_unix_listener(0)? {
        passed.set_nonblocking(true)?;
        return UnixListener::from_std(passed);
    }
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder)?;
    }
    // Bound under another name with no permissions, then moved: nobody connects before the mode is right, and a socket
    // that a killed daemon left is replaced in one step.
    let new = socket.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    if let Some(gid) = group_id(GROUP) {
        std::os::unix::fs::chown(&new, None, Some(gid))?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o660))?;
    }
    fs::rename(&new, socket)?;
    Ok(listener)
}

/// The id of a group of this machine (group(5)).
fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// systemd restarts a daemon whose loop no longer turns (WatchdogSec= of systemd.service(5)).
async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    loop {
        tokio::time::sleep(period / 2).await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Logs to standard error: plain lines for the journal, which adds the time itself.
pub fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("OSMODA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .try_init();
}
