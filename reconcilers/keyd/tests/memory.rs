//! What a process is after it protected itself, in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{env, fs, process::Command};

use osmoda_keyd::memory::{MemoryError, protect};
use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, setrlimit},
    thread::{CapabilitySet, capabilities, set_capabilities},
};

fn locked() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

#[test]
#[ignore = "it is the process that the next test starts"]
fn child() {
    let may_exceed = || capabilities(None).unwrap().effective.contains(CapabilitySet::IPC_LOCK);
    if env::var("OSMODA_LIMITED").is_ok() {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::IPC_LOCK);
        set_capabilities(None, sets).unwrap();
        setrlimit(Resource::Memlock, Rlimit { current: Some(65536), maximum: Some(65536) }).unwrap();
    }
    let told = protect();
    match getrlimit(Resource::Memlock).current {
        Some(limit) if !may_exceed() => {
            assert!(matches!(told[..], [MemoryError::Limit(told)] if told == limit), "{told:?}");
            assert!(told[0].to_string().contains("LimitMEMLOCK=infinity"));
            assert_eq!(locked(), 0);
        }
        _ => {
            assert!(told.is_empty(), "{told:?}");
            let before = locked();
            assert!(before > 0);
            // What comes later is locked, too.
            let later = vec![1_u8; 8 << 20];
            assert!(locked() >= before + (8 << 10), "{before} {}", locked());
            drop(later);
        }
    }
    // The others are had in both cases.
    let core = getrlimit(Resource::Core);
    assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
}

#[test]
fn memory_gets_to_no_disk_or_it_is_told() {
    for limited in [false, true] {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "child", "--ignored", "--test-threads=1"]);
        if limited {
            child.env("OSMODA_LIMITED", "1");
        }
        let output = child.output().unwrap();
        assert!(output.status.success(), "{limited}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}
