//! The client against a real systemd.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use osmoda_systemd::{
    ActiveState, JobResult, Manager, Move, SystemdError, UnitEvents, UnitFile, Verb, activate,
    transient::{CommandEnd, Confinement, TransientService},
};

const LONG: Duration = Duration::from_secs(60);
/// For a thousand things, on a machine that has others to do, too.
const LONGER: Duration = Duration::from_secs(300);
const UNITS: &str = "/run/systemd/system";

/// These tests change units of the machine they run on.
macro_rules! machine {
    () => {
        if std::env::var_os("OSMODA_MACHINE").is_none() {
            println!("SKIPPED: needs a machine (cargo xtask test)");
            return;
        }
    };
}

fn write(unit: &str, text: &str) {
    fs::create_dir_all(UNITS).unwrap();
    fs::write(Path::new(UNITS).join(unit), text).unwrap();
}

fn shell(script: &str) -> TransientService {
    TransientService::new("test", vec!["/bin/sh".into(), "-c".into(), script.into()])
}

#[tokio::test]
async fn jobs_tell_how_they_ended() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    write("t-good.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    write("t-bad.service", "[Service]\nType=exec\nExecStart=/nonexistent\n");
    manager.daemon_reload(LONG).await.unwrap();
    assert_eq!(manager.run_job(Verb::Start, "t-good.service", LONG).await.unwrap(), JobResult::Done);
    assert_eq!(manager.status("t-good.service").await.unwrap().active, ActiveState::Active);
    assert!(manager.main_pid("t-good.service").await.unwrap().is_some());
    assert!(manager.fragment_path("t-good.service").await.unwrap().ends_with("/t-good.service"));
    assert_eq!(manager.run_job(Verb::Start, "t-bad.service", LONG).await.unwrap(), JobResult::Failed);
    let before = Default::default();
    assert!(manager.snapshot().await.unwrap().failed_since(&before).contains(&"t-bad.service"));
    manager.reset_failed("t-bad.service").await.unwrap();
    let error = manager.run_job(Verb::Start, "t-none.service", LONG).await.unwrap_err();
    assert!(error.is_no_such_unit(), "{error}");
    assert_eq!(manager.run_job(Verb::Stop, "t-good.service", LONG).await.unwrap(), JobResult::Done);
}

#[tokio::test]
async fn a_death_is_seen_from_its_signal() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    write("t-die.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n");
    manager.daemon_reload(LONG).await.unwrap();
    let mut latencies = Vec::new();
    for _ in 0..50 {
        manager.reset_failed("t-die.service").await.unwrap();
        manager.run_job(Verb::Start, "t-die.service", LONG).await.unwrap();
        let mut events = UnitEvents::new(&manager).await.unwrap();
        let killed = Instant::now();
        manager.kill("t-die.service", 9).await.unwrap();
        let seen = async {
            loop {
                let event = events.next().await.unwrap();
                if event.unit == "t-die.service" && event.active == ActiveState::Failed {
                    break;
                }
            }
        };
        tokio::time::timeout(LONG, seen).await.expect("the signal arrives");
        latencies.push(killed.elapsed());
    }
    latencies.sort();
    println!("kill to signal: median {:?}, worst {:?}", latencies[25], latencies[49]);
}

#[tokio::test]
async fn a_command_that_hangs_and_forks_leaves_nothing_behind() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let script = "trap '' TERM; (trap '' TERM; setsid sleep 4242) & sleep 4242";
    let started = Instant::now();
    let outcome = manager.run_command("t-hang.service", &shell(script), Duration::from_millis(500)).await.unwrap();
    assert_eq!(outcome.end, CommandEnd::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let left = std::process::Command::new("pgrep").args(["-f", "sleep 4242"]).output().unwrap();
    assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
}

