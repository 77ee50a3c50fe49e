//! The vault: a folder `keys` (mode 0700) with the header `vault`, and a file `NAME.key` for each wallet (mode 0600).
//!
//! What a kill or a power cut leaves is either the old state or the new one, with `.NAME.new` (a key that was not kept yet)
//! or `.NAME.gone` (one that was destroyed) beside it, which opening sweeps. [`super::rotate`] tells of `keys.new`.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{
    Cost, EntropyError, Passphrase, Secret, VaultError,
    folder::Folder,
    header::{Header, HeaderError},
    master::{Kdf, MasterKey},
    rotate,
    sealed::KeyFile,
};
use crate::{
    key::Key,
    unlocked::Unlocked,
    wallet::{Chain, Name, Wallet},
};

/// The most wallets that a vault has.
pub const MOST_WALLETS: usize = 512;

pub(super) const KEYS: &str = "keys";
pub(super) const HEADER: &str = "vault";

/// A vault that is open: nobody else has it open meanwhile.
pub struct Vault {
    pub(super) root: Folder,
    pub(super) state: RwLock<State>,
    unlocked: Mutex<Unlocked>,
}

/// What a rotation replaces.
pub(super) struct State {
    pub(super) keys: Folder,
    pub(super) master: MasterKey,
    pub(super) rotation: u64,
}

