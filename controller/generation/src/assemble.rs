//! All fragments together: one tree, one store path.

use std::collections::{BTreeMap, BTreeSet};

use osmoda_schemas::object::{Author, ContentHash, ObjectRef};

use crate::{
    fragment::Fragment,
    manifest::{Manifest, ManifestEntry},
    store_path::{StoreObject, StorePath, references},
    tree::{Entry, Tree, TreeError},
};

/// The name of every generation's store path.
pub const GENERATION_NAME: &str = "osmoda-generation";

/// An object with what it was rendered to.
#[derive(Debug)]
pub struct Rendered<'a> {
    /// The object.
    pub reference: &'a ObjectRef,
    /// Its canonical document.
    pub canonical: &'a str,
    /// The hash of that.
    pub hash: ContentHash,
    /// Who wished for it.
    pub author: Author,
    /// What it became.
    pub fragment: Fragment,
}

/// A generation that is not in the store yet.
#[derive(Debug)]
pub struct Generation {
    /// The generation itself and what its units refer to, in the order in which they have to be added.
    pub objects: Vec<StoreObject>,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Generation {
    /// Its store path.
    ///
    /// # Panics
    /// Never: a generation has at least its own object.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        self.objects.last().expect("the generation itself comes last").path()
    }
}

/// Why fragments do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// Two objects render the same file.
    #[error("{object} would write {error}")]
    Collision {
        /// The one that came second.
        object: ObjectRef,
        /// What.
        error: TreeError,
    },
}

/// Puts fragments together. Pure: the same fragments in any order give the same bytes.
///
/// # Errors
/// When two of them claim the same file.
pub fn assemble<'a>(rendered: impl IntoIterator<Item = Rendered<'a>>) -> Result<Generation, AssembleError> {
    let mut tree = Tree::new();
    let mut manifest = Manifest::default();
    let mut aux: BTreeMap<StorePath, StoreObject> = BTreeMap::new();
    for item in rendered {
        let collision = |error| AssembleError::Collision { object: item.reference.clone(), error };
        let fragment = item.fragment;
        let document = format!("desired/{}/{}.json", item.reference.kind, item.reference.name);
        tree.file(document, item.canonical).map_err(collision)?;
        let units: Vec<String> = fragment.units.keys().cloned().collect();
        let references = fragment.units.values().flat_map(|text| references(text.as_bytes())).collect();
        for (unit, text) in fragment.units {
            tree.file(format!("units/{unit}"), text).map_err(collision)?;
        }
        for (target, unit) in fragment.wants {
            let link = Entry::Symlink { target: format!("../{unit}") };
            tree.insert(format!("units/{target}.wants/{unit}"), link).map_err(collision)?;
        }
        for (path, contents) in fragment.etc {
            tree.file(format!("etc/{path}"), contents).map_err(collision)?;
        }
        for (path, target) in fragment.links {
            tree.insert(path, Entry::Symlink { target }).map_err(collision)?;
        }
        aux.extend(fragment.store_objects.into_iter().map(|object| (object.path().clone(), object)));
        let entry = ManifestEntry {
            hash: item.hash,
            author: item.author,
            units,
            references,
            gates: fragment.gates,
            probation: fragment.probation,
        };
        manifest.objects.insert(item.reference.clone(), entry);
    }
    tree.file("manifest.json", osmoda_schemas::canonical_json(&manifest)).expect("nothing else has that name");
    let generation = StoreObject::new(GENERATION_NAME, &tree);
    Ok(Generation { objects: in_order(aux).into_iter().chain([generation]).collect(), manifest })
}

/// What is referred to comes before what refers to it.
fn in_order(mut objects: BTreeMap<StorePath, StoreObject>) -> Vec<StoreObject> {
    let mut done: BTreeSet<StorePath> = BTreeSet::new();
    let mut ordered = Vec::with_capacity(objects.len());
    while !objects.is_empty() {
        let ready: Vec<StorePath> = objects
            .values()
            .filter(|o| o.references().iter().all(|r| r == o.path() || done.contains(r) || !objects.contains_key(r)))
            .map(|o| o.path().clone())
            .collect();
        assert!(!ready.is_empty(), "content addresses cannot refer to each other in a circle");
        for path in ready {
            ordered.extend(objects.remove(&path));
            done.insert(path);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(unit: &str) -> Fragment {
        Fragment {
            units: BTreeMap::from([(unit.to_owned(), "[Service]\nExecStart=/bin/true\n".to_owned())]),
            wants: vec![("multi-user.target".to_owned(), unit.to_owned())],
            ..Fragment::default()
        }
    }

    fn rendered<'a>(reference: &'a ObjectRef, unit: &str) -> Rendered<'a> {
        let author = Author { uid: 0 };
        Rendered { reference, canonical: "{}", hash: ContentHash::of("{}"), author, fragment: fragment(unit) }
    }

    #[test]
    fn order_does_not_matter_and_content_does() {
        let (a, b): (ObjectRef, ObjectRef) = ("App/a".parse().unwrap(), "App/b".parse().unwrap());
        let one = assemble([rendered(&a, "a.service"), rendered(&b, "b.service")]).unwrap();
        let two = assemble([rendered(&b, "b.service"), rendered(&a, "a.service")]).unwrap();
        assert_eq!(one.objects, two.objects);
        assert_ne!(one.path(), assemble([rendered(&a, "a.service")]).unwrap().path());
        assert_eq!(one.manifest.objects[&a].units, ["a.service"]);
    }

    #[test]
    fn two_objects_may_not_render_one_file() {
        let (a, b): (ObjectRef, ObjectRef) = ("App/a".parse().unwrap(), "App/b".parse().unwrap());
        let error = assemble([rendered(&a, "a.service"), rendered(&b, "a.service")]).unwrap_err();
        assert!(matches!(error, AssembleError::Collision { object, .. } if object == b));
    }
}
