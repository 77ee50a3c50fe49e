//! The difference between the active generation and what is wished, as a [`Plan`]. Its cost grows with what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use osmoda_schemas::{
    object::{Author, ContentHash, Kind, Object, ObjectRef},
    plan::{Change, ClosureDiff, ObjectChange, Plan, PlanBody, UnitChange, UnitVerb},
};
use osmoda_systemd::{ActivationPlan, ActiveState, Step, UnitFile, plan_activation};

use crate::{
    NixStore,
    diff::field_changes,
    fragment::{Fragment, Loosens, Reconciler, RenderError},
    manifest::Manifest,
    store_path::{StorePath, references},
};

/// The generation that a plan starts from.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// Its store path; none on a machine without one.
    pub path: Option<StorePath>,
    /// Where its files are.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Base {
    /// Reads a generation from the store.
    ///
    /// # Errors
    /// When its manifest cannot be read.
    pub fn read(store: &NixStore, path: StorePath) -> io::Result<Self> {
        let folder = store.locate(&path);
        let manifest = Manifest::read(&folder)?;
        Ok(Self { path: Some(path), folder, manifest })
    }

    /// The file of an object's document.
    #[must_use]
    pub fn document(&self, reference: &ObjectRef) -> PathBuf {
        self.folder.join(format!("desired/{}/{}.json", reference.kind, reference.name))
    }
}

/// A wished object as the planner sees it.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Its name.
    pub reference: &'a ObjectRef,
    /// Its canonical document.
    pub canonical: &'a str,
    /// The hash of that.
    pub hash: ContentHash,
    /// Who wished for it.
    pub author: Author,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An object cannot be rendered.
    #[error("{object}: {source}")]
    Render {
        /// Which.
        object: ObjectRef,
        /// Why not.
        source: RenderError,
    },
    /// The active generation cannot be read.
    #[error("the active generation cannot be read: {0}")]
    Base(#[from] io::Error),
}

/// The reconcilers of all kinds.
#[derive(Clone, Default)]
pub struct Renderers {
    all: Vec<std::sync::Arc<dyn Reconciler>>,
}

impl std::fmt::Debug for Renderers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|r| r.kind())).finish()
    }
}

impl Renderers {
    /// These reconcilers.
    #[must_use]
    pub fn new(all: Vec<std::sync::Arc<dyn Reconciler>>) -> Self {
        Self { all }
    }

    /// Renders an object by its kind.
    ///
    /// # Errors
    /// What cannot be rendered here.
    pub fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        match self.all.iter().find(|r| r.kind() == object.kind) {
            Some(reconciler) => reconciler.render(object),
            None => Err(RenderError::NeedsNixos {
                object: object.reference(),
                reason: "the backend `profile` has nothing that carries it out".to_owned(),
            }),
        }
    }

    /// What tells whether a change of that kind takes away protection or data.
    fn judge(&self, kind: Kind) -> Option<Loosens> {
        self.all.iter().find(|r| r.kind() == kind)?.loosens()
    }

    /// Renders a canonical document.
    ///
    /// # Errors
    /// What cannot be rendered here.
    pub fn render_canonical(&self, reference: &ObjectRef, canonical: &str) -> Result<Fragment, PlanError> {
        let failed = |source| PlanError::Render { object: reference.clone(), source };
        let object = Object::from_json(canonical)
            .map_err(|e| failed(RenderError::Field { field: "document".to_owned(), reason: e.to_string() }))?;
        self.render(&object).map_err(failed)
    }
}

/// All that is wished, with what of it is not as in the base.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// The digest of all objects: [`crate::desired::Desired`].
    pub digest: ContentHash,
    /// How many there are.
    pub count: usize,
    /// Those that the base has not, has otherwise, or has although nobody wishes for them, in the order of their names.
    pub changed: &'a BTreeSet<ObjectRef>,
}

/// True when an object is not in the base as it is wished; none: it is not wished.
#[must_use]
pub fn differs(base: &Base, reference: &ObjectRef, wished: Option<(ContentHash, Author)>) -> bool {
    base.manifest.objects.get(reference).map(|entry| (entry.hash, entry.author)) != wished
}

