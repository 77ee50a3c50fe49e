//! Building the programs of a release so that the same sources give the same bytes, and looking at what was built.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{host::run, install::PROGRAMS};

/// Packages that have the programs of a release.
pub const PACKAGES: [&str; 8] = [
    "osmoda-agentd",
    "osmoda-watch",
    "osmoda-routines",
    "osmoda-witness",
    "osmoda-keyd",
    "osmoda-safeswitch",
    "osmoda-generation",
    "osmoda-cli",
];
/// The C library of the oldest system that a release is for: Ubuntu 22.04.
const NEWEST_C_LIBRARY: (u32, u32) = (2, 35);
/// Shared libraries that each of those systems has.
const LIBRARIES: [&str; 5] =
    ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
/// Where sources seem to be, as far as the programs know.
const SOURCES: &str = "/usr/src/osmoda";

/// Sources, and where cargo builds them.
#[derive(Clone, Debug)]
pub struct Place {
    /// The root of the repository.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// Cargo's own folder, with the sources of dependencies.
    pub cargo_home: PathBuf,
}

impl Place {
    /// This checkout.
    ///
    /// # Errors
    /// When there is neither `CARGO_HOME` nor a home.
    pub fn here() -> Result<Self> {
        let cargo_home = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
            .context("neither CARGO_HOME nor HOME is set")?;
        Ok(Self { root: crate::root(), target: crate::install::target(), cargo_home })
    }

    /// Paths of this machine with what programs are to say instead; the last one that fits counts.
    fn renamed(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut renamed = vec![
            (self.cargo_home.clone(), format!("{SOURCES}/cargo")),
            (self.root.clone(), SOURCES.to_owned()),
            (self.target.clone(), format!("{SOURCES}/target")),
        ];
        // The registry's folder is named after its address, of which there are several.
        for folder in fs::read_dir(self.cargo_home.join("registry/src")).into_iter().flatten() {
            renamed.push((folder?.path(), format!("{SOURCES}/cargo/registry")));
        }
        // The standard library's sources, where they are installed: as it names them itself.
        let says = |argument: &[&str]| run(Command::new("rustc").args(argument).current_dir(&self.root));
        let version = says(&["--version", "--verbose"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
        let sysroot = PathBuf::from(says(&["--print", "sysroot"])?.trim());
        renamed.push((sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));
        Ok(renamed)
    }
}

/// Builds the programs of a release. Returns their folder.
///
/// # Errors
/// When cargo fails.
pub fn build(place: &Place, epoch: u64) -> Result<PathBuf> {
    let renamed = place.renamed()?;
    let mut rust = vec![OsString::from("-Clink-arg=-Wl,--build-id=none")];
    let mut c = OsString::new();
    for (from, to) in &renamed {
        let has_space = from.to_string_lossy().contains(char::is_whitespace);
        ensure!(!has_space, "{}: a release cannot be built below a folder with a space in its name", from.display());
        rust.push(rename("--remap-path-prefix=", from, to));
        c.push(rename(" -ffile-prefix-map=", from, to));
    }
    let mut command = crate::cargo();
    command.current_dir(&place.root).args(["build", "--quiet", "--locked", "--profile", "dist", "--bins"]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_for_other_builds(&name.to_string_lossy())) {
        command.env_remove(&name);
    }
    command
        .env("CARGO_HOME", &place.cargo_home)
        .env("CARGO_TARGET_DIR", &place.target)
        .env("CARGO_ENCODED_RUSTFLAGS", rust.join(&OsString::from("\x1f")))
        .env("CFLAGS", c)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("CARGO_INCREMENTAL", "0")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC");
    let status = command.stdin(Stdio::null()).status().context("cargo cannot be run")?;
    ensure!(status.success(), "the build failed");
    let folder = place.target.join("dist");
    for (program, _) in PROGRAMS {
        names_no_folder_of(&folder.join(program), &renamed)?;
    }
    Ok(folder)
}

/// True for a variable that somebody has set for builds of their own: flags, and other compilers than those that
/// `BUILDINFO` names. Those of one platform (`CFLAGS_x86_64_unknown_linux_gnu`) would come before what a release is built
/// with.
fn is_for_other_builds(name: &str) -> bool {
    let settings = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "RUSTC"];
    let compilers = ["CC", "HOST_CC", "TARGET_CC"];
    settings.iter().any(|start| name.starts_with(start))
        || name.ends_with("FLAGS")
        || name.contains("CFLAGS")
        || compilers.contains(&name)
        || name.starts_with("CC_")
}

/// A compiler's option that gives a folder another name.
fn rename(option: &str, from: &Path, to: &str) -> OsString {
    [option.as_ref(), from.as_os_str(), "=".as_ref(), to.as_ref()].into_iter().collect()
}

/// A program that says where it was built is another one wherever it is built.
fn names_no_folder_of(program: &Path, renamed: &[(PathBuf, String)]) -> Result<()> {
    let bytes = fs::read(program).with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    for (folder, _) in renamed {
        if text.contains(folder.to_string_lossy().as_ref()) {
            bail!(
                "{} names {}: paths of the machine that builds do not belong in it",
                program.display(),
                folder.display()
            );
        }
    }
    Ok(())
}

/// What a program needs of the system that it runs on, as readelf(1) tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Needs {
    /// The newest version of the C library that one of its symbols is of.
    pub c_library: (u32, u32),
    /// Shared libraries.
    pub libraries: BTreeSet<String>,
}

