//! What a switch works on: the folders, the profile, the store and the ledger of a machine.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use osmoda_generation::{
    Committed, NixStore, Profile, Roots, StoreError, durable,
    nixos::NixosError,
    read_store_link,
    store_path::{STORE_DIR, StorePath},
};
use osmoda_ledger::{Ledger, LedgerError};
use osmoda_schemas::{config::Config, nixos::NixosSystem, rules::Backend, switch::SwitchRecord};
use osmoda_systemd::SystemdError;
use uuid::Uuid;

use crate::{
    Journal, Quarantine,
    runner::{CANCELLED, SUPERSEDED},
};

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
    /// The operator's NixOS system that generations become a part of; none with the backend `profile`.
    pub nixos: Option<NixosSystem>,
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
            programs: programs(),
            profile: Profile::default(),
            nixos: None,
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
    /// The NixOS system cannot be built.
    #[error("the system cannot be built: {0}")]
    Nixos(#[from] NixosError),
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
    /// Somebody did not wish to see it built.
    #[error("{CANCELLED}")]
    Cancelled,
    /// Somebody else has switched the NixOS system.
    #[error("{SUPERSEDED}")]
    Superseded,
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

/// Where the programs of osModa are: beside this one in the Nix store, or else where they are installed.
fn programs() -> PathBuf {
    let own = std::env::current_exe().ok().filter(|program| program.starts_with(STORE_DIR));
    own.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("/usr/lib/osmoda"), PathBuf::from)
}

impl Machine {
    /// The machine with the backend that its operator has chosen.
    #[must_use]
    pub fn with_backend(self, config: &Config) -> Self {
        match (&config.backend, &config.nixos) {
            (Backend::Nixos, Some(system)) => {
                Self { nixos: Some(system.clone()), profile: Profile::of_systems(), ..self }
            }
            _ => self,
        }
    }

    /// The profile that a switch commits to: that of its own backend, whatever the operator has chosen since.
    pub(crate) fn profile_of(&self, record: &SwitchRecord) -> Profile {
        match (record.nixos.is_some(), self.nixos.is_some()) {
            (true, false) => Profile::of_systems(),
            (false, true) => Profile::default(),
            _ => self.profile.clone(),
        }
    }

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
    pub fn before_active(&self) -> io::Result<Option<Committed>> {
        let Some(current) = self.profile.current()? else { return Ok(None) };
        let all = self.profile.list()?;
        Ok(all.into_iter().rfind(|c| c.number < current.number && c.boots() != current.boots()))
    }

    /// Lets go of both ends of every switch that is over, also of one whose runner could not.
    pub(crate) fn unpin_ended(&self, journal: &Journal) -> io::Result<()> {
        for (name, _) in self.roots.list()? {
            let ends = ["-base-system", "-system", "-base", "-target"];
            let id = ends.iter().find_map(|end| name.strip_prefix("switch-")?.strip_suffix(end));
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
