//! A `Routine` as `osmoda-routine-<name>.service`, a timer of the same name when time triggers it, and
//! `etc/routines/<name>.json` for the daemon.

use osmoda_generation::{
    fragment::{Fragment, Reconciler, RenderError, primary_unit},
    unit::{Program, UnitText, command_line, literal},
};
use osmoda_schemas::{
    cron,
    kinds::{
        Routine,
        routine::{Action, Trigger},
    },
    name::Name,
    object::{Kind, Object, ObjectRef, Spec},
    quantity::Duration,
};
use serde::{Deserialize, Serialize};

/// Where routines are in a generation, below `etc/`.
pub const FOLDER: &str = "routines";
/// The program that carries out actions that are no commands.
const RUNNER: &str = "/usr/lib/osmoda/osmoda-routines";

/// Renders routines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routines;

/// What the daemon reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The routine's name.
    pub name: Name,
    /// Its spec.
    pub spec: Routine,
}

impl Reconciler for Routines {
    fn kind(&self) -> Kind {
        Kind::Routine
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::Routine(routine) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no Routine".to_owned() });
        };
        let reference = object.reference();
        let unit = primary_unit(&reference).expect("a routine has a unit");
        let mut fragment = Fragment::default();
        let slice = Slice { name: reference.name.clone(), spec: Routine::clone(routine) };
        let slice = osmoda_schemas::canonical_json(&slice).into_bytes();
        fragment.etc.insert(format!("{FOLDER}/{}.json", reference.name), slice);
        let (text, warnings) = service(&reference, routine)?;
        fragment.units.insert(unit, text);
        fragment.warnings = warnings;
        // One that is not enabled has no timer at all: one that is there and not wanted would tick until the next boot.
        if let Some(text) = timer(&reference, routine)?.filter(|_| routine.enabled) {
            let timer = format!("osmoda-routine-{}.timer", reference.name);
            fragment.wants.push(("timers.target".to_owned(), timer.clone()));
            fragment.units.insert(timer, text);
        }
        Ok(fragment)
    }
}

fn description(reference: &ObjectRef, routine: &Routine) -> String {
    literal(routine.description.as_deref().unwrap_or(reference.name.as_str()))
}

fn service(reference: &ObjectRef, routine: &Routine) -> Result<(String, Vec<String>), RenderError> {
    let mut unit = UnitText::default();
    unit.section("Unit").set("Description", format!("Routine: {}", description(reference, routine)));
    unit.set("After", "network.target osmoda-boot.service");
    for other in routine.after.iter().filter_map(primary_unit) {
        unit.set("After", other);
    }
    unit.section("Service").set("Type", "oneshot");
    // A changed routine is used at its next run; a run that is going on is not ended.
    unit.set("X-RestartIfChanged", "false");
    unit.set("TimeoutStartSec", milliseconds(routine.timeout));
    unit.set("TimeoutStopSec", "10s");
    let command = match &routine.action {
        Action::Command(action) => action.command.clone(),
        _ => vec![RUNNER.to_owned(), "run".to_owned(), reference.name.to_string()],
    };
    unit.set("ExecStart", command_line(&command));
    let warnings = match &routine.action {
        Action::Command(_) => Program {
            environment: &routine.environment,
            secrets: &routine.secrets,
            user: &routine.user,
            tier: routine.tier,
            access: &routine.access,
            resources: &routine.resources,
        }
        .write(&mut unit),
        // Our own program: it reads the machine's figures and writes to the ledger.
        _ => {
            unit.set_all(&[
                ("NoNewPrivileges", "yes"),
                ("ProtectSystem", "strict"),
                ("ReadWritePaths", "/var/lib/osmoda"),
                ("ProtectHome", "yes"),
                ("PrivateTmp", "yes"),
                ("ProtectKernelTunables", "yes"),
                ("ProtectKernelModules", "yes"),
                ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
                ("SystemCallFilter", "@system-service"),
                ("SystemCallArchitectures", "native"),
            ]);
            Vec::new()
        }
    };
    Ok((unit.finish()?, warnings))
}

/// Time belongs to systemd (systemd.timer(5)): it keeps it across restarts of ours and reboots of the machine.
fn timer(reference: &ObjectRef, routine: &Routine) -> Result<Option<String>, RenderError> {
    let mut unit = UnitText::default();
    unit.section("Unit").set("Description", format!("Times of routine: {}", description(reference, routine)));
    unit.section("Timer");
    let jitter = match &routine.trigger {
        Trigger::Cron(trigger) => {
            let times = cron::on_calendar(&trigger.schedule, trigger.time_zone.as_deref()).map_err(|error| {
                RenderError::Field { field: "spec.trigger.schedule".to_owned(), reason: error.to_string() }
            })?;
            for time in times {
                unit.set("OnCalendar", time);
            }
            unit.set("Persistent", if trigger.persistent { "yes" } else { "no" });
            trigger.jitter
        }
        Trigger::Interval(trigger) => {
            let every = milliseconds(trigger.every);
            // The first run comes one interval after the timer is started, the others after the last start.
            unit.set("OnActiveSec", &every).set("OnUnitActiveSec", &every);
            trigger.jitter
        }
        Trigger::Event(_) | Trigger::Webhook(_) => return Ok(None),
    };
    unit.set("AccuracySec", "1s");
    if !jitter.is_zero() {
        unit.set("RandomizedDelaySec", milliseconds(jitter));
    }
    unit.finish().map(Some)
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(spec: &str) -> Fragment {
        let object = Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"Routine","metadata":{{"name":"r"}},"spec":{spec}}}"#
        ))
        .unwrap();
        Routines.render(&object).unwrap()
    }

    #[test]
    fn cron_becomes_on_calendar() {
        let fragment = fragment(
            r#"{"trigger":{"type":"cron","schedule":"*/5 * * * *","timeZone":"Europe/Berlin","persistent":true,"jitter":"30s"},
                "action":{"type":"command","command":["/bin/true"]}}"#,
        );
        insta::assert_snapshot!(fragment.units["osmoda-routine-r.timer"]);
        assert_eq!(fragment.wants, [("timers.target".to_owned(), "osmoda-routine-r.timer".to_owned())]);
    }

    #[test]
    fn events_have_no_timer_and_neither_has_a_disabled_routine() {
        let event = fragment(
            r#"{"trigger":{"type":"event","types":["switch.*"]},"action":{"type":"command","command":["/bin/true"]}}"#,
        );
        assert_eq!(event.units.keys().collect::<Vec<_>>(), ["osmoda-routine-r.service"]);
        let disabled =
            fragment(r#"{"trigger":{"type":"interval","every":"5m"},"action":{"type":"healthCheck"},"enabled":false}"#);
        assert_eq!(disabled.units.keys().collect::<Vec<_>>(), ["osmoda-routine-r.service"]);
        assert!(disabled.wants.is_empty());
    }
}
