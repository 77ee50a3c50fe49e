//! The connection to systemd: states, jobs and their results.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use osmoda_failpoint as failpoint;
use tokio::sync::Semaphore;
use zbus::{Connection, OwnedObjectPath};

use crate::{
    ActiveState, StandIn, SystemdError, UnitSnapshot, UnitStatus,
    jobs::Jobs,
    proxy::{ServiceProxy, SystemdProxy, UnitProxy, UnitRow},
};

/// Deadline of a call that systemd answers at once.
pub(crate) const CALL: Duration = Duration::from_secs(25);

/// A connection to the system's service manager. Clones share it.
#[derive(Clone, Debug)]
pub struct Manager {
    link: Link,
    in_flight: Arc<Semaphore>,
    calls: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
pub(crate) enum Link {
    Bus(Bus),
    StandIn(Arc<dyn StandIn>),
}

/// The connection to the bus.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    pub(crate) connection: Connection,
    pub(crate) systemd: SystemdProxy<'static>,
    jobs: Arc<Jobs>,
}

/// The least time that a job gets.
const LEAST: Duration = Duration::from_secs(1);

/// Jobs in flight at a time; a large generation has thousands of units. The bus lets a connection wait for 128 answers
/// (dbus-daemon(1), `max_replies_per_connection`). And systemd adds a match rule to its own connection for the client of
/// each job, and loses that connection when it has more than 512 (`max_match_rules_per_connection`).
const JOBS: usize = 96;

/// Calls that wait for their answers at a time, those of jobs among them: a switch asks hundreds of gates at once. What is
/// left of the bus's 128 is for calls that are not counted: those of zbus's own, and a daemon-reload.
const CALLS: usize = 112;

/// What a unit is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it, or just start it.
    Restart,
    /// Have it read its configuration anew.
    Reload,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// As it should.
    Done,
    /// Another job took its place.
    Canceled,
    /// systemd gave up waiting.
    Timeout,
    /// The unit failed.
    Failed,
    /// Something that it needs failed.
    Dependency,
    /// It did not apply to the unit's state.
    Skipped,
    /// Anything else (`invalid`, `assert`, `unsupported`, `collected`, `once`).
    Other,
}

impl JobResult {
    fn parse(text: &str) -> Self {
        match text {
            "done" => Self::Done,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            "skipped" => Self::Skipped,
            _ => Self::Other,
        }
    }

    /// The unit is where it was asked to go.
    #[must_use]
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

impl Manager {
    /// Connects to the system bus and subscribes to systemd's signals.
    ///
    /// # Errors
    /// When the bus or systemd does not answer within 25 s.
    pub async fn connect() -> Result<Self, SystemdError> {
        let connect = async {
            let connection = Connection::system().await.map_err(SystemdError::Bus)?;
            let systemd = SystemdProxy::new(&connection).await.map_err(SystemdError::Bus)?;
            let mut removed = systemd.receive_job_removed().await.map_err(SystemdError::Bus)?;
            systemd.subscribe().await.map_err(|e| SystemdError::of_call("Subscribe", e))?;
            let jobs = Arc::new(Jobs::default());
            let held = Arc::downgrade(&jobs);
            tokio::spawn(async move {
                while let Some(signal) = removed.next().await {
                    let (Some(jobs), Ok(args)) = (held.upgrade(), signal.args()) else { break };
                    jobs.ended(args.job(), JobResult::parse(args.result()));
                }
            });
            // systemd forgets its subscribers when it loses its connection to the bus, and goes on with another one.
            let mut owners = systemd.inner().receive_owner_changed().await.map_err(SystemdError::Bus)?;
            let again = systemd.clone();
            tokio::spawn(async move {
                while let Some(owner) = owners.next().await {
                    if owner.is_some() {
                        tracing::warn!("systemd has a new connection to the bus");
                        let failed = again.subscribe().await.err().map(|e| SystemdError::of_call("Subscribe", e));
                        // It may have remembered us by itself.
                        if let Some(error) = failed.filter(|error| !error.is_already_subscribed()) {
                            tracing::error!("{error}");
                        }
                    }
                }
            });
            Ok(Self::of(Link::Bus(Bus { connection, systemd, jobs })))
        };
        deadline("connecting to systemd", CALL, connect).await?
    }

    /// A simulated systemd.
    #[must_use]
    pub fn simulated(stand_in: Arc<dyn StandIn>) -> Self {
        Self::of(Link::StandIn(stand_in))
    }

    fn of(link: Link) -> Self {
        Self { link, in_flight: Arc::new(Semaphore::new(JOBS)), calls: Arc::new(Semaphore::new(CALLS)) }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// What a stand-in cannot be asked goes to the bus.
    pub(crate) fn bus(&self) -> Result<&Bus, SystemdError> {
        match &self.link {
            Link::Bus(bus) => Ok(bus),
            Link::StandIn(_) => Err(SystemdError::Bus(zbus::Error::Unsupported)),
        }
    }

    /// systemd's version, such as `252.39-1~deb12u1`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, SystemdError> {
        self.call("Version", self.bus()?.systemd.version()).await
    }

