//! Records of switches on disk, one file a switch, replaced in one step with every transition.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use osmoda_generation::durable;
use osmoda_schemas::switch::{SwitchRecord, SwitchState};
use rustix::fs::FlockOperation;
use uuid::Uuid;

/// Finished records that are kept; the ledger remembers the others.
const KEEP: usize = 200;
/// Records among which the open one is.
const LATEST: usize = 4;

/// The folder of records.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Where records are while there is no room in the folder: until then, or until a reboot, they are the valid ones.
    volatile: PathBuf,
}

impl Journal {
    /// Records in that folder, and in one that a reboot empties.
    #[must_use]
    pub fn new(folder: PathBuf, volatile: PathBuf) -> Self {
        Self { folder, volatile }
    }

    /// The folder, for whoever follows it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a record; durable when it returns.
    ///
    /// # Errors
    /// When it cannot be written; the former one is there then.
    pub fn write(&self, record: &SwitchRecord) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        durable::write(&self.file(&record.id), &text(record)?)?;
        durable::remove(&self.volatile_file(&record.id))
    }

    /// Keeps a record until a reboot, for want of room on the disk. Whoever reads it gets this one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, record: &SwitchRecord) -> io::Result<()> {
        fs::create_dir_all(&self.volatile)?;
        durable::write(&self.volatile_file(&record.id), &text(record)?)
    }

    /// True for a record that is kept, and waits for room on the disk.
    #[must_use]
    pub fn is_kept(&self, id: &str) -> bool {
        self.volatile_file(id).exists()
    }

    /// Reads a record by its id, or by the end of it.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn read(&self, id: &str) -> io::Result<SwitchRecord> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{id:?} is not the id of a switch")));
        }
        let mut file = self.file(id);
        if !file.exists() {
            let ending = format!("-{id}");
            let found = self.ids()?.into_iter().find(|known| known.ends_with(&ending));
            file = self.file(&found.unwrap_or_else(|| id.to_owned()));
        }
        let kept = self.volatile.join(file.file_name().unwrap_or_default());
        let text = match fs::read(&kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::read(&file)?,
            other => other?,
        };
        serde_json::from_slice(&text).map_err(|e| io::Error::other(format!("{} is damaged: {e}", file.display())))
    }

    /// Records, latest first. Damaged ones are passed over with a word in the log.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self, limit: usize) -> io::Result<Vec<SwitchRecord>> {
        let mut ids = self.ids()?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let read = |id: String| self.read(&id).inspect_err(|e| tracing::error!("{e}")).ok();
        Ok(ids.into_iter().filter_map(read).take(limit).collect())
    }

    /// Records that are not final, or wait for room on the disk: of the latest few, for there is at most one, and no other is begun before it ends.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn in_flight(&self) -> io::Result<Vec<SwitchRecord>> {
        let is_open = |record: &SwitchRecord| !record.state.is_final() || self.is_kept(&record.id);
        Ok(self.list(LATEST)?.into_iter().filter(is_open).collect())
    }

    /// True while a switch moves units, or asks its gates: everybody else leaves them alone. A NixOS system that is only
    /// being built moves nothing, and may take an hour.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn is_moving(&self) -> io::Result<bool> {
        Ok(self.in_flight()?.iter().any(|record| record.state != SwitchState::Pending || record.nixos.is_none()))
    }

    /// The id of the switch that was started last.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn latest(&self) -> io::Result<Option<Uuid>> {
        Ok(self.ids()?.iter().filter_map(|id| id.parse().ok()).max())
    }

    /// Holds everybody else off until it is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join("lock"))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    /// Asks the runner of a switch to decide now: `commit` or `rollback`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn request(&self, id: &str, decision: &str) -> io::Result<()> {
        // It is of no use after a reboot, and has to be heard on a full disk.
        fs::create_dir_all(&self.volatile)?;
        durable::write(&self.volatile.join(format!("{id}.request")), decision.as_bytes())
    }

    /// What the runner of a switch was asked.
    #[must_use]
    pub fn requested(&self, id: &str) -> Option<String> {
        fs::read_to_string(self.volatile.join(format!("{id}.request"))).ok()
    }

    /// Forgets requests of a finished switch, what never became a record, and the oldest records.
    pub fn tidy(&self, id: &str) {
        let _ = fs::remove_file(self.volatile.join(format!("{id}.request")));
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            // Of those before this one: the next one may be in the making.
            let half_made = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".json.new"));
            if half_made.is_some_and(|other| other < id) {
                let _ = fs::remove_file(entry.path());
            }
        }
        if let Ok(mut ids) = self.ids() {
            ids.sort_unstable();
            for old in ids.iter().take(ids.len().saturating_sub(KEEP)) {
                let _ = fs::remove_file(self.file(old));
            }
        }
    }

    fn file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn volatile_file(&self, id: &str) -> PathBuf {
        self.volatile.join(format!("{id}.json"))
    }

    fn ids(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect())
    }
}

fn text(record: &SwitchRecord) -> io::Result<Vec<u8>> {
    serde_json::to_vec_pretty(record).map_err(io::Error::other)
}