/// Plans the way from a generation to what is wished. Pure but for reading the base's files of what changed: the states
/// of units do not matter, so that the same wish gives the same plan; a unit that should run and does not is started
/// by the activation all the same. `wish_of` knows what is wished of an object.
///
/// # Errors
/// When an object that changes cannot be rendered, or the base not read.
pub fn plan<'a>(
    base: &Base,
    wishes: Wishes<'_>,
    wish_of: impl Fn(&ObjectRef) -> Option<Wish<'a>>,
    renderers: &Renderers,
) -> Result<Plan, PlanError> {
    let mut difference = Difference::default();
    let mut unchanged = wishes.count;
    for reference in wishes.changed {
        match (wish_of(reference), base.manifest.objects.get(reference)) {
            (Some(wish), before) => {
                unchanged -= 1;
                match before {
                    Some(_) => difference.update(base, &wish, renderers)?,
                    None => difference.create(&wish, renderers)?,
                }
            }
            (None, Some(entry)) => difference.delete(base, reference, entry.author, renderers)?,
            (None, None) => {}
        }
    }
    let units = difference.unit_changes();
    let closure = difference.closure(base, wishes.changed);
    Ok(Plan::new(PlanBody {
        base: base.path.as_ref().map(ToString::to_string),
        desired: wishes.digest,
        objects: difference.objects,
        unchanged,
        units,
        closure,
        warnings: difference.warnings,
    }))
}

#[derive(Default)]
struct Difference {
    objects: Vec<ObjectChange>,
    old_units: BTreeMap<String, UnitFile>,
    new_units: BTreeMap<String, UnitFile>,
    old_wanted: BTreeSet<String>,
    new_wanted: BTreeSet<String>,
    owners: BTreeMap<String, ObjectRef>,
    old_paths: BTreeSet<StorePath>,
    new_paths: BTreeSet<StorePath>,
    warnings: Vec<String>,
}

impl Difference {
    fn create(&mut self, wish: &Wish<'_>, renderers: &Renderers) -> Result<(), PlanError> {
        self.take_new(wish, renderers)?;
        let mut new = change(wish.reference, Change::Create, wish.author, Some(wish.hash));
        let judge = renderers.judge(wish.reference.kind);
        new.destructive = judge.is_some_and(|judge| is_loosened(judge, None, Some(wish.canonical)));
        self.objects.push(new);
        Ok(())
    }

    fn update(&mut self, base: &Base, wish: &Wish<'_>, renderers: &Renderers) -> Result<(), PlanError> {
        self.take_old(base, wish.reference)?;
        self.take_new(wish, renderers)?;
        let mut changed = change(wish.reference, Change::Update, wish.author, Some(wish.hash));
        let old = old_document(base, wish.reference)?;
        changed.fields = old.as_ref().map(|old| field_changes(old, wish.canonical)).unwrap_or_default();
        let judge = renderers.judge(wish.reference.kind);
        changed.destructive = judge.is_some_and(|judge| is_loosened(judge, old.as_deref(), Some(wish.canonical)));
        self.objects.push(changed);
        Ok(())
    }

    fn delete(
        &mut self,
        base: &Base,
        reference: &ObjectRef,
        author: Author,
        renderers: &Renderers,
    ) -> Result<(), PlanError> {
        self.take_old(base, reference)?;
        let mut gone = change(reference, Change::Delete, author, None);
        if let Some(judge) = renderers.judge(reference.kind) {
            gone.destructive = is_loosened(judge, old_document(base, reference)?.as_deref(), None);
        }
        self.objects.push(gone);
        Ok(())
    }

    fn take_new(&mut self, wish: &Wish<'_>, renderers: &Renderers) -> Result<(), PlanError> {
        let fragment = renderers.render_canonical(wish.reference, wish.canonical)?;
        for (unit, text) in fragment.units {
            self.new_paths.extend(references(text.as_bytes()));
            self.owners.insert(unit.clone(), wish.reference.clone());
            self.new_units.insert(unit, UnitFile::parse(&text));
        }
        self.new_wanted.extend(fragment.wants.into_iter().map(|(_, unit)| unit));
        self.warnings.extend(fragment.warnings.into_iter().map(|w| format!("{}: {w}", wish.reference)));
        Ok(())
    }

