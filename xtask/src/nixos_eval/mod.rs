//! `cargo xtask nixos-eval`: the NixOS modules, evaluated by the real module system. `vm-tests/nixos-eval` says what is
//! evaluated and what is expected; here Nix is called, and what it tells is judged with osModa's own readers.

mod judge;
mod nix;
mod page;
mod project;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use self::nix::Nix;
pub use self::nix::parse_all;
use crate::machine::nixos;

/// The page that is written from the options.
const PAGE: &str = "docs/options.md";

/// Evaluate the NixOS modules with a nixpkgs, and judge what comes of it.
#[derive(Debug, Args)]
pub struct NixosEval {
    /// A tree of nixpkgs, or of its folders nixos/ and lib/. Default: $OSMODA_NIXPKGS.
    #[arg(long, value_name = "PATH")]
    nixpkgs: Option<PathBuf>,
    /// Write docs/options.md.
    #[arg(long)]
    write: bool,
}

/// How a case went.
pub type Verdict = (String, Result<()>);

impl NixosEval {
    /// Does it.
    pub fn run(&self) -> Result<()> {
        let nixpkgs = nixos::nixpkgs(self.nixpkgs.clone())?.context(nixos::NO_NIXPKGS)?;
        let verdicts = suite(&nixpkgs, self.write)?;
        let mut failed = 0;
        for (name, verdict) in &verdicts {
            match verdict {
                Ok(()) => println!("  ok     {name}"),
                Err(error) => {
                    failed += 1;
                    println!("  FAILED {name}\n{error:#}");
                }
            }
        }
        println!("{} passed, {failed} failed", verdicts.len() - failed);
        ensure!(failed == 0, "{failed} cases failed");
        Ok(())
    }
}

/// Evaluates and judges all cases.
pub fn suite(nixpkgs: &Path, write: bool) -> Result<Vec<Verdict>> {
    crate::host::need(&[("nix-instantiate", "nix-bin"), ("python3", "python3")])?;
    let nix = Nix::new(nixpkgs, &programs()?);

    let told: judge::Suite = crate::timed("evaluating the modules", || {
        serde_json::from_str(&nix.evaluate("all")?).context("what Nix told is not what was asked for")
    })?;
    let mut verdicts: Vec<Verdict> = told.cases.iter().map(|(name, case)| (named(name), case.judge(&told))).collect();
    verdicts.push((named("the package"), told.judge_package()));
    verdicts.push((format!("nixos-eval: {PAGE} is fresh"), fresh(&page::page(&told.options), write)));

    let project: project::Project = crate::timed("evaluating the flake, hosts and tests", || {
        serde_json::from_str(&nix.evaluate("project")?).context("what Nix told is not what was asked for")
    })?;
    verdicts.extend(project.judge());

    crate::timed("evaluating what has to fail", || {
        for (name, text) in &told.ends {
            verdicts.push((named(name), fails(&nix.evaluate(&format!("ended.\"{name}\"")), text)));
        }
        for (name, text) in &told.breaks {
            verdicts.push((named(name), fails(&nix.build(&format!("broken.\"{name}\"")), text)));
        }
        Ok(())
    })?;
    Ok(verdicts)
}

fn named(name: &str) -> String {
    format!("nixos-eval: {name}")
}

/// It has to fail, and to say this.
fn fails(result: &Result<String>, text: &str) -> Result<()> {
    match result {
        Ok(_) => bail!("it succeeds, and should fail with: {text}"),
        Err(error) if format!("{error:#}").contains(text) => Ok(()),
        Err(error) => bail!("it fails, but does not say: {text}\n{error:#}"),
    }
}

/// The page is what the options say; written anew if that is wanted.
fn fresh(text: &str, write: bool) -> Result<()> {
    let file = crate::root().join(PAGE);
    if write {
        std::fs::write(&file, text)?;
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    ensure!(there == text, "{PAGE} is stale: run `cargo xtask nixos-eval --write`");
    Ok(())
}

/// A folder with the programs of the package: `osmoda` as cargo has built it, which judges documents, and in the place of
/// the daemons, which nobody starts here, words that say so.
fn programs() -> Result<PathBuf> {
    let mut command = crate::cargo();
    command.args(["build", "--quiet", "--locked", "--package", "osmoda-cli"]);
    crate::host::run(&mut command)?;
    let program = crate::install::target().join("debug/osmoda").canonicalize()?;
    let built = std::fs::metadata(&program)?.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let folder = crate::install::target().join("nixos-eval/programs");
    std::fs::create_dir_all(&folder)?;
    for (name, _) in crate::install::PROGRAMS {
        let text = if name == "osmoda" {
            // Another program is another text, so that Nix asks it again.
            format!("#!/bin/sh\n# {built}\nexec '{}' \"$@\"\n", program.display())
        } else {
            "#!/bin/sh\necho this is not the program >&2\nexit 1\n".to_owned()
        };
        let file = folder.join(name);
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(folder)
}
