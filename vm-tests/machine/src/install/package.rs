//! From the Debian package: by the installer, and by apt-get and dpkg alone.

use anyhow::{Result, ensure};

use super::{
    Gone, MEDIA, OLD, OLD_PACKAGE, PACKAGE, STALE, STALE_UNIT, STATE, TARBALL, ends, everything, gone, refuses,
    remembers, same, serves, whole, wish, without_nix,
};
use crate::{Host, suites::Case};

pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("package: apt-get installs it with all that it needs", fresh),
        case("package: a second time nothing is changed", again),
        case("package: over an older one; the operator's configuration and will stay", upgrade),
        case("package: a tarball and a package do not mix", mixed),
        case("package: removed, and a tarball in its place: no purge takes what is in use", replaced),
        case("package: what others have begun with dpkg is theirs", others),
        case("package: removed, what is kept stays; purged, nothing does", removed),
    ]
}

fn fresh(host: Host<'_>) -> Result<()> {
    without_nix(host)?;
    // What is only recommended is not at hand here.
    host.sh(&format!(
        "DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install {MEDIA}/new/*.deb 2>&1"
    ))?;
    whole(host)?;
    wish(host, 1)?;
    let verified = host.sh("dpkg --verify osmoda")?;
    ensure!(verified.is_empty(), "{verified}");
    // By the installer it is the same.
    without_nix(host)?;
    ends(host, PACKAGE, 0)?;
    whole(host)?;
    wish(host, 2)
}

/// Nothing but the package is there.
fn packaged(host: Host<'_>) -> Result<()> {
    ends(host, "--uninstall", 0)?;
    ends(host, PACKAGE, 0)?;
    whole(host)
}

fn again(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    let (before, daemon) = (everything(host)?, host.main_pid("osmoda-agentd")?);
    let text = ends(host, PACKAGE, 0)?;
    ensure!(text.contains("nothing to do"), "{text}");
    same(&before, &everything(host)?)?;
    ensure!(host.main_pid("osmoda-agentd")? == daemon, "agentd was started anew");
    host.sh("rm /usr/lib/osmoda/osmoda-watch")?;
    ends(host, PACKAGE, 0)?;
    whole(host)?;
    // As with the tarball, every daemon counts, and the operator's will.
    host.sh("systemctl stop osmoda-watch osmoda-witness")?;
    ends(host, PACKAGE, 0)?;
    whole(host)?;
    host.sh("systemctl disable --now --quiet osmoda-agentd")?;
    let text = ends(host, PACKAGE, 0)?;
    ensure!(text.contains("nothing to do") && host.active("osmoda-agentd")? == "inactive", "{text}");
    host.sh("systemctl enable --now --quiet osmoda-agentd")?;
    whole(host)
}

fn upgrade(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    ends(host, &format!("{OLD_PACKAGE} --allow-downgrade"), 0)?;
    host.sh(&format!(
        "test -e {STALE}; systemctl is-active {STALE_UNIT}; echo '# mine' >>/etc/osmoda/agentd.yaml; systemctl disable --quiet --now osmoda-routines"
    ))?;
    wish(host, 3)?;
    let app = host.main_pid("osmoda-app-web.service")?;
    let text = ends(host, PACKAGE, 0)?;
    ensure!(text.contains(&format!("over {OLD}")), "{text}");
    serves(host, 3)?;
    ensure!(host.main_pid("osmoda-app-web.service")? == app, "the app was started anew");
    ensure!(host.sh("cat /etc/osmoda/agentd.yaml")?.ends_with("# mine\n"), "the configuration was written over");
    let routines = host.end(&["/usr/bin/systemctl", "is-enabled", "osmoda-routines"])?.1;
    ensure!(routines.trim() == "disabled" && host.active("osmoda-routines")? != "active", "{routines}");
    host.sh("systemctl enable --quiet --now osmoda-routines")?;
    whole(host)?;
    refuses(host, OLD_PACKAGE, 3, "is older than")
}

fn mixed(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    wish(host, 3)?;
    refuses(host, TARBALL, 3, "there as a .deb")?;
    ends(host, "--uninstall", 0)?;
    ends(host, TARBALL, 0)?;
    refuses(host, PACKAGE, 3, "from a tarball")?;
    // Nor by apt-get alone.
    let before = everything(host)?;
    let (status, out, _) = host.end(&["/bin/sh", "-c", &format!("apt-get -qq -y install {MEDIA}/new/*.deb 2>&1")])?;
    ensure!(status != 0 && out.contains("osModa is there from a tarball"), "{status}, {out}");
    let ours = |path: &&String| path.contains("osmoda") || path.starts_with("/etc");
    let changed: Vec<String> =
        before.symmetric_difference(&everything(host)?).filter(ours).map(String::clone).collect();
    ensure!(changed.is_empty(), "{changed:#?}");
    whole(host)?;
    ends(host, "--uninstall", 0)?;
    ends(host, PACKAGE, 0)?;
    whole(host)?;
    serves(host, 3)?;
    // Where it has come to that all the same, one way back takes both.
    host.sh(&format!(
        "mkdir {STATE}; tar -xzO --wildcards -f {MEDIA}/new/*.tar.gz '*-linux/SHA256SUMS' | sed -n 's,.*  usr/,usr/,p' \
         >{STATE}/manifest; echo usr/bin/agentctl >>{STATE}/manifest"
    ))?;
    ends(host, "--uninstall", 0)?;
    gone(host, Gone::Package)
}

