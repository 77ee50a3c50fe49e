//! The Nix store, through `nix-store`: adding what was rendered, asking, collecting garbage.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use osmoda_failpoint as failpoint;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    assemble::Generation,
    nar,
    nixos::search_path,
    store_path::{STORE_DIR, StoreObject, StorePath},
};

/// Longest time that an addition or a question may take.
const CALL: Duration = Duration::from_secs(120);
/// Longest time that a garbage collection may take.
const COLLECT: Duration = Duration::from_secs(1800);
/// `EXPORT_MAGIC` of the export format ("NIXE").
const EXPORT_MAGIC: u64 = 0x4558_494e;
/// Lines of Nix's own words that an error carries.
const WORDS: usize = 12;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no `nix-store`.
    #[error("Nix is not installed: `nix-store` cannot be run ({0})")]
    Missing(io::Error),
    /// It said no.
    #[error("`nix-store {what}` failed: {words}")]
    Refused {
        /// What it was asked.
        what: String,
        /// Its last words.
        words: String,
    },
    /// It did not answer in time.
    #[error("`nix-store {what}` did not end within {} s", .after.as_secs())]
    Timeout {
        /// What it was asked.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// A pipe to it, or a file of ours.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// The store of this machine.
#[derive(Clone, Debug)]
pub struct NixStore {
    way: Way,
    folder: PathBuf,
}

/// How the store is reached.
#[derive(Clone, Debug)]
enum Way {
    /// With this program.
    Program(PathBuf),
    /// It is a simulated one.
    Model(Arc<dyn StoreModel>),
}

/// What takes the place of Nix where the whole loop is simulated.
pub trait StoreModel: fmt::Debug + Send + Sync {
    /// As [`NixStore::add`].
    fn add<'a>(&'a self, generation: &'a Generation) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl Default for NixStore {
    fn default() -> Self {
        Self::with_program("nix-store")
    }
}

impl NixStore {
    /// A store that is reached with this program.
    #[must_use]
    pub fn with_program(program: impl Into<PathBuf>) -> Self {
        Self { way: Way::Program(program.into()), folder: PathBuf::from(STORE_DIR) }
    }

    /// A store that is not Nix's, with its files below a folder. It can be added to, and nothing else.
    #[must_use]
    pub fn simulated(model: Arc<dyn StoreModel>, folder: impl Into<PathBuf>) -> Self {
        Self { way: Way::Model(model), folder: folder.into() }
    }

    /// The folder that its files are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the files of a path are.
    #[must_use]
    pub fn locate(&self, path: &StorePath) -> PathBuf {
        self.folder.join(path.base_name())
    }

    /// Adds a generation and what it refers to; what is there already is left as it is. The caller holds a root of it.
    ///
    /// # Errors
    /// When Nix is missing, or refuses: most often because the generation names a store path that is not there.
    pub async fn add(&self, generation: &Generation) -> Result<(), StoreError> {
        failpoint::before("nix.import", generation.path());
        if let Way::Model(model) = &self.way {
            model.add(generation).await?;
            failpoint::after("nix.import", generation.path());
            return Ok(());
        }
        let mut export = Vec::new();
        for object in &generation.objects {
            export_one(&mut export, object);
        }
        export.extend(0_u64.to_le_bytes());
        self.run(&["--import"], export, CALL).await?;
        failpoint::after("nix.import", generation.path());
        Ok(())
    }

    /// Everything that paths need, they themselves included.
    ///
    /// # Errors
    /// When one of them is not there, or Nix cannot be asked.
    pub async fn closure(
        &self,
        paths: impl IntoIterator<Item = &StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut arguments = vec!["--query", "--requisites"];
        let questions = arguments.len();
        arguments.extend(paths.into_iter().map(StorePath::as_str));
        if arguments.len() == questions {
            return Ok(BTreeSet::new());
        }
        let text = self.run(&arguments, Vec::new(), CALL).await?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Removes everything that no root needs. Returns Nix's own summary.
    ///
    /// # Errors
    /// When Nix cannot do it.
    pub async fn collect_garbage(&self) -> Result<String, StoreError> {
        failpoint::before("nix.gc", "");
        let text = self.run(&["--gc", "--quiet"], Vec::new(), COLLECT).await?;
        failpoint::after("nix.gc", "");
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    async fn run(&self, arguments: &[&str], input: Vec<u8>, deadline: Duration) -> Result<String, StoreError> {
        let what = arguments.join(" ");
        let io = |source| StoreError::Io { what: format!("`nix-store {}`", arguments.join(" ")), source };
        let Way::Program(program) = &self.way else {
            return Err(StoreError::Missing(io::ErrorKind::Unsupported.into()));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .env("PATH", search_path())
            .current_dir(Path::new("/"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(StoreError::Missing)?;
        let mut stdin = child.stdin.take().expect("it was asked for");
        let talk = async {
            let feed = async move {
                // Nix may end before it has read everything; what it says then matters, not the broken pipe.
                let _ = stdin.write_all(&input).await;
                drop(stdin);
            };
            tokio::join!(feed, child.wait_with_output()).1
        };
        let output = tokio::time::timeout(deadline, talk)
            .await
            .map_err(|_| StoreError::Timeout { what: what.clone(), after: deadline })?
            .map_err(io)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = words.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(WORDS)..].join("\n");
        Err(StoreError::Refused { what, words: if last.is_empty() { output.status.to_string() } else { last } })
    }
}

/// One object of the export format: its archive, then path, references and no deriver.
fn export_one(out: &mut Vec<u8>, object: &StoreObject) {
    out.extend(1_u64.to_le_bytes());
    out.extend(object.nar());
    out.extend(EXPORT_MAGIC.to_le_bytes());
    nar::bytes(out, object.path().as_str().as_bytes());
    out.extend((object.references().len() as u64).to_le_bytes());
    for reference in object.references() {
        nar::bytes(out, reference.as_str().as_bytes());
    }
    nar::bytes(out, b"");
    out.extend(0_u64.to_le_bytes());
}
