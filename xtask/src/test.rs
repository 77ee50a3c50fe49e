//! `cargo xtask test`: every test there is, and one line at the end that says how they went.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use machine_suites::{
    Host, install as installer,
    suites::{self, Case, Whole},
};

use crate::{
    dist, host, install,
    machine::{self, Owned, Release, fresh::System, nixos},
    nixos_eval, openapi, stories,
};

/// Run all tests, from units to machines.
#[derive(Debug, Args)]
pub struct Test {
    /// Only what runs on this machine: no container.
    #[arg(long)]
    quick: bool,
    /// Only on machines of this release. Default: on all.
    #[arg(long, value_enum)]
    release: Option<Release>,
    /// On a virtual machine, too, those that show more there: limits that are enforced, power cuts that are some.
    #[arg(long)]
    vm: bool,
    /// The tree of nixpkgs that the suites of NixOS are run with. Default: $OSMODA_NIXPKGS; without one they are skipped.
    #[arg(long)]
    nixpkgs: Option<PathBuf>,
    /// Only cases on machines whose name contains this.
    #[arg(long)]
    case: Option<String>,
}

/// How tests went.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    fn take(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.failed.push(format!("{name}: {}", format!("{error:#}").lines().next().unwrap_or_default()))
            }
        }
    }
}

impl Test {
    /// Runs them.
    pub fn run(&self) -> Result<()> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let nixpkgs = nixos::nixpkgs(self.nixpkgs.clone())?;
        if let Some(filter) = &self.case
            && !self.has_one_of(&suites::all())
            && !self.has_one_of(&installer::cases(false))
            && !self.asks_for_nixos()
        {
            bail!("no case has `{filter}` in its name");
        }
        if self.case.is_none() {
            on_this_machine(&mut tally)?;
            nix_files(nixpkgs.as_deref(), &mut tally)?;
        }
        if !self.quick {
            let releases = self.release.map_or_else(|| vec![Release::Bookworm, Release::Trixie], |one| vec![one]);
            self.on_debian(&releases, &mut tally)?;
            if !self.asks_for_nixos() {
                // Others were asked for.
            } else if let Some(nixpkgs) = &nixpkgs {
                let on = |release| -> Job<'_> { Box::new(move |tally| self.on_nixos(release, nixpkgs, tally)) };
                side_by_side(releases.into_iter().map(on).collect(), &mut tally)?;
            } else {
                tally.skipped.push(format!("the suites of NixOS: {}", nixos::NO_NIXPKGS));
            }
            if self.vm {
                self.on_a_machine(self.release.unwrap_or(Release::Bookworm), true, &mut tally)?;
            } else {
                tally.skipped.push("the virtual machine (limits of the kernel, real power cuts): use --vm".to_owned());
            }
        }
        println!();
        for name in &tally.skipped {
            println!("SKIPPED: {name}");
        }
        for name in &tally.failed {
            println!("FAILED: {name}");
        }
        let (passed, failed, skipped) = (tally.passed, tally.failed.len(), tally.skipped.len());
        println!("in {} s", started.elapsed().as_secs());
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if failed > 0 { bail!("{failed} tests failed") } else { Ok(()) }
    }

    /// The suites on machines with osModa, and the installer's on machines without it, all at once: they wait more than
    /// they work.
    fn on_debian(&self, releases: &[Release], tally: &mut Tally) -> Result<()> {
        let media = if self.has_one_of(&installer::cases(false)) { Some(dist::media_of_tests()?) } else { None };
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for &release in releases {
            if self.has_one_of(&suites::all()) {
                jobs.push(Box::new(move |tally| self.on_a_machine(release, false, tally)));
            }
            if let Some(media) = &media {
                jobs.push(Box::new(move |tally| self.on_a_fresh_machine(release.into(), media, tally)));
            }
        }
        side_by_side(jobs, tally)
    }

    fn on_a_fresh_machine(&self, system: System, media: &dist::Media, tally: &mut Tally) -> Result<()> {
        let mut cases = installer::cases(false);
        cases.retain(|case| self.is_asked_for(case.name));
        if self.case.is_none() {
            for case in cases.extract_if(.., |case| case.long) {
                let name = case.name;
                tally.skipped.push(format!("{system}: {name}: it is long; `cargo xtask test --case '{name}'`"));
            }
        }
        dist::on_a_fresh_machine(media, system, &cases, |name, result| tally.take(name, result))
    }

    fn on_a_machine(&self, release: Release, vm: bool, tally: &mut Tally) -> Result<()> {
        let kind = if vm { "virtual machine" } else { "container" };
        let place = format!("Debian {} {kind}", release.name());
        let name = format!("test-{}", release.name());
        let machine = crate::timed(&format!("booting a {place}"), || machine::up(&name, release, vm))?;
        install::install(machine.as_ref(), false)?;
        if self.case.is_none() && !vm {
            programs_on(machine.as_ref(), &place, tally)?;
        }
        let host = Host { machine: machine.as_ref() };
        self.cases(suites::all(), host, &place, tally);
        if self.case.is_none() && !vm {
            match openapi::collect_and_validate(host) {
                Ok(()) => tally.passed += 1,
                Err(openapi::Failure::Invalid(words)) => {
                    println!("{words:#}");
                    tally.take(&format!("{place}: OpenAPI"), Err(words));
                }
                Err(openapi::Failure::NoValidator(words)) => {
                    tally.skipped.push(format!("{place}: OpenAPI by an outside validator: {words:#}"));
                }
            }
        }
        machine.down()
    }

    fn on_nixos(&self, release: Release, nixpkgs: &Path, tally: &mut Tally) -> Result<()> {
        let place = format!("NixOS on Debian {}", release.name());
        let name = format!("test-nixos-{}", release.name());
        let machine = crate::timed(&format!("booting a {place}"), || machine::up_nixos(&name, release, nixpkgs))?;
        install::install(machine.as_ref(), false)?;
        self.cases(suites::nixos(), Host { machine: machine.as_ref() }, &place, tally);
        for (story, title) in stories::names() {
            if self.is_asked_for(&title) {
                let told = crate::timed(&title, || stories::tell(machine.as_ref(), &name, story));
                if let Err(words) = &told {
                    println!("{words:#}");
                }
                tally.take(&format!("{place}: {title}"), told);
            }
        }
        machine.down()
    }

    fn asks_for_nixos(&self) -> bool {
        self.has_one_of(&suites::nixos()) || stories::names().any(|(_, title)| self.is_asked_for(&title))
    }

    fn is_asked_for(&self, name: &str) -> bool {
        self.case.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
    }

    fn has_one_of(&self, cases: &[Case]) -> bool {
        cases.iter().any(|case| self.is_asked_for(case.name))
    }

    /// Runs those cases that were asked for and that this machine is one for.
    fn cases(&self, cases: Vec<Case>, host: Host<'_>, place: &str, tally: &mut Tally) {
        let vm = host.machine.is_whole();
        for case in cases {
            if !self.is_asked_for(case.name) {
                continue;
            }
            let full = format!("{place}: {}", case.name);
            if vm && case.on == Whole::Equal && self.case.is_none() {
                continue;
            }
            if case.on == Whole::Needed && !vm {
                tally.skipped.push(format!("{full}: a container does not enforce it; use --vm"));
                continue;
            }
            tally.take(&full, run_case(host, &case, place));
        }
    }
}

