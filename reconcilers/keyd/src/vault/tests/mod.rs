//! Vaults in real folders. Their keys are given, not derived: what Argon2id takes, `tests/vault.rs` waits for once.

mod access;
mod damage;
mod killed;
mod parse;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    Cost, EntropyError, MOST_WALLETS, Secret, Vault, VaultError,
    folder::Folder,
    master::{Kdf, MasterKey},
    system_entropy,
};
use crate::{
    key::Payload,
    wallet::{Chain, Name, Origin},
};

const OLD: u8 = 1;
const NEW: u8 = 2;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

/// Processes that other tests start hold copies of what is open here until they run their own program: what is in use for
/// that reason is free at once.
fn patient<T>(attempt: impl Fn() -> Result<T, VaultError>) -> Result<T, VaultError> {
    for _ in 0..5000 {
        match attempt() {
            Err(VaultError::InUse(_)) => thread::sleep(Duration::from_millis(1)),
            done => return done,
        }
    }
    attempt()
}

fn init(folder: &Path, key: u8) -> Result<(), VaultError> {
    patient(|| Vault::init_by(folder, &MasterKey::of(key, &Kdf::fresh(Cost::default())?)))
}

fn open_at_once(folder: &Path, key: u8) -> Result<Vault, VaultError> {
    Vault::open_by(folder, |kdf| Ok(MasterKey::of(key, kdf)), Duration::from_secs(60))
}

fn open(folder: &Path, key: u8) -> Result<Vault, VaultError> {
    patient(|| open_at_once(folder, key))
}

fn rotate(vault: &Vault, old: u8, new: u8) -> Result<(), VaultError> {
    vault.rotate_by(|kdf| Ok(MasterKey::of(old, kdf)), |kdf| Ok(MasterKey::of(new, kdf)))
}

/// The secret of a test's wallet.
fn secret(chain: Chain, byte: u8) -> Secret {
    Secret::from_bytes(chain, &[byte; 32]).unwrap()
}

/// A vault with the wallets `eth` (0x11...) and `sol` (0x22...).
fn two_wallets() -> TempDir {
    let folder = folder();
    init(folder.path(), OLD).unwrap();
    let vault = open(folder.path(), OLD).unwrap();
    vault.import(&name("eth"), &secret(Chain::Ethereum, 0x11)).unwrap();
    vault.import(&name("sol"), &secret(Chain::Solana, 0x22)).unwrap();
    folder
}

