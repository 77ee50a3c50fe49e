//! Jobs of systemd, and who waits for their ends.
//!
//! A job may end before the answer to the call that made it has been read. So while any such call is under way, the ends
//! of all jobs are kept; nobody can come for them later.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use zbus::OwnedObjectPath;

use crate::JobResult;

/// Who waits for which job.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<OwnedObjectPath, oneshot::Sender<JobResult>>,
    early: HashMap<OwnedObjectPath, JobResult>,
    submissions: usize,
}

impl Jobs {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job has ended.
    pub fn ended(&self, job: &OwnedObjectPath, result: JobResult) {
        let mut inner = self.inner();
        if let Some(waiting) = inner.waiting.remove(job) {
            // A receiver that is gone has hit its deadline.
            let _ = waiting.send(result);
        } else if inner.submissions > 0 {
            inner.early.insert(job.clone(), result);
        }
    }

    /// A call that makes a job is about to begin.
    pub fn submission(&self) -> Submission<'_> {
        self.inner().submissions += 1;
        Submission(self)
    }

    /// Nobody waits any longer.
    pub fn give_up(&self, job: &OwnedObjectPath) {
        self.inner().waiting.remove(job);
    }
}

/// A call under way that makes a job.
#[derive(Debug)]
pub struct Submission<'a>(&'a Jobs);

impl Submission<'_> {
    /// The call was answered with this job. Gives where its end arrives.
    pub fn accepted(self, job: &OwnedObjectPath) -> oneshot::Receiver<JobResult> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.0.inner();
        match inner.early.remove(job) {
            Some(result) => {
                let _ = sender.send(result);
            }
            None => {
                inner.waiting.insert(job.clone(), sender);
            }
        }
        receiver
    }
}

impl Drop for Submission<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.inner();
        inner.submissions -= 1;
        if inner.submissions == 0 {
            inner.early.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn ends_are_kept_while_a_call_is_under_way_and_no_longer() {
        let jobs = Jobs::default();
        let path = |n: u32| OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{n}")).unwrap();
        let submission = jobs.submission();
        for n in 0..10_000 {
            jobs.ended(&path(n), JobResult::Done);
        }
        let mut end = submission.accepted(&path(0));
        assert_eq!(end.try_recv(), Ok(JobResult::Done));
        assert!(jobs.inner().early.is_empty());

        let mut end = jobs.submission().accepted(&path(1));
        assert!(end.try_recv().is_err());
        jobs.ended(&path(1), JobResult::Failed);
        assert_eq!(end.try_recv(), Ok(JobResult::Failed));

        jobs.ended(&path(2), JobResult::Done);
        assert!(jobs.inner().early.is_empty(), "nobody can come for it");
    }
}
