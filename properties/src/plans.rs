//! Whatever objects are wished: a plan says what differs, and what it leads to differs from the wish in nothing.

mod objects;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use arbitrary::{Result, Unstructured};
use osmoda_agentd::renderers;
use osmoda_generation::{
    assemble::{Generation, Rendered, assemble},
    desired::Desired,
    manifest::Manifest,
    plan::{Base, PlanError, Renderers, Wish, Wishes, differs, plan},
};
use osmoda_schemas::{
    object::{Author, ContentHash, Object, ObjectRef},
    plan::{Change, Plan},
    rules::{SetEntry, check_set, facts},
};

/// An object that is wished, with its author.
struct Wished {
    object: Object,
    canonical: String,
    hash: ContentHash,
    author: Author,
}

type Set = BTreeMap<ObjectRef, Wished>;

/// All that has to hold for two sets of objects, of which one comes after the other.
pub fn check(bytes: &[u8]) {
    // Bytes that end too soon are no input, and no surprise.
    let _ = two_sets(&mut Unstructured::new(bytes));
}

fn two_sets(u: &mut Unstructured<'_>) -> Result<()> {
    let renderers = renderers();
    let before = set(u, &Set::new(), &renderers)?;
    let after = set(u, &before, &renderers)?;
    let mut desired = Desired::default();
    let base = generation(&before, &renderers);
    follow(u, &mut desired, &Set::new(), &before)?;
    follow(u, &mut desired, &before, &after)?;
    let digest = desired.digest();
    assert_eq!(digest, anew(&after), "the digest of the same objects, computed anew, is another");
    // Without a path nothing is read from the store: objects and their hashes are what a plan goes by.
    let base = Base { path: None, folder: PathBuf::new(), manifest: base.manifest };
    let planned = planned(&base, &after, digest, &renderers);
    says_what_differs(&planned, &before, &after);
    let next = generation(&after, &renderers);
    let written = osmoda_schemas::canonical_json(&next.manifest);
    let manifest: Manifest = serde_json::from_str(&written).unwrap();
    assert_eq!(manifest, next.manifest, "the manifest does not come back: {written}");
    let base = Base { path: Some(next.path().clone()), folder: PathBuf::new(), manifest };
    let nothing = self::planned(&base, &after, digest, &renderers).body;
    assert!(nothing.objects.is_empty() && nothing.units.is_empty(), "{nothing:?}");
    assert!(nothing.closure.added.is_empty() && nothing.closure.removed.is_empty(), "{nothing:?}");
    assert_eq!(nothing.unchanged, after.len());
    after.values().for_each(|wished| units::check(&wished.object, &render(&renderers, &wished.object)));
    Ok(())
}

/// Objects of `old`, some changed, some gone, some new: those that all rules let pass.
fn set(u: &mut Unstructured<'_>, old: &Set, renderers: &Renderers) -> Result<Set> {
    let mut set = Set::new();
    for (reference, wished) in old {
        if u.ratio(3, 4)? {
            set.insert(reference.clone(), self::wished(wished.object.clone(), wished.author));
        }
    }
    for object in objects::some(u)? {
        let author = Author { uid: u.int_in_range(0..=2)? };
        // What cannot be rendered is refused, too.
        if renderers.render(&object).is_ok() {
            set.insert(object.reference(), wished(object, author));
        }
    }
    loop {
        let facts: Vec<_> = set.iter().map(|(reference, w)| (reference, w.hash, facts(&w.object))).collect();
        let entries = facts.iter().map(|(reference, hash, facts)| {
            let in_force = old.get(*reference).is_some_and(|w| w.hash == *hash);
            SetEntry { reference, hash: *hash, in_force, facts }
        });
        let blamed: BTreeSet<ObjectRef> =
            check_set(&entries.collect::<Vec<_>>()).into_iter().map(|(reference, _)| reference).collect();
        if blamed.is_empty() {
            return Ok(set);
        }
        for reference in blamed {
            set.remove(&reference).expect("somebody is blamed who is there");
        }
    }
}

fn wished(object: Object, author: Author) -> Wished {
    let canonical = object.canonical_json();
    let hash = ContentHash::of(&canonical);
    Wished { object, canonical, hash, author }
}

