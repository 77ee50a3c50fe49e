//! `cargo xtask dist`: what is released. Two builds of the same commit are the same, byte by byte.

mod archive;
mod contents;
mod deb;
mod machines;
mod notices;
mod programs;
#[cfg(test)]
mod tests;
mod twice;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

pub use self::machines::{Media, on_a_fresh_machine};
use self::{
    archive::{Effort, Tree, gzip, tar},
    contents::{Release, contents},
    machines::{cases, media, on_fresh_machines},
    programs::{Needs, Place},
};
use crate::{
    host::{need, run},
    install::PROGRAMS,
    machine::fresh::System,
};

/// Build what is released: a tarball, a Debian package, the installer, and their checksums.
#[derive(Debug, Args)]
pub struct Dist {
    /// Where it goes.
    #[arg(long, default_value = "target/release-files")]
    out: PathBuf,
    /// Build everything twice, in two folders, and compare.
    #[arg(long)]
    check: bool,
    /// Install what was built on fresh machines, and try what can be done with it.
    #[arg(long)]
    test: bool,
    /// Only on machines of this system. Default: on all.
    #[arg(long, value_enum, requires = "test")]
    on: Option<System>,
    /// Only cases whose name contains this.
    #[arg(long, requires = "test", default_value = "")]
    case: String,
    /// Take the programs of tests: quick, and not for anybody else.
    #[arg(long, hide = true, conflicts_with = "check")]
    debug_programs: bool,
}

/// Files of a release by their names.
pub type Products = BTreeMap<String, Vec<u8>>;

/// A release, with what others are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What it installs.
    tree: Tree,
    /// The oldest C library that its programs run with.
    c_library: (u32, u32),
    /// What is given away.
    products: Products,
}

impl Dist {
    /// Does it.
    pub fn run(&self) -> Result<()> {
        let place = Place::here()?;
        let release = Release::of(&place)?;
        // Before anything is built for them.
        let cases = cases(&self.case)?;
        if self.debug_programs {
            ensure!(self.test, "they are for --test");
            return on_fresh_machines(&media_of_tests()?, self.on, &cases);
        }
        let built = if self.check {
            twice::build(&place, &release)?
        } else {
            let programs = crate::timed("building the programs", || programs::build(&place, release.epoch))?;
            crate::timed("packing", || package(&place, &release, &programs, Effort::Best))?
        };
        fs::create_dir_all(&self.out)?;
        for (name, bytes) in &built.products {
            let path = self.out.join(name);
            fs::write(&path, bytes).with_context(|| path.display().to_string())?;
            println!("{:9} KiB  {}", bytes.len().div_ceil(1024), path.display());
        }
        if !self.test {
            return Ok(());
        }
        lint(&self.out.join(deb::name(&release)?))?;
        on_fresh_machines(&media(&place, &release, built)?, self.on, &cases)
    }
}

/// Asks Debian's own judge of packages.
fn lint(package: &Path) -> Result<()> {
    need(&[("lintian", "lintian")])?;
    let words =
        run(Command::new("lintian").args(["--no-cfg", "--fail-on=error,warning", "--allow-root"]).arg(package))?;
    println!("lintian: no error and no warning{}{words}", if words.is_empty() { "" } else { "\n" });
    Ok(())
}

/// Releases of the programs that tests use, without what debuggers want: quick to make, and not for anybody else.
///
/// # Errors
/// When the programs cannot be built or packed.
pub fn media_of_tests() -> Result<Media> {
    need(&[("strip", "binutils")])?;
    let from = crate::install::build(false)?;
    let folder = tempfile::tempdir()?;
    for (program, _) in PROGRAMS {
        run(Command::new("strip").arg("-o").arg(folder.path().join(program)).arg(from.join(program)))?;
    }
    let place = Place::here()?;
    let release = Release::of(&place)?;
    let built = crate::timed("packing a release", || package(&place, &release, folder.path(), Effort::Quick))?;
    media(&place, &release, built)
}

/// A release of these programs, if all systems that releases are for can run them.
fn package(place: &Place, release: &Release, programs: &Path, effort: Effort) -> Result<Built> {
    let c_library = c_library(programs)?;
    let tree = contents(place, release, programs)?;
    let products = pack(&place.root, release, &tree, c_library, effort)?;
    Ok(Built { tree, c_library, products })
}

/// The oldest C library that programs run with, if all systems that releases are for have that.
fn c_library(programs: &Path) -> Result<(u32, u32)> {
    let mut c_library = (0, 0);
    for (program, _) in PROGRAMS {
        let needs = Needs::of(&programs.join(program))?;
        needs.check(program)?;
        c_library = c_library.max(needs.c_library);
    }
    Ok(c_library)
}

/// The files of a release, from what is in it.
fn pack(root: &Path, release: &Release, tree: &Tree, c_library: (u32, u32), effort: Effort) -> Result<Products> {
    let installer = fs::read(root.join("install.sh")).context("install.sh")?;
    let name = format!("osmoda-{}-{}-linux", release.version, std::env::consts::ARCH);
    let mut unpacked = tree.clone();
    unpacked.program("install.sh", installer.clone())?;
    unpacked.file("LICENSE", fs::read(root.join("LICENSE"))?)?;
    unpacked.file("SHA256SUMS", sums::<Sha256>(unpacked.files()))?;
    let mut products = Products::from([
        (format!("{name}.tar.gz"), gzip(&tar(&unpacked, &format!("{name}/"), release.epoch)?, effort)?),
        (deb::name(release)?, deb::package(root, release, tree, c_library, effort)?),
        ("install.sh".to_owned(), installer),
    ]);
    let sums = sums::<Sha256>(products.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    products.insert("SHA256SUMS".to_owned(), sums.into_bytes());
    Ok(products)
}

/// Checksums as sha256sum(1) and md5sum(1) write and read them.
fn sums<'a, D: Digest>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    files.map(|(name, bytes)| format!("{}  {name}\n", HEXLOWER.encode(&D::digest(bytes)))).collect()
}
