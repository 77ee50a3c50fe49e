//! Figures of the machine.

use std::fs;

use osmoda_schemas::problem::Problem;
use serde_json::{Value, json};
use sysinfo::{Disks, ProcessesToUpdate, System};

/// Most processes of a list.
const PROCESSES: usize = 50;

/// What can be asked.
const QUERIES: [&str; 8] = ["hostname", "os", "uptime", "load", "cpu", "memory", "disk", "processes"];

/// Answers a question about the machine.
///
/// # Errors
/// When there is no such question.
pub fn query(name: &str, args: &Value) -> Result<Value, Problem> {
    Ok(match name {
        "hostname" => json!({ "hostname": System::host_name().ok() }),
        "os" => json!({
            "name": System::name().ok(), "version": System::os_version().ok(), "kernel": System::kernel_version().ok(),
            "architecture": std::env::consts::ARCH,
        }),
        "uptime" => json!({ "seconds": System::uptime().ok(), "bootedAt": System::boot_time().ok() }),
        "load" => {
            let load = System::load_average().unwrap_or_default();
            json!({ "one": load.one, "five": load.five, "fifteen": load.fifteen, "cpus": cpus() })
        }
        "cpu" => json!({ "cpus": cpus(), "load": System::load_average().unwrap_or_default().one }),
        "memory" => {
            let mut system = System::new().map_err(unreadable)?;
            system.refresh_memory();
            json!({
                "total": system.total_memory(), "available": system.available_memory(),
                "used": system.used_memory(), "swapTotal": system.total_swap(), "swapUsed": system.used_swap(),
            })
        }
        "disk" => {
            let disks = Disks::new_with_refreshed_list().map_err(unreadable)?;
            let one = |disk: &sysinfo::Disk| {
                json!({
                    "mount": disk.mount_point(), "fileSystem": disk.file_system().to_string_lossy(),
                    "total": disk.total_space(), "available": disk.available_space(),
                })
            };
            json!({ "disks": disks.iter().map(one).collect::<Vec<_>>() })
        }
        "processes" => {
            let limit = args["limit"].as_u64().map_or(20, |n| usize::try_from(n).unwrap_or(PROCESSES)).min(PROCESSES);
            let mut system = System::new().map_err(unreadable)?;
            system.refresh_processes(ProcessesToUpdate::All, true);
            let mut all: Vec<_> = system.processes().values().filter(|p| p.thread_kind().is_none()).collect();
            all.sort_by_key(|process| std::cmp::Reverse(process.memory()));
            let one = |process: &&sysinfo::Process| {
                json!({
                    "pid": process.pid().as_u32(), "name": process.name().to_string_lossy(),
                    "memory": process.memory(), "startedAt": process.start_time(),
                })
            };
            json!({ "total": all.len(), "processes": all.iter().take(limit).map(one).collect::<Vec<_>>() })
        }
        other => {
            let problem = Problem::new(422, "unknown-query", format!("there is no question `{other}`"));
            return Err(problem.field("query").hint(format!("the questions are {}", QUERIES.join(", "))));
        }
    })
}

fn unreadable(error: sysinfo::Error) -> Problem {
    Problem::new(500, "machine-not-readable", error.to_string())
}

fn cpus() -> usize {
    fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count().max(1)
}
