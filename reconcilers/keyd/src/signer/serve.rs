//! The other end of the socket: any signer, offered to processes of one user.

use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    DEADLINE, SignerBackend, SignerError,
    protocol::{Answer, Code, Question},
    wire::Wire,
};
use crate::vault::MOST_WALLETS;

/// Connections that are answered at a time; others are closed.
pub const MOST_CONNECTIONS: usize = 16;

/// Answers all connections, each in a thread of its own, until the socket is shut down (shutdown(2)) or fails. What goes
/// wrong with one is told to `on_error`.
///
/// # Errors
/// When no more connections can be taken, with the reason; that of a shutdown is `InvalidInput`.
pub fn serve(
    listener: &UnixListener,
    backend: &dyn SignerBackend,
    uid: u32,
    deadline: Duration,
    on_error: &(dyn Fn(SignerError) + Sync),
) -> io::Error {
    let open = &AtomicUsize::new(0);
    thread::scope(|scope| {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                    continue;
                }
                Err(error) => return error,
            };
            if open.load(Ordering::Acquire) >= MOST_CONNECTIONS {
                on_error(SignerError::Protocol("there are too many connections at a time"));
                continue;
            }
            open.fetch_add(1, Ordering::AcqRel);
            let started = thread::Builder::new().spawn_scoped(scope, move || {
                let answered = serve_one(stream, backend, uid, deadline);
                open.fetch_sub(1, Ordering::AcqRel);
                answered.unwrap_or_else(on_error);
            });
            if let Err(error) = started {
                open.fetch_sub(1, Ordering::AcqRel);
                on_error(error.into());
            }
        }
    })
}

/// Answers one connection, of a process of that user, within a deadline of at most [`DEADLINE`].
///
/// # Errors
/// When the other end is somebody else, does not keep to the protocol, or takes too long.
pub fn serve_one(
    stream: UnixStream,
    backend: &dyn SignerBackend,
    uid: u32,
    deadline: Duration,
) -> Result<(), SignerError> {
    let mut wire = Wire::new(stream, Instant::now() + deadline.min(DEADLINE));
    let found = wire.peer()?;
    if found != uid {
        return Err(SignerError::Peer { found, expected: uid });
    }
    let question = wire.receive()?;
    let question = Question::decode(&question).ok_or(SignerError::Protocol("the question cannot be read"))?;
    let answer = match &question {
        Question::Wallets => backend.wallets().map(|wallets| match wallets.len() {
            0..=MOST_WALLETS => Answer::Wallets(wallets),
            _ => Answer::Refused(Code::Other, "there are too many wallets for one answer".to_owned()),
        }),
        Question::Sign(wallet, what) => backend.sign(wallet, what).map(Answer::Signed),
    };
    let answer = answer.unwrap_or_else(|error| {
        let code = match &error {
            SignerError::NoWallet(_) => Code::NoWallet,
            SignerError::OtherKey(_) => Code::OtherKey,
            _ => Code::Other,
        };
        Answer::Refused(code, error.to_string())
    });
    wire.send(&answer.encode())
}
