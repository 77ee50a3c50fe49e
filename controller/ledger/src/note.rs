//! Signed notes (c2sp.org/signed-note), and cosignatures of checkpoints in them (c2sp.org/tlog-cosignature).

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// What a signature line begins with.
const DASH: &str = "\u{2014} ";
/// Signature lines of a note that are read; signed-note asks for 16 at least.
const MOST_SIGNATURES: usize = 64;

/// What a key signs: the type byte of signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Notes as they are: what a log signs its checkpoints with.
    Log = 1,
    /// Checkpoints with the time: what a witness cosigns with.
    Witness = 4,
}

/// A public key with its name, as `name+id+base64` (a vkey of signed-note).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl PublicKey {
    /// Of a private key.
    pub(crate) fn of(key: &SigningKey, name: &str, kind: KeyKind) -> Self {
        Self { name: name.to_owned(), kind, key: key.verifying_key() }
    }

    /// Reads `name+id+base64`; none when it is not one, or its id is another key's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = BASE64.decode(key.as_bytes()).ok()?;
        let (kind, key) = bytes.split_first()?;
        let kind = [KeyKind::Log, KeyKind::Witness].into_iter().find(|known| *known as u8 == *kind)?;
        let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
        let key = Self { name: name.to_owned(), kind, key };
        (is_name(name) && HEXLOWER.encode(&key.id()) == id).then_some(key)
    }

    /// Its name; a log's is the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The first four bytes of SHA-256(name, newline, type, key).
    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new().chain_update(&self.name).chain_update([b'\n', self.kind as u8]);
        let digest: [u8; 32] = digest.chain_update(self.key.as_bytes()).finalize().into();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind as u8];
        bytes.extend(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.id()), BASE64.encode(&bytes))
    }
}

/// Names of keys are not empty, and have neither spaces nor `+`.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// A note with its signatures, which nobody has looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// What is signed, with its last newline.
    pub(crate) text: String,
    /// Signature lines without their newlines.
    pub(crate) signatures: Vec<String>,
}

/// What a note's signature of a key is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// There is none.
    No,
    /// There is one that does not verify.
    Badly,
    /// It verifies.
    Yes,
    /// It verifies: a witness's, with its time in seconds since 1970.
    At(u64),
}

impl Note {
    /// A note that nobody has signed yet.
    pub(crate) fn new(text: String) -> Self {
        Self { text, signatures: Vec::new() }
    }

    /// Reads a note whose text has no empty lines.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let end = text.find("\n\n")? + 1;
        let signatures: Vec<String> = text[end + 1..].trim_end_matches('\n').split('\n').map(str::to_owned).collect();
        let is_line = |line: &String| line.starts_with(DASH) && !line.chars().any(char::is_control);
        let good = (1..=MOST_SIGNATURES).contains(&signatures.len()) && signatures.iter().all(is_line);
        good.then(|| Self { text: text[..end].to_owned(), signatures })
    }

    /// Signs it.
    pub(crate) fn sign(&mut self, key: &SigningKey, name: &str) {
        let signature = key.sign(self.text.as_bytes()).to_bytes();
        self.signatures.push(line(&PublicKey::of(key, name, KeyKind::Log), &signature));
    }

    /// Cosigns it as a witness at that time, in seconds since 1970; returns the line.
    pub(crate) fn cosign(&mut self, key: &SigningKey, name: &str, time: u64) -> String {
        let signature = key.sign(cosigned(time, &self.text).as_bytes()).to_bytes();
        let line = line(&PublicKey::of(key, name, KeyKind::Witness), &[&time.to_be_bytes()[..], &signature].concat());
        self.signatures.push(line.clone());
        line
    }

    /// Looks for a key's signatures. One that does not verify spoils the note.
    pub(crate) fn check(&self, key: &PublicKey) -> Signed {
        let mut found = Signed::No;
        for line in &self.signatures {
            let Some(bytes) = signature_of(line, key) else { continue };
            found = match verify(&self.text, key, &bytes) {
                Some(good) => good,
                None => return Signed::Badly,
            };
        }
        found
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn line(key: &PublicKey, signature: &[u8]) -> String {
    format!("{DASH}{} {}", key.name, BASE64.encode(&[&key.id()[..], signature].concat()))
}

/// What a witness signs.
fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// The bytes behind the key's id, when the line is one of that key.
fn signature_of(line: &str, key: &PublicKey) -> Option<Vec<u8>> {
    let (name, text) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = BASE64.decode(text.as_bytes()).ok();
    // What cannot be read, under the key's name, is a signature that does not verify.
    let Some(bytes) = bytes.filter(|bytes| bytes.len() > 4) else { return (name == key.name).then(Vec::new) };
    (name == key.name && bytes[..4] == key.id()).then(|| bytes[4..].to_vec())
}

fn verify(text: &str, key: &PublicKey, bytes: &[u8]) -> Option<Signed> {
    let good = |message: &str, signature: &[u8]| {
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        key.key.verify_strict(message.as_bytes(), &signature).ok()
    };
    match key.kind {
        KeyKind::Log => good(text, bytes).map(|()| Signed::Yes),
        KeyKind::Witness => {
            let (time, signature) = bytes.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*time);
            good(&cosigned(time, text), signature).map(|()| Signed::At(time))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key = PublicKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
        let text = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        let note = Note::parse(text).unwrap();
        assert_eq!((note.check(&key), note.to_string().as_str()), (Signed::Yes, text));
        let other = Note { text: note.text.replace("example", "other"), ..note.clone() };
        assert_eq!(other.check(&key), Signed::Badly);
        let stranger = PublicKey::of(&SigningKey::from_bytes(&[7; 32]), "example.com/foo", KeyKind::Log);
        assert_eq!(note.check(&stranger), Signed::No, "a name alone is not the key");
    }

    #[test]
    fn a_cosignature_is_of_one_text_and_one_time() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = PublicKey::of(&key, "w", KeyKind::Witness);
        assert_eq!(PublicKey::parse(&public.to_string()).as_ref(), Some(&public));
        let mut note = Note::new("log\n3\nAAAA\n".to_owned());
        let line = note.cosign(&key, "w", 1_679_315_147);
        assert_eq!(note.check(&public), Signed::At(1_679_315_147));
        let replayed = Note { text: "log\n4\nAAAA\n".to_owned(), signatures: vec![line] };
        assert_eq!(replayed.check(&public), Signed::Badly);
        let log = PublicKey::of(&key, "w", KeyKind::Log);
        assert_eq!(note.check(&log), Signed::No, "the same key signs nothing as a log by that");
    }

    #[test]
    fn keys_are_what_their_ids_say() {
        let key = PublicKey::of(&SigningKey::from_bytes(&[1; 32]), "a/b", KeyKind::Log).to_string();
        assert!(PublicKey::parse(&key).is_some());
        for bad in [key.replace("a/b", "a/c"), key.replace("a/b", "a b"), key.replace("a/b", ""), key[..9].to_owned()] {
            assert_eq!(PublicKey::parse(&bad), None, "{bad}");
        }
    }
}
