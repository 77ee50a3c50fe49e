//! From what is wished to a generation, and the switch that leads to it.

use osmoda_generation::{
    assemble::{Generation, Rendered, assemble},
    plan::Renderers,
};
use osmoda_safeswitch::SwitchRequest;
use osmoda_schemas::{object::Kind, plan::Plan, quantity::Duration, switch::SwitchPurpose};

use crate::{
    controller::{ApplyOptions, Controller},
    step_error::StepError,
    world::World,
};

/// What a world becomes.
pub(crate) fn generation_of(world: &World, renderers: &Renderers) -> Result<Generation, StepError> {
    let mut rendered = Vec::with_capacity(world.admitted().len());
    for (reference, admitted) in world.admitted() {
        rendered.push(Rendered {
            reference,
            canonical: &admitted.canonical,
            hash: admitted.hash,
            author: admitted.author,
            fragment: renderers.render_canonical(reference, &admitted.canonical)?,
        });
    }
    Ok(assemble(rendered)?)
}

impl Controller {
    pub(crate) fn request(&self, plan: &Plan, generation: &Generation, apply: Option<&ApplyOptions>) -> SwitchRequest {
        let settings = &self.config.safe_switch;
        let default = settings.ttl;
        let longest = generation
            .manifest
            .changed_since(&self.base.manifest)
            .filter(|(_, entry)| !entry.gates.is_empty())
            .map(|(_, entry)| entry.probation.unwrap_or(default))
            .max();
        let changes = &plan.body.objects;
        // What NixOS makes of its options, or of a configuration of its own that changed, is known only once it is built.
        let is_known =
            !apply.is_some_and(|a| a.rebuild) && !changes.iter().any(|change| change.object.kind == Kind::NixosConfig);
        // A change that touches no unit has nothing to prove.
        let own = if is_known && plan.body.units.is_empty() { Duration::default() } else { longest.unwrap_or(default) };
        let names: Vec<String> = changes.iter().take(3).map(|c| c.object.to_string()).collect();
        let more = if changes.len() > 3 { format!(" and {} more", changes.len() - 3) } else { String::new() };
        SwitchRequest {
            purpose: SwitchPurpose::Apply,
            actor: apply.map_or_else(|| "agentd".to_owned(), |a| a.actor.clone()),
            reason: if names.is_empty() { "rebuild".to_owned() } else { format!("{}{more}", names.join(", ")) },
            plan: Some(plan.id),
            target: generation.path().clone(),
            system: None,
            ttl: apply.and_then(|a| a.ttl).unwrap_or(own),
            interval: settings.interval,
            activation_timeout: settings.activation_timeout,
        }
    }
}