    /// What all loaded units are doing.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn snapshot(&self) -> Result<UnitSnapshot, SystemdError> {
        let bus = match &self.link {
            Link::Bus(bus) => bus,
            Link::StandIn(stand_in) => return deadline("ListUnits", CALL, stand_in.snapshot()).await?,
        };
        let rows = self.call("ListUnits", bus.systemd.list_units()).await?;
        Ok(UnitSnapshot { units: rows.into_iter().map(status_of_row).collect() })
    }

    /// What these units are doing. Units that systemd does not know are there too, as not loaded.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn statuses(&self, units: &[&str]) -> Result<UnitSnapshot, SystemdError> {
        let Link::Bus(bus) = &self.link else {
            let mut all = self.snapshot().await?;
            all.units.retain(|unit, _| units.contains(&unit.as_str()));
            return Ok(all);
        };
        let rows = self.call("ListUnitsByNames", bus.systemd.list_units_by_names(units)).await?;
        Ok(UnitSnapshot { units: rows.into_iter().map(status_of_row).collect() })
    }

    /// What one unit is doing.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn status(&self, unit: &str) -> Result<UnitStatus, SystemdError> {
        let snapshot = self.statuses(&[unit]).await?;
        // An alias is answered under the unit's own name.
        let found = snapshot.units.get(unit).or_else(|| snapshot.units.values().next()).cloned();
        Ok(found.unwrap_or(UnitStatus { active: ActiveState::Inactive, sub: "dead".to_owned(), loaded: false }))
    }

    /// Asks a unit to do something and waits until that is done.
    ///
    /// # Errors
    /// When systemd refuses, does not answer, or the job takes longer than `timeout`. A job that ends badly is no error
    /// but a [`JobResult`].
    pub async fn run_job(&self, verb: Verb, unit: &str, timeout: Duration) -> Result<JobResult, SystemdError> {
        let what = format!("{} of {unit}", verb.as_str());
        let bus = match &self.link {
            Link::Bus(bus) => bus,
            Link::StandIn(stand_in) => return around(&what, timeout, stand_in.run_job(verb, unit)).await,
        };
        let submit = async {
            match verb {
                Verb::Start => bus.systemd.start_unit(unit, "replace").await,
                Verb::Stop => bus.systemd.stop_unit(unit, "replace").await,
                Verb::Restart => bus.systemd.restart_unit(unit, "replace").await,
                Verb::Reload => bus.systemd.reload_unit(unit, "replace").await,
            }
        };
        self.job(&what, submit, timeout).await
    }

    /// Makes a call that makes a job, and waits for the job's end.
    pub(crate) async fn job(
        &self,
        what: &str,
        submit: impl Future<Output = zbus::Result<OwnedObjectPath>>,
        timeout: Duration,
    ) -> Result<JobResult, SystemdError> {
        let bus = self.bus()?;
        let began = Instant::now();
        // Whoever is in flight ends in time. A unit is asked for certain, however long the others took.
        let _permit = self.in_flight.acquire().await;
        let submission = bus.jobs.submission();
        failpoint::before("systemd.job", what);
        let job = self.call(what, submit).await?;
        failpoint::after("systemd.job.submit", what);
        let left = timeout.saturating_sub(began.elapsed()).max(LEAST);
        let result = deadline(what, left, submission.accepted(&job)).await;
        if result.is_err() {
            bus.jobs.give_up(&job);
        }
        failpoint::after("systemd.job", what);
        result?.map_err(|_| SystemdError::Bus(zbus::Error::Failure("the connection to systemd ended".to_owned())))
    }

    /// Has systemd read all unit files anew, generators included.
    ///
    /// The method returns when that is done; systemd does not answer others meanwhile, so the deadline is generous.
    ///
    /// # Errors
    /// When it takes longer than `timeout`.
    pub async fn daemon_reload(&self, timeout: Duration) -> Result<(), SystemdError> {
        failpoint::before("systemd.reload", "");
        let reload = async {
            match &self.link {
                Link::Bus(bus) => bus.systemd.reload().await.map_err(|e| SystemdError::of_call("daemon-reload", e)),
                Link::StandIn(stand_in) => stand_in.daemon_reload().await,
            }
        };
        let done = deadline("daemon-reload", timeout, reload).await?;
        failpoint::after("systemd.reload", "");
        done
    }

    /// Forgets that a unit failed. A unit that is not loaded has nothing to forget.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn reset_failed(&self, unit: &str) -> Result<(), SystemdError> {
        let bus = match &self.link {
            Link::Bus(bus) => bus,
            Link::StandIn(stand_in) => return deadline("ResetFailedUnit", CALL, stand_in.reset_failed(unit)).await?,
        };
        match self.call("ResetFailedUnit", bus.systemd.reset_failed_unit(unit)).await {
            Err(error) if error.is_no_such_unit() => Ok(()),
            other => other,
        }
    }

    /// Sends a signal to all processes of a unit's control group. A unit that is not loaded has none.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn kill(&self, unit: &str, signal: i32) -> Result<(), SystemdError> {
        failpoint::before("systemd.kill", unit);
        let bus = match &self.link {
            Link::Bus(bus) => bus,
            Link::StandIn(stand_in) => return deadline("KillUnit", CALL, stand_in.kill(unit, signal)).await?,
        };
        match self.call("KillUnit", bus.systemd.kill_unit(unit, "all", signal)).await {
            Err(error) if error.is_no_such_unit() => Ok(()),
            // No process left to kill.
            Err(SystemdError::Refused { name, .. }) if name.ends_with("NoSuchProcess") => Ok(()),
            // It has killed those it could, and not found the others; whether the unit ends tells the rest.
            Err(SystemdError::Refused { name, message, .. }) if name.ends_with("IOError") => {
                tracing::warn!(unit, "{message}");
                Ok(())
            }
            other => other,
        }
    }

    /// The process id of a service's main process; none when it does not run.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn main_pid(&self, unit: &str) -> Result<Option<u32>, SystemdError> {
        let service = self.service(unit).await?;
        let pid = self.call("MainPID", service.main_pid()).await?;
        Ok((pid != 0).then_some(pid))
    }

    /// How a service ended: systemd's result, exit code kind (`si_code` of waitid(2)) and status.
    pub(crate) async fn exit_of(&self, unit: &str) -> Result<(String, i32, i32), SystemdError> {
        let service = self.service(unit).await?;
        let result = self.call("Result", service.result()).await?;
        let code = self.call("ExecMainCode", service.exec_main_code()).await?;
        let status = self.call("ExecMainStatus", service.exec_main_status()).await?;
        Ok((result, code, status))
    }

    /// How a service's last run ended, as systemd says it: `success`, `exit-code`, `signal`, `timeout`...
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn service_result(&self, unit: &str) -> Result<String, SystemdError> {
        let service = self.service(unit).await?;
        self.call("Result", service.result()).await
    }

    /// Asks a unit to start and does not wait until it has: for services that are "starting" as long as they work.
    ///
    /// # Errors
    /// When systemd refuses, or does not answer within `timeout`.
    pub async fn start_no_wait(&self, unit: &str, timeout: Duration) -> Result<(), SystemdError> {
        let submit = self.bus()?.systemd.start_unit(unit, "fail");
        deadline("start", timeout, self.call(&format!("start of {unit}"), submit)).await?.map(drop)
    }

    /// How often systemd has restarted a service by itself since it was last started by hand.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn restarts(&self, unit: &str) -> Result<u32, SystemdError> {
        if let Link::StandIn(stand_in) = &self.link {
            return deadline("NRestarts", CALL, stand_in.restarts(unit)).await?;
        }
        let service = self.service(unit).await?;
        self.call("NRestarts", service.n_restarts()).await
    }

    /// The unit file that systemd uses for a unit; empty when there is none.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn fragment_path(&self, unit: &str) -> Result<String, SystemdError> {
        let bus = self.bus()?;
        let path = self.call("LoadUnit", bus.systemd.load_unit(unit)).await?;
        let proxy = UnitProxy::new(&bus.connection, path).await.map_err(SystemdError::Bus)?;
        self.call("FragmentPath", proxy.fragment_path()).await
    }

    async fn service(&self, unit: &str) -> Result<ServiceProxy<'static>, SystemdError> {
        let bus = self.bus()?;
        let path = self.call("LoadUnit", bus.systemd.load_unit(unit)).await?;
        ServiceProxy::new(&bus.connection, path).await.map_err(SystemdError::Bus)
    }

    pub(crate) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = zbus::Result<T>>,
    ) -> Result<T, SystemdError> {
        let in_turn = async {
            // Whoever is before us ends in time, and we do, too.
            let _permit = self.calls.acquire().await;
            call.await
        };
        deadline(what, CALL, in_turn).await?.map_err(|error| SystemdError::of_call(what, error))
    }
}

/// A job of a stand-in, with the places that the real one's have.
pub(crate) async fn around<T>(
    what: &str,
    timeout: Duration,
    job: impl Future<Output = Result<T, SystemdError>>,
) -> Result<T, SystemdError> {
    failpoint::before("systemd.job", what);
    let result = deadline(what, timeout.max(LEAST), job).await;
    failpoint::after("systemd.job", what);
    result?
}

fn status_of_row(row: UnitRow) -> (String, UnitStatus) {
    let (name, _, load, active, sub, ..) = row;
    (name, UnitStatus { active: ActiveState::parse(&active), sub, loaded: load == "loaded" })
}

/// Everything that is asked of systemd ends, one way or the other.
pub(crate) async fn deadline<T>(what: &str, after: Duration, work: impl Future<Output = T>) -> Result<T, SystemdError> {
    tokio::time::timeout(after, work).await.map_err(|_| SystemdError::Timeout { what: what.to_owned(), after })
}
