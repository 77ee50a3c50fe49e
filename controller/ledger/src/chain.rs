//! What is hashed, and what may be in it.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// `prev_hash` of the first row.
pub(crate) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Longest type or actor, in bytes.
const MAX_WORD: usize = 256;
/// Longest payload, in bytes.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What, such as `switch.committed`.
    pub kind: Cow<'static, str>,
    /// Who, such as `agentd` or `uid:1000`.
    pub actor: Cow<'static, str>,
    /// The rest. No secrets.
    pub payload: Value,
}

impl Event {
    /// An event.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, actor: impl Into<Cow<'static, str>>, payload: Value) -> Self {
        Self { kind: kind.into(), actor: actor.into(), payload }
    }
}

/// Why an event cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// `|` or a control character would make what is hashed ambiguous.
    #[error(
        "the {field} {text:?} may not be empty, longer than {MAX_WORD} bytes, or contain `|` or control characters"
    )]
    Word {
        /// `type` or `actor`.
        field: &'static str,
        /// What it is.
        text: String,
    },
    /// Too long.
    #[error("the payload has {0} bytes; {MAX_PAYLOAD} are allowed")]
    Payload(usize),
    /// The type is the ledger's own.
    #[error("`{}` is an event of the ledger's own", crate::database::SEALED)]
    Reserved,
}

pub(crate) fn check(event: &Event, payload: &str) -> Result<(), InvalidEvent> {
    for (field, text) in [("type", &event.kind), ("actor", &event.actor)] {
        if !is_word(text.as_bytes()) {
            return Err(InvalidEvent::Word { field, text: text.chars().take(80).collect() });
        }
    }
    if event.kind == crate::database::SEALED {
        return Err(InvalidEvent::Reserved);
    }
    if payload.len() > MAX_PAYLOAD {
        return Err(InvalidEvent::Payload(payload.len()));
    }
    Ok(())
}

/// True for a type or an actor that keeps the preimage unambiguous.
pub(crate) fn is_word(text: &[u8]) -> bool {
    let plain = |text: &[u8]| text.iter().all(|b| *b != b'|' && (b' '..=b'~').contains(b));
    let clear = |text: &str| !text.chars().any(|c| c == '|' || c.is_control());
    (1..=MAX_WORD).contains(&text.len()) && (plain(text) || std::str::from_utf8(text).is_ok_and(clear))
}

/// The hash of a row, in lower-case hex, from its `[ts, type, actor, payload, prev_hash]`.
pub(crate) fn hash(id: i64, parts: [&[u8]; 5]) -> [u8; 64] {
    let mut bytes = Vec::with_capacity(32 + parts.iter().map(|part| part.len()).sum::<usize>());
    preimage(id, parts, &mut bytes);
    hex(&Sha256::digest(&bytes).into())
}

/// What is hashed: `id|ts|type|actor|payload|prev_hash`. In one piece: what is hashed in many small ones is copied as often.
pub(crate) fn preimage(id: i64, parts: [&[u8]; 5], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend_from_slice(decimal(id, &mut [0; 20]));
    for part in parts {
        bytes.push(b'|');
        bytes.extend_from_slice(part);
    }
}

/// A row number in decimal, without an allocation.
fn decimal(id: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut left = id.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if id < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

pub(crate) fn hex(digest: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

pub(crate) fn text(hex: &[u8; 64]) -> &str {
    std::str::from_utf8(hex).expect("hex digits are text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_that_of_the_joined_text() {
        let expected: [u8; 32] = Sha256::digest(format!("1|t|k|a|{{}}|{GENESIS}")).into();
        assert_eq!(hash(1, [b"t", b"k", b"a", b"{}", GENESIS.as_bytes()]), hex(&expected));
    }

    proptest! {
        /// Fields cannot be shifted into each other: the payload, which alone may hold `|`, is followed by 64 digits.
        #[test]
        fn different_rows_have_different_preimages(
            a in ("[a-b.]{1,3}", "[a-b:]{1,3}", "[a-b|]{0,9}"), b in ("[a-b.]{1,3}", "[a-b:]{1,3}", "[a-b|]{0,9}")
        ) {
            prop_assume!(a != b);
            let digest = |(kind, actor, payload): &(String, String, String)| {
                hash(1, ["t", kind, actor, payload, GENESIS].map(str::as_bytes))
            };
            prop_assert_ne!(digest(&a), digest(&b));
        }
    }
}
