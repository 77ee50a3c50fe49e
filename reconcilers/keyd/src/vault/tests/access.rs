//! What others might have read, written or put there is refused, by name.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refused(folder: &Path) -> VaultError {
    open(folder, OLD).expect_err("it opened")
}

#[test]
fn modes_that_let_others_in_are_refused() {
    let folder = two_wallets();
    let keys = folder.path().join("keys");
    for (path, own) in [
        (folder.path().to_owned(), 0o700),
        (keys.clone(), 0o700),
        (keys.join("vault"), 0o600),
        (keys.join("eth.key"), 0o600),
    ] {
        for wider in [0o040, 0o020, 0o004, 0o002, 0o001] {
            chmod(&path, own | wider);
            let error = refused(folder.path());
            let is_it =
                matches!(&error, VaultError::Access { path: at, reason } if *at == path && reason.contains("mode"));
            assert!(is_it, "{error}");
        }
        chmod(&path, own);
        open(folder.path(), OLD).unwrap();
    }
    chmod(&keys.join("eth.key"), 0o400);
    open(folder.path(), OLD).unwrap();
}

#[test]
fn what_is_made_is_ours_alone_whatever_the_umask() {
    let folder = two_wallets();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let keys = folder.path().join("keys");
    assert_eq!(mode(&keys), 0o700);
    for file in files(&keys) {
        assert_eq!(mode(&keys.join(file)), 0o600);
    }
}

#[test]
fn what_is_none_of_the_vaults_files_is_named() {
    let folder = two_wallets();
    let keys = folder.path().join("keys");
    for strange in
        ["notes.txt", "eth.key~", ".eth.key.swp", "Eth.key", ".key", "-.key", "vault.bak", ".a.b.new", "..new"]
    {
        let path = keys.join(strange);
        fs::write(&path, "").unwrap();
        chmod(&path, 0o600);
        let error = refused(folder.path());
        assert!(matches!(&error, VaultError::Unknown(at) if *at == path), "{strange}: {error}");
        fs::remove_file(&path).unwrap();
    }
    let path = keys.join(std::ffi::OsString::from(String::from("x")));
    fs::create_dir(&path).unwrap();
    assert!(matches!(refused(folder.path()), VaultError::Unknown(at) if at == path));
    fs::remove_dir(&path).unwrap();
    // What a list finds later is told just so.
    let vault = open(folder.path(), OLD).unwrap();
    fs::write(keys.join("later"), "").unwrap();
    assert!(matches!(vault.list(), Err(VaultError::Unknown(_))));
    assert!(matches!(vault.destroy(&name("eth")), Err(VaultError::Unknown(_))));
    assert!(matches!(vault.import(&name("n"), &secret(Chain::Solana, 9)), Err(VaultError::Unknown(_))));
}

#[test]
fn a_name_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let folder = two_wallets();
    fs::write(folder.path().join("keys").join(std::ffi::OsString::from_vec(b"\xff.key".to_vec())), "").unwrap();
    assert!(matches!(refused(folder.path()), VaultError::Unknown(_)));
}

#[test]
fn links_pipes_and_folders_are_no_keys() {
    let folder = two_wallets();
    let keys = folder.path().join("keys");
    let (path, aside) = (keys.join("eth.key"), folder.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    let is_access = |error: VaultError, reason: &str| {
        assert!(matches!(&error, VaultError::Access { path: at, .. } if *at == path), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    symlink(&aside, &path).unwrap();
    is_access(refused(folder.path()), "link");
    fs::remove_file(&path).unwrap();
    fs::hard_link(&aside, &path).unwrap();
    is_access(refused(folder.path()), "hard link");
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    is_access(refused(folder.path()), "regular");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    is_access(refused(folder.path()), "regular");
    fs::remove_dir(&path).unwrap();
    // Nor is a link followed to another folder of keys.
    let other = folder.path().join("other");
    fs::rename(&keys, &other).unwrap();
    symlink(&other, &keys).unwrap();
    assert!(matches!(refused(folder.path()), VaultError::Access { path, .. } if path == keys));
}

#[test]
fn a_folder_of_something_else_is_not_cleared_away() {
    let folder = two_wallets();
    let staged = folder.path().join("keys.new");
    let put = |file: &str| {
        fs::create_dir(&staged).unwrap();
        chmod(&staged, 0o700);
        fs::write(staged.join(file), "dear").unwrap();
        chmod(&staged.join(file), 0o600);
    };
    // A wallet that `keys` does not have, and what no vault makes.
    for file in ["only.key", "notes"] {
        put(file);
        assert!(matches!(refused(folder.path()), VaultError::Unknown(path) if path == staged.join(file)));
        assert_eq!(fs::read(staged.join(file)).unwrap(), b"dear");
        fs::remove_dir_all(&staged).unwrap();
    }
    put("eth.key");
    open(folder.path(), OLD).unwrap();
    assert!(!staged.exists());
    // Without `keys`, `keys.new` may be all there is.
    let vault = super::folder();
    let lost = vault.path().join("keys.new");
    fs::create_dir(&lost).unwrap();
    chmod(&lost, 0o700);
    fs::write(lost.join("a.key"), "dear").unwrap();
    chmod(&lost.join("a.key"), 0o600);
    assert!(matches!(init(vault.path(), OLD), Err(VaultError::Unknown(_))));
    assert!(matches!(open(vault.path(), OLD), Err(VaultError::Missing(_))));
    assert_eq!(fs::read(lost.join("a.key")).unwrap(), b"dear");
}