/// What was admitted is rendered twice the same.
fn render(renderers: &Renderers, object: &Object) -> osmoda_generation::fragment::Fragment {
    let once = renderers.render(object).unwrap_or_else(|error| panic!("{error}: {}", object.canonical_json()));
    let again = renderers.render_canonical(&object.reference(), &object.canonical_json());
    assert_eq!(again.map_err(|error: PlanError| error.to_string()), Ok(once.clone()));
    once
}

/// The generation of a set, which is the same whatever the order.
fn generation(set: &Set, renderers: &Renderers) -> Generation {
    let all = || set.iter().map(|(reference, w)| part(reference, w, renderers));
    let forwards = assemble(all()).unwrap();
    let backwards = assemble(all().rev()).unwrap();
    assert_eq!(forwards.objects, backwards.objects, "the order matters");
    assert_eq!(forwards.manifest, backwards.manifest);
    forwards
}

fn part<'a>(reference: &'a ObjectRef, w: &'a Wished, renderers: &Renderers) -> Rendered<'a> {
    let fragment = render(renderers, &w.object);
    Rendered { reference, canonical: &w.canonical, hash: w.hash, author: w.author, fragment }
}

/// Brings a digest from one set to another, on a way that is not straight.
fn follow(u: &mut Unstructured<'_>, desired: &mut Desired, from: &Set, to: &Set) -> Result<()> {
    for reference in from.keys().filter(|reference| !to.contains_key(*reference)) {
        desired.remove(reference);
    }
    for (reference, wished) in to {
        if u.ratio(1, 3)? {
            desired.set(reference, ContentHash::of("another"), wished.author);
            desired.digest();
        }
        if u.ratio(1, 3)? {
            desired.remove(reference);
        }
        desired.set(reference, wished.hash, wished.author);
    }
    Ok(())
}

fn anew(set: &Set) -> ContentHash {
    let mut desired = Desired::default();
    set.iter().rev().for_each(|(reference, wished)| desired.set(reference, wished.hash, wished.author));
    desired.digest()
}

/// The plan from a generation to a set; asked twice it is the same.
fn planned(base: &Base, set: &Set, digest: ContentHash, renderers: &Renderers) -> Plan {
    let all = base.manifest.objects.keys().chain(set.keys());
    let wish = |reference: &ObjectRef| set.get(reference).map(|w| (w.hash, w.author));
    let changed: BTreeSet<ObjectRef> = all.filter(|r| differs(base, r, wish(r))).cloned().collect();
    let once = || {
        let wishes = Wishes { digest, count: set.len(), changed: &changed };
        let wish_of = |reference: &ObjectRef| {
            let (reference, w) = set.get_key_value(reference)?;
            Some(Wish { reference, canonical: &w.canonical, hash: w.hash, author: w.author })
        };
        plan(base, wishes, wish_of, renderers).unwrap()
    };
    let (plan, again) = (once(), once());
    assert_eq!((plan.id, &plan.body), (again.id, &again.body));
    plan
}

/// The plan names each object that differs, with what happens to it, and no other.
fn says_what_differs(plan: &Plan, before: &Set, after: &Set) {
    let names: BTreeSet<&ObjectRef> = before.keys().chain(after.keys()).collect();
    let same = |a: &Wished, b: &Wished| a.hash == b.hash && a.author == b.author;
    let expected: Vec<(&ObjectRef, Change)> = names
        .into_iter()
        .filter_map(|name| match (before.get(name), after.get(name)) {
            (Some(a), Some(b)) if same(a, b) => None,
            (Some(_), Some(_)) => Some((name, Change::Update)),
            (None, _) => Some((name, Change::Create)),
            (_, None) => Some((name, Change::Delete)),
        })
        .collect();
    let found: Vec<(&ObjectRef, Change)> = plan.body.objects.iter().map(|c| (&c.object, c.change)).collect();
    assert_eq!(found, expected);
    let changed = expected.iter().filter(|(_, change)| *change != Change::Delete).count();
    assert_eq!(plan.body.unchanged, after.len() - changed);
}
