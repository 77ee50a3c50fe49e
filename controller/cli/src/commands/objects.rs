//! `get` and `describe`.

use osmoda_schemas::{
    condition::{ConditionStatus, ConditionType, ObjectStatus},
    diagnostics::visible,
    object::{Kind, ObjectRef},
    ops::agentd::{GetObject, ListObjects, ListObjectsRequest, ObjectId},
};

use crate::{
    args::{Get, Selection},
    context::{Context, Failure},
    print::{Cell, Printer, Tone},
};

/// Lists objects.
pub async fn get(context: &Context, arguments: &Get) -> Result<u8, Failure> {
    if let Some(Selection::Object(object)) = &arguments.what {
        if context.printer.for_people() {
            return describe(context, object).await;
        }
        let id = ObjectId { kind: object.kind, name: object.name.clone() };
        let detail = context.agentd().call::<GetObject>(&id).await?;
        context.printer.print(&detail, |_| String::new())?;
        return Ok(0);
    }
    let kind = match &arguments.what {
        Some(Selection::Kind(kind)) => Some(*kind),
        _ => None,
    };
    let request = ListObjectsRequest { kind, label: arguments.label.clone() };
    let list = context.agentd().call::<ListObjects>(&request).await?;
    if context.printer.for_people() {
        context.show_problems(&list.problems);
    }
    context.printer.print(&list, |printer| {
        if list.objects.is_empty() {
            return "there is nothing yet; write a document to /var/lib/osmoda/desired, or see `osmoda explain App`\n"
                .to_owned();
        }
        let row = |status: &ObjectStatus| {
            let (state, tone, why) = state(status);
            vec![
                status.object.to_string().into(),
                Cell::toned(state, tone),
                status.generation.to_string().into(),
                status.author.to_string().into(),
                Cell::toned(first_line(&why), Tone::Dim),
            ]
        };
        let rows: Vec<Vec<Cell>> = list.objects.iter().map(row).collect();
        printer.table(&["OBJECT", "STATE", "GEN", "AUTHOR", ""], &rows)
    })?;
    Ok(0)
}

/// An object's state in a word.
fn state(status: &ObjectStatus) -> (&'static str, Tone, String) {
    let is = |kind, wanted| status.condition(kind).filter(|c| c.status == wanted);
    let message = |kind| status.condition(kind).map(|c| c.message.clone()).unwrap_or_default();
    if is(ConditionType::Accepted, ConditionStatus::False).is_some() {
        return ("refused", Tone::Bad, message(ConditionType::Accepted));
    }
    if is(ConditionType::Active, ConditionStatus::False).is_some() {
        return ("rolled-back", Tone::Bad, message(ConditionType::Active));
    }
    if is(ConditionType::Degraded, ConditionStatus::True).is_some() {
        return ("degraded", Tone::Bad, message(ConditionType::Degraded));
    }
    match status.condition(ConditionType::Active) {
        Some(active) if active.observed_generation < status.generation => ("pending", Tone::Warning, String::new()),
        None => ("pending", Tone::Warning, String::new()),
        Some(_) if is(ConditionType::Healthy, ConditionStatus::True).is_some() => {
            ("healthy", Tone::Good, message(ConditionType::Active))
        }
        Some(_) => ("active", Tone::Good, message(ConditionType::Active)),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(100).collect()
}

/// Shows all that is known about an object.
pub async fn describe(context: &Context, object: &ObjectRef) -> Result<u8, Failure> {
    let id = ObjectId { kind: object.kind, name: object.name.clone() };
    let detail = context.agentd().call::<GetObject>(&id).await?;
    let watcher = if object.kind == Kind::Watcher { watcher_line(context, object).await } else { None };
    context.printer.print(&detail, |printer| {
        let status = &detail.status;
        let (word, tone, _) = state(status);
        let mut out = format!("{}  {}\n", status.object, printer.paint(word, tone));
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                out += &format!("  {} {}\n", printer.paint(&format!("{name:<10}"), Tone::Dim), visible(value));
            }
        };
        line("author", &status.author.to_string());
        line("source", &status.source.as_ref().map(ToString::to_string).unwrap_or_default());
        line("generation", &status.generation.to_string());
        line("hash", &status.hash.map(|hash| hash.short()).unwrap_or_default());
        line("active in", status.active_in.as_deref().unwrap_or_default());
        for (unit, state) in &detail.units {
            line("unit", &format!("{unit}  {state}"));
        }
        line("watching", watcher.as_deref().unwrap_or_default());
        out += &conditions(printer, status);
        if let Some(document) = &detail.document {
            let spec = serde_saphyr::to_string(&document["spec"]).unwrap_or_default();
            out += &format!("\n{}\n", printer.paint("spec", Tone::Dim));
            out.extend(visible(&spec).lines().map(|line| format!("  {line}\n")));
        }
        out
    })?;
    if let Some(error) = detail.status.last_error.filter(|_| context.printer.for_people()) {
        context.show_problems(&[*error]);
    }
    Ok(0)
}

fn conditions(printer: &Printer, status: &ObjectStatus) -> String {
    let rows: Vec<Vec<Cell>> = status
        .conditions
        .iter()
        .map(|c| {
            let good = (c.status == ConditionStatus::True) != (c.kind == ConditionType::Degraded);
            let tone = if good { Tone::Good } else { Tone::Bad };
            let since = c.last_transition_time.strftime("%Y-%m-%d %H:%M:%S").to_string();
            vec![
                format!("  {:?}", c.kind).into(),
                Cell::toned(format!("{:?}", c.status), tone),
                c.reason.as_str().into(),
                Cell::toned(since, Tone::Dim),
                first_line(&c.message).into(),
            ]
        })
        .collect();
    "\n".to_owned() + &printer.table(&["  CONDITION", "STATUS", "REASON", "SINCE", ""], &rows)
}

async fn watcher_line(context: &Context, object: &ObjectRef) -> Option<String> {
    use osmoda_schemas::{operation::Nothing, ops::watch::ListWatchers};
    let list = context.watch().call::<ListWatchers>(&Nothing {}).await.ok()?;
    let view = list.watchers.into_iter().find(|view| view.name == object.name)?;
    let message = view.message.map(|m| format!(": {m}")).unwrap_or_default();
    Some(format!("{}{message} ({} remedies)", view.state, view.remedies))
}
