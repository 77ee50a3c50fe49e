//! Transient units: services and timers that exist only while they run, and commands that end for certain.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use tokio::io::AsyncReadExt;
use zbus::Variant;

use crate::{
    ActiveState, JobResult, Manager, SystemdError, UnitEvents, Verb,
    manager::{CALL, Link, around, deadline},
    proxy::Properties,
};

/// Bytes of a command's output that are kept: the last ones.
const OUTPUT_TAIL: usize = 4096;

/// A service that is made up on the spot.
#[derive(Clone, Debug)]
pub struct TransientService {
    /// What `systemctl status` shows.
    pub description: String,
    /// Program and arguments; the program is an absolute path. A `$` or a `;` in them reaches the program as it is, but
    /// not once systemd has read the unit again: systemd 252 writes them down so that it cannot. What is started later
    /// or again (a timer, a restart) has none.
    pub command: Vec<String>,
    /// Started again when it fails, after this pause.
    pub restart_after: Option<Duration>,
    /// Killed after this time.
    pub runtime_max: Option<Duration>,
    /// Time between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
    /// Variables of its environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// The user to run as. Default: root.
    pub user: Option<String>,
    /// What it may reach.
    pub confinement: Confinement,
}

/// What a transient service may reach (systemd.exec(5), "Sandboxing").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confinement {
    /// Everything that its user may.
    #[default]
    None,
    /// No new privileges, a private /tmp, a read-only system.
    ReadOnly,
    /// Also no capabilities, devices, homes, or other users' processes; nothing of osModa's; little memory.
    Strict,
    /// Also no network.
    Offline,
}

/// Memory of a strictly confined service, in bytes.
const MEMORY: u64 = 256 << 20;
/// Processes and threads of a strictly confined service.
const TASKS: u64 = 64;

impl Confinement {
    fn add_to(self, p: &mut Properties<'_>) {
        if self == Self::None {
            return;
        }
        for key in ["NoNewPrivileges", "PrivateTmp", "RestrictSUIDSGID", "LockPersonality", "ProtectControlGroups"] {
            p.push((key, Variant::new(true)));
        }
        p.push(("ProtectSystem", Variant::new("strict")));
        if self == Self::ReadOnly {
            return;
        }
        for key in [
            "PrivateDevices",
            "ProtectKernelTunables",
            "ProtectKernelModules",
            "ProtectKernelLogs",
            "ProtectClock",
            "ProtectHostname",
            "RestrictRealtime",
        ] {
            p.push((key, Variant::new(true)));
        }
        p.push(("ProtectHome", Variant::new("yes")));
        p.push(("ProtectProc", Variant::new("invisible")));
        // Both are sets of what is left: nothing.
        p.push(("RestrictNamespaces", Variant::new(0_u64)));
        p.push(("CapabilityBoundingSet", Variant::new(0_u64)));
        p.push(("SystemCallArchitectures", Variant::new(vec!["native"])));
        p.push(("InaccessiblePaths", Variant::new(vec!["-/var/lib/osmoda", "-/etc/osmoda", "-/run/osmoda"])));
        p.push(("MemoryMax", Variant::new(MEMORY)));
        p.push(("MemorySwapMax", Variant::new(0_u64)));
        p.push(("TasksMax", Variant::new(TASKS)));
        if self == Self::Offline {
            p.push(("PrivateNetwork", Variant::new(true)));
        }
    }
}

impl TransientService {
    /// A service that runs a command as root, and is not started again.
    #[must_use]
    pub fn new(description: impl Into<String>, command: Vec<String>) -> Self {
        Self {
            description: description.into(),
            command,
            restart_after: None,
            runtime_max: None,
            stop_timeout: Duration::from_secs(5),
            environment: Vec::new(),
            user: None,
            confinement: Confinement::None,
        }
    }

