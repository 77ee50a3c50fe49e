//! What a switch works on: the folders, the profile, the store and the ledger of a machine.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use osmoda_generation::{NixStore, Profile, Roots, StoreError, durable, read_store_link, store_path::StorePath};
use osmoda_ledger::{Ledger, LedgerError};
use osmoda_systemd::SystemdError;
use uuid::Uuid;

use crate::{Journal, Quarantine};

/// The places that osModa uses.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `/var/lib/osmoda`.
    pub state: PathBuf,
    /// `/run/osmoda`.
    pub run: PathBuf,
    /// `/usr/lib/osmoda`: the binaries, outside of generations.
    pub programs: PathBuf,
    /// Committed generations.
    pub profile: Profile,
    /// What is rooted beside them.
    pub roots: Roots,
    /// The Nix store.
    pub store: NixStore,
    /// How its ledger is opened.
    pub ledger: fn(&Path) -> Result<Ledger, LedgerError>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            state: PathBuf::from("/var/lib/osmoda"),
            run: PathBuf::from("/run/osmoda"),
            programs: PathBuf::from("/usr/lib/osmoda"),
            profile: Profile::default(),
            roots: Roots::default(),
            store: NixStore::default(),
            ledger: Ledger::open,
        }
    }
}

/// Why a switch cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// systemd.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    /// The Nix store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file or link of ours.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The record says something impossible.
    #[error("the record of the switch: {0}")]
    Record(String),
}

impl SwitchError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl Machine {
    /// Records of switches.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(self.state.join("switch"), self.run.join("switch"))
    }

    /// Generations that are not tried again.
    #[must_use]
    pub fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.state.join("quarantine.json"))
    }

    /// The ledger's folder.
    #[must_use]
    pub fn ledger_folder(&self) -> PathBuf {
        self.state.join("ledger")
    }

    /// The link to the active generation.
    #[must_use]
    pub fn active_link(&self) -> PathBuf {
        self.run.join("generation")
    }

    /// The active generation; none before the first switch.
    ///
    /// # Errors
    /// When the link cannot be read.
    pub fn active(&self) -> io::Result<Option<StorePath>> {
        read_store_link(&self.active_link())
    }

    /// The committed generation before the boot default: where a rollback leads.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub fn before_active(&self) -> io::Result<Option<StorePath>> {
        let Some(current) = self.profile.current()? else { return Ok(None) };
        let all = self.profile.list()?;
        let before = all.into_iter().rfind(|c| c.number < current.number && c.path != current.path);
        Ok(before.map(|c| c.path))
    }

    /// Lets go of both ends of every switch that is over, also of one whose runner could not.
    pub(crate) fn unpin_ended(&self, journal: &Journal) -> io::Result<()> {
        for (name, _) in self.roots.list()? {
            let id = ["-base", "-target"].iter().find_map(|end| name.strip_prefix("switch-")?.strip_suffix(end));
            let is_over = |id: &str| match journal.read(id) {
                Ok(record) => record.state.is_final(),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if id.is_some_and(is_over) {
                self.roots.unpin(&name)?;
            }
        }
        Ok(())
    }

    /// Moves the link to the active generation. It lives in `/run`: a reboot forgets it.
    pub(crate) fn set_active(&self, path: Option<&StorePath>) -> io::Result<()> {
        fs::create_dir_all(&self.run)?;
        match path {
            Some(path) => durable::set_link(&self.active_link(), path.as_path()),
            None => durable::remove(&self.active_link()),
        }
    }

    /// The id of this boot: made by who asks first, and gone with `/run`. That of the kernel will not do: in a container
    /// a sandboxed unit may see the host's, and another one the container's.
    ///
    /// # Errors
    /// When it can be neither read nor made: nothing may be taken for a thing of another boot then.
    pub(crate) fn boot_id(&self) -> Result<String, SwitchError> {
        let file = self.run.join("boot-id");
        let make = || {
            let own = self.run.join(format!(".boot-id-{}", std::process::id()));
            fs::create_dir_all(&self.run)?;
            durable::create_anew(&own)?.write_all(Uuid::new_v4().to_string().as_bytes())?;
            // Whoever was quicker has made it.
            let made = fs::hard_link(&own, &file)
                .or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) });
            fs::remove_file(&own)?;
            made.and_then(|()| fs::read_to_string(&file))
        };
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(),
            other => other,
        };
        text.map_err(SwitchError::io("the id of this boot"))
    }

    /// A program of osModa.
    #[must_use]
    pub fn program(&self, name: &str) -> String {
        self.programs.join(name).display().to_string()
    }
}

/// The part of a switch's id that people and unit names use: the random end of the UUID.
#[must_use]
pub fn short_id(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}
