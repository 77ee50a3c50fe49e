//! What every command needs: where the daemons are, how to print, how to complain.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use osmoda_ipc::{Client, ClientError};
use osmoda_schemas::{diagnostics, problem::Problem};

use rustix::fs::OFlags;

use crate::{
    args::{Color, Output},
    print::Printer,
};

/// Most bytes that are read of a file to show where in it something is wrong.
const EXCERPT: u64 = 2 * 1024 * 1024;

/// agentd's configuration.
pub const CONFIG: &str = "/etc/osmoda/agentd.yaml";

/// What every command needs.
#[derive(Debug)]
pub struct Context {
    /// How answers are printed.
    pub printer: Printer,
    /// Where osModa keeps its state.
    pub state_dir: PathBuf,
    /// Where its sockets are, and what a reboot forgets.
    pub run_dir: PathBuf,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// Told with all that is known.
    Problems(Vec<Problem>),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::from(error.into_problem())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Context {
    /// A context of this process.
    #[must_use]
    pub fn new(output: Output, color: Color, run_dir: PathBuf, state_dir: PathBuf) -> Self {
        Self { printer: Printer::new(output, color), state_dir, run_dir }
    }

    /// agentd.
    #[must_use]
    pub fn agentd(&self) -> Client {
        // Taking in and building may take long on a large machine.
        Client::new(self.run_dir.join("agentd.sock")).deadline(std::time::Duration::from_secs(200))
    }

    /// osmoda-watch.
    #[must_use]
    pub fn watch(&self) -> Client {
        Client::new(self.run_dir.join("watch.sock"))
    }

    /// osmoda-routines.
    #[must_use]
    pub fn routines(&self) -> Client {
        Client::new(self.run_dir.join("routines.sock"))
    }

    /// osmoda-witness.
    #[must_use]
    pub fn witness(&self) -> Client {
        Client::new(self.run_dir.join("witness.sock")).deadline(std::time::Duration::from_secs(10))
    }

    /// osmoda-keyd.
    #[must_use]
    pub fn keyd(&self) -> Client {
        Client::new(self.run_dir.join("keyd.sock"))
    }

    /// The folder of the ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.state_dir.join("ledger")
    }

    /// Tells what went wrong on standard error: for people with the lines of the source, for programs as problem+json.
    pub fn complain(&self, failure: &Failure) {
        match failure {
            Failure::Problems(problems) if self.printer.for_people() => self.show_problems(problems),
            Failure::Problems(problems) => {
                let mut all = problems.iter().cloned();
                if let Some(mut first) = all.next() {
                    first.errors.extend(all);
                    eprintln!("{}", serde_json::to_string_pretty(&first).unwrap_or_default());
                }
            }
            Failure::Output(error) => eprintln!("error: {error}"),
        }
    }

    /// Shows problems to people.
    pub fn show_problems(&self, problems: &[Problem]) {
        eprint!("{}", diagnostics::render(problems, self.printer.color_errors, &excerpt));
    }
}

/// The text of a file that a problem is about. What is wrong with it may be that it is a pipe, which would be waited for,
/// or a link to somebody else's file.
fn excerpt(path: &Path) -> Option<String> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).ok()?;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(EXCERPT).read_to_string(&mut text).ok()?;
    Some(text)
}
