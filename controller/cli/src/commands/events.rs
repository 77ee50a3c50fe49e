//! `events`.

use osmoda_ledger::{Query, Reader};
use osmoda_schemas::{
    diagnostics::visible,
    ops::agentd::{EventList, EventView, EventsRequest, ListEvents, StreamEvents, StreamRequest},
    problem::Problem,
};

use crate::{
    args::{EventFilter, Events, Output},
    context::{Context, Failure},
    print::{Printer, Tone},
};

/// Shows events of the running machine; with `--follow` it goes on.
pub async fn events(context: &Context, arguments: &Events) -> Result<u8, Failure> {
    let filter = &arguments.filter;
    let request = EventsRequest {
        event_type: filter.event_type.clone(),
        actor: filter.actor.clone(),
        limit: Some(filter.limit as usize),
        after: filter.since,
    };
    let list = context.agentd().call::<ListEvents>(&request).await?;
    let mut cursor = list.events.last().map(|event| event.id).or(filter.since);
    if !arguments.follow {
        context.printer.print(&list, |printer| lines(printer, &list.events))?;
        return Ok(0);
    }
    let show = |event: &EventView| {
        if filter.actor.as_ref().is_some_and(|actor| *actor != event.actor) {
            return true;
        }
        let text = match context.printer.output() {
            Output::Table => line(&context.printer, event),
            // One object a line: made for pipes.
            _ => serde_json::to_string(event).unwrap_or_default() + "\n",
        };
        context.printer.raw(&text).is_ok()
    };
    for event in &list.events {
        if !show(event) {
            return Ok(0);
        }
    }
    loop {
        let request = StreamRequest { cursor, filter: filter.event_type.clone() };
        let mut go_on = true;
        let agentd = context.agentd();
        let follow = agentd.follow::<StreamEvents>(&request, |event| {
            cursor = Some(event.id);
            go_on = show(&event);
            go_on
        });
        let ended = follow.await;
        if !go_on {
            return Ok(0);
        }
        // The daemon ends streams now and then, or was restarted: the cursor knows where we were.
        if let Err(error) = ended {
            if matches!(error, osmoda_ipc::ClientError::Problem(_)) {
                return Err(error.into());
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

/// Shows events from the ledger itself: also when no daemon runs.
pub fn from_ledger(context: &Context, filter: &EventFilter) -> Result<u8, Failure> {
    let query = Query {
        after: filter.since,
        kind: filter.event_type.clone(),
        actor: filter.actor.clone(),
        limit: filter.limit as usize,
        newest_first: true,
    };
    let rows = Reader::open(&context.ledger()).and_then(|reader| reader.rows(&query));
    let mut rows = rows.map_err(|e| Problem::new(500, "ledger-not-readable", e.to_string()))?;
    rows.reverse();
    let view = |row: osmoda_ledger::Row| EventView {
        id: row.id,
        ts: row.ts,
        event_type: row.kind,
        actor: row.actor,
        payload: row.payload,
        hash: row.hash,
    };
    let list = EventList { events: rows.into_iter().map(view).collect() };
    context.printer.print(&list, |printer| lines(printer, &list.events))?;
    Ok(0)
}

fn lines(printer: &Printer, events: &[EventView]) -> String {
    events.iter().map(|event| line(printer, event)).collect()
}

fn line(printer: &Printer, event: &EventView) -> String {
    let kind = event.event_type.as_str();
    let bad = ["failed", "refused", "alert", "rolled-back", "rolling-back", "flapping", "exhausted"];
    let good = ["committed", "started", "remedied", "recovered"];
    let tone = match () {
        () if bad.iter().any(|end| kind.ends_with(end)) => Tone::Bad,
        () if good.iter().any(|end| kind.ends_with(end)) => Tone::Good,
        () => Tone::Plain,
    };
    // What a person looks for first; the rest is in `-o json`.
    let payload = &event.payload;
    let words = ["object", "unit", "switch", "reason", "detail", "remedy", "outcome", "number", "name", "result"];
    let told: Vec<String> = words
        .iter()
        .filter_map(|word| Some((word, payload.get(word)?)))
        .filter(|(_, value)| !value.is_null())
        .map(|(word, value)| format!("{word}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let told: String = visible(&told.join(" ")).replace('\n', " ").chars().take(160).collect();
    let id = printer.paint(&format!("{:>6}", event.id), Tone::Dim);
    let ts = printer.paint(&event.ts, Tone::Dim);
    format!("{id} {ts} {} {} {told}\n", printer.paint(&format!("{kind:<22}"), tone), event.actor)
}