impl Vault {
    /// Makes an empty vault in a folder (mode 0700) that has none.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub fn init(folder: &Path, passphrase: &Passphrase, cost: Cost) -> Result<(), VaultError> {
        Self::init_by(folder, &MasterKey::derive(passphrase, &Kdf::fresh(cost)?)?)
    }

    pub(super) fn init_by(folder: &Path, master: &MasterKey) -> Result<(), VaultError> {
        let root = Folder::open(folder)?;
        root.lock()?;
        if root.folder(KEYS)?.is_some() {
            return Err(VaultError::Present(folder.to_owned()));
        }
        rotate::clear(&root, &[])?;
        let staged = root.make_folder(rotate::STAGED)?;
        staged.write(HEADER, &Header::new(master, 0)?.to_bytes())?;
        staged.sync()?;
        if root.rename(rotate::STAGED, KEYS)? { Ok(()) } else { Err(VaultError::Present(folder.to_owned())) }
    }

    /// Opens a vault, and looks at every file of it. Keys that are asked for stay in memory for `keep`.
    ///
    /// # Errors
    /// See [`VaultError`]: one file that is not as it was written, or none of the vault's, and it does not open.
    pub fn open(folder: &Path, passphrase: &Passphrase, keep: Duration) -> Result<Self, VaultError> {
        Self::open_by(folder, |kdf| MasterKey::derive(passphrase, kdf), keep)
    }

    pub(super) fn open_by(
        folder: &Path,
        derive: impl Fn(&Kdf) -> Result<MasterKey, VaultError>,
        keep: Duration,
    ) -> Result<Self, VaultError> {
        let root = Folder::open(folder)?;
        root.lock()?;
        let keys = root.folder(KEYS)?.ok_or_else(|| VaultError::Missing(folder.to_owned()))?;
        let header = read_header(&keys)?;
        let master = derive(&header.kdf)?;
        if !header.is_of(&master) {
            let hint = rotate::hint(&root, header.rotation, &derive);
            return Err(VaultError::Passphrase { folder: folder.to_owned(), hint });
        }
        let state = State { keys, master, rotation: header.rotation };
        let names: Vec<Name> = state.wallets()?.into_iter().map(|wallet| wallet.id.name).collect();
        state.sweep()?;
        rotate::clear(&root, &names)?;
        Ok(Self { root, state: RwLock::new(state), unlocked: Mutex::new(Unlocked::new(keep)) })
    }

    /// Makes a wallet with a new key, of 32 bytes from somewhere ([`super::system_entropy`]).
    ///
    /// # Errors
    /// See [`VaultError`]; [`VaultError::NameTaken`] leaves the wallet of that name as it is.
    pub fn create(
        &self,
        name: &Name,
        chain: Chain,
        entropy: &mut dyn FnMut(&mut [u8]) -> Result<(), EntropyError>,
    ) -> Result<Wallet, VaultError> {
        self.import(name, &Secret::generate(chain, entropy)?)
    }

    /// Keeps a key. It has been read back and opened before it gets its name, and it is durable when this returns.
    ///
    /// # Errors
    /// See [`VaultError`]; [`VaultError::NameTaken`] and [`VaultError::KeyTaken`] leave all as it is. A key that two
    /// wallets had would pass each limit twice. After [`VaultError::Io`] the list tells whether it is kept.
    pub fn import(&self, name: &Name, secret: &Secret) -> Result<Wallet, VaultError> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let wallets = state.wallets()?;
        if wallets.iter().any(|wallet| wallet.id.name == *name) {
            return Err(VaultError::NameTaken(name.clone()));
        }
        if let Some(taken) = wallets.into_iter().find(|wallet| wallet.id.public == secret.public()) {
            return Err(VaultError::KeyTaken(taken.id.name));
        }
        state.keep(name, secret)
    }

    /// All wallets by name. Every file is opened for it.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub fn list(&self) -> Result<Vec<Wallet>, VaultError> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).wallets()
    }

    /// The key of a wallet, from memory, or from its file; then it stays in memory for a while.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub fn key(&self, name: &Name, now: Instant) -> Result<Arc<Key>, VaultError> {
        // Held until the key is in memory: a wallet that is destroyed meanwhile would stay there.
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.unlocked().get(name, now) {
            return Ok(key);
        }
        let key = Arc::new(state.load(name)?.1);
        self.unlocked().insert(name.clone(), Arc::clone(&key), now);
        Ok(key)
    }

    /// Wipes the keys in memory whose time has come; gives how many they were.
    pub fn sweep(&self, now: Instant) -> usize {
        self.unlocked().sweep(now)
    }

    /// Wipes all keys in memory.
    pub fn forget_all(&self) {
        self.unlocked().clear();
    }

    /// Destroys a wallet: its file is overwritten with random bytes and removed, durably. Media that write elsewhere what
    /// is overwritten (flash, copy-on-write file systems, snapshots, backups) keep the sealed key; what then stands
    /// between it and its reader is the passphrase. A rotation changes nothing about such copies.
    ///
    /// # Errors
    /// See [`VaultError`]. When it says something of `.NAME.gone`, the wallet is gone, and opening the vault ends it.
    pub fn destroy(&self, name: &Name) -> Result<(), VaultError> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // A rotation that could not be ended has left it there, under the old passphrase.
        let names: Vec<Name> = state.wallets()?.into_iter().map(|wallet| wallet.id.name).collect();
        rotate::clear(&self.root, &names)?;
        if !names.contains(name) {
            return Err(VaultError::NoWallet(name.clone()));
        }
        self.unlocked().forget(name);
        let (file, gone) = (key_file(name), format!(".{name}.gone"));
        state.keys.erase(&gone)?;
        if !state.keys.rename(&file, &gone)? {
            return Err(VaultError::Unknown(state.keys.path(&gone)));
        }
        state.keys.erase(&gone)
    }

    fn unlocked(&self) -> MutexGuard<'_, Unlocked> {
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.root.path("").display())
    }
}

impl State {
    /// All wallets, each opened.
    pub(super) fn wallets(&self) -> Result<Vec<Wallet>, VaultError> {
        let mut wallets = Vec::new();
        for file in self.keys.names()? {
            match Entry::of(&file) {
                Some(Entry::Key(name)) => wallets.push(self.load(&name)?.0.wallet),
                Some(Entry::Header | Entry::Left) => {}
                None => return Err(VaultError::Unknown(self.keys.path(&file))),
            }
        }
        Ok(wallets)
    }

