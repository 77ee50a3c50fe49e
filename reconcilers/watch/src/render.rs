//! A `Watcher` as `etc/watch/<name>.json`: its spec with every unit filled in.

use osmoda_generation::fragment::{Fragment, Reconciler, RenderError, primary_unit};
use osmoda_schemas::{
    kinds::{
        Tier, Watcher,
        watcher::{Check, Remedy},
    },
    name::Name,
    object::{Kind, Object, Spec},
};
use serde::{Deserialize, Serialize};

/// Where watchers are in a generation, below `etc/`.
pub const FOLDER: &str = "watch";

/// Renders watchers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watchers;

/// What the daemon reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The watcher's name.
    pub name: Name,
    /// Its spec; `unit` checks and `restart` steps name their unit.
    pub spec: Watcher,
}

impl Reconciler for Watchers {
    fn kind(&self) -> Kind {
        Kind::Watcher
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::Watcher(watcher) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no Watcher".to_owned() });
        };
        let mut spec = Watcher::clone(watcher);
        let target = spec.target.as_ref().and_then(primary_unit);
        let mut unit = target.clone();
        match &mut spec.check {
            Check::Unit(probe) => {
                probe.unit = probe.unit.take().or(target);
                unit.clone_from(&probe.unit);
                if unit.is_none() {
                    let reason = "its target has no unit that could be checked".to_owned();
                    return Err(RenderError::Field { field: "spec.target".to_owned(), reason });
                }
            }
            Check::Command(probe) if probe.user.is_none() && spec.tier != Tier::Trusted => {
                probe.user = Some("nobody".to_owned());
            }
            _ => {}
        }
        for (i, step) in spec.ladder.iter_mut().enumerate() {
            if step.action == Remedy::Restart {
                step.unit = step.unit.take().or_else(|| unit.clone());
                if step.unit.is_none() {
                    let reason = "its target has no unit that could be restarted".to_owned();
                    return Err(RenderError::Field { field: format!("spec.ladder[{i}].unit"), reason });
                }
            }
        }
        let slice = osmoda_schemas::canonical_json(&Slice { name: object.metadata.name.clone(), spec });
        let mut fragment = Fragment::default();
        fragment.etc.insert(format!("{FOLDER}/{}.json", object.metadata.name), slice.into_bytes());
        Ok(fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(spec: &str) -> Slice {
        let object = Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"Watcher","metadata":{{"name":"w"}},"spec":{spec}}}"#
        ))
        .unwrap();
        serde_json::from_slice(&Watchers.render(&object).unwrap().etc["watch/w.json"]).unwrap()
    }

    #[test]
    fn units_follow_from_the_target() {
        let slice = slice(r#"{"target":"App/web","check":{"type":"unit"}}"#);
        let Check::Unit(probe) = slice.spec.check else { panic!("it is a unit check") };
        assert_eq!(probe.unit.as_deref(), Some("osmoda-app-web.service"));
        assert_eq!(slice.spec.ladder[0].unit.as_deref(), Some("osmoda-app-web.service"));
    }

    #[test]
    fn a_command_does_not_run_as_root_by_default() {
        let slice = slice(r#"{"target":"App/web","check":{"type":"command","command":["/bin/true"]}}"#);
        let Check::Command(probe) = slice.spec.check else { panic!("it is a command check") };
        assert_eq!(probe.user.as_deref(), Some("nobody"));
    }
}
