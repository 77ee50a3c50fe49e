//! What was signed of the ledger, by itself and by witnesses, here and elsewhere.

use std::{fs, io, path::Path};

use jiff::Timestamp;

use super::{Report, Trust};
use crate::{
    LedgerError,
    checkpoint::{Checkpoint, NoteFile, split},
    key::Place,
    merkle::Hash,
    note::{KeyKind, Note, PublicKey, Signed},
};

/// A statement that the first `size` rows have that root.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) by: By,
    /// It was given to the verification, not found beside the ledger.
    pub(super) kept: bool,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The ledger itself: one of its checkpoints.
    Ledger,
    /// A witness, at that time in seconds since 1970.
    Witness(String, u64),
    /// Whoever kept a checkpoint.
    Kept,
}

impl By {
    /// Ends a sentence that begins with "rows that are not those that".
    pub(super) fn words(&self) -> String {
        match self {
            Self::Ledger => "a checkpoint was signed for".to_owned(),
            Self::Witness(name, time) => format!("the witness {name} cosigned at {}", moment(*time)),
            Self::Kept => "were signed in a checkpoint that was kept elsewhere".to_owned(),
        }
    }
}

/// Seconds since 1970 for people.
pub(super) fn moment(time: u64) -> String {
    let moment = i64::try_from(time).ok().and_then(|time| Timestamp::from_second(time).ok());
    moment.map_or_else(|| format!("second {time}"), |moment| moment.to_string())
}

/// All claims, in order of their sizes, and the key of the ledger, by which manifests are checked, too.
pub(super) struct Claims {
    pub(super) claims: Vec<Claim>,
    pub(super) key: Option<PublicKey>,
}

/// Collects all claims, in order of their sizes, and reports those that are not signed as they should be.
pub(super) fn collect(folder: &Path, trust: &Trust, report: &mut Report) -> Result<Claims, LedgerError> {
    let Some(key) = trusted_key(folder, trust, report)? else {
        report.add(None, "there is no public key: checkpoints cannot be checked");
        return Ok(Claims { claims: Vec::new(), key: None });
    };
    let witnesses = trusted_witnesses(folder, trust, report)?;
    let mut claims = Vec::new();
    NoteFile::checkpoints(folder).each(|note| match note.as_ref().ok().and_then(|note| signed(note, &key)) {
        Some(checkpoint) => claims.push(claim(checkpoint, By::Ledger)),
        None => report.add(None, format!("the checkpoint of {} is not signed by the key", rows_of(&note))),
    })?;
    report.checkpoints = claims.len();
    report.signed_until = claims.iter().map(|claim| claim.size.cast_signed()).max();
    NoteFile::cosigned(folder).each(|note| {
        match note.as_ref().ok().and_then(|note| Some((note, signed(note, &key)?))) {
            Some((note, checkpoint)) => claims.extend(cosigned(note, &checkpoint, &witnesses, report)),
            None => {
                let words = format!("the cosigned checkpoint of {} is not signed by the key", rows_of(&note));
                report.add(None, words);
            }
        }
    })?;
    for text in &trust.seen {
        let kept = kept(text, &key, &witnesses, report);
        claims.extend(kept.into_iter().map(|claim| Claim { kept: true, ..claim }));
    }
    claims.sort_by_key(|claim| claim.size);
    two_trees(&claims, report);
    Ok(Claims { claims, key: Some(key) })
}

/// A log that has signed two trees of one size has shown different things to different people.
fn two_trees(claims: &[Claim], report: &mut Report) {
    let differ = |pair: &&[Claim]| pair[0].size == pair[1].size && pair[0].root != pair[1].root;
    if let Some(pair) = claims.windows(2).find(differ) {
        report.add(None, format!("two different trees of {} rows were signed: a split view", pair[0].size));
    }
}

fn claim(checkpoint: Checkpoint, by: By) -> Claim {
    Claim { size: checkpoint.size, root: checkpoint.root, by, kept: false }
}

/// What a note says, when it is one of this ledger and signed by its key.
fn signed(note: &Note, key: &PublicKey) -> Option<Checkpoint> {
    let checkpoint = Checkpoint::parse(&note.text)?;
    (note.check(key) == Signed::Yes && checkpoint.origin == key.name()).then_some(checkpoint)
}

