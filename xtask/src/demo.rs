//! `cargo xtask demo`: the story, played on a real machine.

use anyhow::Result;
use clap::Args;
use machine_suites::{Host, story};

use crate::{
    install,
    machine::{self, Release},
};

/// Play the story on a real machine.
#[derive(Debug, Args)]
pub struct Demo {
    /// A virtual machine instead of a container: slower, and the power cut is one.
    #[arg(long)]
    vm: bool,
    /// The Debian release of the machine.
    #[arg(long, value_enum, default_value_t = Release::Bookworm)]
    release: Release,
    /// Leave the machine up to play with.
    #[arg(long)]
    keep: bool,
}

/// What the machine of the demo is called.
const NAME: &str = "demo";

impl Demo {
    /// Plays it.
    pub fn run(&self) -> Result<()> {
        eprintln!("Getting a machine ready");
        let machine = crate::timed(&format!("booting Debian {}", self.release.name()), || {
            machine::up(NAME, self.release, self.vm)
        })?;
        let played = install::install(machine.as_ref(), true).and_then(|()| {
            println!("\nThe story, as it happens:\n");
            println!("      AT      TOOK");
            story::play(Host { machine: machine.as_ref() }, |moment| {
                let (at, took) = (moment.at.as_secs_f64(), moment.took.as_secs_f64());
                println!("{at:7.2} s {took:7.2} s  {}", moment.what);
            })
        });
        if self.keep {
            let vm = if self.vm { " --vm" } else { "" };
            println!("\nThe machine is still there: cargo xtask machine sh --name {NAME}{vm}");
            println!("In it, try: osmoda get; osmoda history; osmoda events; osmoda describe App/web");
            println!("Throw it away with: cargo xtask machine down --name {NAME}{vm}");
        } else {
            machine.down()?;
        }
        played.map(|_| ())
    }
}
