//! From two sets of unit files to what has to be stopped, reloaded, restarted and started: NixOS's rules, pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{ActiveState, Comparison, UnitFile, UnitSnapshot, compare};

/// From which unit files to which a machine is moved.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// Unit files before it, by name.
    pub from: &'a BTreeMap<String, UnitFile>,
    /// Unit files after it, by name.
    pub to: &'a BTreeMap<String, UnitFile>,
    /// Those of them that a target of the machine wants.
    pub wanted: &'a BTreeSet<String>,
}

impl Move<'_> {
    /// What is to be done when units are in these states.
    #[must_use]
    pub fn plan(&self, states: &UnitSnapshot) -> ActivationPlan {
        plan_activation(self.from, self.to, self.wanted, |unit| states.active(unit))
    }

    /// What is still to be done once systemd has read the new unit files: a unit that was not to run by then, and does,
    /// came up after the states of the plan were asked for. Its start was on the way already (at boot, by its timer or
    /// its socket, or by agentd, which heals), and what runs is what its old file said.
    #[must_use]
    pub fn plan_late(&self, plan: &ActivationPlan, before: &UnitSnapshot, now: &UnitSnapshot) -> ActivationPlan {
        let was_down = |unit: &str| !before.active(unit).is_up() || plan.stop.iter().any(|step| step.unit == unit);
        let is_late = |unit: &str| self.from.contains_key(unit) && was_down(unit) && now.active(unit).is_up();
        let only = |files: &BTreeMap<String, UnitFile>| -> BTreeMap<String, UnitFile> {
            files.iter().filter(|(unit, _)| is_late(unit)).map(|(unit, file)| (unit.clone(), file.clone())).collect()
        };
        plan_activation(&only(self.from), &only(self.to), self.wanted, |unit| now.active(unit))
    }
}

/// A unit and why something happens to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// The unit.
    pub unit: String,
    /// The rule and the keys that make it so.
    pub reason: String,
}

/// What an activation does, in this order, with the move to the new unit files after `stop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationPlan {
    /// Stopped before the move.
    pub stop: Vec<Step>,
    /// Reloaded after it.
    pub reload: Vec<Step>,
    /// Restarted after it.
    pub restart: Vec<Step>,
    /// Started after it, sockets first.
    pub start: Vec<Step>,
    /// Changed, but left alone.
    pub keep: Vec<Step>,
}

impl ActivationPlan {
    /// True when no running unit is touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.stop, &self.reload, &self.restart, &self.start].iter().all(|steps| steps.is_empty())
    }

    /// Adds what another plan does to units beyond this one.
    pub(crate) fn extend(&mut self, other: Self) {
        let lists = [
            (&mut self.stop, other.stop),
            (&mut self.reload, other.reload),
            (&mut self.restart, other.restart),
            (&mut self.start, other.start),
            (&mut self.keep, other.keep),
        ];
        for (own, others) in lists {
            for step in others {
                if !own.iter().any(|known| known.unit == step.unit) {
                    own.push(step);
                }
            }
        }
    }

    /// Every unit that is touched.
    pub fn units(&self) -> impl Iterator<Item = &str> {
        let all = [&self.stop, &self.reload, &self.restart, &self.start];
        all.into_iter().flatten().map(|step| step.unit.as_str())
    }
}

