//! Programs of the simulated machine: tasks that can be killed at any await, and at any failpoint.

use std::{
    future::pending,
    panic,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use osmoda_failpoint::simulated::Killed;
use tokio::task::{AbortHandle, JoinHandle};

/// A program that runs, or did.
#[derive(Debug)]
pub struct Process {
    /// As `osmoda-failpoint` calls it: the name of its program.
    pub program: &'static str,
    dead: AtomicBool,
    task: OnceLock<AbortHandle>,
}

tokio::task_local! {
    /// The process that the present task is of; what it has spawned has none.
    static SELF: Arc<Process>;
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With success, or with an error.
    Exit(bool),
    /// By a kill.
    Killed,
}

impl Process {
    /// Runs a program. It is dead when its handle is finished, or [`Process::kill`] was called.
    pub fn spawn<F>(program: &'static str, run: impl FnOnce(Arc<Self>) -> F) -> (Arc<Self>, JoinHandle<bool>)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let process = Arc::new(Self { program, dead: AtomicBool::new(false), task: OnceLock::new() });
        let handle = tokio::spawn(SELF.scope(Arc::clone(&process), run(Arc::clone(&process))));
        let _ = process.task.set(handle.abort_handle());
        (process, handle)
    }

    /// The process of the present task, if it lives.
    pub fn current() -> Option<Arc<Self>> {
        SELF.try_with(Arc::clone).ok().filter(|process| !process.is_dead())
    }

    /// It does nothing any more; what its tasks still wait for never comes.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// True once it was killed or has ended.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Does not return to whom is dead.
    pub async fn alive(&self) {
        if self.is_dead() {
            pending().await
        }
    }

    /// Waits for the end of a process. A panic that is no kill goes on here.
    pub async fn end(&self, handle: JoinHandle<bool>) -> End {
        let ended = handle.await;
        self.kill();
        match ended {
            Ok(success) => End::Exit(success),
            Err(error) if error.is_cancelled() => End::Killed,
            Err(error) => {
                let payload = error.into_panic();
                if payload.is::<Killed>() { End::Killed } else { panic::resume_unwind(payload) }
            }
        }
    }
}