    fn properties(&self) -> Properties<'_> {
        let usec = |d: Duration| Variant::new(u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
        let program = self.command.first().map_or("", String::as_str);
        // Words reach the program as they are: no `$` is replaced. (`ExecStartEx` with `no-env-expand` would say so, too,
        // but systemd 252 writes it into the unit's file under that name, which it cannot read back at a daemon-reload.)
        let words: Vec<String> = self.command.iter().map(|word| word.replace('$', "$$")).collect();
        let exec = vec![(program.to_owned(), words, false)];
        let mut p: Properties<'_> = vec![
            ("Description", Variant::new(self.description.as_str())),
            ("ExecStart", Variant::new(exec)),
            ("Type", Variant::new("exec")),
            ("TimeoutStopUSec", usec(self.stop_timeout)),
            ("KillMode", Variant::new("control-group")),
        ];
        if let Some(pause) = self.restart_after {
            p.push(("Restart", Variant::new("on-failure")));
            p.push(("RestartUSec", usec(pause)));
            // Again and again, as long as it fails.
            p.push(("StartLimitIntervalUSec", usec(Duration::ZERO)));
        }
        if let Some(most) = self.runtime_max {
            p.push(("RuntimeMaxUSec", usec(most)));
        }
        if !self.environment.is_empty() {
            p.push(("Environment", Variant::new(self.environment.clone())));
        }
        if let Some(user) = &self.user {
            p.push(("User", Variant::new(user.as_str())));
        }
        self.confinement.add_to(&mut p);
        p
    }
}

impl Manager {
    /// Starts a transient service and returns when its program has been executed. It is forgotten when it ends, also
    /// when it fails.
    ///
    /// # Errors
    /// When systemd refuses, for instance because the unit exists, the program cannot be executed, or it has ended badly
    /// before systemd saw it run; a [`TransientService::restart_after`] starts that one again none the less.
    pub async fn start_transient(&self, unit: &str, service: &TransientService) -> Result<(), SystemdError> {
        if let Link::StandIn(stand_in) = self.link() {
            return around(unit, CALL, stand_in.start_transient(unit, service)).await;
        }
        let mut properties = service.properties();
        properties.push(("CollectMode", Variant::new("inactive-or-failed")));
        self.submit_transient(unit, &properties, &[]).await
    }

