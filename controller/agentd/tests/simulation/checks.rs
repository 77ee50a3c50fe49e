//! What has to hold, whatever happens (DESIGN.md, "Invariants"): at every step, after every boot, and once all is calm.

use std::sync::Arc;

use osmoda_ledger::{Query, Reader};
use osmoda_schemas::switch::{SwitchPurpose, SwitchState};
use osmoda_systemd::Verb;

use crate::machine::Sim;

/// Kinds of events of which a switch has exactly one.
const OUTCOMES: [&str; 4] = ["switch.committed", "switch.rolled-back", "switch.failed", "switch.refused"];

impl Sim {
    /// At a failpoint: the effect of the place is judged by what is on disk.
    pub fn look_at_place(&self, side: &str, point: &'static str, detail: &str) {
        if point != "durable.link" {
            return;
        }
        let machine = self.machine();
        if side == "before" && detail.ends_with("/profiles/osmoda") {
            // The boot default moves only at a commit, of a switch that says so on disk.
            let open = machine.journal().list(2).unwrap_or_default();
            if !open.iter().any(|record| record.state == SwitchState::Probation) {
                self.shared.broken(format!("the boot default moves, and no switch is on probation: {open:#?}"));
            }
        }
        if side == "after" && detail.ends_with("/run/generation") {
            let active = machine.active().unwrap_or_default().map(String::from);
            let open = machine.journal().list(1).unwrap_or_default();
            let Some(record) = open.first() else { return };
            let forth = record.state == SwitchState::Activating && active.as_deref() == Some(&*record.target);
            if forth && record.purpose == SwitchPurpose::Apply && self.quarantined().contains(&record.target) {
                self.shared.broken("a generation in quarantine is activated");
            }
        }
    }

    /// Nothing is done to a unit of an app that the ledger does not tell of before.
    pub fn look_at_job(&self, program: &str, verb: Verb, unit: &str) {
        if !unit.starts_with("osmoda-app-") || *self.was_full.lock().unwrap() {
            return;
        }
        let query = Query { limit: 200, newest_first: true, ..Query::default() };
        let rows = Reader::open(&self.machine().ledger_folder()).and_then(|reader| reader.rows(&query));
        let rows = rows.unwrap_or_default();
        let told = rows.iter().any(|row| match program {
            "agentd" => row.kind == "heal.starting" && row.payload["unit"] == unit,
            _ => {
                let intents = ["switch.activating", "switch.rolling-back"];
                let switch = &row.payload["switch"];
                intents.contains(&row.kind.as_str())
                    && !rows.iter().any(|r| OUTCOMES.contains(&r.kind.as_str()) && r.payload["switch"] == *switch)
            }
        });
        if !told {
            self.shared.broken(format!("{program} does {verb:?} of {unit}, and the ledger does not tell why"));
        }
    }

    /// Uncommitted never survives a reboot.
    pub fn look_after_boot(&self) {
        let machine = self.machine();
        let (active, committed) = (machine.active().unwrap_or_default(), machine.profile.current().unwrap_or_default());
        if active != committed.map(|c| c.path) {
            self.shared.broken("after a boot another generation is active than the committed one");
        }
    }

    /// At any time: at most one switch is in flight.
    pub fn look(&self) {
        let open = self.machine().journal().list(8).unwrap_or_default();
        let open = open.iter().filter(|record| !record.state.is_final()).count();
        if open > 1 {
            self.shared.broken(format!("{open} switches are in flight"));
        }
    }

    /// Once all is calm: nothing is left over, what is committed is active and runs, and the ledger tells all of it.
    pub async fn look_at_rest(self: &Arc<Self>, when: &str) {
        let machine = self.machine();
        let broken = |what: String| self.shared.broken(format!("{when}: {what}"));
        let journal = machine.journal();
        for record in journal.in_flight().unwrap_or_default() {
            broken(format!("a switch does not end: {} {:?}", record.state, record.failure));
        }
        for unit in self.systemd.transients() {
            broken(format!("{} is left over", crate::machine::plain(&unit)));
        }
        let (active, committed) = (machine.active().unwrap_or_default(), machine.profile.current().unwrap_or_default());
        if active.as_ref() != committed.as_ref().map(|c| &c.path) {
            broken(format!("{active:?} is active, {committed:?} is committed"));
        }
        let (running, wanted) = (self.systemd.running(), self.systemd.wanted());
        let orphans: Vec<_> = running.keys().filter(|unit| !wanted.contains_key(*unit)).collect();
        if !orphans.is_empty() {
            broken(format!("units of no generation run: {orphans:?}"));
        }
        for (unit, exec) in wanted {
            match running.get(&unit) {
                Some(runs) if *runs != exec => broken(format!("{unit} runs {runs}, and should run {exec}")),
                Some(_) => {}
                None => broken(format!("{unit} does not run")),
            }
        }
        for (name, _) in machine.roots.list().unwrap_or_default() {
            broken(format!("the root {} is left over", crate::machine::plain(&name)));
        }
        self.look_at_ledger(when);
    }

    /// How its switches ended.
    pub fn count_switches(&self) {
        let query = Query { kind: Some("switch.*".to_owned()), limit: usize::MAX, ..Query::default() };
        let rows = Reader::open(&self.machine().ledger_folder()).and_then(|reader| reader.rows(&query));
        for row in rows.unwrap_or_default() {
            if let Some(outcome) = OUTCOMES.iter().find(|kind| **kind == row.kind) {
                self.shared.count(outcome);
            }
        }
    }

    fn look_at_ledger(&self, when: &str) {
        let folder = self.machine().ledger_folder();
        match osmoda_ledger::verify(&folder, None) {
            Ok(report) if report.is_whole() => {}
            other => self.shared.broken(format!("{when}: the ledger: {other:?}")),
        }
        let query = Query { limit: usize::MAX, ..Query::default() };
        let rows = Reader::open(&folder).and_then(|reader| reader.rows(&query)).unwrap_or_default();
        let mut switches: std::collections::BTreeMap<&str, (u32, u32)> = std::collections::BTreeMap::new();
        for row in &rows {
            let Some(switch) = row.payload["switch"].as_str() else { continue };
            let (intents, outcomes) = switches.entry(switch).or_default();
            *intents += u32::from(row.kind == "switch.activating");
            *outcomes += u32::from(OUTCOMES.contains(&row.kind.as_str()));
        }
        for (switch, (intents, outcomes)) in switches {
            if intents > 1 || outcomes != 1 {
                self.shared.broken(format!("{when}: {switch} has {intents} intents and {outcomes} outcomes"));
            }
        }
    }
}
