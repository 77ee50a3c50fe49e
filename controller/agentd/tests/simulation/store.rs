//! The simulated Nix store: archives, unpacked to folders. Also the proof that others can read what we pack.

use std::{fs, path::PathBuf};

use futures_util::future::BoxFuture;
use nix_nar::Decoder;
use osmoda_generation::{StoreError, StoreModel, assemble::Generation};

use crate::{machine::Shared, process::Process};

/// A folder of unpacked store objects.
#[derive(Debug)]
pub struct Store {
    pub folder: PathBuf,
    pub shared: Shared,
}

impl StoreModel for Store {
    fn add<'a>(&'a self, generation: &'a Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let process = Process::current();
            self.shared.pause(50).await;
            if let Some(process) = &process {
                process.alive().await;
            }
            for object in &generation.objects {
                let path = self.folder.join(object.path().base_name());
                if path.exists() {
                    continue;
                }
                // In one step, as Nix does it.
                let new = path.with_extension("new");
                let io = |source| StoreError::Io { what: path.display().to_string(), source };
                if new.exists() {
                    fs::remove_dir_all(&new).map_err(io)?;
                }
                let unpacked = Decoder::new(object.nar()).and_then(|decoder| decoder.unpack(&new));
                unpacked.map_err(|e| io(std::io::Error::other(e.to_string())))?;
                fs::rename(&new, &path).map_err(io)?;
            }
            Ok(())
        })
    }
}
