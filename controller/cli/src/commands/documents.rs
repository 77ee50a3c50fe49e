//! `validate`, `diff`, `apply`, `delete`.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use osmoda_ipc::read_config;
use osmoda_schemas::{
    config::Config,
    diagnostics::visible,
    document,
    object::ObjectRef,
    ops::agentd::{ApplyRequest, DeleteObject, DocumentFile, GetPlan, ObjectId, PlanAnswer, PlanRequest, PostApply},
    plan::{Change, FieldChange, PackageChange, Plan, UnitChange, UnitVerb},
    problem::Problem,
    rules::{SetEntry, check_object, check_set, facts},
};
use serde_json::json;

use super::wait;
use crate::{
    args::{Apply, Diff, Validate},
    context::{CONFIG, Context, Failure},
    print::{Cell, Printer, Tone},
};

/// Values of a field are shown up to this many characters.
const VALUE: usize = 60;

/// Checks documents without any daemon.
pub fn validate(context: &Context, arguments: &Validate) -> Result<u8, Failure> {
    let config = match &arguments.config {
        // Not for this machine, perhaps: its authors need not be users here.
        Some(file) => Config::read(file, &String::from_utf8_lossy(&read(file)?)),
        None => read_config(Path::new(CONFIG)),
    }
    .map_err(Failure::Problems)?;
    let mut paths = arguments.paths.clone();
    if paths.is_empty() {
        // Of those, one may not be there yet.
        paths = config.source_paths();
        paths.retain(|path| path.exists());
    }
    let mut problems = Vec::new();
    let mut objects = Vec::new();
    for file in files(&paths)? {
        let bytes = read(&file)?;
        for document in document::read(&file, &bytes) {
            match &document.result {
                Ok(object) => {
                    let broken = check_object(object, config.backend);
                    problems.extend(broken.into_iter().map(|violation| {
                        let field = violation.field.clone();
                        document.at_field(&field, violation.into_problem())
                    }));
                    let hash = osmoda_schemas::object::ContentHash::of(object.canonical_json());
                    objects.push((object.reference(), hash, facts(object), document));
                }
                Err(refusal) => problems.extend(refusal.problems.iter().cloned()),
            }
        }
    }
    for (i, (reference, _, _, document)) in objects.iter().enumerate() {
        if let Some((_, _, _, first)) = objects[..i].iter().find(|(other, ..)| other == reference) {
            let detail = format!("{reference} is defined at {} already", first.position);
            let problem = Problem::new(422, "duplicate-object", detail).hint("remove one of the two");
            problems.push(document.at_field("metadata.name", problem));
        }
    }
    let entries: Vec<SetEntry<'_>> = objects
        .iter()
        .map(|(reference, hash, facts, _)| SetEntry { reference, hash: *hash, in_force: false, facts })
        .collect();
    for (reference, violation) in check_set(&entries) {
        let at = objects.iter().find(|(r, ..)| *r == reference).map(|(_, _, _, document)| document);
        let field = violation.field.clone();
        let problem = violation.into_problem();
        problems.push(match at {
            Some(document) => document.at_field(&field, problem),
            None => problem,
        });
    }
    if problems.is_empty() {
        let names: Vec<String> = objects.iter().map(|(reference, ..)| reference.to_string()).collect();
        context.printer.print(&json!({ "valid": names }), |printer| {
            let count = names.len();
            format!("{} {count} documents\n", printer.paint("valid:", Tone::Good)).replace("1 documents", "1 document")
        })?;
        return Ok(0);
    }
    Err(Failure::Problems(problems))
}

/// Shows what an apply would do.
pub async fn diff(context: &Context, arguments: &Diff) -> Result<u8, Failure> {
    let answer = plan(context, &arguments.files, arguments.build).await?;
    show(context, &answer)?;
    Ok(u8::from(!answer.plan.is_empty()))
}

