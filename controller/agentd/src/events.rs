//! Events of the ledger as a list and as a stream.

use std::path::PathBuf;

use osmoda_ipc::{EventStream, StreamItem};
use osmoda_ledger::{LedgerError, Query, Reader, Row, type_matches};
use osmoda_schemas::{
    ops::agentd::{EventList, EventView, EventsRequest, StreamRequest},
    problem::Problem,
};
use tokio::sync::watch;

/// Most rows of a list.
const MOST: usize = 10_000;
/// Rows that a stream reads at a time.
const PAGE: usize = 500;

/// The latest events that fit, oldest first.
///
/// # Errors
/// When the ledger cannot be read.
pub fn list(folder: &std::path::Path, request: EventsRequest) -> Result<EventList, Problem> {
    let query = Query {
        after: request.after,
        kind: request.event_type,
        actor: request.actor,
        limit: request.limit.unwrap_or(100).min(MOST),
        newest_first: true,
    };
    let mut rows = Reader::open(folder).and_then(|reader| reader.rows(&query)).map_err(|e| problem(&e))?;
    rows.reverse();
    Ok(EventList { events: rows.into_iter().map(view).collect() })
}

/// The event of a row.
///
/// # Errors
/// When there is none.
pub fn get(folder: &std::path::Path, id: &str) -> Result<EventView, Problem> {
    let missing = || Problem::new(404, "no-such-event", format!("there is no event {id}"));
    let id: i64 = id.parse().map_err(|_| missing())?;
    let query = Query { after: Some(id - 1), limit: 1, ..Query::default() };
    let rows = Reader::open(folder).and_then(|reader| reader.rows(&query)).map_err(|e| problem(&e))?;
    rows.into_iter().find(|row| row.id == id).map(view).ok_or_else(missing)
}

/// Events from a cursor on, then as they come.
pub fn stream(folder: PathBuf, request: StreamRequest, head: watch::Receiver<i64>) -> EventStream<EventView> {
    let cursor = request.cursor.unwrap_or(*head.borrow());
    let state = (folder, request.filter, head, cursor, Vec::new().into_iter());
    Box::pin(futures_util::stream::unfold(state, |(folder, filter, mut head, mut cursor, mut page)| async move {
        loop {
            for row in page.by_ref() {
                let row: Row = row;
                cursor = row.id;
                if filter.as_ref().is_none_or(|pattern| type_matches(pattern, &row.kind)) {
                    let item = StreamItem { cursor, event: view(row) };
                    return Some((item, (folder, filter, head, cursor, page)));
                }
            }
            let query = Query { after: Some(cursor), limit: PAGE, ..Query::default() };
            head.mark_unchanged();
            let rows = Reader::open(&folder).and_then(|reader| reader.rows(&query));
            match rows {
                Ok(rows) if !rows.is_empty() => page = rows.into_iter(),
                Ok(_) => head.changed().await.ok()?,
                Err(error) => {
                    tracing::warn!("{error}");
                    return None;
                }
            }
        }
    }))
}

fn view(row: Row) -> EventView {
    EventView { id: row.id, ts: row.ts, event_type: row.kind, actor: row.actor, payload: row.payload, hash: row.hash }
}

fn problem(error: &LedgerError) -> Problem {
    Problem::new(500, "ledger-not-readable", error.to_string()).hint("`osmoda doctor` looks into it")
}