    /// A wallet's file, and what it opens to.
    pub(super) fn load(&self, name: &Name) -> Result<(KeyFile, Key), VaultError> {
        let file = key_file(name);
        self.load_file(&file, name)?.ok_or_else(|| VaultError::NoWallet(name.clone()))
    }

    fn load_file(&self, file: &str, name: &Name) -> Result<Option<(KeyFile, Key)>, VaultError> {
        let bytes = self.keys.read(file, KeyFile::MOST_LEN)?;
        bytes.map(|bytes| open_file(&self.keys, file, &bytes, name, &self.master)).transpose()
    }

    /// Writes a key under another name, opens it again, and gives it its name.
    pub(super) fn keep(&self, name: &Name, secret: &Secret) -> Result<Wallet, VaultError> {
        let (file, new) = (key_file(name), format!(".{name}.new"));
        self.keys.erase(&new)?;
        let count = self.keys.names()?.iter().filter(|file| matches!(Entry::of(file), Some(Entry::Key(_)))).count();
        if count >= MOST_WALLETS {
            return Err(VaultError::Full);
        }
        let sealed = KeyFile::seal(&self.master, name, &secret.key, &secret.origin)?;
        let kept = || {
            self.keys.write(&new, &sealed.to_bytes())?;
            match self.load_file(&new, name) {
                Ok(Some((read, key))) if read == sealed && key.expose() == secret.key.expose() => {}
                _ => return Err(VaultError::Fault(self.keys.path(&file))),
            }
            if self.keys.rename(&new, &file)? { Ok(()) } else { Err(VaultError::NameTaken(name.clone())) }
        };
        // What could not be kept does not stay half kept; if even that fails, the next opening sweeps it.
        kept().inspect_err(|_| drop(self.keys.erase(&new)))?;
        Ok(sealed.wallet)
    }

    /// Ends what was cut off.
    fn sweep(&self) -> Result<(), VaultError> {
        let names = self.keys.names()?;
        names.iter().filter(|file| Entry::of(file) == Some(Entry::Left)).try_for_each(|file| self.keys.erase(file))
    }
}

/// What a file in the folder is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Header,
    Key(Name),
    /// What was cut off leaves it.
    Left,
}

impl Entry {
    pub(super) fn of(file: &str) -> Option<Self> {
        let left = |file: &str| {
            let name = file.strip_prefix('.')?;
            name.strip_suffix(".new").or_else(|| name.strip_suffix(".gone"))?.parse::<Name>().ok()
        };
        match file.strip_suffix(".key").and_then(|name| name.parse().ok()) {
            Some(name) => Some(Self::Key(name)),
            None if file == HEADER => Some(Self::Header),
            None => left(file).map(|_| Self::Left),
        }
    }
}

pub(super) fn key_file(name: &Name) -> String {
    format!("{name}.key")
}

/// What was read opens, and is that wallet's.
pub(super) fn open_file(
    folder: &Folder,
    file: &str,
    bytes: &[u8],
    name: &Name,
    master: &MasterKey,
) -> Result<(KeyFile, Key), VaultError> {
    let damaged = |reason| VaultError::Damaged { path: folder.path(file), reason };
    let parsed = KeyFile::parse(bytes).ok_or_else(|| damaged("it is no key file of version 1"))?;
    if parsed.wallet.id.name != *name {
        return Err(damaged("it is the file of another wallet"));
    }
    let key = parsed.open(master).map_err(|_| damaged("it does not open with this vault's key"))?;
    Ok((parsed, key))
}

pub(super) fn read_header(keys: &Folder) -> Result<Header, VaultError> {
    let damaged = |reason| VaultError::Damaged { path: keys.path(HEADER), reason };
    let bytes = keys.read(HEADER, Header::LEN)?.ok_or_else(|| damaged("it is not there"))?;
    Header::parse(&bytes).map_err(|error| match error {
        HeaderError::Form => damaged("it is no header of version 1"),
        HeaderError::Cost(error) => error.into(),
    })
}
