//! NixOS without its binary cache: `vm-tests/nixos` makes real systems of NixOS on a root of Debian, from any tree of
//! nixpkgs. What is built here is built in the machine, by its own Nix.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use machine_suites::wait;

use super::{
    Owned, Release,
    container::nspawn,
    folder,
    root::{self, Purpose},
};
use crate::{
    host::{as_root, need, run},
    install,
};

/// Where the machine's system is, seen from its root.
pub const PROFILE: &str = "nix/var/nix/profiles/system";
/// What is said where no nixpkgs is given.
pub const NO_NIXPKGS: &str =
    "it takes a tree of nixpkgs (or of its folders nixos, lib and maintainers): set OSMODA_NIXPKGS or --nixpkgs";
/// Where a machine has the project's own files and its system.
const ETC: &str = "/etc/nixos";
/// What of the project the machine's system is made of.
const SOURCE: [&str; 4] = ["modules", "nix", "schemas/json", "vm-tests/nixos"];
/// The tree of nixpkgs that was asked for, or that the environment names.
pub fn nixpkgs(given: Option<PathBuf>) -> Result<Option<PathBuf>> {
    let named = given.or_else(|| std::env::var_os("OSMODA_NIXPKGS").filter(|v| !v.is_empty()).map(PathBuf::from));
    let Some(path) = named else { return Ok(None) };
    for part in ["nixos/lib/eval-config.nix", "lib/default.nix"] {
        if !path.join(part).exists() {
            bail!("{} is no tree of nixpkgs: it has no {part}", path.display());
        }
    }
    Ok(Some(fs::canonicalize(path)?))
}

/// The root file system of a NixOS without osModa, built and ready to be booted; made when it is not there.
pub fn root(release: Release, nixpkgs: &Path) -> Result<PathBuf> {
    need(&[("systemd-nspawn", "systemd-container")])?;
    let path = folder().join(format!("nixos-{}", release.name()));
    let mark = mark(nixpkgs)?;
    if root::is_made_of(&path, &mark) {
        return Ok(path);
    }
    let base = root::root(release, Purpose::Nixos)?;
    crate::timed("building a NixOS", || {
        let etc = path.join(ETC.trim_start_matches('/'));
        run(as_root("rm").arg("-rf").arg(&path))?;
        run(as_root("cp").args(["-a", "--reflink=auto"]).arg(&base).arg(&path))?;
        run(as_root("mkdir").arg("-p").arg(etc.join("nixpkgs")).arg(etc.join("source/vm-tests")))?;
        for part in ["nixos", "lib", "maintainers"] {
            run(as_root("cp").arg("-rL").arg(nixpkgs.join(part)).arg(etc.join("nixpkgs")))?;
        }
        run(as_root("cp").arg("-r").arg(crate::root().join("vm-tests/nixos")).arg(etc.join("source/vm-tests")))?;
        run(as_root("cp").arg("-rT").arg(crate::root().join("vm-tests/nixos/etc")).arg(&etc))?;
        // There is no system yet that could say how to build one.
        let settings = "build-users-group =\nsandbox = false\nsubstituters =\n";
        let build = format!(
            "nix-env -p /{PROFILE} --set $(nix-build --no-out-link {ETC}/system.nix -A config.system.build.toplevel)"
        );
        run(nspawn(&format!("nixos-{}", release.name()), &path).args([
            "--pipe",
            "--as-pid2",
            &format!("--setenv=NIX_CONFIG={settings}"),
            "/bin/sh",
            "-ec",
            &build,
        ]))?;
        root::mark_as(&path, &mark)
    })?;
    Ok(path)
}

/// What a built root is of: the tree of nixpkgs, and everything in `vm-tests/nixos`.
fn mark(nixpkgs: &Path) -> Result<String> {
    let changed = fs::metadata(nixpkgs.join("nixos"))?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut mark = format!("{} of {} s\n", nixpkgs.display(), changed.as_secs());
    let ours = crate::root().join("vm-tests/nixos");
    let mut files = Vec::new();
    for folder in [ours.join("etc"), ours] {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            files.push(entry?.path());
        }
    }
    files.retain(|path| path.is_file());
    files.sort();
    for file in files {
        mark += &fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    }
    Ok(mark)
}

/// Installs osModa: its files become a package, and the machine's system one that enables `services.osmoda`.
pub fn install(machine: &dyn Owned, programs: &Path) -> Result<()> {
    need(&[("strip", "binutils"), ("tar", "tar")])?;
    // Machines are made side by side.
    static STAGES: AtomicU32 = AtomicU32::new(0);
    let stage_number = STAGES.fetch_add(1, Ordering::Relaxed);
    let staged = folder().join(format!("stage-{}-{stage_number}", std::process::id()));
    stage(programs, &staged.join("osmoda-files"))?;
    copy(machine, &crate::root(), &SOURCE, &format!("{ETC}/source"))?;
    copy(machine, &staged, &["osmoda-files"], "/root")?;
    fs::remove_dir_all(&staged)?;
    machine.sh(&format!("sh -eu {ETC}/source/vm-tests/nixos/install.sh"))?;
    wait("an answer of osModa", Duration::from_secs(30), || {
        Ok(machine.output(&["/usr/bin/osmoda", "status"]).is_ok_and(|output| output.status.success()))
    })?;
    Ok(())
}

/// Lays out osModa's files as its package has them below its store path.
fn stage(programs: &Path, files: &Path) -> Result<()> {
    for (program, to) in install::PROGRAMS {
        let to = files.join(to.trim_start_matches("/usr/"));
        fs::create_dir_all(to.parent().context("a program is in a folder")?)?;
        // What a debugger reads is most of a program that was not optimized, and would be in the store twice.
        run(Command::new("strip").arg("--strip-debug").arg("-o").arg(&to).arg(programs.join(program)))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    std::os::unix::fs::symlink("osmoda", files.join("bin/agentctl"))?;
    let nix = crate::root().join("nix");
    run(Command::new("cp").arg("-r").arg(nix.join("backend")).arg(files.join("lib/osmoda/nix")))?;
    run(Command::new("cp").arg("-r").arg(nix.join("units")).arg(files.join("lib/systemd/system")))?;
    Ok(())
}

/// Copies parts of a folder into one of the machine, in the place of what is there.
fn copy(machine: &dyn Owned, from: &Path, parts: &[&str], to: &str) -> Result<()> {
    let mut pack = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--directory"])
        .arg(from)
        .args(parts)
        .stdout(Stdio::piped())
        .spawn()?;
    let stream = pack.stdout.take().context("its output was asked for")?;
    let there = parts.iter().map(|part| format!("{to}/{part}")).collect::<Vec<_>>().join(" ");
    let script = format!("rm -rf {there}; mkdir -p {to}; tar --extract --directory {to}");
    let status = machine.command(&["/bin/sh", "-ec", &script]).stdin(stream).status()?;
    if !pack.wait()?.success() || !status.success() {
        bail!("{} could not be copied to {to}", parts.join(", "));
    }
    Ok(())
}