/// For people: how many rows a note is about.
fn rows_of(note: &Result<Note, String>) -> String {
    let text = note.as_ref().map_or_else(|text| text.as_str(), |note| &note.text);
    format!("{:?} rows", text.lines().nth(1).unwrap_or_default())
}

/// What witnesses say of a checkpoint.
fn cosigned(note: &Note, checkpoint: &Checkpoint, witnesses: &[PublicKey], report: &mut Report) -> Vec<Claim> {
    let mut claims = Vec::new();
    for witness in witnesses {
        match note.check(witness) {
            Signed::At(time) => {
                claims.push(claim(checkpoint.clone(), By::Witness(witness.name().to_owned(), time)));
            }
            Signed::Badly => {
                let words = "the cosignature of the checkpoint of";
                report.add(None, format!("{words} {} rows by {} does not verify", checkpoint.size, witness.name()));
            }
            Signed::No | Signed::Yes => {}
        }
    }
    claims
}

/// Claims of notes that somebody kept.
fn kept(text: &str, key: &PublicKey, witnesses: &[PublicKey], report: &mut Report) -> Vec<Claim> {
    let text = format!("{}\n\n", text.trim_end_matches('\n'));
    let mut claims = Vec::new();
    let mut notes = 0;
    for part in split(&text) {
        notes += 1;
        let note =
            Note::parse(part).and_then(|note| Checkpoint::parse(&note.text).map(|checkpoint| (note, checkpoint)));
        let Some((note, checkpoint)) = note else {
            report.add(None, "what was kept elsewhere is no checkpoint");
            continue;
        };
        if checkpoint.origin != key.name() {
            let words = "the checkpoint that was kept elsewhere is of another ledger";
            report.add(
                None,
                format!("{words}, {}: this one was put in its place, or has another key", checkpoint.origin),
            );
            continue;
        }
        let of_witnesses = cosigned(&note, &checkpoint, witnesses, report);
        let nobodys = of_witnesses.is_empty();
        claims.extend(of_witnesses);
        if note.check(key) == Signed::Yes {
            claims.push(claim(checkpoint, By::Kept));
        } else if nobodys {
            let words = "the checkpoint that was kept elsewhere is signed neither by this key nor by a witness";
            report.add(None, format!("{words}: the key was replaced"));
        } else {
            report
                .add(None, "the key is not the one that signed a checkpoint that a witness has seen: it was replaced");
        }
    }
    if notes == 0 {
        report.add(None, "what was kept elsewhere is no checkpoint");
    }
    claims
}

fn trusted_key(folder: &Path, trust: &Trust, report: &mut Report) -> Result<Option<PublicKey>, LedgerError> {
    let own = Place::of_ledger(folder).public()?;
    let Some(text) = &trust.key else { return Ok(own) };
    let Some(trusted) = PublicKey::parse(text).filter(|key| key.kind() == KeyKind::Log) else {
        report.add(None, "the trusted key is no public key of signed-note's form");
        return Ok(own);
    };
    if own.is_some_and(|own| own != trusted) {
        report.add(None, "the public key beside the ledger is not the trusted one");
    }
    Ok(Some(trusted))
}

fn trusted_witnesses(folder: &Path, trust: &Trust, report: &mut Report) -> Result<Vec<PublicKey>, LedgerError> {
    let file = folder.join("witness.pub");
    let own = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(LedgerError::file(&file, error)),
    };
    let mut read = |text: &str| {
        let keys = text.lines().filter(|line| !line.trim().is_empty()).filter_map(|line| {
            let key = PublicKey::parse(line).filter(|key| key.kind() == KeyKind::Witness);
            if key.is_none() {
                report.add(None, "a witness's key is none of signed-note's form");
            }
            key
        });
        keys.collect::<Vec<_>>()
    };
    let own = read(&own);
    if trust.witnesses.is_empty() {
        return Ok(own);
    }
    let trusted: Vec<PublicKey> = trust.witnesses.iter().flat_map(|text| read(text)).collect();
    if own.iter().any(|own| !trusted.contains(own)) {
        report.add(None, "the witness's key beside the ledger is not a trusted one");
    }
    Ok(trusted)
}
