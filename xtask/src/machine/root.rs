//! Root file systems, made once from Debian's packages and copied for every machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Release, folder};
use crate::host::{as_root, need, run};

/// What a machine needs, and what the stories and suites use as "a real service".
const PACKAGES: &str = "systemd,systemd-sysv,dbus,nix-bin,nix-setup-systemd,bubblewrap,nginx-light,curl,python3,\
                        ca-certificates,iproute2,procps,sqlite3,jq";
/// What a virtual machine needs on top.
const VM_PACKAGES: &str = "linux-image-cloud-amd64,initramfs-tools,openssh-server,e2fsprogs";
/// The file in a root that tells what it was made of.
const MARK: &str = "etc/osmoda-machine";
/// Units that have nothing to do in a machine that lives for a test.
const MASKED: [&str; 13] = [
    "systemd-networkd.service",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "nginx.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "console-getty.service",
    "nix-daemon.socket",
];
/// One user is enough to build as, and nothing is downloaded.
const NIX_CONF: &str =
    "build-users-group =\nsubstituters =\nsandbox = false\nexperimental-features = nix-command flakes\n";

/// The root file system of a release; made when it is not there.
pub fn root(release: Release, vm: bool) -> Result<PathBuf> {
    let suffix = if vm { "-vm" } else { "" };
    let path = folder().join(format!("root-{}{suffix}", release.name()));
    let packages = if vm { format!("{PACKAGES},{VM_PACKAGES}") } else { PACKAGES.to_owned() };
    // Written last: a root that was cut off half-way, or is of other packages, is made anew.
    if fs::read_to_string(path.join(MARK)).is_ok_and(|text| text == packages) {
        return Ok(path);
    }
    need(&[
        ("mmdebstrap", "mmdebstrap"),
        ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
        ("newuidmap", "uidmap"),
    ])?;
    fs::create_dir_all(folder())?;
    crate::timed(&format!("making a Debian {} root", release.name()), || {
        run(as_root("rm").arg("-rf").arg(&path))?;
        run(as_root("mmdebstrap")
            .args(["--mode=root", "--variant=minbase", "--include", &packages])
            .arg("--keyring=/usr/share/keyrings/debian-archive-keyring.gpg")
            .arg(release.name())
            .arg(&path))?;
        prepare(&path, &packages)
    })?;
    Ok(path)
}

fn prepare(path: &Path, packages: &str) -> Result<()> {
    let mut script = String::from("set -e\ncd \"$1\"\nmkdir -p etc/nix etc/systemd/system\n");
    for unit in MASKED {
        script += &format!("ln -sf /dev/null 'etc/systemd/system/{unit}'\n");
    }
    script += &format!("cat > etc/nix/nix.conf <<'END'\n{NIX_CONF}END\n");
    script += "echo osmoda > etc/hostname\nprintf '127.0.0.1 localhost osmoda\\n' > etc/hosts\n";
    // Every machine is to have an id of its own.
    script += &format!("rm -f etc/machine-id\ntouch etc/machine-id\nprintf %s '{packages}' > {MARK}\n");
    run(as_root("/bin/sh").args(["-c", &script, "prepare"]).arg(path))?;
    Ok(())
}
