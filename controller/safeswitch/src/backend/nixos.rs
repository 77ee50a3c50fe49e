//! NixOS: the generation is a part of the operator's system, which is built with Nix and activated by its own
//! `switch-to-configuration` (nixpkgs, nixos/modules/system/activation).

use std::{
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use osmoda_failpoint as failpoint;
use osmoda_generation::{
    Profile, generation_of,
    nixos::{Nixos as System, search_path},
    packages::changes,
    store_path::StorePath,
};
use osmoda_schemas::switch::{SwitchRecord, SystemSwitch};
use osmoda_systemd::{ActivationPlan, ActivationReport, ActiveState, Step, UnitFailure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use super::{Backend, Way, ensure_unmoved};
use crate::{Runner, SwitchError, systems::somebody_switches};

/// Longest time that the boot loader may take.
const BOOT_LOADER: Duration = Duration::from_secs(300);
/// Time that it gets once everything that held it up is killed.
const LATE: Duration = Duration::from_secs(30);
/// SIGKILL.
const KILL: i32 = 9;
/// Time between two looks whether somebody else is still switching.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Lines of its words that a failure keeps.
const WORDS: usize = 8;

/// The backend `nixos`.
pub(super) struct Nixos;

impl Backend for Nixos {
    fn build<'a>(&'a self, runner: &'a mut Runner) -> BoxFuture<'a, Result<(), SwitchError>> {
        async move {
            let id = runner.record.id.clone();
            let systems = systems(&runner.record)?.clone();
            let base = path(&systems.base)?;
            let roots = &runner.machine.roots;
            let pinned = "a root of a system";
            roots.pin(&format!("switch-{id}-base-system"), &base).map_err(SwitchError::io(pinned))?;
            let root = format!("switch-{id}-system");
            if let Some(built) = &systems.target {
                return roots.pin(&root, &path(built)?).map_err(SwitchError::io(pinned));
            }
            let began = Instant::now();
            let root = roots.link(&root).map_err(SwitchError::io(pinned))?;
            let system = System::new(runner.machine.programs.join("nix"), systems.source.clone());
            failpoint::before("nixos.build", &id);
            let target = runner.unless_cancelled(system.build(&runner.target()?, &root)).await??;
            failpoint::after("nixos.build", &id);
            let store = &runner.machine.store;
            // For people only: where Nix cannot be asked, the switch is as good without.
            let packages = match tokio::try_join!(store.closure([&base]), store.closure([&target])) {
                Ok((before, after)) => changes(&before, &after),
                Err(error) => {
                    tracing::warn!("the closures cannot be compared: {error}");
                    Vec::new()
                }
            };
            runner.record.nixos = Some(SystemSwitch {
                target: Some(target.into()),
                build_ms: u64::try_from(began.elapsed().as_millis()).ok(),
                packages,
                ..systems
            });
            runner.save()
        }
        .boxed()
    }

    fn activate<'a>(&'a self, runner: &'a Runner, way: Way) -> BoxFuture<'a, Result<ActivationReport, SwitchError>> {
        async move {
            let systems = systems(&runner.record)?;
            let (system, generation) = match way {
                Way::Forth => (built(systems)?, Some(runner.target()?)),
                Way::Back => (path(&systems.base)?, runner.base()?),
            };
            if way == Way::Forth {
                ensure_unmoved(&runner.machine, &runner.record, &[Some(&systems.base), systems.target.as_deref()])?;
            }
            let began = Instant::now();
            let timeout = runner.record.activation_timeout.as_std();
            let mut killed = Vec::new();
            let output = switch_to_configuration(&system, "test", timeout, async {
                killed = kill_stubborn(runner, way).await?;
                Ok(())
            })
            .await?;
            let mut report = ActivationReport { killed, ..report_of(&output) };
            // It names every unit that has failed, and starts those again that had failed before.
            report.failures.retain(|failure| !runner.record.failed_before.contains(&failure.unit));
            report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let active = runner.machine.active().map_err(SwitchError::io("the active generation"))?;
            // A system of somebody else's making has no generation, or one that was not the active one.
            if active != generation && (way == Way::Forth || generation_of(&system) == generation) {
                let link = runner.machine.active_link();
                let reason = format!(
                    "its activation has not moved {}: is `services.osmoda.backend = \"nixos\"` set in the system?",
                    link.display()
                );
                report.failures.push(UnitFailure { unit: system.to_string(), reason });
            }
            Ok(report)
        }
        .boxed()
    }

    fn longest(&self, record: &SwitchRecord) -> Duration {
        // A wait for somebody else's switch may come before each of both; a boot loader that is being written is not killed.
        2 * (record.activation_timeout.as_std() + LATE) + 2 * (BOOT_LOADER + LATE)
    }

    fn after_commit<'a>(&'a self, runner: &'a Runner) -> BoxFuture<'a, Result<(), SwitchError>> {
        async move {
            let systems = systems(&runner.record)?;
            let Err(error) = boot_entry_of(&built(systems)?).await else { return Ok(()) };
            let base = path(systems.way_back())?;
            lead_back(&runner.machine.profile_of(&runner.record), &base)?;
            if let Err(error) = boot_entry_of(&base).await {
                tracing::error!("THE BOOT LOADER, somebody has to look: {error}");
            }
            Err(error)
        }
        .boxed()
    }
}

/// The profile leads to that system, which was its default before, or at least was running.
pub(crate) fn lead_back(profile: &Profile, base: &StorePath) -> Result<(), SwitchError> {
    let back = profile.go_back(base).or_else(|_| profile.commit(base));
    back.map(drop).map_err(SwitchError::io("the profile"))
}

/// Makes the boot loader boot what the profile leads to, with that system's own programs.
pub(crate) async fn boot_entry_of(system: &StorePath) -> Result<(), SwitchError> {
    failpoint::before("nixos.boot", system);
    let output = switch_to_configuration(system, "boot", BOOT_LOADER, async { Ok(()) }).await?;
    failpoint::after("nixos.boot", system);
    if output.status.success() {
        return Ok(());
    }
    Err(SwitchError::Record(format!("the boot loader: {}", last_words(&output))))
}

fn systems(record: &SwitchRecord) -> Result<&SystemSwitch, SwitchError> {
    record.nixos.as_ref().ok_or_else(|| SwitchError::Record("it names no NixOS system".to_owned()))
}

fn built(systems: &SystemSwitch) -> Result<StorePath, SwitchError> {
    path(systems.target.as_deref().ok_or_else(|| SwitchError::Record("its system is not built".to_owned()))?)
}

fn path(text: &str) -> Result<StorePath, SwitchError> {
    text.parse().map_err(|e| SwitchError::Record(format!("{e}")))
}

/// Calls the system's own program. What it waits for in vain is ended by `late`, once, when the time is over.
async fn switch_to_configuration(
    system: &StorePath,
    action: &str,
    timeout: Duration,
    late: impl Future<Output = Result<(), SwitchError>>,
) -> Result<Output, SwitchError> {
    let program = system.as_path().join("bin/switch-to-configuration");
    // Some versions of it do not wait for another one, but fail.
    let until = Instant::now() + timeout;
    while somebody_switches().map_err(SwitchError::io("the lock of switch-to-configuration"))? && Instant::now() < until
    {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let what = || format!("{} {action}", program.display());
    let child = Command::new(&program)
        .arg(action)
        .env("PATH", search_path())
        .current_dir(Path::new("/"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(SwitchError::io(what()))?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let output = child.wait_with_output();
    tokio::pin!(output);
    if let Ok(output) = tokio::time::timeout(timeout, &mut output).await {
        return output.map_err(SwitchError::io(what()));
    }
    late.await?;
    match tokio::time::timeout(LATE, output).await {
        Ok(output) => output.map_err(SwitchError::io(what())),
        Err(_) => {
            // All that it has started: a script that goes on would move links when the way back has been taken.
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            Err(SwitchError::Record(format!("{} did not end within {} s", what(), (timeout + LATE).as_secs())))
        }
    }
}

/// Ends for certain what is being stopped and does not stop: systemd would wait for TimeoutStopSec, or for ever. Gives its
/// names.
async fn kill_stubborn(runner: &Runner, way: Way) -> Result<Vec<String>, SwitchError> {
    // Those of objects: others of the system may have reasons to take their time.
    let (ours, _) = runner.ends(way)?;
    let states = runner.manager.snapshot().await?;
    let is_stopping = |unit: &&String| states.active(unit) == ActiveState::Deactivating;
    let names: Vec<String> = ours.files.keys().filter(is_stopping).cloned().collect();
    for unit in &names {
        runner.manager.kill(unit, KILL).await?;
    }
    Ok(names)
}

/// What it says that it did, and what failed.
fn report_of(output: &Output) -> ActivationReport {
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).join("\n");
    let mut report = ActivationReport { plan: plan_of(&said), ..ActivationReport::default() };
    let failed = listed(&said, "warning: the following units failed:");
    report.failures = failed
        .map(|unit| UnitFailure { unit: unit.to_owned(), reason: "it failed when it was started".to_owned() })
        .collect();
    if !output.status.success() && report.failures.is_empty() {
        let unit = "switch-to-configuration".to_owned();
        report.failures.push(UnitFailure { unit, reason: format!("{}: {}", output.status, last_words(output)) });
    }
    report
}

fn last_words(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(WORDS)..].join("\n")
}

fn plan_of(said: &str) -> ActivationPlan {
    let steps = |prefixes: &[&str]| {
        let units = prefixes.iter().flat_map(|prefix| listed(said, prefix));
        units.map(|unit| Step { unit: unit.to_owned(), reason: "NixOS".to_owned() }).collect()
    };
    ActivationPlan {
        stop: steps(&["stopping the following units:"]),
        reload: steps(&["reloading the following units:"]),
        restart: steps(&["restarting the following units:"]),
        start: steps(&["starting the following units:", "the following new units were started:"]),
        keep: steps(&["NOT restarting the following changed units:"]),
    }
}

/// The units that a line names: `stopping the following units: a.service, b.service`.
fn listed<'a>(said: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = said.lines().filter_map(move |line| line.trim().strip_prefix(prefix));
    lines.flat_map(|units| units.split(',')).map(str::trim).filter(|unit| !unit.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        Output { status: ExitStatusExt::from_raw(code << 8), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn what_it_did_is_read() {
        let report = report_of(&output(
            0,
            "",
            "stopping the following units: a.service, b.timer\nactivating the configuration...\nsetting up /etc...\n\
             restarting the following units: c.service\nstarting the following units: a.service\n\
             the following new units were started: d.service\n",
        ));
        let units = |steps: &[Step]| steps.iter().map(|step| step.unit.clone()).collect::<Vec<_>>();
        assert_eq!(units(&report.plan.stop), ["a.service", "b.timer"]);
        assert_eq!(units(&report.plan.restart), ["c.service"]);
        assert_eq!(units(&report.plan.start), ["a.service", "d.service"]);
        assert_eq!(report.failures, []);
    }

    #[test]
    fn what_failed_is_named() {
        let words = "warning: the following units failed: web.service\n× web.service - it\n";
        let report = report_of(&output(4, "", words));
        assert_eq!(report.failures.len(), 1);
        assert_eq!(report.failures[0].unit, "web.service");
        let report = report_of(&output(2, "", "Activation script snippet 'users' failed (1)\n"));
        assert!(report.failures[0].reason.contains("snippet 'users' failed"), "{report:?}");
    }
}
