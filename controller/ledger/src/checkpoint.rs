//! Signed checkpoints: notes as in C2SP signed-note, kept beside the database, that say which hash a row had.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::LedgerError;

/// First line of every note.
const ORIGIN: &str = "osmoda ledger";
/// Name of the key.
const KEY_NAME: &str = "osmoda";
/// Ed25519, in signed-note's terms.
const ALGORITHM: u8 = 1;

/// Signs checkpoints.
pub(crate) struct Notary {
    key: SigningKey,
    notes: File,
    folder: PathBuf,
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) id: i64,
    pub(crate) hash: [u8; 32],
}

impl Notary {
    /// Opens the notes; makes the key when there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self, LedgerError> {
        let file = folder.join("checkpoints");
        let failed = |e: std::io::Error| LedgerError::file(&file, e);
        let notes = OpenOptions::new().create(true).append(true).mode(0o640).open(&file).map_err(failed)?;
        flock(&notes, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        let key = read_or_make_key(folder)?;
        flock(&notes, FlockOperation::Unlock).map_err(|e| failed(e.into()))?;
        Ok(Self { key, notes, folder: folder.to_owned() })
    }

    /// Appends a note that the row `id` has this hash; durable when it returns.
    pub(crate) fn sign(&mut self, id: i64, hash_hex: &str, ts: &str) -> Result<(), LedgerError> {
        let failed = |e: std::io::Error| LedgerError::file(&self.folder.join("checkpoints"), e);
        let hash = data_encoding::HEXLOWER
            .decode(hash_hex.as_bytes())
            .map_err(|e| LedgerError::file(&self.folder.join("ledger.db"), format!("row {id}: {e}")))?;
        let text = format!("{ORIGIN}\n{id}\n{}\n{ts}\n", BASE64.encode(&hash));
        let public = self.key.verifying_key();
        let mut signed = key_id(&public).to_vec();
        signed.extend(self.key.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n\u{2014} {KEY_NAME} {}\n\n", BASE64.encode(&signed));
        // One write in append mode: notes of several processes do not mix.
        self.notes.write_all(note.as_bytes()).map_err(failed)?;
        self.notes.sync_data().map_err(failed)
    }
}

/// Reads the public key of a folder.
pub(crate) fn public_key(folder: &Path) -> Result<Option<VerifyingKey>, LedgerError> {
    let file = folder.join("checkpoint.pub");
    match fs::read_to_string(&file) {
        Ok(text) => parse_public(text.trim())
            .map(Some)
            .ok_or_else(|| LedgerError::file(&file, "it is no public key of signed-note's form")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::file(&file, error)),
    }
}

/// Reads `name+keyid+base64`.
pub(crate) fn parse_public(text: &str) -> Option<VerifyingKey> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = BASE64.decode(key.as_bytes()).ok()?;
    let (algorithm, key) = bytes.split_first()?;
    let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    (name == KEY_NAME && *algorithm == ALGORITHM && data_encoding::HEXLOWER.encode(&key_id(&key)) == id).then_some(key)
}

/// Reads all notes. The last one may be cut off by a power loss; any other that cannot be read, or is not signed by the
/// key, is reported as the words that say so.
pub(crate) fn read_all(folder: &Path, key: &VerifyingKey) -> Result<Vec<Result<Checkpoint, String>>, LedgerError> {
    let file = folder.join("checkpoints");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LedgerError::file(&file, error)),
    };
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((note, signature, after)) = split(rest) {
        rest = after;
        found.push(parse(note, signature, key).ok_or_else(|| {
            let line = note.lines().nth(1).unwrap_or_default();
            format!("the checkpoint of row {line:?} is not signed by the key")
        }));
    }
    Ok(found)
}

/// The next note with its newline, its signature line, and what follows.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let note_end = text.find("\n\n")? + 1;
    let after = &text[note_end + 1..];
    let line_end = after.find("\n\n")?;
    Some((&text[..note_end], &after[..line_end], &after[line_end + 2..]))
}

fn parse(note: &str, signature: &str, key: &VerifyingKey) -> Option<Checkpoint> {
    let signed = BASE64.decode(signature.strip_prefix("\u{2014} ")?.strip_prefix(KEY_NAME)?.trim().as_bytes()).ok()?;
    let (id, signature) = signed.split_at_checked(4)?;
    if id != key_id(key) {
        return None;
    }
    key.verify_strict(note.as_bytes(), &Signature::from_bytes(signature.try_into().ok()?)).ok()?;
    let mut lines = note.lines();
    if lines.next()? != ORIGIN {
        return None;
    }
    let id = lines.next()?.parse().ok()?;
    let hash = BASE64.decode(lines.next()?.as_bytes()).ok()?.try_into().ok()?;
    Some(Checkpoint { id, hash })
}

/// signed-note's key id: the first four bytes of SHA-256(name, newline, algorithm, public key).
fn key_id(key: &VerifyingKey) -> [u8; 4] {
    let digest = Sha256::new().chain_update(KEY_NAME).chain_update([b'\n', ALGORITHM]).chain_update(key.as_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    [digest[0], digest[1], digest[2], digest[3]]
}

fn read_or_make_key(folder: &Path) -> Result<SigningKey, LedgerError> {
    let file = folder.join("checkpoint.key");
    let failed = |e: std::io::Error| LedgerError::file(&file, e);
    match File::open(&file) {
        Ok(mut open) => {
            let meta = open.metadata().map_err(failed)?;
            if meta.mode() & 0o077 != 0 {
                return Err(LedgerError::file(&file, "others may read it; it has to have mode 0600"));
            }
            let mut seed = Zeroizing::new([0; 32]);
            open.read_exact(&mut *seed).map_err(failed)?;
            Ok(SigningKey::from_bytes(&seed))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|e| LedgerError::file(&file, e))?;
            let key = SigningKey::from_bytes(&seed);
            let id = data_encoding::HEXLOWER.encode(&key_id(&key.verifying_key()));
            let mut public = vec![ALGORITHM];
            public.extend(key.verifying_key().as_bytes());
            let public = format!("{KEY_NAME}+{id}+{}\n", BASE64.encode(&public));
            place(&folder.join("checkpoint.pub"), public.as_bytes(), 0o644)?;
            place(&file, &*seed, 0o600)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

fn place(file: &Path, contents: &[u8], mode: u32) -> Result<(), LedgerError> {
    let failed = |e: std::io::Error| LedgerError::file(file, e);
    let new = file.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut out = OpenOptions::new().create_new(true).write(true).mode(mode).open(&new).map_err(failed)?;
    out.write_all(contents).map_err(failed)?;
    out.sync_all().map_err(failed)?;
    fs::rename(&new, file).map_err(failed)
}
