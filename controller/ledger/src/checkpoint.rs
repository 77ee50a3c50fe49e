//! Signed checkpoints: notes as in C2SP signed-note, kept beside the database, that say which hash a row had.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use osmoda_failpoint as failpoint;
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
/// What a signature line begins with.
const DASH: &str = "\u{2014} ";
/// More than a note is long.
const NOTE: usize = 1024;

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
    /// Opens the notes; makes the key when there is none. `announce` is told its public half before it is in force.
    pub(crate) fn open(
        folder: &Path,
        announce: impl FnOnce(&str) -> Result<(), LedgerError>,
    ) -> Result<Self, LedgerError> {
        let file = folder.join("checkpoints");
        let failed = |e: io::Error| LedgerError::file(&file, e);
        let notes = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&file).map_err(failed)?;
        let key = locked(&notes, failed, || read_or_make_key(folder, announce))?;
        Ok(Self { key, notes, folder: folder.to_owned() })
    }

    /// Appends a note that the row `id` has this hash; durable when it returns.
    pub(crate) fn sign(&mut self, id: i64, hash_hex: &str, ts: &str) -> Result<(), LedgerError> {
        let failed = |e: io::Error| LedgerError::file(&self.folder.join("checkpoints"), e);
        let hash = data_encoding::HEXLOWER
            .decode(hash_hex.as_bytes())
            .map_err(|e| LedgerError::file(&self.folder.join("ledger.db"), format!("row {id}: {e}")))?;
        let text = format!("{ORIGIN}\n{id}\n{}\n{ts}\n", BASE64.encode(&hash));
        let public = self.key.verifying_key();
        let mut signed = key_id(&public).to_vec();
        signed.extend(self.key.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n{DASH}{KEY_NAME} {}\n\n", BASE64.encode(&signed));
        locked(&self.notes, failed, || {
            drop_torn_note(&self.notes).map_err(failed)?;
            failpoint::may_fail("ledger.checkpoint", id).map_err(failed)?;
            (&self.notes).write_all(note.as_bytes()).map_err(failed)?;
            failpoint::after("ledger.checkpoint", id);
            self.notes.sync_data().map_err(failed)
        })
    }
}

/// Does something while no other process writes notes.
fn locked<T>(
    notes: &File,
    failed: impl Fn(io::Error) -> LedgerError,
    work: impl FnOnce() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    flock(notes, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
    let done = work();
    flock(notes, FlockOperation::Unlock).map_err(|e| failed(e.into()))?;
    done
}

/// A power cut or a full disk leaves the beginning of a note at the end of the file; what is written behind it could not
/// be read. Longer remains are not ours, and stay for the verification to report.
fn drop_torn_note(notes: &File) -> io::Result<()> {
    let length = notes.metadata()?.len();
    let start = length.saturating_sub(2 * NOTE as u64);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or_default()];
    notes.read_exact_at(&mut tail, start)?;
    let is_end = |at: usize| {
        let line = tail[..at].rsplit(|b| *b == b'\n').next().unwrap_or_default();
        tail[at..].starts_with(b"\n\n") && line.starts_with(DASH.as_bytes())
    };
    let whole = (0..tail.len()).rev().find(|at| is_end(*at)).map_or(0, |at| at + 2);
    let torn = tail.len() - whole;
    if torn == 0 || torn > NOTE { Ok(()) } else { notes.set_len(length - torn as u64) }
}

/// The private key of a folder.
pub(crate) fn key_file(folder: &Path) -> PathBuf {
    folder.join("checkpoint.key")
}

/// Reads the public key of a folder.
pub(crate) fn public_key(folder: &Path) -> Result<Option<VerifyingKey>, LedgerError> {
    let file = folder.join("checkpoint.pub");
    match fs::read_to_string(&file) {
        Ok(text) => parse_public(text.trim())
            .map(Some)
            .ok_or_else(|| LedgerError::file(&file, "it is no public key of signed-note's form")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
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
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LedgerError::file(&file, error)),
    };
    // The last note may end in the middle of a character; in any other one that is a signature that does not fit.
    let text = String::from_utf8_lossy(&bytes);
    let mut found = Vec::new();
    let mut rest = &*text;
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
    let signed = BASE64.decode(signature.strip_prefix(DASH)?.strip_prefix(KEY_NAME)?.trim().as_bytes()).ok()?;
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

fn read_or_make_key(
    folder: &Path,
    announce: impl FnOnce(&str) -> Result<(), LedgerError>,
) -> Result<SigningKey, LedgerError> {
    let file = key_file(folder);
    let failed = |e: io::Error| LedgerError::file(&file, e);
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|e| LedgerError::file(&file, e))?;
            let key = SigningKey::from_bytes(&seed);
            let id = data_encoding::HEXLOWER.encode(&key_id(&key.verifying_key()));
            let mut public = vec![ALGORITHM];
            public.extend(key.verifying_key().as_bytes());
            let public = format!("{KEY_NAME}+{id}+{}", BASE64.encode(&public));
            announce(&public)?;
            place(&folder.join("checkpoint.pub"), format!("{public}\n").as_bytes(), 0o644)?;
            place(&file, &*seed, 0o600)?;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

fn place(file: &Path, contents: &[u8], mode: u32) -> Result<(), LedgerError> {
    let failed = |e: io::Error| LedgerError::file(file, e);
    let new = file.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut out = OpenOptions::new().create_new(true).write(true).mode(mode).open(&new).map_err(failed)?;
    out.write_all(contents).map_err(failed)?;
    out.sync_all().map_err(failed)?;
    fs::rename(&new, file).map_err(failed)
}
