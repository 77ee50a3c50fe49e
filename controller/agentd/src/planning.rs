//! The plan between the active generation and what is wished.

use std::collections::BTreeSet;

use osmoda_generation::{
    plan::{Base, PlanError, Wish, Wishes, differs, plan},
    store_path::StorePath,
};
use osmoda_safeswitch::Machine;
use osmoda_schemas::{object::ObjectRef, plan::Plan};

use crate::{ingest::Judge, world::World};

/// What a plan is between a generation and a world that has nothing to do with ours.
pub fn plan_of(base: &Base, world: &mut World, judge: &Judge) -> Result<Plan, PlanError> {
    let changed = changed(base, world);
    plan_of_changed(base, world, &changed, judge)
}

/// Everything that is wished otherwise than it is in a generation.
pub(crate) fn changed(base: &Base, world: &World) -> BTreeSet<ObjectRef> {
    let known = base.manifest.objects.keys().chain(world.admitted().keys());
    known.filter(|reference| is_changed(base, world, reference)).cloned().collect()
}

pub(crate) fn is_changed(base: &Base, world: &World, reference: &ObjectRef) -> bool {
    differs(base, reference, world.admitted().get(reference).map(|a| (a.hash, a.author)))
}

pub(crate) fn plan_of_changed(
    base: &Base,
    world: &mut World,
    changed: &BTreeSet<ObjectRef>,
    judge: &Judge,
) -> Result<Plan, PlanError> {
    debug_assert_eq!(*changed, self::changed(base, world));
    let digest = world.digest();
    let wish_of = |reference: &ObjectRef| {
        let (reference, admitted) = world.admitted().get_key_value(reference)?;
        let (hash, author) = (admitted.hash, admitted.author);
        Some(Wish { reference, canonical: &admitted.canonical, hash, author })
    };
    plan(base, Wishes { digest, count: world.admitted().len(), changed }, wish_of, &judge.renderers)
}

pub(crate) fn read_base(machine: &Machine) -> Result<Base, std::io::Error> {
    let path: Option<StorePath> = machine.active()?;
    path.map_or_else(|| Ok(Base::default()), |path| Base::read(&machine.store, path))
}