#[tokio::test]
async fn commands_tell_their_end_and_their_last_words() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let outcome = manager.run_command("t-cmd.service", &shell("echo out; echo err >&2; exit 3"), LONG).await.unwrap();
    assert_eq!((outcome.end, outcome.output.as_str()), (CommandEnd::Exit(3), "out\nerr\n"));
    let outcome = manager.run_command("t-cmd.service", &shell("exit 0"), LONG).await.unwrap();
    assert_eq!(outcome.end, CommandEnd::Exit(0));
    let outcome = manager.run_command("t-cmd.service", &shell("kill -9 $$"), LONG).await.unwrap();
    assert_eq!(outcome.end, CommandEnd::Signal(9));
    let loud = manager.run_command("t-cmd.service", &shell("seq 1 100000"), LONG).await.unwrap();
    assert!(loud.output.ends_with("100000\n") && loud.output.len() <= 4096);
    let none = TransientService::new("test", vec!["/nonexistent".into()]);
    assert!(!matches!(manager.run_command("t-cmd.service", &none, LONG).await.unwrap().end, CommandEnd::Exit(0)));
}

#[tokio::test]
async fn what_is_confined_reaches_no_more_than_it_may() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let network = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let without_capabilities = "grep -q '^CapBnd:[[:space:]]*0*$' /proc/self/status";
    let without_homes = "! ls /root && ! ls /home";
    let without_namespaces = "! unshare --uts true";
    let with_network = format!("test \"$(readlink /proc/self/ns/net)\" = '{network}'");
    for (script, strict, offline) in [
        ("exit 0", true, true),
        (without_capabilities, true, true),
        (without_homes, true, true),
        (without_namespaces, true, true),
        (&with_network, true, false),
    ] {
        for (confinement, passes) in [(Confinement::Strict, strict), (Confinement::Offline, offline)] {
            let mut service = shell(script);
            service.confinement = confinement;
            let outcome = manager.run_command("t-confined.service", &service, LONG).await.unwrap();
            assert_eq!(outcome.end == CommandEnd::Exit(0), passes, "{confinement:?}: {script}: {outcome:?}");
        }
    }
    let mut service = shell("test \"$(id -un)\" = nobody && ! echo x > /run/x");
    service.confinement = Confinement::Strict;
    service.user = Some("nobody".to_owned());
    let outcome = manager.run_command("t-confined.service", &service, LONG).await.unwrap();
    assert_eq!(outcome.end, CommandEnd::Exit(0), "{outcome:?}");
}

#[tokio::test]
async fn transient_units_survive_a_daemon_reload() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let (file, go) = ("/run/t-reloaded", "/run/t-reload-go");
    let _ = (fs::remove_file(file), fs::remove_file(go));
    // A script, for systemd 252 does not keep a `$` or a `;` over a daemon-reload. It lives until it may fail: of a
    // program that is gone before systemd saw it run, the start has failed.
    let script = format!(
        "#!/bin/sh\necho \"$1\" \"$$\" >> {file}\nuntil test -e {go}; do sleep 0.1; done\ntest $(wc -l < {file}) -ge 2\n"
    );
    fs::write("/run/t-script", script).unwrap();
    fs::set_permissions("/run/t-script", fs::Permissions::from_mode(0o755)).unwrap();
    let mut service = TransientService::new("test", vec!["/run/t-script".into(), "a  \"b\" %h".into()]);
    // It fails after the reload; started again, from what systemd wrote down, it does the same.
    service.restart_after = Some(Duration::from_secs(1));
    manager.start_transient("t-reload.service", &service).await.unwrap();
    manager.start_transient_timer("t-reload-timer", LONG, &service).await.unwrap();
    manager.daemon_reload(LONG).await.unwrap();
    assert_eq!(manager.status("t-reload-timer.timer").await.unwrap().active, ActiveState::Active);
    fs::write(go, "").unwrap();
    let started = Instant::now();
    while fs::read_to_string(file).unwrap_or_default().lines().count() < 2 {
        assert!(started.elapsed() < Duration::from_secs(10), "it was not started again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = fs::read_to_string(file).unwrap();
    assert!(text.lines().all(|line| line.starts_with("a  \"b\" %h ")), "{text}");
    let done = manager.run_job(Verb::Start, "t-reload-timer.service", LONG).await.unwrap();
    assert_eq!(done, JobResult::Done);
    manager.run_job(Verb::Stop, "t-reload-timer.timer", LONG).await.unwrap();
}

#[tokio::test]
async fn more_jobs_than_the_bus_has_room_for_all_end() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    write("t-many@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n");
    manager.daemon_reload(LONG).await.unwrap();
    for verb in [Verb::Start, Verb::Stop] {
        let units: Vec<String> = (0..1500).map(|n| format!("t-many@{n}.service")).collect();
        let jobs = units.iter().map(|unit| manager.run_job(verb, unit, LONGER));
        for result in futures_util::future::join_all(jobs).await {
            assert_eq!(result.unwrap(), JobResult::Done);
        }
    }
}