/// Plans an activation. `wanted` are the units that a target of the machine wants: those of them that do not run are
/// started, as starting the target would.
#[must_use]
pub fn plan_activation(
    old: &BTreeMap<String, UnitFile>,
    new: &BTreeMap<String, UnitFile>,
    wanted: &BTreeSet<String>,
    active: impl Fn(&str) -> ActiveState,
) -> ActivationPlan {
    let mut plan = ActivationPlan::default();
    let step = |unit: &str, reason: String| Step { unit: unit.to_owned(), reason };
    for (unit, file) in old {
        if !new.contains_key(unit) && active(unit).is_up() {
            if file.bool("Unit", "X-StopOnRemoval") == Some(false) {
                plan.keep.push(step(unit, "removed, but X-StopOnRemoval=false".to_owned()));
            } else {
                plan.stop.push(step(unit, "removed".to_owned()));
            }
        }
    }
    let mut start: BTreeMap<String, String> = BTreeMap::new();
    for (unit, file) in new {
        let up = active(unit).is_up();
        match old.get(unit) {
            Some(before) if up => match compare(before, file) {
                Comparison::Equal => {}
                Comparison::Reload(keys) => plan.reload.push(step(unit, format!("{} changed", keys.join(", ")))),
                Comparison::Restart(keys) => {
                    changed(unit, file, &keys.join(", "), new, &active, &mut plan, &mut start);
                }
            },
            Some(_) if wanted.contains(unit) => {
                start.insert(unit.clone(), "wanted, and not running".to_owned());
            }
            None if wanted.contains(unit) && !up => {
                start.insert(unit.clone(), "new".to_owned());
            }
            None if up => plan.restart.push(step(unit, "new, but runs already".to_owned())),
            _ => {}
        }
    }
    let start = start.into_iter().map(|(unit, reason)| Step { unit, reason }).collect();
    // Sockets come first: a service that finds its socket open is started by it.
    let (sockets, others): (Vec<_>, Vec<_>) =
        ordered(start, new).into_iter().partition(|step| step.unit.ends_with(".socket"));
    plan.start = sockets.into_iter().chain(others).collect();
    plan.restart = ordered(plan.restart, new);
    // What comes after another stops before it: the same order, from the other end.
    plan.stop = ordered(plan.stop, old);
    plan.stop.reverse();
    plan
}

/// Steps in an order in which each follows those that its unit is `After=`: systemd orders only jobs that it knows of.
fn ordered(steps: Vec<Step>, files: &BTreeMap<String, UnitFile>) -> Vec<Step> {
    let mut waiting: BTreeMap<String, Step> = steps.into_iter().map(|step| (step.unit.clone(), step)).collect();
    let mut names: Vec<String> = waiting.keys().rev().cloned().collect();
    let mut entered = BTreeSet::new();
    let mut done = Vec::with_capacity(waiting.len());
    while let Some(name) = names.last().cloned() {
        // The second time, all that it waits for has been seen to; in a cycle, as far as that goes.
        if !waiting.contains_key(&name) || !entered.insert(name.clone()) {
            names.pop();
            done.extend(waiting.remove(&name));
            continue;
        }
        let after = files.get(&name).map(|file| file.values("Unit", "After")).unwrap_or_default();
        let before = after.iter().flat_map(|line| line.split_whitespace());
        names.extend(before.filter(|unit| waiting.contains_key(*unit)).map(str::to_owned));
    }
    done
}

/// A running unit whose meaning changed.
fn changed(
    unit: &str,
    file: &UnitFile,
    keys: &str,
    new: &BTreeMap<String, UnitFile>,
    active: &impl Fn(&str) -> ActiveState,
    plan: &mut ActivationPlan,
    start: &mut BTreeMap<String, String>,
) {
    let step = |reason: String| Step { unit: unit.to_owned(), reason };
    let yes = |section, key| file.bool(section, key) == Some(true);
    let suffix = unit.rsplit('.').next().unwrap_or_default();
    if matches!(suffix, "path" | "slice" | "socket" | "target") {
        plan.keep.push(step(format!("{keys} changed; a {suffix} is never restarted")));
    } else if suffix == "mount" {
        plan.restart.push(step(format!("{keys} changed")));
    } else if yes("Service", "X-ReloadIfChanged") || yes("Unit", "X-ReloadIfChanged") {
        plan.reload.push(step(format!("{keys} changed, X-ReloadIfChanged=true")));
    } else if file.bool("Service", "X-RestartIfChanged") == Some(false)
        || file.bool("Unit", "X-RestartIfChanged") == Some(false)
        || yes("Unit", "RefuseManualStop")
        || yes("Unit", "X-OnlyManualStart")
    {
        plan.keep.push(step(format!("{keys} changed, but it must not be restarted")));
    } else if suffix != "service"
        || file.bool("Service", "X-StopIfChanged") == Some(false)
        || file.bool("Unit", "X-StopIfChanged") == Some(false)
    {
        plan.restart.push(step(format!("{keys} changed")));
    } else {
        plan.stop.push(step(format!("{keys} changed")));
        let sockets = sockets_of(unit, file, new);
        if sockets.is_empty() || yes("Service", "X-NotSocketActivated") {
            start.insert(unit.to_owned(), format!("{keys} changed"));
        } else {
            for socket in sockets {
                if active(&socket).is_up() {
                    plan.stop.push(Step { unit: socket.clone(), reason: format!("its service {unit} changed") });
                }
                start.insert(socket, format!("its service {unit} changed"));
            }
        }
    }
}

