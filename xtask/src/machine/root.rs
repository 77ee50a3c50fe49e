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
/// What NixOS's own scripts and services call, and what stands for its packages (`vm-tests/nixos`).
const NIXOS_PACKAGES: &str = "acl,attr,bzip2,cpio,dosfstools,fuse3,gawk,iputils-ping,kbd,kmod,less,\
                              libconfig-inifiles-perl,libcap2-bin,libfile-slurp-perl,libjson-perl,libnet-dbus-perl,\
                              libnss-systemd,libpam-systemd,libxml-twig-perl,logrotate,netbase,netcat-openbsd,\
                              openssh-client,openssl,patch,perl,postgresql,redis-server,time,tzdata,udev,whois,\
                              xutils-dev,xz-utils,zstd";
/// What a virtual machine needs on top.
const VM_PACKAGES: &str = "linux-image-cloud-amd64,initramfs-tools,openssh-server,e2fsprogs";
/// The file in a root that tells what it was made of.
const MARK: &str = "etc/osmoda-machine";
/// What roots are made with: programs and files, and the packages that have them.
pub const MAKING: [(&str, &str); 3] = [
    ("mmdebstrap", "mmdebstrap"),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    ("newuidmap", "uidmap"),
];
/// Units that have nothing to do in a machine that lives for a test.
pub const MASKED: [&str; 13] = [
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

/// What a root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Debian in a container.
    Container,
    /// Debian in a virtual machine.
    Vm,
    /// NixOS on Debian's programs, in a container.
    Nixos,
}

/// The root file system of a release; made when it is not there.
pub fn root(release: Release, purpose: Purpose) -> Result<PathBuf> {
    let (suffix, more, last) = match purpose {
        Purpose::Container => ("", "", ""),
        Purpose::Vm => ("-vm", VM_PACKAGES, ""),
        Purpose::Nixos => ("-nixos", NIXOS_PACKAGES, include_str!("../../../vm-tests/nixos/root.sh")),
    };
    let path = folder().join(format!("root-{}{suffix}", release.name()));
    let packages = if more.is_empty() { PACKAGES.to_owned() } else { format!("{PACKAGES},{more}") };
    let mark = format!("{packages}{last}");
    if is_made_of(&path, &mark) {
        return Ok(path);
    }
    need(&MAKING)?;
    fs::create_dir_all(folder())?;
    crate::timed(&format!("making a Debian {} root", release.name()), || {
        run(as_root("rm").arg("-rf").arg(&path))?;
        run(as_root("mmdebstrap")
            .args(["--mode=root", "--variant=minbase", "--include", &packages])
            .arg("--keyring=/usr/share/keyrings/debian-archive-keyring.gpg")
            .arg(release.name())
            .arg(&path))?;
        prepare(&path, &MASKED, &format!("mkdir -p etc/nix\ncat > etc/nix/nix.conf <<'END'\n{NIX_CONF}END\n"))?;
        if !last.is_empty() {
            run(as_root("/bin/sh").args(["-c", last, "root"]).arg(&path))?;
        }
        mark_as(&path, &mark)
    })?;
    Ok(path)
}

/// True when a root is whole and made of this: what says so is written last.
pub fn is_made_of(path: &Path, mark: &str) -> bool {
    fs::read_to_string(path.join(MARK)).is_ok_and(|text| text == mark)
}

/// Says of a root what it is made of.
pub fn mark_as(path: &Path, mark: &str) -> Result<()> {
    run(as_root("/bin/sh").args(["-c", "printf %s \"$2\" > \"$1\"", "mark"]).arg(path.join(MARK)).arg(mark))?;
    Ok(())
}

/// Makes a root ready to be booted. `more` is a script that is run in its folder.
pub fn prepare(path: &Path, masked: &[&str], more: &str) -> Result<()> {
    let mut script = String::from("set -e\ncd \"$1\"\nmkdir -p etc/systemd/system\n");
    for unit in masked {
        script += &format!("ln -sf /dev/null 'etc/systemd/system/{unit}'\n");
    }
    script += more;
    script += "echo osmoda > etc/hostname\nprintf '127.0.0.1 localhost osmoda\\n' > etc/hosts\n";
    // Every machine is to have an id of its own.
    script += "rm -f etc/machine-id\ntouch etc/machine-id\n";
    run(as_root("/bin/sh").args(["-c", &script, "prepare"]).arg(path))?;
    Ok(())
}