/// Makes the documents real.
pub async fn apply(context: &Context, arguments: &Apply) -> Result<u8, Failure> {
    if arguments.dry_run {
        let answer = plan(context, &arguments.files, false).await?;
        show(context, &answer)?;
        return Ok(0);
    }
    let request = ApplyRequest {
        documents: documents(&arguments.files)?,
        plan: arguments.plan.clone(),
        ttl: arguments.ttl,
        accept_mass_delete: arguments.accept_mass_delete,
        clear_quarantine: arguments.clear_quarantine,
        rebuild: arguments.rebuild,
    };
    let answer = context.agentd().call::<PostApply>(&request).await?;
    if context.printer.for_people() {
        context.show_problems(&answer.problems);
        eprint!("{}", table(&context.printer, &answer.plan, &answer.plan.body.units, &[]));
    }
    match &answer.switch {
        Some(id) if arguments.wait => wait::follow(context, id).await,
        Some(id) => {
            context
                .printer
                .print(&answer, |_| format!("switch {id} has begun; see `osmoda history`, or use --wait\n"))?;
            Ok(0)
        }
        None => {
            context.printer.print(&answer, |_| "everything is as it should be\n".to_owned())?;
            Ok(0)
        }
    }
}

/// Deletes objects that came over an API.
pub async fn delete(context: &Context, objects: &[ObjectRef], wait: bool) -> Result<u8, Failure> {
    let agentd = context.agentd();
    for object in objects {
        let id = ObjectId { kind: object.kind, name: object.name.clone() };
        agentd.call::<DeleteObject>(&id).await?;
        if context.printer.for_people() {
            eprintln!("{object} is no longer wished");
        }
    }
    // In mode `auto` this has begun by itself; here its outcome is asked for.
    let answer = agentd.call::<PostApply>(&ApplyRequest::default()).await?;
    match &answer.switch {
        Some(id) if wait => wait::follow(context, id).await,
        _ => {
            context.printer.print(&answer, |_| String::new())?;
            Ok(0)
        }
    }
}

async fn plan(context: &Context, paths: &[PathBuf], build: bool) -> Result<PlanAnswer, Failure> {
    let request = PlanRequest { documents: documents(paths)?, build };
    Ok(context.agentd().call::<GetPlan>(&request).await?)
}

fn show(context: &Context, answer: &PlanAnswer) -> Result<(), Failure> {
    if context.printer.for_people() {
        context.show_problems(&answer.problems);
    }
    // What was built is known better than what was planned.
    let (units, packages) = match &answer.preview {
        Some(preview) => (&preview.units, &preview.packages),
        None => (&answer.plan.body.units, &answer.packages),
    };
    context.printer.print(answer, |printer| table(printer, &answer.plan, units, packages))?;
    Ok(())
}

fn documents(paths: &[PathBuf]) -> Result<Vec<DocumentFile>, Failure> {
    let mut documents = Vec::new();
    for file in files(paths)? {
        let bytes = read(&file)?;
        let absolute = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
        let name = if file.as_os_str() == "-" { "stdin".to_owned() } else { absolute.display().to_string() };
        match String::from_utf8(bytes) {
            Ok(text) => documents.push(DocumentFile { file: name, text }),
            Err(error) => {
                // The reader says where it stops being text.
                let found = document::read(&file, error.as_bytes());
                let problems = found.into_iter().filter_map(|d| d.result.err()).flat_map(|refusal| refusal.problems);
                return Err(Failure::Problems(problems.collect()));
            }
        }
    }
    Ok(documents)
}

/// Files as they are, and the documents of folders.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| unreadable(folder, &e))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !path.file_name().is_some_and(document::is_hidden))
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found)?;
        } else if document::is_document(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|e| unreadable(file, &e))?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(|e| unreadable(file, &e))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Problem::new(422, "unreadable-file", format!("{} cannot be read: {error}", path.display())).into()
}

