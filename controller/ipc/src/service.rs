//! A daemon's operations and how they are answered.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, RawPathParams, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use futures_util::{Stream, StreamExt};
use osmoda_schemas::{
    operation::{Nothing, Op, OpenApi, Operation},
    ops::common::{GetHealth, Health},
    problem::{PROBLEM_JSON, Problem},
};

use crate::{
    MAX_BODY, Metrics, Peer, Peers,
    request::{RequestReader, decode, parse_query},
};

/// Longest time that a call may take unless its handler was given another.
const DEADLINE: Duration = Duration::from_secs(60);
/// Time in which a request's body has to arrive.
const BODY: Duration = Duration::from_secs(10);
/// A stream says something at least this often, so that both ends notice when the other is gone.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Streams end after this time; clients come back with their cursor.
const STREAM_CAP: Duration = Duration::from_secs(30 * 60);

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The process at the other end.
    pub peer: Peer,
}

/// One event of a stream: its cursor and what it says.
#[derive(Clone, Debug)]
pub struct StreamItem<T> {
    /// Where a client goes on from.
    pub cursor: i64,
    /// The event.
    pub event: T,
}

/// Events that a streaming operation answers with.
pub type EventStream<T> = Pin<Box<dyn Stream<Item = StreamItem<T>> + Send>>;

/// The operations of a daemon. `S` is what its handlers share.
pub struct Service<S> {
    name: &'static str,
    state: S,
    peers: Peers,
    metrics: Metrics,
    router: Router,
    openapi: OpenApi,
    started: std::time::Instant,
}

impl<S> std::fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> Service<S> {
    /// A service with `/health` and nothing else yet.
    #[must_use]
    pub fn new(name: &'static str, state: S, peers: Peers, metrics: Metrics) -> Self {
        let service = Self {
            name,
            state,
            peers,
            metrics,
            router: Router::new(),
            openapi: OpenApi::default(),
            started: std::time::Instant::now(),
        };
        let started = service.started;
        service.handle::<GetHealth, _, _>(move |_, _, Nothing {}| async move {
            Ok(Health {
                status: "ok".to_owned(),
                service: name.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                uptime_secs: started.elapsed().as_secs(),
            })
        })
    }

    /// Answers an operation.
    #[must_use]
    pub fn handle<O, F, Fut>(self, handler: F) -> Self
    where
        O: Op,
        F: Fn(S, Call, O::Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O::Response, Problem>> + Send + 'static,
    {
        self.handle_within::<O, F, Fut>(DEADLINE, handler)
    }

    /// Answers an operation that may take longer than others.
    #[must_use]
    pub fn handle_within<O, F, Fut>(self, deadline: Duration, handler: F) -> Self
    where
        O: Op,
        F: Fn(S, Call, O::Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O::Response, Problem>> + Send + 'static,
    {
        self.route::<O, _, _>(move |state, call, request| {
            let work = handler(state, call, request);
            async move {
                let answer = tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
                    let detail = format!("{} took longer than {} s", O::OPERATION.name, deadline.as_secs());
                    Err(Problem::new(504, "deadline-exceeded", detail))
                });
                Ok(Json(answer?).into_response())
            }
        })
    }

    /// Answers an operation with a stream of events.
    #[must_use]
    pub fn handle_stream<O, F, Fut>(self, handler: F) -> Self
    where
        O: Op,
        F: Fn(S, Call, O::Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<EventStream<O::Response>, Problem>> + Send + 'static,
    {
        self.route::<O, _, _>(move |state, call, request| {
            let work = handler(state, call, request);
            async move { Ok(event_stream(work.await?)) }
        })
    }

    fn route<O, F, Fut>(mut self, handler: F) -> Self
    where
        O: Op,
        F: Fn(S, Call, O::Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        self.openapi.add::<O>();
        let reader = Arc::new(RequestReader::new::<O>());
        let (state, peers) = (self.state.clone(), self.peers.clone());
        let name = O::OPERATION.name;
        let calls = self.metrics.counter(&format!("osmoda_calls_total{{operation=\"{name}\"}}"), "Calls answered.");
        let refused = self
            .metrics
            .counter(&format!("osmoda_calls_refused_total{{operation=\"{name}\"}}"), "Calls answered with a problem.");
        let answer = move |Extension(peer): Extension<Peer>, path: RawPathParams, request: Request| {
            calls.increment();
            let path: Vec<(String, String)> = path.iter().map(|(k, v)| (k.to_owned(), decode_path(v))).collect();
            // Who may not call at all is not listened to any longer.
            let admitted = peers.admit(peer, &O::OPERATION);
            let (reader, state, handler) = (Arc::clone(&reader), state.clone(), handler.clone());
            let refused = refused.clone();
            async move {
                let work = async {
                    admitted?;
                    let query = parse_query(request.uri().query().unwrap_or_default());
                    let body = match read_body(request).await? {
                        Ok(body) => body,
                        Err(response) => return Ok(response),
                    };
                    let request = reader.read::<O>(path, query, &body)?;
                    handler(state, Call { peer }, request).await
                };
                work.await.unwrap_or_else(|problem: Problem| {
                    refused.increment();
                    tracing::info!(operation = name, uid = peer.uid, code = problem.code, "refused: {problem}");
                    problem_response(&problem)
                })
            }
        };
        self.router = self.router.route(O::OPERATION.path, on(method_of(&O::OPERATION), answer));
        self
    }

    pub(crate) fn into_router(self) -> Router {
        let description = self.openapi.describe(self.name, env!("CARGO_PKG_VERSION"));
        let metrics = self.metrics;
        let peers = self.peers;
        // Both are for whoever may ask for health.
        let guard = move |peer: Peer| peers.admit(peer, &GetHealth::OPERATION).err().map(|p| problem_response(&p));
        let text_guard = guard.clone();
        self.router
            .route(
                "/openapi.json",
                on(MethodFilter::GET, move |Extension(peer): Extension<Peer>| async move {
                    guard(peer).unwrap_or_else(|| Json(description).into_response())
                }),
            )
            .route(
                "/metrics",
                on(MethodFilter::GET, move |Extension(peer): Extension<Peer>| async move {
                    let text = || ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render());
                    text_guard(peer).unwrap_or_else(|| text().into_response())
                }),
            )
            .fallback(|uri: axum::http::Uri| async move {
                let problem = Problem::new(404, "no-such-path", format!("there is nothing at {}", uri.path()));
                problem_response(&problem.hint("GET /openapi.json lists what there is"))
            })
            .method_not_allowed_fallback(|uri: axum::http::Uri| async move {
                let problem = Problem::new(405, "method-not-allowed", format!("{} is not called this way", uri.path()));
                problem_response(&problem.hint("GET /openapi.json says how"))
            })
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(axum::middleware::map_response(explain_plain_errors))
    }
}

