//! Private keys of logs and witnesses, in files of their own.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    LedgerError,
    durable::place,
    note::{KeyKind, PublicKey},
};

/// A private key with its name.
pub(crate) struct Key {
    pub(crate) signing: SigningKey,
    pub(crate) name: String,
    kind: KeyKind,
}

/// Where a key is kept: `<stem>.key` (mode 0600) and `<stem>.pub`.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) stem: &'static str,
    pub(crate) kind: KeyKind,
    /// What names begin with.
    pub(crate) prefix: &'static str,
}

impl<'a> Place<'a> {
    /// A ledger's. Its key's name is the origin of its checkpoints, so the version of their format is in it.
    pub(crate) fn of_ledger(folder: &'a Path) -> Self {
        Self { folder, stem: "checkpoint", kind: KeyKind::Log, prefix: "os.moda/ledger/v1/" }
    }

    /// The private key.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.join(format!("{}.key", self.stem))
    }

    /// The public key; none when there is no file.
    pub(crate) fn public(&self) -> Result<Option<PublicKey>, LedgerError> {
        let file = self.folder.join(format!("{}.pub", self.stem));
        match fs::read_to_string(&file) {
            Ok(text) => PublicKey::parse(&text)
                .filter(|key| key.kind() == self.kind)
                .map(Some)
                .ok_or_else(|| LedgerError::file(&file, "it is no public key of signed-note's form")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LedgerError::file(&file, error)),
        }
    }

    /// Reads the key, or makes it when there is none; `announce` is told its public half before it is in force. One that
    /// takes the place of a lost one has its name: it signs for the same ledger.
    pub(crate) fn open(
        &self,
        announce: impl FnOnce(&PublicKey) -> Result<(), LedgerError>,
    ) -> Result<Key, LedgerError> {
        let file = self.key_file();
        let failed = |e: io::Error| LedgerError::file(&file, e);
        let known = self.public().ok().flatten().map(|key| key.name().to_owned());
        let mut seed = Zeroizing::new([0; 32]);
        let key = |seed: &[u8; 32]| {
            let signing = SigningKey::from_bytes(seed);
            let digest = HEXLOWER.encode(&Sha256::digest(signing.verifying_key().as_bytes()));
            let name = known.unwrap_or_else(|| format!("{}{}", self.prefix, &digest[..16]));
            Key { signing, name, kind: self.kind }
        };
        match File::open(&file) {
            Ok(mut open) => {
                if open.metadata().map_err(failed)?.mode() & 0o077 != 0 {
                    return Err(LedgerError::file(&file, "others may read it; it has to have mode 0600"));
                }
                open.read_exact(&mut *seed).map_err(failed)?;
                Ok(key(&seed))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                getrandom::fill(&mut *seed).map_err(|e| LedgerError::file(&file, e))?;
                let key = key(&seed);
                let public = key.public();
                announce(&public)?;
                let text = format!("{public}\n");
                place(&self.folder.join(format!("{}.pub", self.stem)), text.as_bytes(), 0o644)?;
                place(&file, &*seed, 0o600)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Key {
    /// Its public half.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::of(&self.signing, &self.name, self.kind)
    }
}
