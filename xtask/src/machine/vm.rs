//! Virtual machines of QEMU: a kernel of their own, all control group controllers, a disk that survives.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use machine_suites::{Machine, wait};

use super::{
    Owned, Release, folder, is_up,
    root::{Purpose, root},
};
use crate::host::{as_root, need, run};

/// A virtual machine.
#[derive(Debug)]
pub struct Vm {
    name: String,
}

impl Vm {
    /// Makes a virtual machine and boots it.
    pub fn up(name: &str, release: Release) -> Result<Self> {
        need(&[("qemu-system-x86_64", "qemu-system-x86"), ("mke2fs", "e2fsprogs"), ("ssh", "openssh-client")])?;
        let base = root(release, Purpose::Vm)?;
        let vm = Self { name: name.to_owned() };
        vm.remove()?;
        fs::create_dir_all(vm.folder())?;
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(vm.folder().join("key")))?;
        crate::timed("making a disk", || {
            let staged = vm.folder().join("root");
            run(as_root("cp").args(["-a", "--reflink=auto"]).arg(&base).arg(&staged))?;
            let script = "cd \"$1\"; mkdir -p root/.ssh; cat \"$2\" > root/.ssh/authorized_keys; chmod 700 root/.ssh; \
                          printf '/dev/vda / ext4 defaults 0 1\\n' > etc/fstab; \
                          rm -f etc/systemd/system/systemd-networkd.service; \
                          printf '[Match]\\nName=en* eth*\\n[Network]\\nDHCP=yes\\n' > etc/systemd/network/all.network; \
                          ln -sf /usr/lib/systemd/system/systemd-networkd.service etc/systemd/system/multi-user.target.wants/; \
                          cp vmlinuz initrd.img \"$3\"; chmod a+r \"$3\"/vmlinuz \"$3\"/initrd.img";
            run(as_root("/bin/sh")
                .args(["-ec", script, "stage"])
                .arg(&staged)
                .arg(vm.folder().join("key.pub"))
                .arg(vm.folder()))?;
            let image = vm.folder().join("disk.img");
            run(as_root("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&staged).arg(&image).arg("4G"))?;
            run(as_root("chmod").arg("a+rw").arg(&image))?;
            run(as_root("rm").arg("-rf").arg(&staged))?;
            Ok(())
        })?;
        vm.boot()?;
        Ok(vm)
    }

    /// A virtual machine that was made before.
    pub fn open(name: &str) -> Result<Self> {
        let vm = Self { name: name.to_owned() };
        if vm.folder().join("disk.img").exists() {
            Ok(vm)
        } else {
            bail!("there is no virtual machine {name}: `cargo xtask machine up --vm --name {name}`")
        }
    }

    fn folder(&self) -> PathBuf {
        folder().join(format!("vm-{}", self.name))
    }

    fn pid(&self) -> Option<i32> {
        let pid: i32 = fs::read_to_string(self.folder().join("pid")).ok()?.trim().parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(4).any(|w| w == b"qemu").then_some(pid)
    }

    fn ssh(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-i").arg(self.folder().join("key"));
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=5",
            "ControlMaster=auto",
            "ControlPersist=60",
        ] {
            command.args(["-o", option]);
        }
        command.args(["-o", &format!("ControlPath=/tmp/osmoda-vm-{}-%C", self.name)]);
        command
    }

    fn port(&self) -> String {
        fs::read_to_string(self.folder().join("port")).unwrap_or_default().trim().to_owned()
    }

    fn remove(&self) -> Result<()> {
        self.cut()?;
        run(as_root("rm").arg("-rf").arg(self.folder()))?;
        Ok(())
    }
}

/// A word that a shell reads back as it is.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Owned for Vm {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.ssh("ssh");
        command.args(["-p", &self.port(), "root@127.0.0.1", "--"]);
        command.arg(words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "));
        command
    }

    fn down(&self) -> Result<()> {
        self.remove()
    }
}

impl Machine for Vm {
    fn output(&self, words: &[&str]) -> Result<Output> {
        crate::host::output(&mut self.command(words))
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        super::write(self, path, text)
    }

    fn put(&self, from: &Path, to: &str) -> Result<()> {
        let script = format!("mkdir -p \"$(dirname {to})\"; cat > {to}.new~; chmod 755 {to}.new~; mv {to}.new~ {to}");
        let file = fs::File::open(from).with_context(|| from.display().to_string())?;
        let status = self.command(&["/bin/sh", "-ec", &script]).stdin(file).stdout(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { bail!("{to} could not be written: {status}") }
    }

    fn cut(&self) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        // What the machine had not made durable is lost with its process, as with its power.
        run(Command::new("kill").args(["-9", &pid.to_string()]))?;
        wait("the end of the machine", Duration::from_secs(20), || Ok(self.pid().is_none()))?;
        let _ = crate::host::output(self.ssh("ssh").args(["-O", "exit", "-p", &self.port(), "root@127.0.0.1"]));
        Ok(())
    }

    fn boot(&self) -> Result<()> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = self.folder();
        fs::write(folder.join("port"), port.to_string())?;
        let path = |name: &str| folder.join(name).display().to_string();
        let child = Command::new("qemu-system-x86_64")
            .args(["-machine", "q35,accel=tcg,usb=off", "-cpu", "max", "-smp", "2", "-m", "2048"])
            .args(["-nographic", "-no-reboot", "-serial", &format!("file:{}", path("console.log")), "-monitor", "none"])
            .args(["-kernel", &path("vmlinuz"), "-initrd", &path("initrd.img")])
            .args(["-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off"])
            .args(["-drive", &format!("file={},format=raw,if=virtio,cache=writeback", path("disk.img"))])
            .args([
                "-netdev",
                &format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
                "-device",
                "virtio-net,netdev=net",
            ])
            .args(["-device", "virtio-rng-pci"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("qemu.log"))?)
            .spawn()
            .context("qemu-system-x86_64 cannot be run")?;
        fs::write(folder.join("pid"), child.id().to_string())?;
        wait("the boot of the machine", Duration::from_secs(240), || Ok(is_up(self)))
            .with_context(|| format!("see {}", path("console.log")))?;
        Ok(())
    }

    fn is_whole(&self) -> bool {
        true
    }
}