/// Tests that need nothing of others.
type Job<'a> = Box<dyn FnOnce(&mut Tally) -> Result<()> + Send + 'a>;

/// Runs each in a thread of its own.
fn side_by_side(jobs: Vec<Job<'_>>, tally: &mut Tally) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    // What all of them need is built once.
    install::build(false)?;
    let results: Vec<Result<Tally>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for job in jobs {
            threads.push(scope.spawn(move || {
                let mut own = Tally::default();
                job(&mut own).map(|()| own)
            }));
        }
        threads.into_iter().map(|thread| thread.join().expect("a test panicked")).collect()
    });
    for result in results {
        let own = result?;
        tally.passed += own.passed;
        tally.failed.extend(own.failed);
        tally.skipped.extend(own.skipped);
    }
    Ok(())
}

/// Runs a case and tells how it went; of one that failed, what the machine's journal says.
pub fn run_case(host: Host<'_>, case: &Case, place: &str) -> Result<()> {
    let began = Instant::now();
    let result = (case.run)(host);
    let mark = if result.is_ok() { "ok" } else { "FAILED" };
    let mut told = format!("  {mark:6} {:6.1} s  {place}: {}", began.elapsed().as_secs_f64(), case.name);
    if let Err(error) = &result {
        let words = host.end(&["/usr/bin/journalctl", "-q", "-n", "40", "--no-pager", "-o", "short-precise"]);
        told += &format!("\n{error:#}\n{}", words.map(|(_, out, _)| out).unwrap_or_default());
    }
    println!("{told}");
    result
}

