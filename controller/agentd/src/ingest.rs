//! From a file to what it defines: read, checked against the rules of one object, allowed to its author, rendered once.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use osmoda_generation::{
    fragment::RenderError,
    nixos::{OptionsOf, PACKAGE_MARK},
    plan::Renderers,
    store_path::references,
};
use osmoda_nixos::options_of;
use osmoda_schemas::{
    authors::{AuthorRule, authorize},
    document::{self, Document},
    kinds::NixosConfig,
    nixos::{OptionPath, package_attribute},
    object::{Author, ContentHash, Object, Spec},
    problem::Problem,
    rules::{Backend, Facts, Violation, check_object, facts},
};

use crate::{
    options::OptionChecks,
    sources::{Content, Found, Scan},
    world::{Definition, FileEntry, Refused},
};

/// What documents are judged by.
#[derive(Clone, Debug)]
pub struct Judge {
    /// Where generations are to run.
    pub backend: Backend,
    /// What users other than root may wish; uids only.
    pub authors: Vec<AuthorRule>,
    /// What objects are rendered by.
    pub renderers: Renderers,
    /// NixOS options that documents may set at all; none: every one.
    pub allowed_options: Option<Vec<String>>,
    /// What checks the values of NixOS options; only with the backend `nixos`.
    pub options: Option<OptionChecks>,
}

impl Judge {
    /// What all changed files say now, on two threads when there are many.
    #[must_use]
    pub fn changes(&self, mut scan: Scan) -> Vec<(PathBuf, Option<FileEntry>)> {
        let mut first: Vec<_> = std::mem::take(&mut scan.changes).into_iter().collect();
        let judge = |(path, found): (PathBuf, Found)| {
            let entry = self.file(&path, scan.read(&path, found)?);
            Some((path, entry))
        };
        if first.len() < 64 {
            return first.into_iter().filter_map(judge).collect();
        }
        let second = first.split_off(first.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| second.into_iter().filter_map(judge).collect::<Vec<_>>());
            let mut entries: Vec<_> = first.into_iter().filter_map(judge).collect();
            entries.extend(other.join().expect("reading documents does not panic"));
            entries
        })
    }

    /// What a file says now; none when it is gone.
    fn file(&self, path: &Path, content: Content) -> Option<FileEntry> {
        match content {
            Content::Gone => None,
            Content::Unreadable { author, problem } => {
                let refused = Refused { reference: None, problems: vec![*problem] };
                Some(FileEntry { author, definitions: Vec::new(), refused: vec![refused] })
            }
            Content::Read { author, bytes } => Some(self.text(path, author, &bytes)),
        }
    }

    /// What a text says.
    #[must_use]
    pub fn text(&self, path: &Path, author: Author, bytes: &[u8]) -> FileEntry {
        let mut entry = FileEntry { author, definitions: Vec::new(), refused: Vec::new() };
        for mut document in document::read(path, bytes) {
            match std::mem::replace(&mut document.result, Err(nothing())) {
                Ok(object) => match self.object(&document, &object, author) {
                    Ok(definition) => entry.definitions.push(definition),
                    Err(problems) => {
                        entry.refused.push(Refused { reference: Some(object.reference()), problems });
                    }
                },
                Err(refusal) => {
                    entry.refused.push(Refused { reference: refusal.reference, problems: refusal.problems });
                }
            }
        }
        // There are many files of one document, and they are kept.
        entry.definitions.shrink_to_fit();
        entry
    }

    fn object(&self, document: &Document, object: &Object, author: Author) -> Result<Definition, Vec<Problem>> {
        let mut broken = check_object(object, self.backend);
        broken.extend(authorize(author, object, &self.authors).err());
        let canonical = object.canonical_json();
        broken.extend(missing_path(object, &canonical));
        broken.extend(reserved(&canonical));
        // What cannot be rendered is told now, with its place, and keeps nobody else back.
        if broken.is_empty()
            && let Err(error) = self.renderers.render(object)
        {
            broken.extend(render_violations(error));
        }
        let hash = ContentHash::of(&canonical);
        if let Spec::NixosConfig(config) = &object.spec {
            broken.extend(self.forbidden(config));
        }
        if broken.is_empty()
            && let Some(checks) = &self.options
            && let Some(options) = asks_of_nixos(object)
        {
            broken.extend(checks.verdict(hash, &options, &document.position.file));
        }
        if !broken.is_empty() {
            let at = |violation: Violation| {
                let field = violation.field.clone();
                document.at_field(&field, violation.into_problem())
            };
            return Err(broken.into_iter().map(at).collect());
        }
        Ok(Definition {
            reference: object.reference(),
            hash,
            canonical: canonical.into(),
            facts: shared(facts(object)),
            line: document.position.line,
            column: document.position.column,
        })
    }
}