impl Needs {
    /// Of one program.
    ///
    /// # Errors
    /// When readelf cannot be run.
    pub fn of(program: &Path) -> Result<Self> {
        crate::host::need(&[("readelf", "binutils")])?;
        let words = run(Command::new("readelf").args(["--wide", "--dynamic", "--version-info"]).arg(program))?;
        Ok(Self::read(&words))
    }

    /// From what readelf wrote.
    fn read(words: &str) -> Self {
        let libraries = words.lines().filter(|line| line.contains("(NEEDED)"));
        let libraries = libraries.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()));
        let versions = words.lines().filter_map(|line| line.split_once("Name: GLIBC_")?.1.split_whitespace().next());
        let versions = versions.filter_map(|version| {
            let mut numbers = version.split('.').map_while(|n| n.parse().ok());
            Some((numbers.next()?, numbers.next()?))
        });
        Self { c_library: versions.max().unwrap_or_default(), libraries: libraries.collect() }
    }

    /// Looks whether all systems that a release is for have it.
    ///
    /// # Errors
    /// What they lack.
    pub fn check(&self, program: &str) -> Result<()> {
        let (have, need) = (NEWEST_C_LIBRARY, self.c_library);
        ensure!(
            need <= have,
            "{program} needs GLIBC_{}.{}, and Ubuntu 22.04 has {}.{}: build releases on Debian 12 or Ubuntu 22.04",
            need.0,
            need.1,
            have.0,
            have.1
        );
        let other = self.libraries.iter().find(|library| !LIBRARIES.contains(&library.as_str()));
        ensure!(other.is_none(), "{program} needs {}, which nothing installs", other.map_or("", String::as_str));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "\
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
  0x0010:   Name: GLIBC_2.4  Flags: none  Version: 9
  0x0020:   Name: GLIBC_2.34  Flags: none  Version: 8
  0x0030:   Name: GLIBC_2.3.4  Flags: none  Version: 7
  0x0040:   Name: GCC_4.2.0  Flags: none  Version: 6
";

    #[test]
    fn versions_are_compared_as_numbers() {
        let needs = Needs::read(WORDS);
        assert_eq!(needs, Needs { c_library: (2, 34), libraries: ["libc.so.6".to_owned()].into() });
        needs.check("agentd").unwrap();
    }

    #[test]
    fn what_the_oldest_system_lacks_is_refused() {
        let newer = Needs::read(&WORDS.replace("2.34", "2.36"));
        assert!(newer.check("agentd").unwrap_err().to_string().contains("GLIBC_2.36"));
        let other = Needs::read(&WORDS.replace("libc.so.6", "libssl.so.3"));
        assert!(other.check("agentd").unwrap_err().to_string().contains("libssl.so.3"));
    }

    #[test]
    fn only_what_is_for_other_builds_is_left_out() {
        for name in [
            "CFLAGS_x86_64_unknown_linux_gnu",
            "HOST_CFLAGS",
            "TARGET_CFLAGS",
            "CFLAGS",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CARGO_PROFILE_DIST_LTO",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CC",
            "CC_x86_64-unknown-linux-gnu",
            "HOST_CC",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            assert!(is_for_other_builds(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "RUSTUP_TOOLCHAIN"]
        {
            assert!(!is_for_other_builds(name), "{name}");
        }
    }

    #[test]
    fn a_program_that_says_where_it_was_built_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "...\0/home/me/src/main.rs\0...").unwrap();
        let names = |path: &str| names_no_folder_of(&program, &[(path.into(), String::new())]);
        assert!(names("/home/me").is_err());
        names("/home/you").unwrap();
    }
}
