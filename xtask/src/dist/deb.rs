//! The Debian package (deb(5)), written by ourselves: dpkg-deb's bytes change with its version and its compressor's.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use md5::Md5;

use super::{
    archive::{Effort, Entry, Tree, ar, gzip, tar},
    contents::{CONFIGURATION, MAINTAINER, Release, enabled},
    sums,
};

/// Scripts that dpkg runs, in `packaging/`.
pub const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];
/// The system bus, of whichever kind the machine has; dbus-broker is another one.
const BUS: &str = "dbus | dbus-system-bus";

/// What the package's file is called.
///
/// # Errors
/// When releases are not for this machine.
pub fn name(release: &Release) -> Result<String> {
    Ok(format!("osmoda_{}_{}.deb", release.version, architecture()?))
}

/// What Debian calls this machine's architecture.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("releases are for x86_64 and aarch64, not for {other}"),
    }
}

/// The package. `c_library` is the oldest version of the C library that the programs run with.
///
/// # Errors
/// When a script cannot be read.
pub fn package(root: &Path, release: &Release, tree: &Tree, c_library: (u32, u32), effort: Effort) -> Result<Vec<u8>> {
    let mut control = Tree::default();
    control.file("control", fields(release, tree, c_library)?)?;
    control.file("conffiles", format!("/{CONFIGURATION}\n"))?;
    // As dpkg keeps them, for `dpkg --verify`; configuration is left out.
    control.file("md5sums", sums::<Md5>(tree.files().filter(|(path, _)| *path != CONFIGURATION)))?;
    for script in SCRIPTS {
        let text = fs::read_to_string(root.join("packaging").join(script)).with_context(|| script.to_owned())?;
        control.program(script, text.replace("@UNITS@", &enabled(tree).join(" ")))?;
    }
    let pack = |tree: &Tree| gzip(&tar(tree, "./", release.epoch)?, effort);
    let members =
        [("debian-binary", b"2.0\n".to_vec()), ("control.tar.gz", pack(&control)?), ("data.tar.gz", pack(tree)?)];
    ar(&members.each_ref().map(|(name, bytes)| (*name, bytes.as_slice())), release.epoch)
}

/// The control file.
fn fields(release: &Release, tree: &Tree, c_library: (u32, u32)) -> Result<String> {
    // As dpkg-gencontrol counts: KiB, a file rounded up, anything else is one.
    let size: usize = tree
        .entries()
        .map(|(_, entry)| match entry {
            Entry::File { bytes, .. } => bytes.len().div_ceil(1024),
            Entry::Link(_) => 1,
        })
        .sum();
    Ok(format!(
        "\
Package: osmoda
Version: {version}
Architecture: {architecture}
Maintainer: {MAINTAINER}
Installed-Size: {size}
Depends: libc6 (>= {major}.{minor}), libgcc-s1 (>= 4.2), systemd (>= 249), {BUS}, nix-bin (>= 2.6), nix-setup-systemd
Section: admin
Priority: optional
Homepage: https://github.com/osmoda/osmoda
Description: declarative controller for one machine
 Documents in a folder say what the machine should be. osModa turns all of them
 together into one immutable Nix generation, activates it through systemd, and
 proves it healthy or undoes it. A hash-chained ledger remembers what happened.
 .
 This package uses the backend that needs nothing but systemd and Nix.
",
        version = release.sortable(),
        architecture = architecture()?,
        major = c_library.0,
        minor = c_library.1,
    ))
}