impl Judge {
    /// Options that the operator does not leave to documents, whoever writes them.
    fn forbidden(&self, config: &NixosConfig) -> Vec<Violation> {
        let Some(allowed) = &self.allowed_options else { return Vec::new() };
        let may = |option: &&String| OptionPath::parse(option).is_none_or(|path| path.is_allowed(allowed));
        let violation = |option: &String| {
            Violation::new(
                "option-not-allowed",
                format!("spec.options[\"{option}\"]"),
                format!("documents may not set `{option}`"),
                "an operator can allow it under `nixos.allowedOptions` in /etc/osmoda/agentd.yaml",
            )
        };
        config.options.keys().filter(|option| !may(option)).map(violation).collect()
    }
}

/// The same facts once: most of ten thousand objects matter to others in one of a few ways.
pub(crate) fn shared(facts: Facts) -> Arc<Facts> {
    const MOST: usize = 16;
    static KNOWN: Mutex<Vec<Arc<Facts>>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.iter().find(|other| ***other == facts) {
        return Arc::clone(same);
    }
    let facts = Arc::new(facts);
    if known.len() < MOST {
        known.push(Arc::clone(&facts));
    }
    facts
}

/// Stands in for a result that was taken out.
fn nothing() -> document::Refusal {
    document::Refusal { reference: None, problems: Vec::new() }
}

/// A generation that names a store path which is not there, in whatever field, could not be added to the store, with all
/// that is in it.
fn missing_path(object: &Object, canonical: &str) -> Option<Violation> {
    let missing = references(canonical.as_bytes()).into_iter().find(|path| !path.as_path().exists())?;
    let in_package = package_of(object).is_some_and(|package| package.starts_with(missing.as_str()));
    Some(Violation::new(
        "path-not-in-store",
        if in_package { "spec.package" } else { "spec" },
        format!("{missing} is not in the Nix store of this machine"),
        "build or copy it first, such as with `nix copy`; then save the document again",
    ))
}

/// What stands for a package in units is for renderers alone: in a document's own words it would be replaced, too.
fn reserved(canonical: &str) -> Option<Violation> {
    canonical.contains(PACKAGE_MARK).then(|| {
        let detail = format!("`{PACKAGE_MARK}` is reserved");
        Violation::new(
            "reserved-text",
            "spec",
            detail,
            "name packages in `spec.package`, and their folder by `${package}`",
        )
    })
}

/// The program of an object that runs one, as a store path or an attribute.
fn package_of(object: &Object) -> Option<&str> {
    match &object.spec {
        Spec::App(app) => app.package.as_deref(),
        Spec::McpServer(server) => server.package.as_deref(),
        _ => None,
    }
}

/// What of an object only NixOS can judge.
fn asks_of_nixos(object: &Object) -> Option<OptionsOf> {
    let name = object.metadata.name.as_str();
    match &object.spec {
        Spec::NixosConfig(config) => options_of(name, config).ok(),
        _ => {
            let attribute = package_attribute(package_of(object)?)?.to_owned();
            Some(OptionsOf { name: name.to_owned(), options: Vec::new(), packages: vec![attribute] })
        }
    }
}

fn render_violations(error: RenderError) -> Vec<Violation> {
    let one = match error {
        RenderError::Rules(violations) => return violations,
        RenderError::NeedsNixos { reason, .. } => {
            Violation::new("needs-nixos-backend", "kind", reason, "use it on NixOS with `backend: nixos`")
        }
        RenderError::Field { field, reason } => Violation::new("not-renderable", field, reason, "change the field"),
        RenderError::Tree(error) => {
            Violation::new("path-traversal", "spec.files", error.to_string(), "use plain relative paths")
        }
    };
    vec![one]
}
