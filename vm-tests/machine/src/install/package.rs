//! From the Debian package: by the installer, and by apt-get and dpkg alone.

use anyhow::{Result, ensure};

use super::{
    Gone, MEDIA, OLD, OLD_PACKAGE, PACKAGE, STALE, TARBALL, ends, everything, gone, refuses, same, serves, whole, wish,
    without_nix,
};
use crate::{Host, suites::Case};

pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("package: apt-get installs it with all that it needs", fresh),
        case("package: a second time nothing is changed", again),
        case("package: over an older one; the operator's configuration and will stay", upgrade),
        case("package: a tarball and a package do not mix", mixed),
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
    whole(host)
}

fn upgrade(host: Host<'_>) -> Result<()> {
    packaged(host)?;
    ends(host, &format!("{OLD_PACKAGE} --allow-downgrade"), 0)?;
    host.sh(&format!(
        "test -e {STALE}; echo '# mine' >>/etc/osmoda/agentd.yaml; systemctl disable --quiet --now osmoda-routines"
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
    ends(host, "--uninstall", 0)?;
    ends(host, PACKAGE, 0)?;
    whole(host)?;
    serves(host, 3)
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
    ends(host, "--uninstall --purge", 0)?;
    gone(host, Gone::Purged)?;
    // Also after it was only removed.
    ends(host, PACKAGE, 0)?;
    ends(host, "--uninstall", 0)?;
    ends(host, "--uninstall --purge", 0)?;
    gone(host, Gone::Purged)
}