/// The sockets that a service is started by.
fn sockets_of(unit: &str, file: &UnitFile, new: &BTreeMap<String, UnitFile>) -> Vec<String> {
    let named: Vec<String> =
        file.values("Service", "Sockets").iter().flat_map(|v| v.split_whitespace()).map(str::to_owned).collect();
    let own = unit.strip_suffix(".service").map(|stem| format!("{stem}.socket"));
    let all = if named.is_empty() { own.into_iter().collect() } else { named };
    all.into_iter().filter(|socket| new.contains_key(socket)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnitStatus;

    fn units(list: &[(&str, &str)]) -> BTreeMap<String, UnitFile> {
        list.iter().map(|(name, text)| ((*name).to_owned(), UnitFile::parse(text))).collect()
    }

    fn planned(old: &[(&str, &str)], new: &[(&str, &str)], running: &[&str]) -> String {
        let wanted = new.iter().map(|(name, _)| (*name).to_owned()).collect();
        let state = |u: &str| if running.contains(&u) { ActiveState::Active } else { ActiveState::Inactive };
        let plan = plan_activation(&units(old), &units(new), &wanted, state);
        let show =
            |verb: &str, steps: &[Step]| steps.iter().map(|s| format!("{verb} {}; ", s.unit)).collect::<String>();
        show("stop", &plan.stop)
            + &show("reload", &plan.reload)
            + &show("restart", &plan.restart)
            + &show("start", &plan.start)
            + &show("keep", &plan.keep)
    }

    const A: &str = "[Service]\nExecStart=/a\n";
    const B: &str = "[Service]\nExecStart=/b\n";

    #[test]
    fn new_units_start_and_removed_ones_stop() {
        assert_eq!(planned(&[], &[("x.service", A)], &[]), "start x.service; ");
        assert_eq!(planned(&[("x.service", A)], &[], &["x.service"]), "stop x.service; ");
        assert_eq!(planned(&[("x.service", A)], &[], &[]), "");
        let sticky = "[Unit]\nX-StopOnRemoval=false\n";
        assert_eq!(planned(&[("x.service", sticky)], &[], &["x.service"]), "keep x.service; ");
    }

    #[test]
    fn what_comes_after_another_starts_after_it_and_stops_before_it() {
        let after = |unit: &str| format!("[Unit]\nAfter=network.target {unit}\n{A}");
        let (a, b) = (after("b.service"), after("c.service"));
        let units = [("a.service", &*a), ("b.service", &*b), ("c.service", A), ("d.service", A)];
        let names = ["a.service", "b.service", "c.service", "d.service"];
        assert_eq!(planned(&[], &units, &[]), "start c.service; start b.service; start a.service; start d.service; ");
        let stop = "stop d.service; stop a.service; stop b.service; stop c.service; ";
        assert_eq!(planned(&units, &[], &names), stop);
        // A cycle is systemd's to break.
        let (x, y) = (after("y.service"), after("x.service"));
        assert_eq!(planned(&[], &[("x.service", &*x), ("y.service", &*y)], &[]).matches("start").count(), 2);
    }

    #[test]
    fn a_changed_service_stops_before_and_starts_after() {
        assert_eq!(
            planned(&[("x.service", A)], &[("x.service", B)], &["x.service"]),
            "stop x.service; start x.service; "
        );
        assert_eq!(planned(&[("x.service", A)], &[("x.service", A)], &["x.service"]), "");
        assert_eq!(planned(&[("x.service", A)], &[("x.service", A)], &[]), "start x.service; ", "what is wanted runs");
    }

    #[test]
    fn what_comes_up_before_the_new_files_are_read_is_not_left_with_its_old_one() {
        let from = units(&[("changed.service", A), ("gone.service", A), ("same.service", A), ("stopped.service", A)]);
        let to = units(&[("changed.service", B), ("same.service", A), ("new.service", A)]);
        let wanted = to.keys().cloned().collect();
        let step = Move { from: &from, to: &to, wanted: &wanted };
        let states = |up: &[&str]| {
            let status = UnitStatus { active: ActiveState::Activating, sub: "start".to_owned(), loaded: true };
            UnitSnapshot { units: up.iter().map(|unit| ((*unit).to_owned(), status.clone())).collect() }
        };
        let names = |steps: &[Step]| steps.iter().map(|step| step.unit.clone()).collect::<Vec<_>>();
        let before = states(&["stopped.service"]);
        let plan = step.plan(&before);
        assert_eq!(names(&plan.stop), ["stopped.service"]);
        assert!(step.plan_late(&plan, &before, &states(&[])).is_empty());
        let all = ["changed.service", "gone.service", "same.service", "stopped.service", "new.service"];
        let late = step.plan_late(&plan, &before, &states(&all));
        assert_eq!(names(&late.stop), ["stopped.service", "gone.service", "changed.service"]);
        assert_eq!(names(&late.start), ["changed.service"]);
        assert!(late.restart.is_empty() && late.reload.is_empty(), "{late:?}");
        let mut both = plan;
        both.extend(late);
        assert_eq!(names(&both.stop), ["stopped.service", "gone.service", "changed.service"]);
        assert_eq!(names(&both.start), ["changed.service", "new.service", "same.service"]);
    }

    #[test]
    fn settings_of_a_unit_choose_another_way() {
        for (setting, expected) in [
            ("X-StopIfChanged=false", "restart x.service; "),
            ("X-RestartIfChanged=false", "keep x.service; "),
            ("X-ReloadIfChanged=true", "reload x.service; "),
        ] {
            let new = format!("{B}{setting}\n");
            assert_eq!(planned(&[("x.service", A)], &[("x.service", &new)], &["x.service"]), expected, "{setting}");
        }
        let manual = format!("[Unit]\nRefuseManualStop=true\n{B}");
        assert_eq!(planned(&[("x.service", A)], &[("x.service", &manual)], &["x.service"]), "keep x.service; ");
    }

    #[test]
    fn kinds_of_units_that_are_never_restarted_are_kept() {
        for kind in ["socket", "slice", "path", "target"] {
            let name = format!("x.{kind}");
            assert_eq!(planned(&[(&name, "[X]\na=1\n")], &[(&name, "[X]\na=2\n")], &[&name]), format!("keep {name}; "));
        }
        assert_eq!(
            planned(&[("x.timer", "[Timer]\na=1\n")], &[("x.timer", "[Timer]\na=2\n")], &["x.timer"]),
            "restart x.timer; "
        );
    }

    #[test]
    fn a_socket_activated_service_comes_back_through_its_socket() {
        let socket = "[Socket]\nListenStream=1\n";
        let old = [("x.service", A), ("x.socket", socket)];
        let new = [("x.service", B), ("x.socket", socket)];
        let running = ["x.service", "x.socket"];
        assert_eq!(planned(&old, &new, &running), "stop x.socket; stop x.service; start x.socket; ");
        let own = format!("{B}X-NotSocketActivated=true\n");
        assert_eq!(
            planned(&old, &[("x.service", &own), ("x.socket", socket)], &running),
            "stop x.service; start x.service; "
        );
    }

    #[test]
    fn sockets_start_before_services() {
        let new = [("a.service", A), ("z.socket", "[Socket]\n")];
        assert_eq!(planned(&[], &new, &[]), "start z.socket; start a.service; ");
    }
}
