//! Containers of systemd-nspawn: a whole system in three seconds, Debian or NixOS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use machine_suites::{Machine, wait};

use super::{
    Owned, Release, folder, is_up, nixos,
    root::{Purpose, root},
};
use crate::host::{as_root, need, run};

/// Moves itself to a control group of its own, and becomes the rest of its arguments.
const OWN_GROUP: &str = "for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do \
     [ -e $tree/cgroup.procs ] && mkdir -p $tree/$0 && echo $$ > $tree/$0/cgroup.procs; done 2>/dev/null; \
     export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1; exec \"$@\"";

/// A container.
#[derive(Debug)]
pub struct Container {
    name: String,
}

impl Container {
    /// Makes a container of Debian and boots it.
    pub fn up(name: &str, release: Release) -> Result<Self> {
        Self::of(name, &root(release, Purpose::Container)?)
    }

    /// Makes a container of NixOS from a tree of nixpkgs and boots it.
    pub fn up_nixos(name: &str, release: Release, nixpkgs: &Path) -> Result<Self> {
        Self::of(name, &nixos::root(release, nixpkgs)?)
    }

    /// Makes a container of a root file system and boots it.
    pub fn of(name: &str, base: &Path) -> Result<Self> {
        need(&[("systemd-nspawn", "systemd-container"), ("nsenter", "util-linux")])?;
        let container = Self { name: name.to_owned() };
        container.remove()?;
        run(as_root("cp").args(["-a", "--reflink=auto"]).arg(base).arg(container.root()))?;
        container.boot()?;
        Ok(container)
    }

    /// A container that was made before.
    pub fn open(name: &str) -> Result<Self> {
        let container = Self { name: name.to_owned() };
        if container.root().exists() {
            Ok(container)
        } else {
            bail!("there is no machine {name}: `cargo xtask machine up --name {name}`")
        }
    }

    /// Its files.
    pub fn root(&self) -> PathBuf {
        folder().join(format!("container-{}", self.name))
    }

    fn pid_file(&self) -> PathBuf {
        folder().join(format!("container-{}.pid", self.name))
    }

    /// Its process 1, as the host sees it.
    fn leader(&self) -> Option<i32> {
        let nspawn = self.nspawn()?;
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// The process that holds it.
    fn nspawn(&self) -> Option<i32> {
        let recorded: i32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let name = format!("osmoda-{}", self.name);
        let is_it = |pid: i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
            words.first().is_some_and(|w| w.ends_with(b"systemd-nspawn")) && words.contains(&name.as_bytes())
        };
        if is_it(recorded) {
            return Some(recorded);
        }
        // Below sudo it is a child of what we started.
        let children = fs::read_to_string(format!("/proc/{recorded}/task/{recorded}/children")).ok()?;
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| is_it(*pid))
    }

    fn remove(&self) -> Result<()> {
        self.cut()?;
        // NixOS makes this folder one that not even root can take away.
        let empty = self.root().join("var/empty");
        if self.is_nixos() && empty.exists() {
            run(as_root("chattr").arg("-i").arg(&empty))?;
        }
        run(as_root("rm").arg("-rf").arg(self.root()).arg(self.pid_file()))?;
        Ok(())
    }
}

/// systemd-nspawn on a root, in a control group of its own.
pub fn nspawn(name: &str, root: &Path) -> Command {
    let mut command = if Path::new("/run/systemd/system").exists() {
        as_root("systemd-nspawn")
    } else {
        // Without systemd on the host nobody makes a scope for it, and containers side by side would share theirs.
        let mut shell = as_root("/bin/sh");
        shell.args(["-c", OWN_GROUP, &format!("osmoda-{name}"), "systemd-nspawn", "--keep-unit"]);
        shell
    };
    command.args(["--quiet", "--register=no", "--private-network", "--link-journal=no"]);
    command.args(["--machine", &format!("osmoda-{name}"), "--directory"]).arg(root);
    command
}

impl Owned for Container {
    fn is_nixos(&self) -> bool {
        self.root().join(nixos::PROFILE).is_symlink()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = as_root("nsenter");
        let leader = self.leader().unwrap_or(-1).to_string();
        command.args([
            "--target",
            &leader,
            "--all",
            "--root",
            "--wd",
            "/usr/bin/env",
            "-i",
            "HOME=/root",
            "TERM=xterm-256color",
        ]);
        let first = if self.is_nixos() { "/run/wrappers/bin:/run/current-system/sw/bin:" } else { "" };
        let path = format!("PATH={first}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["LANG=C.UTF-8", &path]);
        command.args(words);
        command
    }

    fn down(&self) -> Result<()> {
        self.remove()
    }
}

impl Machine for Container {
    fn output(&self, words: &[&str]) -> Result<Output> {
        crate::host::output(&mut self.command(words))
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        super::write(self, path, text)
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn put(&self, from: &Path, to: &str) -> Result<()> {
        let target = self.root().join(to.trim_start_matches('/'));
        run(as_root("install").args(["-D", "-m", "0755"]).arg(from).arg(&target))?;
        Ok(())
    }

    fn cut(&self) -> Result<()> {
        let Some(leader) = self.leader() else { return Ok(()) };
        // Its process 1 takes all others with it.
        run(as_root("kill").args(["-9", &leader.to_string()]))?;
        wait("the end of the container", Duration::from_secs(20), || Ok(self.nspawn().is_none()))?;
        Ok(())
    }

    fn boot(&self) -> Result<()> {
        let console = fs::File::create(folder().join(format!("container-{}.log", self.name)))?;
        let mut command = nspawn(&self.name, &self.root());
        command.arg("--console=passive");
        if self.is_nixos() {
            // As a boot loader does it: the system that the profile points to.
            command.arg(format!("/{}/init", nixos::PROFILE));
        } else {
            command.arg("--boot");
        }
        use std::os::unix::process::CommandExt;
        let child = command
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .process_group(0)
            .spawn()
            .context("systemd-nspawn cannot be run")?;
        fs::write(self.pid_file(), child.id().to_string())?;
        wait("the boot of the container", Duration::from_secs(60), || Ok(self.leader().is_some() && is_up(self)))
            .with_context(|| format!("see {}", folder().join(format!("container-{}.log", self.name)).display()))?;
        Ok(())
    }
}
