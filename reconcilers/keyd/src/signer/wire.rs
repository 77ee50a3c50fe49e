//! Frames over a Unix socket, until a deadline.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Instant,
};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    sockopt::{Timeout, set_socket_timeout, socket_peercred},
};

use super::{SignerError, protocol::MOST_FRAME};

/// A connection that ends at a time, however slowly the other end writes.
pub(super) struct Wire {
    stream: UnixStream,
    until: Instant,
}

impl Wire {
    pub(super) fn new(stream: UnixStream, until: Instant) -> Self {
        Self { stream, until }
    }

    /// Connects, or waits for room in the queue of who listens there.
    pub(super) fn connect(path: &Path, until: Instant) -> Result<Self, SignerError> {
        let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.map_err(io::Error::from)?;
        set_socket_timeout(&socket, Timeout::Send, Some(left(until)?)).map_err(io::Error::from)?;
        connect(&socket, &address).map_err(|error| failed(error.into()))?;
        Ok(Self::new(socket.into(), until))
    }

    /// The user at the other end: the kernel's word (SO_PEERCRED of unix(7)). To a process in a PID namespace of its own
    /// those outside have no pid; rustix has no form for that, and gives an error.
    pub(super) fn peer(&self) -> Result<u32, SignerError> {
        let peer = socket_peercred(&self.stream);
        let told =
            peer.map_err(|_| SignerError::Protocol("its user cannot be told: it is in another PID namespace"))?;
        Ok(told.uid.as_raw())
    }

    pub(super) fn send(&mut self, body: &[u8]) -> Result<(), SignerError> {
        let length = u32::try_from(body.len()).ok().filter(|_| (1..=MOST_FRAME).contains(&body.len()));
        let length = length.ok_or(SignerError::Protocol("the frame is too long"))?;
        let frame = [&length.to_be_bytes(), body].concat();
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(left(self.until)?))?;
            match self.stream.write(rest) {
                Ok(0) => return Err(SignerError::Protocol("the connection was closed")),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    pub(super) fn receive(&mut self) -> Result<Vec<u8>, SignerError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if !(1..=MOST_FRAME).contains(&length) {
            return Err(SignerError::Protocol("the frame is empty or too long"));
        }
        let mut body = vec![0; length];
        self.fill(&mut body)?;
        Ok(body)
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), SignerError> {
        while !buffer.is_empty() {
            self.stream.set_read_timeout(Some(left(self.until)?))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(SignerError::Protocol("the connection was closed in the middle")),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

fn left(until: Instant) -> Result<std::time::Duration, SignerError> {
    until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(SignerError::TimedOut)
}

fn failed(error: io::Error) -> SignerError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => SignerError::TimedOut,
        _ => SignerError::Io(error),
    }
}
