//! How the programs of the simulated machine talk to its systemd.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use osmoda_systemd::{
    JobResult, StandIn, SystemdError, UnitEvent, UnitSnapshot, Verb,
    transient::{CommandEnd, CommandOutcome, TransientService},
};
use tokio::sync::mpsc;

use crate::{
    machine::{Sim, plain},
    process::Process,
    systemd::Systemd,
};

const WAKE: i32 = 10;

/// A process's connection to systemd. A dead one gets no answers.
pub struct Handle {
    pub sim: Arc<Sim>,
    pub process: Arc<Process>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle of {}", self.process.program)
    }
}

impl Handle {
    /// The way there; whoever was killed on it is not heard.
    async fn arrive(&self) -> &Arc<Systemd> {
        self.process.alive().await;
        self.sim.shared.pause(3).await;
        self.process.alive().await;
        &self.sim.systemd
    }

    /// The way back.
    async fn answered<T>(&self, answer: T) -> T {
        self.sim.shared.pause(3).await;
        self.process.alive().await;
        answer
    }
}

impl StandIn for Handle {
    fn snapshot(&self) -> BoxFuture<'_, Result<UnitSnapshot, SystemdError>> {
        Box::pin(async move {
            let snapshot = self.arrive().await.snapshot();
            self.answered(Ok(snapshot)).await
        })
    }

    fn run_job<'a>(&'a self, verb: Verb, unit: &'a str) -> BoxFuture<'a, Result<JobResult, SystemdError>> {
        Box::pin(async move {
            let systemd = Arc::clone(self.arrive().await);
            self.sim.shared.note(|| format!("{}: {verb:?} {}", self.process.program, plain(unit)));
            if systemd.stop_transient(unit) {
                return self.answered(Ok(JobResult::Done)).await;
            }
            self.sim.look_at_job(self.process.program, verb, unit);
            let name = unit.to_owned();
            // The job goes on, whatever becomes of who asked for it.
            let job = tokio::spawn(async move { systemd.job(verb, &name).await });
            let result = job.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
            self.answered(result).await
        })
    }

    fn daemon_reload(&self) -> BoxFuture<'_, Result<(), SystemdError>> {
        Box::pin(async move {
            self.arrive().await.load(&self.sim);
            self.sim.shared.pause(100).await;
            self.answered(Ok(())).await
        })
    }

    fn reset_failed<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<(), SystemdError>> {
        Box::pin(async move {
            self.arrive().await.reset_failed(unit);
            self.answered(Ok(())).await
        })
    }

    fn kill<'a>(&'a self, unit: &'a str, signal: i32) -> BoxFuture<'a, Result<(), SystemdError>> {
        Box::pin(async move {
            let systemd = self.arrive().await;
            if signal == WAKE {
                self.sim.wake.notify_one();
            } else {
                systemd.kill(unit);
            }
            self.answered(Ok(())).await
        })
    }

    fn restarts<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<u32, SystemdError>> {
        Box::pin(async move {
            let restarts = self.arrive().await.restarts(unit);
            self.answered(Ok(restarts)).await
        })
    }

    fn start_transient<'a>(
        &'a self,
        unit: &'a str,
        service: &'a TransientService,
    ) -> BoxFuture<'a, Result<(), SystemdError>> {
        Box::pin(async move {
            let systemd = self.arrive().await;
            self.sim.shared.note(|| format!("{}: run {}", self.process.program, plain(unit)));
            if systemd.transients().iter().any(|known| known == unit) {
                let message = format!("Unit {unit} was already loaded or has a fragment file.");
                let name = "org.freedesktop.systemd1.UnitExists".to_owned();
                return self.answered(Err(SystemdError::Refused { what: unit.to_owned(), name, message })).await;
            }
            systemd.start_service(&self.sim, unit, service);
            self.answered(Ok(())).await
        })
    }

    fn start_transient_timer<'a>(
        &'a self,
        name: &'a str,
        after: Duration,
        service: &'a TransientService,
    ) -> BoxFuture<'a, Result<(), SystemdError>> {
        Box::pin(async move {
            Arc::clone(self.arrive().await).start_timer(&self.sim, name, after, service);
            self.answered(Ok(())).await
        })
    }

    fn run_command<'a>(
        &'a self,
        _: &'a str,
        service: &'a TransientService,
    ) -> BoxFuture<'a, Result<CommandOutcome, SystemdError>> {
        Box::pin(async move {
            self.arrive().await;
            let says = service.command.get(1).map_or("", String::as_str);
            if says == "hang" {
                return pending().await;
            }
            self.sim.shared.pause(200).await;
            let status = match says {
                "fail" => 1,
                "flaky" => i32::from(self.sim.shared.chance(0.3)),
                _ => 0,
            };
            self.answered(Ok(CommandOutcome { end: CommandEnd::Exit(status), output: String::new() })).await
        })
    }

    fn events(&self) -> mpsc::UnboundedReceiver<UnitEvent> {
        self.sim.systemd.listen()
    }
}
