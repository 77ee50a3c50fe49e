//! Making the calls of an operation.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use osmoda_schemas::{operation::Op, problem::Problem};
use serde_json::{Map, Value};
use tokio::net::UnixStream;

use crate::request::encode;

/// Longest time that a call may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("{} does not answer: {source}", .socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon says no.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// It took too long.
    #[error("{operation} was not answered within {} s", .after.as_secs())]
    Timeout {
        /// The operation.
        operation: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// What came back is no answer.
    #[error("{operation}: the answer cannot be read: {reason}")]
    Answer {
        /// The operation.
        operation: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl ClientError {
    /// As the one error body.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::Unreachable { ref socket, .. } => {
                let unit = socket.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let hint =
                    format!("is it running, and may you open its socket? `osmoda doctor` looks into it ({unit})");
                Problem::new(503, "daemon-unreachable", self.to_string()).hint(hint)
            }
            Self::Timeout { .. } => Problem::new(504, "deadline-exceeded", self.to_string()),
            Self::Answer { .. } => Problem::new(502, "invalid-answer", self.to_string()),
        }
    }
}

/// Calls one daemon. Each call has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    deadline: Duration,
}

impl Client {
    /// A client of the daemon at that socket.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), deadline: DEADLINE }
    }

    /// With another deadline for each call.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Makes a call.
    ///
    /// # Errors
    /// When the daemon cannot be reached, says no, or takes too long.
    pub async fn call<O: Op>(&self, request: &O::Request) -> Result<O::Response, ClientError> {
        let name = O::OPERATION.name;
        let unreadable = |reason: String| ClientError::Answer { operation: name, reason };
        let work = async {
            let response = self.send::<O>(request).await?;
            let bytes = Limited::new(response.into_body(), MAX_ANSWER)
                .collect()
                .await
                .map_err(|e| unreadable(e.to_string()))?
                .to_bytes();
            serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))
        };
        tokio::time::timeout(self.deadline, work)
            .await
            .map_err(|_| ClientError::Timeout { operation: name, after: self.deadline })?
    }

    /// Follows a stream of events until `each` says stop (false) or the daemon ends it.
    ///
    /// # Errors
    /// When the daemon cannot be reached or says no.
    pub async fn follow<O: Op>(
        &self,
        request: &O::Request,
        mut each: impl FnMut(O::Response) -> bool,
    ) -> Result<(), ClientError> {
        let unreadable = |reason: String| ClientError::Answer { operation: O::OPERATION.name, reason };
        let mut body = self.send::<O>(request).await?.into_body();
        let mut buffer = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| unreadable(e.to_string()))?.into_data() else { continue };
            buffer.extend_from_slice(&data);
            while let Some(end) = buffer.windows(2).position(|w| w == b"\n\n") {
                let event = buffer.split_to(end + 2);
                let text = String::from_utf8_lossy(&event);
                let data: String = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                if !data.is_empty() {
                    let event = serde_json::from_str(&data).map_err(|e| unreadable(e.to_string()))?;
                    if !each(event) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn send<O: Op>(&self, request: &O::Request) -> Result<Response<Incoming>, ClientError> {
        let operation = O::OPERATION;
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let other = |e: hyper::Error| unreachable(std::io::Error::other(e));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
        tokio::spawn(connection);
        let fields = match serde_json::to_value(request) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let (uri, body) = address(&operation, fields);
        let request = Request::builder()
            .method(operation.method)
            .uri(uri)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .expect("method and path are ours, and the rest is encoded");
        let response = sender.send_request(request).await.map_err(other)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let bytes = bytes.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let problem = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Problem::new(status.as_u16(), "invalid-answer", String::from_utf8_lossy(&bytes)));
        Err(ClientError::Problem(Box::new(problem)))
    }
}

/// Where the fields of a request travel: in the path, in the body, or in the query.
fn address(operation: &osmoda_schemas::operation::Operation, mut fields: Map<String, Value>) -> (String, Vec<u8>) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut uri = operation.path.to_owned();
    for parameter in operation.path_parameters() {
        let value = fields.remove(parameter).unwrap_or_default();
        uri = uri.replace(&format!("{{{parameter}}}"), &encode(&text(&value)));
    }
    if operation.has_body() {
        return (uri, Value::Object(fields).to_string().into_bytes());
    }
    let pairs: Vec<String> = fields
        .iter()
        .filter(|(_, v)| !v.is_null())
        .map(|(k, v)| format!("{}={}", encode(k), encode(&text(v))))
        .collect();
    if !pairs.is_empty() {
        uri = format!("{uri}?{}", pairs.join("&"));
    }
    (uri, Vec::new())
}
