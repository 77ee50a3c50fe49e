//! The guides of `docs/guides`, carried out word for word: their files are saved, their commands are typed, and what
//! these write is what the page says.

mod expect;
mod page;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Host;
use page::{Action, Command};

/// How long something may take of which a page says that it comes soon.
const SOON: Duration = Duration::from_secs(60);
/// Time between two looks at it.
const LOOK: Duration = Duration::from_millis(250);
/// Where a file waits until whoever owns its folder saves it.
const DRAFT: &str = "/run/guide-draft";

/// A guide.
#[derive(Clone, Copy, Debug)]
pub struct Guide {
    /// Its file in `docs/guides`.
    pub file: &'static str,
    /// What it says.
    pub text: &'static str,
    /// Whose prompt `$` is.
    pub user: &'static str,
}

impl Guide {
    /// Carries it out.
    ///
    /// # Errors
    /// The line of the page that does not hold, and what was there instead.
    pub fn follow(&self, host: Host<'_>) -> Result<()> {
        let steps = page::read(self.text).with_context(|| format!("docs/guides/{}", self.file))?;
        for step in steps {
            let done = match &step.action {
                Action::Save { path, text } => save(host, path, text).map_err(|error| (step.line, error)),
                Action::Type(command) => self.try_out(host, command, step.line),
            };
            done.map_err(|(line, error)| error.context(format!("docs/guides/{}:{line}", self.file)))?;
        }
        Ok(())
    }

    /// Types a command until it says what the page says, or once.
    fn try_out(&self, host: Host<'_>, command: &Command, line: usize) -> Result<(), (usize, anyhow::Error)> {
        let began = Instant::now();
        loop {
            let failure = match self.type_in(host, command) {
                Ok((status, out)) => judge(command, status, &out).map(|(at, words)| (at.unwrap_or(line), words)),
                Err(error) => return Err((line, error)),
            };
            match failure {
                None => return Ok(()),
                Some(_) if command.soon && began.elapsed() < SOON => std::thread::sleep(LOOK),
                Some((line, words)) => return Err((line, anyhow::anyhow!(words))),
            }
        }
    }

    fn type_in(&self, host: Host<'_>, command: &Command) -> Result<(i32, String)> {
        // On a terminal both outputs are one.
        let script = format!("cd; exec 2>&1; {}", command.words);
        let user = if command.as_root { "root" } else { self.user };
        let (status, out, err) = host.end(&["runuser", "-l", user, "-s", "/bin/bash", "-c", &script])?;
        Ok((status, out + &err))
    }
}

/// What is wrong, and the page's line if it is one of the output's.
fn judge(command: &Command, status: i32, out: &str) -> Option<(Option<usize>, String)> {
    let words = &command.words;
    if let Err(line) = expect::compare(&command.output, out) {
        let which = if line.is_some() { "does not say this" } else { "says more than the page" };
        return Some((line, format!("`{words}` {which}; it ends with {status} and says\n{out}")));
    }
    let expected = command.ends_with;
    (status != expected).then(|| (None, format!("`{words}` ends with {status}, not with {expected}, and says\n{out}")))
}

/// Saves a file as an editor of the folder's owner would: nobody sees half of it, and it is theirs.
fn save(host: Host<'_>, path: &str, text: &str) -> Result<()> {
    let Some((folder, _)) = path.rsplit_once('/') else { bail!("{path} has no folder") };
    host.machine.write(DRAFT, text)?;
    let owner = host.sh(&format!("chmod a+r {DRAFT}; stat -c %U '{folder}'"))?;
    let script = format!("umask 022; cp {DRAFT} '{path}.new~' && mv '{path}.new~' '{path}'");
    host.run(&["runuser", "-u", owner.trim(), "--", "/bin/sh", "-ec", &script])?;
    Ok(())
}