    /// Starts a timer that runs a service once, `after` from now, whatever becomes of the caller.
    ///
    /// # Errors
    /// When systemd refuses, for instance because the timer exists.
    pub async fn start_transient_timer(
        &self,
        name: &str,
        after: Duration,
        service: &TransientService,
    ) -> Result<(), SystemdError> {
        if let Link::StandIn(stand_in) = self.link() {
            return around(name, CALL, stand_in.start_transient_timer(name, after, service)).await;
        }
        let usec = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let timer: Properties<'_> = vec![
            ("Description", Variant::new(service.description.as_str())),
            ("TimersMonotonic", Variant::new(vec![("OnActiveSec".to_owned(), usec)])),
            ("AccuracyUSec", Variant::new(100_000_u64)),
            ("RemainAfterElapse", Variant::new(false)),
        ];
        let mut run = service.properties();
        run.push(("CollectMode", Variant::new("inactive-or-failed")));
        let service_unit = format!("{name}.service");
        self.submit_transient(&format!("{name}.timer"), &timer, &[(&service_unit, run)]).await
    }

    async fn submit_transient(
        &self,
        unit: &str,
        properties: &Properties<'_>,
        aux: &[(&str, Properties<'_>)],
    ) -> Result<(), SystemdError> {
        let what = format!("start of {unit}");
        let submit = self.bus()?.systemd.start_transient_unit(unit, "fail", properties, aux);
        match self.job(&what, submit, CALL).await? {
            JobResult::Done => Ok(()),
            result => Err(SystemdError::Refused {
                what,
                name: "job".to_owned(),
                message: format!("the job ended as {result:?}"),
            }),
        }
    }

    /// Runs a command to its end in a unit of its own. When its time is up, every process that it has started, in
    /// whatever session, is killed, and that is waited for.
    ///
    /// # Errors
    /// When systemd cannot run it at all.
    pub async fn run_command(
        &self,
        unit: &str,
        service: &TransientService,
        timeout: Duration,
    ) -> Result<CommandOutcome, SystemdError> {
        if let Link::StandIn(stand_in) = self.link() {
            let ended = deadline(unit, timeout, stand_in.run_command(unit, service)).await;
            return ended.unwrap_or_else(|_| Ok(CommandOutcome { end: CommandEnd::TimedOut, output: String::new() }));
        }
        let io = |what| move |source: io::Error| SystemdError::Io { what, source };
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|e| io("a pipe for the command's output")(e.into()))?;
        let mut events = UnitEvents::new(self).await?;
        {
            let mut properties = service.properties();
            // It stays until we have read how it ended.
            properties.push(("RemainAfterExit", Variant::new(true)));
            for key in ["StandardOutputFileDescriptor", "StandardErrorFileDescriptor"] {
                properties.push((key, Variant::new(zbus::Fd::from(writer.as_fd()))));
            }
            let what = format!("start of {unit}");
            let submit = self.bus()?.systemd.start_transient_unit(unit, "fail", &properties, &[]);
            // A program that cannot be executed fails its start job; how it ended is read below all the same.
            self.job(&what, submit, CALL).await?;
        }
        drop(writer);
        let tail = tokio::spawn(read_tail(reader));
        let ended = async {
            loop {
                let status = self.status(unit).await?;
                let running = status.active.is_up() && status.sub != "exited";
                if !running || !status.loaded {
                    return Ok::<_, SystemdError>(());
                }
                while events.next().await.is_some_and(|event| event.unit != unit) {}
            }
        };
        let in_time = deadline(unit, timeout, ended).await;
        let outcome = match in_time {
            Ok(ended) => {
                ended?;
                match self.exit_of(unit).await? {
                    (_, 1, status) => CommandEnd::Exit(status),
                    (_, 2 | 3, signal) => CommandEnd::Signal(signal),
                    (result, _, _) => CommandEnd::NotRun(result),
                }
            }
            Err(_) => {
                self.kill(unit, KILL).await?;
                CommandEnd::TimedOut
            }
        };
        // What is left of its control group ends here, orphans included.
        if self.run_job(Verb::Stop, unit, CALL).await.is_err() {
            self.kill(unit, KILL).await?;
        }
        self.reset_failed(unit).await?;
        let output = tokio::time::timeout(Duration::from_secs(1), tail).await;
        let output = output.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default();
        Ok(CommandOutcome { end: outcome, output })
    }

    /// Stops a unit, by force if it does not go, and returns when none of its processes is left.
    ///
    /// # Errors
    /// When even the kernel does not end it within `timeout` twice over.
    pub async fn stop_for_certain(&self, unit: &str, timeout: Duration) -> Result<(), SystemdError> {
        match self.run_job(Verb::Stop, unit, timeout).await {
            Ok(_) => {}
            Err(error) if error.is_no_such_unit() => return Ok(()),
            Err(SystemdError::Timeout { .. }) => {
                tracing::warn!(unit, "does not stop; killing it");
                self.kill(unit, KILL).await?;
                self.run_job(Verb::Stop, unit, timeout).await?;
            }
            Err(error) => return Err(error),
        }
        let status = self.status(unit).await?;
        if matches!(status.active, ActiveState::Inactive | ActiveState::Failed) {
            Ok(())
        } else {
            Err(SystemdError::Timeout { what: format!("stop of {unit}"), after: timeout })
        }
    }
}

/// SIGKILL.
pub const KILL: i32 = 9;

/// How a command ended, and the last of what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// How it ended.
    pub end: CommandEnd,
    /// The last 4 KiB of its standard output and error, together.
    pub output: String,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEnd {
    /// With this exit status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// Its time was up.
    TimedOut,
    /// It never ran; systemd's word for why.
    NotRun(String),
}

async fn read_tail(reader: OwnedFd) -> io::Result<String> {
    let mut pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(reader)?;
    let mut tail = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let n = pipe.read(&mut chunk).await?;
        if n == 0 {
            return Ok(String::from_utf8_lossy(&tail).into_owned());
        }
        tail.extend_from_slice(&chunk[..n]);
        tail.drain(..tail.len().saturating_sub(OUTPUT_TAIL));
    }
}