#[tokio::test]
async fn more_questions_than_the_bus_has_room_for_are_all_answered() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let units: Vec<String> = (0..1500).map(|n| format!("t-unknown-{n}.service")).collect();
    for status in futures_util::future::join_all(units.iter().map(|unit| manager.status(unit))).await {
        assert_eq!(status.unwrap().active, ActiveState::Inactive);
    }
    for restarts in futures_util::future::join_all(units.iter().map(|_| manager.restarts("dbus.service"))).await {
        assert_eq!(restarts.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_slow_reader_of_signals_holds_nobody_back() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    write("t-flood@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n");
    manager.daemon_reload(LONG).await.unwrap();
    let mut events = UnitEvents::new(&manager).await.unwrap();
    // Nobody reads the signals of these.
    let units: Vec<String> = (0..600).map(|n| format!("t-flood@{n}.service")).collect();
    for verb in [Verb::Start, Verb::Stop, Verb::Start, Verb::Stop] {
        let jobs = units.iter().map(|unit| manager.run_job(verb, unit, LONGER));
        assert!(futures_util::future::join_all(jobs).await.into_iter().all(|result| result.is_ok()));
    }
    let mut ends = 0;
    while ends < 2 * units.len() {
        let event = tokio::time::timeout(LONG, events.next()).await.expect("none is lost").unwrap();
        ends += usize::from(event.unit.starts_with("t-flood@") && event.active == ActiveState::Inactive);
    }
}

#[tokio::test]
async fn signals_go_on_after_systemd_was_executed_anew() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    write("t-anew.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    manager.daemon_reload(LONG).await.unwrap();
    let mut events = UnitEvents::new(&manager).await.unwrap();
    // It gives up its connection to the bus, and makes another one.
    assert!(std::process::Command::new("systemctl").arg("daemon-reexec").status().unwrap().success());
    let started = Instant::now();
    while let Err(error) = manager.run_job(Verb::Start, "t-anew.service", Duration::from_secs(2)).await {
        assert!(started.elapsed() < LONG, "{error}");
    }
    let seen = async { while events.next().await.unwrap().unit != "t-anew.service" {} };
    tokio::time::timeout(LONG, seen).await.expect("a signal of the new connection");
    assert_eq!(manager.run_job(Verb::Stop, "t-anew.service", LONG).await.unwrap(), JobResult::Done);
}

#[tokio::test]
async fn a_transient_timer_runs_its_service_once() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let file = "/run/t-timer-ran";
    let _ = fs::remove_file(file);
    let service = shell(&format!("echo ran >> {file}"));
    manager.start_transient_timer("t-timer", Duration::from_millis(300), &service).await.unwrap();
    let error = manager.start_transient_timer("t-timer", LONG, &service).await.unwrap_err();
    assert!(matches!(error, SystemdError::Refused { .. }), "{error}");
    let mut events = UnitEvents::new(&manager).await.unwrap();
    let done = async {
        while fs::read_to_string(file).unwrap_or_default() != "ran\n" {
            events.next().await;
        }
    };
    tokio::time::timeout(LONG, done).await.expect("the timer fires");
}

