//! Fresh machines: as somebody has them who installs osModa for the first time. There is no Nix; its packages are
//! downloaded, so that apt-get installs them where no network is.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::{
    Release, folder,
    root::{MAKING, MASKED, is_made_of, mark_as, prepare},
};
use crate::host::{as_root, need, run};

/// What is on a fresh machine; Python is "a real service".
const PACKAGES: &str = "apt,systemd,systemd-sysv,dbus,ca-certificates,curl,procps,python3";
/// What apt-get has at hand.
const DOWNLOADED: &str = "nix-bin nix-setup-systemd";
/// The variable that names a mirror of Ubuntu's archive, as http://MIRROR/ubuntu.
pub const UBUNTU: &str = "OSMODA_UBUNTU_MIRROR";
/// The package of its keys.
const UBUNTU_KEYS: &str = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb";
/// "Ubuntu Archive Automatic Signing Key (2018) <ftpmaster@ubuntu.com>", as Ubuntu's wiki names it. The package is not
/// trusted, this is.
const UBUNTU_KEY: &str = "F6ECB3762474EDA9D21B7022871920D1991BC93C";

/// A system that releases are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
    /// Ubuntu 22.04.
    Jammy,
}

impl System {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Bookworm, Self::Trixie, Self::Jammy];

    /// As its archive calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Jammy => "jammy",
        }
    }
}

impl From<Release> for System {
    fn from(release: Release) -> Self {
        match release {
            Release::Bookworm => Self::Bookworm,
            Release::Trixie => Self::Trixie,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bookworm => "Debian 12",
            Self::Trixie => "Debian 13",
            Self::Jammy => "Ubuntu 22.04",
        })
    }
}

/// True when its packages can be had: for Ubuntu's somebody has to say where.
pub fn is_at_hand(system: System) -> bool {
    system != System::Jammy || std::env::var_os(UBUNTU).is_some()
}

/// The root file system of a fresh machine; made when it is not there.
///
/// # Errors
/// When its packages cannot be had.
pub fn root(system: System) -> Result<PathBuf> {
    let path = folder().join(format!("root-{}-fresh", system.name()));
    let mark = format!("{PACKAGES} {DOWNLOADED}");
    if is_made_of(&path, &mark) {
        return Ok(path);
    }
    need(&MAKING)?;
    fs::create_dir_all(folder())?;
    crate::timed(&format!("making a fresh {system} root"), || {
        run(as_root("rm").arg("-rf").arg(&path))?;
        let keys = tempfile::tempdir()?;
        let mut command = as_root("mmdebstrap");
        command.args(["--mode=root", "--variant=minbase", "--include", PACKAGES]);
        command.args(["--skip=cleanup/apt/lists", "--skip=cleanup/apt/cache"]);
        command.arg(format!("--customize-hook=chroot \"$1\" apt-get install -qq -y --download-only {DOWNLOADED}"));
        match system {
            System::Bookworm | System::Trixie => {
                command.arg("--keyring=/usr/share/keyrings/debian-archive-keyring.gpg");
                command.arg(system.name()).arg(&path);
            }
            System::Jammy => {
                let mirror = std::env::var(UBUNTU).with_context(|| format!("{UBUNTU} has to name a mirror"))?;
                command.arg("--keyring").arg(ubuntu_key(&mirror, keys.path()).context("Ubuntu's key")?);
                command.arg("--components=main,universe").arg(system.name()).arg(&path).arg(mirror);
            }
        }
        run(&mut command)?;
        // Nix is installed later, and needs its socket.
        let masked: Vec<&str> = MASKED.into_iter().filter(|unit| !unit.starts_with("nix")).collect();
        prepare(&path, &masked, "")?;
        mark_as(&path, &mark)
    })?;
    Ok(path)
}

/// Gets the key that signs Ubuntu's archive; it is known by its fingerprint.
fn ubuntu_key(mirror: &str, folder: &Path) -> Result<PathBuf> {
    need(&[("curl", "curl"), ("gpg", "gnupg"), ("dpkg-deb", "dpkg")])?;
    let script = "cd \"$1\"; curl -fsS -o keys.deb \"$2\"; dpkg-deb -x keys.deb .; mkdir -m 0700 home; \
                  gpg --homedir home --quiet --no-default-keyring --keyring ./usr/share/keyrings/ubuntu-archive-keyring.gpg \
                  --export \"$3\" > key.gpg; gpg --homedir home --quiet --show-keys --with-colons key.gpg";
    let words = run(Command::new("/bin/sh")
        .args(["-ec", script, "key"])
        .arg(folder)
        .args([&format!("{mirror}/{UBUNTU_KEYS}"), UBUNTU_KEY]))?;
    let fingerprints: Vec<&str> =
        words.lines().filter(|l| l.starts_with("fpr:")).filter_map(|l| l.split(':').nth(9)).collect();
    ensure!(fingerprints == [UBUNTU_KEY], "the keys are {fingerprints:?}, and not {UBUNTU_KEY}");
    Ok(folder.join("key.gpg"))
}