/// Does what waits for a disk, or for somebody else, where no other call waits for it.
///
/// # Errors
/// That of the work; `internal-error` when it has panicked.
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(500, "internal-error", error.to_string())))
}

/// A request's body; or the answer of the HTTP layer to one that is too large or cut off.
///
/// A body that does not arrive in time ends the call, for it holds one of the caller's connections.
async fn read_body(request: Request) -> Result<Result<Bytes, Response>, Problem> {
    match tokio::time::timeout(BODY, Bytes::from_request(request, &())).await {
        Ok(read) => Ok(read.map_err(IntoResponse::into_response)),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", BODY.as_secs());
            Err(Problem::new(408, "body-too-slow", detail).hint("send the request in one go"))
        }
    }
}

/// Errors of the HTTP layer (such as a body that is too large) get the one error body, too.
async fn explain_plain_errors(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !status.is_client_error() || kind == PROBLEM_JSON.as_bytes() {
        return response;
    }
    let problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(413, "body-too-large", format!("the body is larger than {MAX_BODY} bytes"))
        }
        other => Problem::new(other.as_u16(), "bad-request", other.canonical_reason().unwrap_or("bad request")),
    };
    problem_response(&problem)
}

fn decode_path(text: &str) -> String {
    // `+` is itself in a path.
    decode(&text.replace('+', "%2B"))
}

fn method_of(operation: &Operation) -> MethodFilter {
    let known: HashMap<&str, MethodFilter> = HashMap::from([
        ("GET", MethodFilter::GET),
        ("POST", MethodFilter::POST),
        ("PUT", MethodFilter::PUT),
        ("DELETE", MethodFilter::DELETE),
    ]);
    *known.get(operation.method).expect("operations are declared with one of these methods")
}

pub(crate) fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).expect("a problem is JSON");
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
}

/// Server-sent events (WHATWG HTML, 9.2) with the cursor as their id.
fn event_stream<T: serde::Serialize + Send + 'static>(events: EventStream<T>) -> Response {
    let frames = futures_util::stream::unfold(
        (events, tokio::time::Instant::now() + STREAM_CAP),
        |(mut events, end)| async move {
            let frame = tokio::select! {
                () = tokio::time::sleep_until(end) => return None,
                item = events.next() => {
                    let item = item?;
                    let data = serde_json::to_string(&item.event).unwrap_or_default();
                    format!("id: {}\ndata: {data}\n\n", item.cursor)
                }
                () = tokio::time::sleep(KEEPALIVE) => ": keepalive\n\n".to_owned(),
            };
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(frame)), (events, end)))
        },
    );
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(frames)).into_response()
}

#[cfg(test)]
mod tests {
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use osmoda_schemas::ops::{
        common::Accepted,
        watch::{AddRequest, AddWatcher},
    };

    use super::*;

    /// What a user gets for a body.
    async fn answer(uid: u32, body: Body) -> (StatusCode, String) {
        let service = Service::new("test", (), Peers::root_only(), Metrics::default()).handle::<AddWatcher, _, _>(
            |(), _, _: AddRequest| async { Err::<Accepted, _>(Problem::new(418, "handled", "it got here")) },
        );
        let router = service.into_router().layer(Extension(Peer { uid, gid: uid, pid: None }));
        let request = axum::http::Request::post("/watcher/add").body(body).unwrap();
        let response = TowerToHyperService::new(router).call(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), MAX_BODY).await.unwrap();
        let problem: Problem = serde_json::from_slice(&bytes).unwrap();
        (status, problem.code)
    }

    fn stalled() -> Body {
        Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_is_refused_before_the_body_and_nobody_stalls_for_ever() {
        let began = tokio::time::Instant::now();
        assert_eq!(answer(1000, stalled()).await, (StatusCode::FORBIDDEN, "peer-not-allowed".to_owned()));
        assert!(began.elapsed() < Duration::from_secs(1), "the body was waited for");
        assert_eq!(answer(0, stalled()).await, (StatusCode::REQUEST_TIMEOUT, "body-too-slow".to_owned()));
        assert_eq!(began.elapsed().as_secs(), BODY.as_secs());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let large = Body::from(vec![b' '; MAX_BODY + 1]);
        assert_eq!(answer(0, large).await, (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large".to_owned()));
        assert_eq!(answer(0, Body::from("{")).await.1, "invalid-body");
        let good = Body::from(r#"{"name":"w","spec":{}}"#);
        assert_eq!(answer(0, good).await.1, "handled");
    }
}
