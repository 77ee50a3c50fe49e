//! Another passphrase. All files are sealed anew in `keys.new`, with a header of their own; when that is durable, it and
//! `keys` exchange their names in one step (renameat2(2), `RENAME_EXCHANGE`); then what was in force before is erased. So
//! `keys` is always whole and of one passphrase, and what else is there is `keys.new`: before the step some of what will
//! be, after it some of what was. Opening `keys` clears it away.

use std::{collections::BTreeSet, sync::PoisonError};

use super::{
    Passphrase, Vault, VaultError,
    folder::Folder,
    header::Header,
    master::{Kdf, MasterKey},
    sealed::KeyFile,
    store::{Entry, HEADER, KEYS, State, key_file, open_file, read_header},
};
use crate::wallet::Name;

pub(super) const STAGED: &str = "keys.new";

impl Vault {
    /// Seals everything by a new passphrase, at the same cost and with a new salt. The new one is in force, durably, when
    /// this returns, and the files of the old one are erased; see [`Vault::destroy`] for what media keep.
    ///
    /// # Errors
    /// See [`VaultError`]. The old passphrase is in force then, unless it is [`VaultError::Rotated`]. After a kill or a
    /// power cut it is exactly one of both: try them.
    pub fn rotate(&self, old: &Passphrase, new: &Passphrase) -> Result<(), VaultError> {
        self.rotate_by(|kdf| MasterKey::derive(old, kdf), |kdf| MasterKey::derive(new, kdf))
    }

    pub(super) fn rotate_by(
        &self,
        old: impl FnOnce(&Kdf) -> Result<MasterKey, VaultError>,
        new: impl FnOnce(&Kdf) -> Result<MasterKey, VaultError>,
    ) -> Result<(), VaultError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let header = read_header(&state.keys)?;
        if !header.is_of(&state.master) || !header.is_of(&old(&header.kdf)?) {
            return Err(VaultError::Passphrase { folder: self.root.path(""), hint: None });
        }
        let names: Vec<Name> = state.wallets()?.into_iter().map(|wallet| wallet.id.name).collect();
        clear(&self.root, &names)?;
        let rotation = state.rotation.saturating_add(1);
        let master = new(&header.kdf.renewed()?)?;
        let staged = stage(&self.root, &state, &names, &master, rotation)
            // What could not be staged does not stay half staged; if even that fails, the next opening clears it.
            .inspect_err(|_| drop(clear(&self.root, &names)))?;
        self.root.exchange(STAGED, KEYS).inspect_err(|_| drop(clear(&self.root, &names)))?;
        // From here on it is the new one that this process goes by, too.
        *state = State { keys: staged.called(self.root.path(KEYS)), master, rotation };
        clear(&self.root, &names).map_err(|error| VaultError::Rotated(Box::new(error)))
    }
}

/// All that `keys` has, sealed anew, read back, and durable.
fn stage(
    root: &Folder,
    state: &State,
    names: &[Name],
    master: &MasterKey,
    rotation: u64,
) -> Result<Folder, VaultError> {
    let staged = root.make_folder(STAGED)?;
    for name in names {
        let (was, key) = state.load(name)?;
        let file = key_file(name);
        let sealed = KeyFile::seal(master, name, &key, &was.wallet.origin)?;
        staged.write(&file, &sealed.to_bytes())?;
        let read = staged.read(&file, KeyFile::MOST_LEN)?.unwrap_or_default();
        match open_file(&staged, &file, &read, name, master) {
            Ok((read, again)) if read.wallet == was.wallet && again.expose() == key.expose() => {}
            _ => return Err(VaultError::Fault(staged.path(&file))),
        }
    }
    staged.write(HEADER, &Header::new(master, rotation)?.to_bytes())?;
    if !read_header(&staged)?.is_of(master) {
        return Err(VaultError::Fault(staged.path(HEADER)));
    }
    staged.sync()?;
    Ok(staged)
}

/// Erases `keys.new`, if it is there. It has nothing but what is in `keys`, too, or somebody else has put it there.
pub(super) fn clear(root: &Folder, names: &[Name]) -> Result<(), VaultError> {
    let Some(folder) = root.folder(STAGED)? else { return Ok(()) };
    // An exchange that a power cut undoes would make this the folder in force: not before it is durable.
    root.sync()?;
    let files = folder.names()?;
    let known: BTreeSet<&Name> = names.iter().collect();
    for file in &files {
        match Entry::of(file) {
            Some(Entry::Header | Entry::Left) => {}
            Some(Entry::Key(name)) if known.contains(&name) => {}
            _ => return Err(VaultError::Unknown(folder.path(file))),
        }
    }
    // The header first: without its salt no passphrase opens the rest.
    let (header, rest): (Vec<&String>, Vec<&String>) = files.iter().partition(|file| *file == HEADER);
    header.into_iter().chain(rest).try_for_each(|file| folder.erase(file))?;
    root.remove_folder(STAGED)
}

/// What is known of a passphrase that does not open `keys`.
pub(super) fn hint(
    root: &Folder,
    rotation: u64,
    derive: impl Fn(&Kdf) -> Result<MasterKey, VaultError>,
) -> Option<&'static str> {
    let header = read_header(&root.folder(STAGED).ok()??).ok()?;
    if !header.is_of(&derive(&header.kdf).ok()?) {
        return None;
    }
    Some(if header.rotation > rotation {
        ": a rotation to this passphrase was cut off before it came into force; open it with the one before"
    } else {
        ": this passphrase was in force before the last rotation; open it with the one after"
    })
}