/// Everything that cargo runs. Tests that need a machine say so there, and run on one later.
fn on_this_machine(tally: &mut Tally) -> Result<()> {
    println!("on this machine");
    host::need(&[("nix-store", "nix-bin"), ("python3", "python3"), ("shellcheck", "shellcheck")])?;
    let output = crate::cargo()
        .args(["test", "--quiet", "--locked", "--workspace", "--no-fail-fast", "--", "--show-output"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counted = count(&text, tally);
    if !output.status.success() {
        println!("{text}");
        if tally.failed.is_empty() {
            tally.failed.push("cargo test".to_owned());
        }
    } else if counted == 0 {
        bail!("cargo ran no test");
    }
    println!("  {} passed", tally.passed);
    Ok(())
}

/// Files of Nix: each can be read, and what they say of a machine is judged where there is a nixpkgs.
fn nix_files(nixpkgs: Option<&Path>, tally: &mut Tally) -> Result<()> {
    let mut verdicts = vec![("files of Nix".to_owned(), nixos_eval::parse_all())];
    match nixpkgs {
        Some(nixpkgs) => verdicts.extend(nixos_eval::suite(nixpkgs, false)?),
        None => tally.skipped.push(format!("module evaluation: {}", nixos::NO_NIXPKGS)),
    }
    let before = tally.passed;
    for (name, verdict) in verdicts {
        if let Err(words) = &verdict {
            println!("{name}: {words:#}");
        }
        tally.take(&name, verdict);
    }
    println!("  {} passed of Nix", tally.passed - before);
    Ok(())
}

/// Reads the harness's own words. Returns how many tests ran.
fn count(text: &str, tally: &mut Tally) -> usize {
    let mut counted = 0;
    let mut later = 0;
    for line in text.lines() {
        let number = |word: &str| {
            let at = line.split("; ").flat_map(|part| part.split(". ")).find(|part| part.trim().ends_with(word));
            at.and_then(|part| part.trim().split(' ').next()?.parse::<usize>().ok()).unwrap_or(0)
        };
        if line.starts_with("test result:") {
            counted += number("passed") + number("failed");
            tally.passed += number("passed");
            let ignored = number("ignored");
            if ignored > 0 {
                tally.skipped.push(format!("{ignored} ignored tests"));
            }
        } else if let Some(name) = line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED")) {
            tally.failed.push(name.to_owned());
        } else if let Some(name) = line.strip_suffix(" --- FAILED") {
            tally.failed.push(name.to_owned());
        } else if line.starts_with("SKIPPED: needs a machine") {
            later += 1;
        } else if let Some(why) = line.strip_prefix("SKIPPED: ") {
            tally.passed = tally.passed.saturating_sub(1);
            tally.skipped.push(why.to_owned());
        }
    }
    tally.passed = tally.passed.saturating_sub(later);
    counted
}

/// Test programs `tests/machine_*.rs`, run on a machine.
fn programs_on(machine: &dyn Owned, place: &str, tally: &mut Tally) -> Result<()> {
    for program in machine_programs()? {
        let name = program.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let there = format!("/opt/{name}");
        machine.put(&program, &there)?;
        let words = ["/usr/bin/env", "OSMODA_MACHINE=1", &there, "--test-threads=1"];
        let output = machine.output(&words)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let before = tally.passed;
        let mut own = Tally::default();
        count(&text, &mut own);
        tally.passed += own.passed;
        tally.skipped.extend(own.skipped);
        if !output.status.success() {
            println!("{text}{}", String::from_utf8_lossy(&output.stderr));
            let failed = if own.failed.is_empty() { vec![name.clone()] } else { own.failed };
            tally.failed.extend(failed.into_iter().map(|test| format!("{place}: {test}")));
        }
        println!("  {place}: {} passed of {name}", tally.passed - before);
    }
    Ok(())
}

/// Builds the test programs for machines and tells where they are.
fn machine_programs() -> Result<Vec<PathBuf>> {
    let mut command = crate::cargo();
    command.args(["test", "--quiet", "--locked", "--workspace", "--test", "machine_*", "--no-run"]);
    command.arg("--message-format=json");
    install::for_machines(&mut command);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the test programs for machines cannot be built");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let programs = messages.filter_map(|m| Some(Path::new(m["executable"].as_str()?).to_owned()));
    Ok(programs.collect())
}