#[tokio::test]
async fn an_activation_follows_the_rules_and_reports_what_failed() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let service = |argument: &str, more: &str| format!("[Service]\nExecStart=/bin/sleep {argument}\n{more}");
    let deaf = Path::new("/run/t-a-stubborn");
    let _ = fs::remove_file(deaf);
    let stubborn = "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; touch /run/t-a-stubborn; sleep infinity'\n\
        TimeoutStopSec=infinity\n";
    let old: BTreeMap<&str, String> = BTreeMap::from([
        ("t-a-changed.service", service("1001", "")),
        ("t-a-same.service", service("1002", "")),
        ("t-a-gone.service", service("1003", "")),
        ("t-a-never.service", service("1004", "X-RestartIfChanged=false\n")),
        ("t-a-stubborn.service", stubborn.to_owned()),
    ]);
    let new: BTreeMap<&str, String> = BTreeMap::from([
        ("t-a-changed.service", service("2001", "")),
        ("t-a-same.service", service("1002", "")),
        ("t-a-never.service", service("2004", "X-RestartIfChanged=false\n")),
        ("t-a-new.service", service("2005", "")),
        ("t-a-broken.service", "[Service]\nType=exec\nExecStart=/nonexistent\n".to_owned()),
    ]);
    let parse = |units: &BTreeMap<&str, String>| -> BTreeMap<String, UnitFile> {
        units.iter().map(|(name, text)| ((*name).to_owned(), UnitFile::parse(text))).collect()
    };
    for (name, text) in &old {
        write(name, text);
    }
    manager.daemon_reload(LONG).await.unwrap();
    for name in old.keys() {
        manager.run_job(Verb::Start, name, LONG).await.unwrap();
    }
    // A shell that has just been started would still hear.
    let is_deaf = async {
        while !deaf.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, is_deaf).await.expect("the shell begins");
    let pid = async |unit: &str| manager.main_pid(unit).await.unwrap();
    let (same, never, changed) =
        (pid("t-a-same.service").await, pid("t-a-never.service").await, pid("t-a-changed.service").await);
    let wanted: BTreeSet<String> = new.keys().map(|name| (*name).to_owned()).collect();
    let units = Move { from: &parse(&old), to: &parse(&new), wanted: &wanted };
    let report = activate(&manager, units, Duration::from_secs(10), async || {
        for name in old.keys() {
            fs::remove_file(Path::new(UNITS).join(name)).unwrap();
        }
        for (name, text) in &new {
            write(name, text);
        }
        Ok::<_, SystemdError>(())
    })
    .await
    .unwrap();
    assert_eq!(report.killed, ["t-a-stubborn.service"]);
    let failed: Vec<&str> = report.failures.iter().map(|f| f.unit.as_str()).collect();
    assert_eq!(failed, ["t-a-broken.service"]);
    let after = manager.snapshot().await.unwrap();
    for (unit, state) in [
        ("t-a-changed.service", ActiveState::Active),
        ("t-a-new.service", ActiveState::Active),
        ("t-a-gone.service", ActiveState::Inactive),
        ("t-a-broken.service", ActiveState::Failed),
    ] {
        assert_eq!(after.active(unit), state, "{unit}");
    }
    assert_eq!((pid("t-a-same.service").await, pid("t-a-never.service").await), (same, never), "not touched");
    assert_ne!(pid("t-a-changed.service").await, changed);
}

#[tokio::test]
async fn a_unit_that_comes_up_during_an_activation_is_not_left_with_its_old_file() {
    machine!();
    let manager = Manager::connect().await.unwrap();
    let service = |argument: &str| format!("[Service]\nType=exec\nExecStart=/bin/sleep {argument}\n");
    let old = [("t-l-gone.service", service("1001")), ("t-l-changed.service", service("1002"))];
    let new = [("t-l-changed.service", service("2002"))];
    let parse = |units: &[(&str, String)]| -> BTreeMap<String, UnitFile> {
        units.iter().map(|(name, text)| ((*name).to_owned(), UnitFile::parse(text))).collect()
    };
    for (name, text) in &old {
        write(name, text);
    }
    manager.daemon_reload(LONG).await.unwrap();
    let wanted = BTreeSet::from(["t-l-changed.service".to_owned()]);
    let units = Move { from: &parse(&old), to: &parse(&new), wanted: &wanted };
    let report = activate(&manager, units, LONG, async || {
        // Somebody's jobs for them were on the way.
        for (name, _) in &old {
            assert_eq!(manager.run_job(Verb::Start, name, LONG).await?, JobResult::Done);
        }
        fs::remove_file(Path::new(UNITS).join("t-l-gone.service")).unwrap();
        write("t-l-changed.service", &new[0].1);
        Ok::<_, SystemdError>(())
    })
    .await
    .unwrap();
    assert!(report.failures.is_empty() && report.killed.is_empty(), "{report:?}");
    let after = manager.snapshot().await.unwrap();
    assert_eq!(after.active("t-l-gone.service"), ActiveState::Inactive);
    let pid = manager.main_pid("t-l-changed.service").await.unwrap().expect("it runs");
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(String::from_utf8(command).unwrap(), "/bin/sleep\x002002\0");
}
