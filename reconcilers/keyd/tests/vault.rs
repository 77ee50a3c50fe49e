//! Vaults of real passphrases: one that was written by other code, and ours from the beginning to a rotation.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use osmoda_chains::hex;
use osmoda_keyd::{
    key::Payload,
    vault::{Cost, Passphrase, Vault, VaultError, system_entropy},
    wallet::Chain,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

const KEEP: Duration = Duration::from_secs(60);

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o700);
    folder
}

/// `vectors/vault.py` made it, with Argon2id and AES-256-GCM of OpenSSL.
#[test]
fn a_vault_that_other_code_wrote_opens() {
    let folder = folder();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    chmod(&keys, 0o700);
    for line in include_str!("vectors/vault.txt").lines() {
        let (file, digits) = line.split_once(' ').unwrap();
        fs::write(keys.join(file), hex::decode(&format!("0x{digits}")).unwrap()).unwrap();
        chmod(&keys.join(file), 0o600);
    }
    let vault = Vault::open(folder.path(), &passphrase("correct horse battery staple"), KEEP).unwrap();
    let wallets = vault.list().unwrap();
    let told =
        wallets.iter().map(|wallet| format!("{} {} {}", wallet.id.name, wallet.id.public.address(), wallet.origin));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "eth 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F imported",
            "sol 586Z7H2vpX9qNhN2T4e9Utugie3ogjbxzGaMtM3E6HR5 derived at m/44'/501'/0'/0'",
        ]
    );
    let key = vault.key(&wallets[1].id.name, Instant::now()).unwrap();
    // RFC 8032, 7.1, test 2.
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let osmoda_keyd::key::Signed::Ed25519(signed) = key.sign(&Payload::Message(&[0x72])).unwrap() else { panic!() };
    assert_eq!(hex::encode(&signed), format!("0x{signature}"));
}

#[test]
fn a_vault_lives_by_its_passphrase() {
    let folder = folder();
    let (old, new) = (passphrase("the first passphrase"), passphrase("another passphrase"));
    Vault::init(folder.path(), &old, Cost::default()).unwrap();
    let vault = Vault::open(folder.path(), &old, KEEP).unwrap();
    let name = "a".parse().unwrap();
    let made = vault.create(&name, Chain::Ethereum, &mut system_entropy).unwrap();
    assert!(matches!(vault.rotate(&new, &new), Err(VaultError::Passphrase { .. })));
    vault.rotate(&old, &new).unwrap();
    drop(vault);
    let file = folder.path().join("keys/a.key");
    let before = fs::read(&file).unwrap();
    let error = Vault::open(folder.path(), &old, KEEP).unwrap_err();
    assert!(matches!(error, VaultError::Passphrase { .. }) && error.to_string().starts_with("the passphrase is wrong"));
    assert_eq!(fs::read(&file).unwrap(), before);
    let vault = Vault::open(folder.path(), &new, KEEP).unwrap();
    assert_eq!(vault.list().unwrap(), [made]);
}