fn replaced(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    wish(host, 5)?;
    ends(host, "--uninstall", 0)?;
    let text = ends(host, TARBALL, 0)?;
    ensure!(text.contains("was removed and not purged"), "{text}");
    serves(host, 5)?;
    let text = host.sh("dpkg --purge osmoda 2>&1")?;
    ensure!(text.contains("what it keeps stays"), "{text}");
    host.sh(
        "test -s /var/lib/osmoda/desired/web.yaml; test -e /nix/var/nix/profiles/osmoda/units; test -d /run/osmoda; \
             test -d /var/lib/osmoda-witness/; osmoda ledger verify; ! dpkg-query -W osmoda",
    )?;
    serves(host, 5)?;
    // What was dpkg's alone is put back.
    ends(host, TARBALL, 0)?;
    host.sh("test -s /etc/osmoda/agentd.yaml")?;
    whole(host)?;
    // The same, and all of it is to go.
    ends(host, "--uninstall", 0)?;
    packaged(host)?;
    ends(host, "--uninstall", 0)?;
    ends(host, TARBALL, 0)?;
    serves(host, 5)?;
    ends(host, "--uninstall --purge", 0)?;
    gone(host, Gone::Purged)
}

/// Leaves a package half installed, as a dpkg of somebody else's that was cut off.
const STRANGER: &str = "mkdir -p /root/stranger/DEBIAN; cd /root/stranger; printf 'Package: stranger\nVersion: 1\nArchitecture: \
                        all\nMaintainer: x <x@example.org>\nDescription: x\n' >DEBIAN/control; printf '#!/bin/sh\ntouch \
                        /run/stranger\n' >DEBIAN/postinst; chmod 755 DEBIAN/postinst; dpkg-deb --build . /root/stranger.deb; \
                        dpkg --unpack /root/stranger.deb";
/// Is at work with dpkg, as unattended-upgrades: goes on when somebody waits for it.
const AT_WORK: &str = "
import fcntl, os, subprocess, time
lock = open('/var/lib/dpkg/lock-frontend', 'w')
fcntl.lockf(lock, fcntl.LOCK_EX)
open('/run/at-work', 'w').close()
while 'waiting' not in open('/run/said').read():
    time.sleep(0.1)
subprocess.check_call(['dpkg', '--configure', 'stranger'], env=dict(os.environ, DPKG_FRONTEND_LOCKED='1'))
";

fn others(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    host.sh(STRANGER)?;
    refuses(host, "--uninstall", 3, "dpkg was interrupted")?;
    refuses(host, OLD_PACKAGE, 3, "dpkg was interrupted")?;
    host.sh("test ! -e /run/stranger")?;
    // It is not cut off, but goes on.
    host.machine.write("/run/at-work.py", AT_WORK)?;
    host.sh(&format!(
        "touch /run/said; python3 /run/at-work.py >/run/worker 2>&1 & until [ -e /run/at-work ]; do sleep 0.1; done; \
         sh {MEDIA}/new/install.sh --uninstall >/run/said 2>&1 </dev/null; wait; test -e /run/stranger"
    ))?;
    gone(host, Gone::Package)?;
    // dpkg has more to say of a machine than that something was cut off.
    host.sh("dpkg --purge stranger; rm -r /root/stranger*; mv /var/lib/dpkg/info/procps.md5sums /root; dpkg --audit | grep procps")?;
    ends(host, PACKAGE, 0)?;
    host.sh("mv /root/procps.md5sums /var/lib/dpkg/info")?;
    whole(host)
}

fn removed(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    wish(host, 4)?;
    let text = host.sh("apt-get -qq -y remove osmoda 2>&1")?;
    ensure!(text.contains("are kept"), "{text}");
    gone(host, Gone::Package)?;
    ends(host, PACKAGE, 0)?;
    whole(host)?;
    serves(host, 4)?;
    remembers(host)?;
    ends(host, "--uninstall --purge", 0)?;
    gone(host, Gone::Purged)?;
    // Also after it was only removed.
    ends(host, PACKAGE, 0)?;
    ends(host, "--uninstall", 0)?;
    ends(host, "--uninstall --purge", 0)?;
    gone(host, Gone::Purged)
}