/// A plan for people.
fn table(printer: &Printer, plan: &Plan, units: &[UnitChange], packages: &[PackageChange]) -> String {
    if plan.is_empty() {
        return format!(
            "{} {} objects are as they should be\n",
            printer.paint("no changes:", Tone::Good),
            plan.body.unchanged
        );
    }
    let mut out = String::new();
    for change in &plan.body.objects {
        let (sign, tone) = match change.change {
            Change::Create => ("+", Tone::Good),
            Change::Update => ("~", Tone::Warning),
            Change::Delete => ("-", Tone::Bad),
        };
        out += &format!("{} {}", printer.paint(sign, tone), printer.paint(&change.object.to_string(), tone));
        out += &printer.paint(&format!("  by {}", change.author), Tone::Dim);
        if change.destructive {
            out += &printer.paint("  takes away protection", Tone::Bad);
        }
        out.push('\n');
        for field in &change.fields {
            out += &field_line(printer, field);
        }
    }
    if !units.is_empty() {
        let rows: Vec<Vec<Cell>> = units
            .iter()
            .map(|unit| {
                let (verb, tone) = match unit.verb {
                    UnitVerb::Stop => ("stop", Tone::Bad),
                    UnitVerb::Reload => ("reload", Tone::Good),
                    UnitVerb::Restart => ("restart", Tone::Warning),
                    UnitVerb::Start => ("start", Tone::Good),
                    UnitVerb::Keep => ("keep", Tone::Dim),
                };
                vec![Cell::toned(verb, tone), unit.unit.as_str().into(), Cell::toned(unit.reason.as_str(), Tone::Dim)]
            })
            .collect();
        out.push('\n');
        out += &printer.table(&["", "UNIT", "WHY"], &rows);
    }
    let closure = &plan.body.closure;
    for (sign, paths, tone) in [("+", &closure.added, Tone::Good), ("-", &closure.removed, Tone::Bad)] {
        // Packages say it better, where Nix could be asked for them.
        for path in paths.iter().filter(|_| packages.is_empty()) {
            out += &format!("{} {path}\n", printer.paint(sign, tone));
        }
    }
    for package in packages {
        out += &package_line(printer, package);
    }
    for warning in &plan.body.warnings {
        out += &format!("{} {}\n", printer.paint("warning:", Tone::Warning), visible(warning));
    }
    let changed = plan.body.objects.len();
    let summary = format!("plan {}: {changed} to change, {} unchanged", plan.id.short(), plan.body.unchanged);
    out + "\n" + &printer.paint(&summary, Tone::Dim) + "\n"
}

fn package_line(printer: &Printer, PackageChange { name, before, after }: &PackageChange) -> String {
    let (sign, tone) = match (before.is_empty(), after.is_empty()) {
        (true, _) => ("+", Tone::Good),
        (_, true) => ("-", Tone::Bad),
        _ => ("~", Tone::Warning),
    };
    let (old, new) = (before.join(", "), after.join(", "));
    let versions = match sign {
        "~" if old == new => format!("{old} (another build)"),
        "~" => format!("{old} -> {new}"),
        _ => old + &new,
    };
    format!("{} {name} {}\n", printer.paint(sign, tone), versions.trim())
}

fn field_line(printer: &Printer, field: &FieldChange) -> String {
    let show = |value: &serde_json::Value| {
        let text = value.to_string();
        let short: String = visible(&text).chars().take(VALUE).collect();
        if short.len() < text.len() { short + "…" } else { short }
    };
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => {
            let (before, after) = (printer.paint(&show(before), Tone::Bad), printer.paint(&show(after), Tone::Good));
            format!("    {}: {before} -> {after}\n", field.path)
        }
        (Some(before), None) => format!("  {} {}: {}\n", printer.paint("-", Tone::Bad), field.path, show(before)),
        (None, Some(after)) => format!("  {} {}: {}\n", printer.paint("+", Tone::Good), field.path, show(after)),
        (None, None) => String::new(),
    }
}
