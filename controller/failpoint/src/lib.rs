//! Places around every durable step and every effect, where the crash matrix (`vm-tests/machine/src/crash`) kills a
//! program, or lets what it is about to do fail. In a build without the feature `on` they are empty.
//!
//! In a build with it, and while `/run/osmoda/failpoints` is there, each place that is passed is noted in `log` there, as
//! `PROGRAM before|after POINT DETAIL`, and `arm` may hold one line, `PROGRAM before|after POINT ORDINAL ACTION`: at the
//! place with that ordinal, counted from 1 over all processes, the action is taken, once: `kill`, or, before what may
//! fail, the name of an error: `ENOSPC`, `EIO`, `EROFS`.
//!
//! With the feature `simulated` a test of the whole loop in one thread ([`simulated::set`]) decides at each place instead.

use std::{fmt::Display, io};

/// What follows becomes durable, unless it fails.
///
/// # Errors
/// What the test asks for; the caller acts as if the system had said so.
#[cfg_attr(not(feature = "on"), inline)]
pub fn may_fail(point: &'static str, detail: impl Display) -> io::Result<()> {
    #[cfg(feature = "simulated")]
    simulated::pass("before", point, &detail)?;
    #[cfg(feature = "on")]
    return armed::pass("before", point, &detail);
    #[cfg(not(feature = "on"))]
    {
        let _ = (point, detail);
        Ok(())
    }
}

/// What follows is an effect.
#[cfg_attr(not(feature = "on"), inline)]
pub fn before(point: &'static str, detail: impl Display) {
    let _ = may_fail(point, detail);
}

/// It has happened, and nobody knows yet.
#[cfg_attr(not(feature = "on"), inline)]
pub fn after(point: &'static str, detail: impl Display) {
    #[cfg(feature = "simulated")]
    let _ = simulated::pass("after", point, &detail);
    #[cfg(feature = "on")]
    let _ = armed::pass("after", point, &detail);
    #[cfg(not(feature = "on"))]
    let _ = (point, detail);
}

/// Places of a simulated machine, whose programs all run in one thread.
#[cfg(feature = "simulated")]
pub mod simulated {
    use std::{cell::RefCell, fmt::Display, io, panic, rc::Rc};

    /// What is done at a place.
    #[derive(Debug)]
    pub enum Action {
        /// Nothing.
        Pass,
        /// The program ends here: its task unwinds, with [`Killed`], and nothing after the place happens.
        Kill,
        /// What is about to be done fails like this.
        Fail(io::Error),
    }

    /// What a task unwinds with that is killed.
    #[derive(Debug)]
    pub struct Killed;

    type Decide = Rc<dyn Fn(&str, &'static str, &dyn Display) -> Action>;

    thread_local! {
        static DECIDE: RefCell<Option<Decide>> = const { RefCell::new(None) };
    }

    /// Sets who decides in this thread, by side (`before`, `after`), place and detail; none: nothing is done anywhere.
    pub fn set(decide: Option<Decide>) {
        DECIDE.with_borrow_mut(|set| *set = decide);
    }

    pub(super) fn pass(side: &str, point: &'static str, detail: &dyn Display) -> io::Result<()> {
        let decide = DECIDE.with_borrow(Clone::clone);
        match decide.map_or(Action::Pass, |decide| decide(side, point, detail)) {
            Action::Pass => Ok(()),
            Action::Fail(error) => Err(error),
            Action::Kill => panic::resume_unwind(Box::new(Killed)),
        }
    }
}

#[cfg(feature = "on")]
mod armed {
    use std::{
        fmt::Display,
        fs::{self, File, OpenOptions},
        io::{self, Write},
        path::Path,
    };

    use rustix::{
        fs::{FlockOperation, flock},
        process::{Signal, getpid, kill_process},
    };

    const FOLDER: &str = "/run/osmoda/failpoints";

    pub fn pass(side: &str, point: &str, detail: &dyn Display) -> io::Result<()> {
        let folder = Path::new(FOLDER);
        // Not there on any machine but that of the crash matrix, nor for programs that may not write to it.
        let Ok(mut log) = OpenOptions::new().append(true).open(folder.join("log")) else { return Ok(()) };
        let program = program();
        // One at a time, so that ordinals are exact.
        flock(&log, FlockOperation::LockExclusive)?;
        log.write_all(format!("{program} {side} {point} {detail}\n").as_bytes())?;
        let action = count_down(&folder.join("arm"), &format!("{program} {side} {point} "))?;
        if let Some(action) = &action {
            log.write_all(format!("{program} {side} {point} {detail}: {action}\n").as_bytes())?;
        }
        flock(&log, FlockOperation::Unlock)?;
        match action.as_deref() {
            None => Ok(()),
            Some("ENOSPC") => Err(rustix::io::Errno::NOSPC.into()),
            Some("EIO") => Err(rustix::io::Errno::IO.into()),
            Some("EROFS") => Err(rustix::io::Errno::ROFS.into()),
            Some(_) => {
                let _ = kill_process(getpid(), Signal::KILL);
                unreachable!("nobody survives SIGKILL")
            }
        }
    }

    /// The action, when it is this place's turn.
    fn count_down(arm: &Path, place: &str) -> io::Result<Option<String>> {
        let text = fs::read_to_string(arm).unwrap_or_default();
        let Some((ordinal, action)) = text.trim().strip_prefix(place).and_then(|rest| rest.split_once(' ')) else {
            return Ok(None);
        };
        match ordinal.parse::<u32>().map_err(io::Error::other)? {
            0 | 1 => fs::remove_file(arm).map(|()| Some(action.to_owned())),
            n => File::create(arm)?.write_all(format!("{place}{} {action}\n", n - 1).as_bytes()).map(|()| None),
        }
    }

    fn program() -> String {
        let path = std::env::current_exe().unwrap_or_default();
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
