//! Whatever is changed in a file is noticed, and told with the file's name.

use super::*;
use crate::vault::{header::Header, sealed::KeyFile};

/// Opening is refused, changes nothing, and the error is as it should be.
fn is_refused(folder: &Path, good: impl Fn(&VaultError) -> bool, what: &str) {
    let keys = folder.join("keys");
    let state = || files(&keys).into_iter().map(|file| (fs::read(keys.join(&file)).ok(), file)).collect::<Vec<_>>();
    let before = state();
    let error = open(folder, OLD).err().unwrap_or_else(|| panic!("{what}: it opened"));
    assert!(good(&error), "{what}: {error}");
    assert_eq!(state(), before, "{what}");
}

fn damaged(file: &str) -> impl Fn(&VaultError) -> bool {
    move |error| matches!(error, VaultError::Damaged { path, .. } if path.ends_with(file))
}

/// All that a disk may do to one file.
fn spoil(folder: &Path, file: &str, good: impl Fn(&VaultError) -> bool) {
    let path = folder.join("keys").join(file);
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut spoilt = whole.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &spoilt).unwrap();
        is_refused(folder, &good, &format!("bit {bit}"));
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        is_refused(folder, &good, &format!("cut to {length}"));
    }
    for more in [1, 2, 60, 500] {
        fs::write(&path, [whole.as_slice(), &vec![0; more]].concat()).unwrap();
        is_refused(folder, &good, &format!("{more} bytes more"));
    }
    fs::write(&path, &whole).unwrap();
    open(folder, OLD).unwrap();
}

#[test]
fn every_bit_of_every_file_counts() {
    for (chain, secret) in [
        (Chain::Ethereum, secret(Chain::Ethereum, 0x11)),
        (
            Chain::Solana,
            Secret::from_mnemonic(
                Chain::Solana,
                "legal winner thank year wave sausage worth useful legal winner thank yellow",
                "",
                None,
            )
            .unwrap(),
        ),
    ] {
        let folder = folder();
        init(folder.path(), OLD).unwrap();
        open(folder.path(), OLD).unwrap().import(&name("a"), &secret).unwrap();
        spoil(folder.path(), "a.key", damaged("a.key"));
        if chain == Chain::Ethereum {
            spoil(folder.path(), "vault", |error| {
                matches!(error, VaultError::Cost(_) | VaultError::Passphrase { .. }) || damaged("vault")(error)
            });
        }
    }
}

#[test]
fn no_file_passes_for_another() {
    let folder = two_wallets();
    let keys = folder.path().join("keys");
    let path = |file: &str| keys.join(file);
    let vault = open(folder.path(), OLD).unwrap();
    vault.import(&name("eth-2"), &secret(Chain::Ethereum, 0x33)).unwrap();
    drop(vault);
    let [eth, other, sol] = ["eth.key", "eth-2.key", "sol.key"].map(|file| fs::read(path(file)).unwrap());
    // Under another's name.
    fs::write(path("eth.key"), &other).unwrap();
    is_refused(folder.path(), damaged("eth.key"), "another's file");
    fs::write(path("eth.key"), &eth).unwrap();
    fs::copy(path("eth.key"), path("copy.key")).unwrap();
    is_refused(folder.path(), damaged("copy.key"), "a copy under a new name");
    fs::remove_file(path("copy.key")).unwrap();
    // What is known of one with what is sealed of the other.
    let mixed = [&eth[..eth.len() - 60], &other[other.len() - 60..]].concat();
    fs::write(path("eth.key"), mixed).unwrap();
    is_refused(folder.path(), damaged("eth.key"), "another's secret");
    let mixed = [&eth[..eth.len() - 60], &sol[sol.len() - 60..]].concat();
    fs::write(path("eth.key"), mixed).unwrap();
    is_refused(folder.path(), damaged("eth.key"), "another's secret");
    // The header's check for a key.
    let header = fs::read(path("vault")).unwrap();
    let mixed = [&eth[..eth.len() - 60], &header[header.len() - 60..]].concat();
    fs::write(path("eth.key"), mixed).unwrap();
    is_refused(folder.path(), damaged("eth.key"), "the header's check");
    // From before a rotation.
    fs::write(path("eth.key"), &eth).unwrap();
    rotate(&open(folder.path(), OLD).unwrap(), OLD, NEW).unwrap();
    fs::write(path("eth.key"), &eth).unwrap();
    let error = open(folder.path(), NEW).unwrap_err();
    assert!(damaged("eth.key")(&error), "{error}");
}

#[test]
fn another_public_key_over_the_right_seal_is_refused() {
    // As a program with a fault would write it: all is authenticated, and still does not belong together.
    let master = MasterKey::of(OLD, &Kdf::fresh(Cost::default()).unwrap());
    let key = secret(Chain::Solana, 1).key;
    let file = KeyFile::seal(&master, &name("a"), &key, &Origin::Created).unwrap();
    assert!(file.open(&master).is_ok());
    let mut forged = b"osmoda-key-v1\n".to_vec();
    let mut wallet = file.wallet.clone();
    wallet.id.public = secret(Chain::Solana, 2).public();
    wallet.id.encode(&mut forged);
    wallet.origin.encode(&mut forged);
    let sealed = master.seal(&forged, &key.expose()).unwrap();
    sealed.encode(&mut forged);
    assert!(KeyFile::parse(&forged).unwrap().open(&master).is_err());
}

#[test]
fn no_nonce_comes_again() {
    let master = MasterKey::of(OLD, &Kdf::fresh(Cost::default()).unwrap());
    let key = secret(Chain::Solana, 1).key;
    let seal = || KeyFile::seal(&master, &name("a"), &key, &Origin::Created).unwrap().to_bytes();
    let nonces: std::collections::BTreeSet<Vec<u8>> =
        (0..1000).map(|_| seal()).map(|bytes| bytes[bytes.len() - 60..bytes.len() - 48].to_vec()).collect();
    assert_eq!(nonces.len(), 1000);
    assert_ne!(Kdf::fresh(Cost::default()).unwrap(), Kdf::fresh(Cost::default()).unwrap());
}

#[test]
fn a_header_is_that_of_one_key() {
    let kdf = Kdf::fresh(Cost::default()).unwrap();
    let header = Header::new(&MasterKey::of(OLD, &kdf), 7).unwrap();
    assert!(header.is_of(&MasterKey::of(OLD, &kdf)));
    assert!(!header.is_of(&MasterKey::of(NEW, &kdf)));
    assert_eq!(header.to_bytes().len(), Header::LEN);
    assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
}

#[test]
fn a_header_that_is_lost_or_from_another_vault_opens_nothing() {
    let folder = two_wallets();
    let path = folder.path().join("keys/vault");
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    is_refused(folder.path(), damaged("vault"), "lost");
    // Another vault of the same key is told by its files.
    let other = super::folder();
    init(other.path(), NEW).unwrap();
    fs::copy(other.path().join("keys/vault"), &path).unwrap();
    is_refused(folder.path(), |error| matches!(error, VaultError::Passphrase { .. }), "another's");
    let error = open(folder.path(), NEW).unwrap_err();
    assert!(damaged("eth.key")(&error), "{error}");
    fs::write(&path, whole).unwrap();
    open(folder.path(), OLD).unwrap();
}