/// Wallets and the first byte of their secrets.
fn contents(vault: &Vault) -> BTreeMap<String, u8> {
    let now = Instant::now();
    let wallets = vault.list().unwrap().into_iter();
    wallets.map(|wallet| (wallet.id.name.to_string(), vault.key(&wallet.id.name, now).unwrap().expose()[0])).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_wallet_is_made_kept_listed_and_destroyed() {
    let folder = folder();
    assert!(matches!(open(folder.path(), OLD), Err(VaultError::Missing(_))), "it was made by opening it");
    init(folder.path(), OLD).unwrap();
    assert!(matches!(init(folder.path(), OLD), Err(VaultError::Present(_))));
    let vault = open(folder.path(), OLD).unwrap();
    assert!(matches!(open_at_once(folder.path(), OLD), Err(VaultError::InUse(_))));
    let other = MasterKey::of(NEW, &Kdf::fresh(Cost::default()).unwrap());
    assert!(matches!(Vault::init_by(folder.path(), &other), Err(VaultError::InUse(_))));
    let made = vault.create(&name("a"), Chain::Ethereum, &mut system_entropy).unwrap();
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let derived = Secret::from_mnemonic(Chain::Solana, words, "", None).unwrap();
    vault.import(&name("b"), &derived).unwrap();
    drop(vault);
    let vault = open(folder.path(), OLD).unwrap();
    let listed = vault.list().unwrap();
    assert_eq!(listed[0], made);
    assert_eq!(listed[1].origin.to_string(), "derived at m/44'/501'/0'/0'");
    assert_eq!(listed[1].id.public, derived.public());
    let now = Instant::now();
    let key = vault.key(&name("a"), now).unwrap();
    made.id.public.verify(&Payload::Hash([5; 32]), &key.sign(&Payload::Hash([5; 32])).unwrap()).unwrap();
    // Known by its name, and no longer after it is gone.
    vault.destroy(&name("a")).unwrap();
    assert!(matches!(vault.key(&name("a"), now), Err(VaultError::NoWallet(_))));
    assert!(matches!(vault.destroy(&name("a")), Err(VaultError::NoWallet(_))));
    assert_eq!(files(&folder.path().join("keys")), ["b.key", "vault"]);
    // Another one of that name has nothing of the first.
    let again = vault.create(&name("a"), Chain::Ethereum, &mut system_entropy).unwrap();
    assert_eq!(vault.key(&name("a"), now).unwrap().public(), again.id.public);
    assert_ne!(again.id.public, made.id.public);
}

#[test]
fn neither_a_name_nor_a_key_is_taken_twice() {
    let folder = two_wallets();
    let vault = open(folder.path(), OLD).unwrap();
    let before = fs::read(folder.path().join("keys/eth.key")).unwrap();
    assert!(matches!(vault.import(&name("eth"), &secret(Chain::Ethereum, 9)), Err(VaultError::NameTaken(_))));
    let taken = vault.import(&name("other"), &secret(Chain::Ethereum, 0x11));
    assert!(matches!(taken, Err(VaultError::KeyTaken(by)) if by == name("eth")));
    assert_eq!(fs::read(folder.path().join("keys/eth.key")).unwrap(), before);
    assert_eq!(files(&folder.path().join("keys")), ["eth.key", "sol.key", "vault"]);
}

#[test]
fn of_many_that_make_one_name_at_once_one_wins() {
    let folder = two_wallets();
    let vault = open(folder.path(), OLD).unwrap();
    let made: Vec<_> = thread::scope(|scope| {
        let make = || vault.create(&name("new"), Chain::Solana, &mut system_entropy);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let won: Vec<_> = made.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert!(made.iter().flat_map(|made| made.as_ref().err()).all(|error| matches!(error, VaultError::NameTaken(_))));
    assert_eq!(vault.key(&name("new"), Instant::now()).unwrap().public(), won[0].id.public);
    // Nor does the file system let a second one have it, whoever asks.
    let keys = Arc::new(Folder::open(folder.path()).unwrap().folder("keys").unwrap().unwrap());
    let renamed: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let keys = Arc::clone(&keys);
                scope.spawn(move || {
                    keys.write(&format!(".t{n}.new"), &[n]).unwrap();
                    keys.rename(&format!(".t{n}.new"), "t.key").unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(renamed.into_iter().filter(|won| *won).count(), 1);
}

#[test]
fn what_is_rotated_opens_by_the_new_passphrase_only_and_nothing_of_the_old_one_stays() {
    let folder = two_wallets();
    let keys = folder.path().join("keys");
    let before: Vec<Vec<u8>> = files(&keys).iter().map(|file| fs::read(keys.join(file)).unwrap()).collect();
    let vault = open(folder.path(), OLD).unwrap();
    assert!(matches!(rotate(&vault, NEW, NEW), Err(VaultError::Passphrase { .. })), "without the old passphrase");
    rotate(&vault, OLD, NEW).unwrap();
    // The vault that is open goes on with it.
    vault.create(&name("later"), Chain::Solana, &mut system_entropy).unwrap();
    let error = vault.key(&name("none"), Instant::now()).unwrap_err();
    assert!(matches!(error, VaultError::NoWallet(_)));
    drop(vault);
    assert!(matches!(open(folder.path(), OLD), Err(VaultError::Passphrase { hint: None, .. })));
    assert_eq!(files(folder.path()), ["keys"]);
    for (file, before) in files(&keys).iter().filter(|file| *file != "later.key").zip(before) {
        let after = fs::read(keys.join(file)).unwrap();
        // The end is what is sealed: nonce, ciphertext, tag.
        let shared =
            |length| after.windows(length).any(|part| before[before.len() - 60..].windows(length).any(|b| b == part));
        assert!(!shared(6), "{file} has something of the old one");
    }
    let vault = open(folder.path(), NEW).unwrap();
    assert_eq!(
        contents(&vault).into_iter().filter(|(name, _)| name != "later").collect::<Vec<_>>(),
        [("eth".to_owned(), 0x11), ("sol".to_owned(), 0x22)]
    );
}

#[test]
fn keys_leave_memory_when_their_time_has_come() {
    let folder = two_wallets();
    let vault = open(folder.path(), OLD).unwrap();
    let start = Instant::now();
    vault.key(&name("eth"), start).unwrap();
    vault.key(&name("sol"), start + Duration::from_secs(1)).unwrap();
    assert_eq!(vault.sweep(start + Duration::from_secs(60)), 1);
    // While it is in memory, its file is not read.
    fs::remove_file(folder.path().join("keys/sol.key")).unwrap();
    vault.key(&name("sol"), start + Duration::from_secs(60)).unwrap();
    vault.forget_all();
    assert!(matches!(vault.key(&name("sol"), start), Err(VaultError::NoWallet(_))));
    assert!(!format!("{vault:?}").contains("17"));
}

#[test]
fn a_source_that_is_broken_makes_no_wallet() {
    let folder = folder();
    init(folder.path(), OLD).unwrap();
    let vault = open(folder.path(), OLD).unwrap();
    let mut zeros = |bytes: &mut [u8]| -> Result<(), EntropyError> {
        bytes.fill(0);
        Ok(())
    };
    let mut same = |bytes: &mut [u8]| -> Result<(), EntropyError> {
        (0..).zip(bytes).for_each(|(n, byte)| *byte = n);
        Ok(())
    };
    let mut none = |_: &mut [u8]| Err(EntropyError("it is empty"));
    for chain in [Chain::Ethereum, Chain::Solana] {
        for source in [&mut zeros as &mut dyn FnMut(&mut [u8]) -> _, &mut same, &mut none] {
            assert!(matches!(vault.create(&name("a"), chain, source), Err(VaultError::Entropy(_))));
        }
    }
    assert_eq!(files(&folder.path().join("keys")), ["vault"]);
}

#[test]
fn a_vault_that_is_full_takes_no_more() {
    let folder = folder();
    init(folder.path(), OLD).unwrap();
    let vault = open(folder.path(), OLD).unwrap();
    let state = vault.state.write().unwrap();
    for n in 0..MOST_WALLETS {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let secret = Secret::from_bytes(Chain::Solana, &bytes).unwrap();
        state.keep(&name(&format!("w{n}")), &secret).unwrap();
    }
    drop(state);
    let full = vault.import(&name("more"), &secret(Chain::Solana, 1));
    assert!(matches!(full, Err(VaultError::Full)), "{full:?}");
    assert_eq!(vault.list().unwrap().len(), MOST_WALLETS);
    assert_eq!(vault.list().unwrap()[0].origin, Origin::Imported);
}
