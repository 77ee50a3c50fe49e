//! Which files a passphrase is taken from.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use osmoda_keyd::vault::{MOST_PASSPHRASE, PassphraseError, read_passphrase};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::geteuid,
};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    vault: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault");
        fs::create_dir_all(vault.join("keys")).unwrap();
        Self { folder, vault }
    }

    fn put(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Who is not root cannot write one of mode 0400 again.
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn read(&self, path: &Path) -> Result<(), PassphraseError> {
        read_passphrase(path, &self.vault, None).map(drop)
    }

    fn refused(&self, path: &Path, reason: &str) {
        let error = self.read(path).unwrap_err();
        assert!(matches!(error, PassphraseError::File { .. }) && error.to_string().contains(reason), "{error}");
    }
}

const GOOD: &[u8] = b"sixteen bytes ok";

#[test]
fn its_length_is_between_bounds_without_one_end_of_line() {
    let place = Place::new();
    let read = |bytes: &[u8]| place.read(&place.put("p", bytes, 0o600));
    read(GOOD).unwrap();
    read(b"sixteen bytes ok\n").unwrap();
    assert!(matches!(read(b"fifteen bytes !\n"), Err(PassphraseError::Short(15))));
    // The second end of line belongs to it.
    read(b"fifteen bytes !\n\n").unwrap();
    assert!(matches!(read(b""), Err(PassphraseError::Short(0))));
    assert!(matches!(read(b"\n"), Err(PassphraseError::Short(0))));
    let long = vec![b'x'; MOST_PASSPHRASE];
    read(&long).unwrap();
    read(&[long.as_slice(), b"\n"].concat()).unwrap();
    for more in [&b"x"[..], b"x\n", b"\n\n", &[b'x'; 5000]] {
        assert!(matches!(read(&[long.as_slice(), more].concat()), Err(PassphraseError::Long)));
    }
    let error = read(b"short").unwrap_err().to_string();
    assert!(error.contains("/dev/urandom") && !error.contains("short"), "{error}");
}

#[test]
fn nobody_else_may_read_it_but_where_systemd_says_who_may() {
    let place = Place::new();
    for mode in [0o640, 0o604, 0o602, 0o620, 0o610] {
        place.refused(&place.put("p", GOOD, mode), "others may read it");
    }
    place.read(&place.put("p", GOOD, 0o400)).unwrap();
    let credential = place.put("credentials/unit/p", GOOD, 0o440);
    place.refused(&credential, "others may read it");
    let credentials = place.folder.path().join("credentials");
    read_passphrase(&credential, &place.vault, Some(&credentials)).unwrap();
    // It is the folder that counts, and not how a path to it is written.
    let outside = place.put("p", GOOD, 0o440);
    for path in [outside.clone(), credentials.join("../p")] {
        assert!(read_passphrase(&path, &place.vault, Some(&credentials)).is_err());
    }
    assert!(read_passphrase(&outside, &place.vault, Some(&place.folder.path().join("none"))).is_err());
}

#[test]
fn it_is_roots_or_ours() {
    let place = Place::new();
    let path = place.put("p", GOOD, 0o600);
    // Only root can give a file away; whoever else runs this has one of root's, which others may read.
    if geteuid().is_root() {
        chown(&path, Some(65534), None).unwrap();
        place.refused(&path, "belongs to uid 65534");
    } else {
        place.refused(Path::new("/etc/passwd"), "others may read it");
    }
}

#[test]
fn it_is_not_beside_what_it_opens() {
    let place = Place::new();
    for name in ["vault/p", "vault/keys/p", "vault/deep/er/p"] {
        place.refused(&place.put(name, GOOD, 0o600), "in the vault's folder");
    }
    // By another name of the folder.
    let link = place.folder.path().join("link");
    symlink(&place.vault, &link).unwrap();
    place.refused(&link.join("p"), "in the vault's folder");
    place.refused(&place.folder.path().join("vault/keys/../p"), "in the vault's folder");
    let beside = place.put("vault-2/p", GOOD, 0o600);
    place.read(&beside).unwrap();
    assert!(read_passphrase(&place.vault.join("p"), &link, None).is_err());
    // Before there is a vault.
    read_passphrase(&beside, &place.folder.path().join("none"), None).unwrap();
}

#[test]
fn links_pipes_and_folders_are_refused_at_once() {
    let place = Place::new();
    let good = place.put("good", GOOD, 0o600);
    let path = place.folder.path().join("p");
    symlink(&good, &path).unwrap();
    place.refused(&path, "link");
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    place.refused(&path, "regular");
    place.refused(&place.vault, "regular");
    for path in [place.folder.path().join("none"), PathBuf::from("/"), PathBuf::from(""), good.join("p")] {
        assert!(matches!(place.read(&path), Err(PassphraseError::Io { .. })), "{}", path.display());
    }
}