    fn take_old(&mut self, base: &Base, reference: &ObjectRef) -> Result<(), PlanError> {
        let (Some(_), Some(entry)) = (&base.path, base.manifest.objects.get(reference)) else { return Ok(()) };
        self.old_paths.extend(entry.references.iter().cloned());
        for unit in &entry.units {
            let text = fs::read_to_string(base.folder.join("units").join(unit))?;
            self.owners.insert(unit.clone(), reference.clone());
            if is_wanted(&base.folder, unit) {
                self.old_wanted.insert(unit.clone());
            }
            self.old_units.insert(unit.clone(), UnitFile::parse(&text));
        }
        Ok(())
    }

    /// What objects that stay name neither comes nor goes.
    fn closure(&self, base: &Base, changed: &BTreeSet<ObjectRef>) -> ClosureDiff {
        let mut added: BTreeSet<&StorePath> = self.new_paths.difference(&self.old_paths).collect();
        let mut removed: BTreeSet<&StorePath> = self.old_paths.difference(&self.new_paths).collect();
        if !(added.is_empty() && removed.is_empty()) {
            let stay = base.manifest.objects.iter().filter(|(reference, _)| !changed.contains(reference));
            for path in stay.flat_map(|(_, entry)| &entry.references) {
                added.remove(path);
                removed.remove(path);
            }
        }
        let names = |paths: BTreeSet<&StorePath>| paths.into_iter().map(ToString::to_string).collect();
        ClosureDiff { added: names(added), removed: names(removed) }
    }

    fn unit_changes(&self) -> Vec<UnitChange> {
        let running = |unit: &str| {
            if self.old_wanted.contains(unit) { ActiveState::Active } else { ActiveState::Inactive }
        };
        let plan = plan_activation(&self.old_units, &self.new_units, &self.new_wanted, running);
        let owned = |change: UnitChange| UnitChange { object: self.owners.get(&change.unit).cloned(), ..change };
        unit_changes(&plan).into_iter().map(owned).collect()
    }
}

/// What an activation does to units, as whoever reads a plan or the record of a switch sees it.
#[must_use]
pub fn unit_changes(plan: &ActivationPlan) -> Vec<UnitChange> {
    let mut changes: BTreeMap<&str, UnitChange> = BTreeMap::new();
    let verbs = [
        (UnitVerb::Stop, &plan.stop),
        (UnitVerb::Reload, &plan.reload),
        (UnitVerb::Restart, &plan.restart),
        (UnitVerb::Start, &plan.start),
        (UnitVerb::Keep, &plan.keep),
    ];
    for (verb, steps) in verbs {
        for Step { unit, reason } in steps {
            // Stopped before the switch and started after it is a restart to whoever reads it.
            let verb = if changes.contains_key(unit.as_str()) { UnitVerb::Restart } else { verb };
            changes.insert(unit, UnitChange { unit: unit.clone(), verb, reason: reason.clone(), object: None });
        }
    }
    changes.into_values().collect()
}

fn change(object: &ObjectRef, change: Change, author: Author, hash: Option<ContentHash>) -> ObjectChange {
    ObjectChange { object: object.clone(), change, author, hash, fields: Vec::new(), destructive: false }
}

/// Does a change of canonical documents take away protection or data? What cannot be read may.
fn is_loosened(judge: Loosens, old: Option<&str>, new: Option<&str>) -> bool {
    match (old.map(Object::from_json).transpose(), new.map(Object::from_json).transpose()) {
        (Ok(old), Ok(new)) => judge(old.as_ref(), new.as_ref()),
        _ => true,
    }
}

/// The document of an object in a generation.
///
/// # Errors
/// When it is there and cannot be read.
pub fn old_document(base: &Base, reference: &ObjectRef) -> io::Result<Option<String>> {
    if base.path.is_none() {
        return Ok(None);
    }
    match fs::read_to_string(base.document(reference)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// True when a target of the generation wants the unit.
fn is_wanted(generation: &Path, unit: &str) -> bool {
    TARGETS.iter().any(|target| generation.join(format!("units/{target}.wants/{unit}")).symlink_metadata().is_ok())
}

/// Targets that units of a generation may be wanted by.
pub const TARGETS: [&str; 3] = ["multi-user.target", "timers.target", "sockets.target"];
