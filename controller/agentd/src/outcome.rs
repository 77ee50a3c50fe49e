//! What a switch has come to, as the statuses of objects say it.

use osmoda_generation::manifest::Manifest;
use osmoda_safeswitch::QuarantineEntry;
use osmoda_schemas::{
    condition::{ConditionStatus, ConditionType},
    object::ObjectRef,
    problem::Problem,
    switch::SwitchRecord,
};

use crate::controller::Controller;

/// Codes of what is wrong with an object as long as it is not active.
const ROLLED_BACK: &str = "rolled-back";
const BUILD_FAILED: &str = "build-failed";

impl Controller {
    /// Says of every object that has become active, in which generation. A switch costs the files of what it changed.
    pub(crate) fn settle_statuses(&mut self) {
        let now = osmoda_schemas::now();
        let number = self.machine.profile.current().ok().flatten().map(|c| c.number.to_string());
        let path = self.base.path.as_ref().map(ToString::to_string).unwrap_or_default();
        for (reference, admitted) in self.world.admitted() {
            let active = self.base.manifest.objects.get(reference).is_some_and(|entry| entry.hash == admitted.hash);
            if !active {
                continue;
            }
            let known = self.book.entries().get(reference).is_some_and(|status| {
                let is = |kind| {
                    let condition = status.condition(kind);
                    condition.is_some_and(|c| {
                        c.status == ConditionStatus::True && c.observed_generation == status.generation
                    })
                };
                is(ConditionType::Built) && is(ConditionType::Active)
            });
            if known {
                continue;
            }
            let message = number.as_ref().map(|n| format!("in generation {n}")).unwrap_or_default();
            self.book.edit(reference, |status| {
                status.set(ConditionType::Built, ConditionStatus::True, "InStore", "", now);
                status.set(ConditionType::Active, ConditionStatus::True, "Switched", message, now);
                status.active_in = Some(path.clone());
                if status.last_error.as_ref().is_some_and(|error| [ROLLED_BACK, BUILD_FAILED].contains(&&*error.code)) {
                    status.last_error = None;
                }
            });
        }
        if let Err(error) = self.book.write_files() {
            tracing::error!("status files: {error}");
        }
    }

    /// What of all that is not as it is wished a switch was to make so.
    pub(crate) fn tried(&self, record: &SwitchRecord) -> Vec<ObjectRef> {
        let target = record.target.parse().map_err(std::io::Error::other);
        let target = target.and_then(|path| Manifest::read(&self.machine.store.locate(&path)));
        let Ok(target) = target else { return self.changed.iter().cloned().collect() };
        let is_tried = |reference: &&ObjectRef| {
            target.objects.get(*reference).map(|entry| entry.hash)
                == self.world.admitted().get(*reference).map(|a| a.hash)
        };
        self.changed.iter().filter(is_tried).cloned().collect()
    }

    /// What was tried, and did not work out.
    pub(crate) fn mark(&mut self, objects: &[ObjectRef], entry: &QuarantineEntry) {
        self.mark_failed(objects, entry.again.is_none(), &entry.reason);
    }

    /// These could not be made active, or not even built.
    pub(crate) fn mark_failed(&mut self, objects: &[ObjectRef], is_built: bool, message: &str) {
        let (reason, code) = if is_built { ("RolledBack", ROLLED_BACK) } else { ("BuildFailed", BUILD_FAILED) };
        let now = osmoda_schemas::now();
        for object in objects {
            self.book.edit(object, |status| {
                if !is_built {
                    status.set(ConditionType::Built, ConditionStatus::False, reason, message, now);
                }
                status.set(ConditionType::Active, ConditionStatus::False, reason, message, now);
                status.last_error = Some(Box::new(Problem::new(409, code, message)));
            });
        }
        if let Err(error) = self.book.write_files() {
            tracing::error!("status files: {error}");
        }
    }
}
