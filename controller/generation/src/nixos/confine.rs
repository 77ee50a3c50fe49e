//! What Nix may take of the machine's memory: what runs on it comes first.

use std::{fs, io};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::Child;

/// Most address space of an evaluation, in bytes: a system takes about 1 GiB.
pub(super) const EVALUATION: u64 = 8 << 30;
/// How much rather than others it is killed when the machine has no memory left, from 0 to 1000 (proc_pid_oom_score_adj(5)).
const KILL_FIRST: u32 = 800;

/// Confines a program that has just been started, and all that it will start: when memory runs out it is killed before the
/// machine's services, and it gets no more address space than so many bytes.
pub(super) fn confine(child: &Child, address_space: Option<u64>) -> io::Result<()> {
    // It may be over already.
    let Some(id) = child.id() else { return Ok(()) };
    fs::write(format!("/proc/{id}/oom_score_adj"), KILL_FIRST.to_string())?;
    if address_space.is_some() {
        let limit = Rlimit { current: address_space, maximum: address_space };
        prlimit(i32::try_from(id).ok().and_then(Pid::from_raw), Resource::As, limit)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use std::process::Stdio;

    use tokio::{io::AsyncWriteExt, process::Command};

    use super::*;

    #[tokio::test]
    async fn what_it_starts_is_confined_too() {
        let script = "read go; sh -c 'ulimit -v; cat /proc/self/oom_score_adj'";
        let mut child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        confine(&child, Some(EVALUATION)).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "8388608\n800\n");
    }
}
