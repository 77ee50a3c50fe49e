//! From bytes to a text that a person could have written.

use super::node::Place;
use crate::problem::Problem;

/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What is wrong with a whole text, and where.
pub(super) type Unreadable = (Place, Problem);

/// The text of a file, without its byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Box<Unreadable>> {
    let refuse = |before: &str, problem| Err(Box::new((end_of(before), problem)));
    if bytes.len() > MAX_FILE_BYTES {
        return refuse("", too_large());
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let problem =
                Problem::new(422, "invalid-utf8", "the text is not UTF-8 from here on").hint("save the file in UTF-8");
            return refuse(&before, problem);
        }
    };
    // YAML 1.2.2, 5.1. A reader that took NUL for the end would hide what comes after it.
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    if let Some((at, c)) = text.char_indices().find(|(_, c)| control(*c)) {
        let detail = format!("there is a control character ({}) in the text", c.escape_unicode());
        let hint = "remove it; in double quotes write it as an escape, such as \"\\x1b\"";
        return refuse(&text[..at], Problem::new(422, "control-character", detail).hint(hint));
    }
    // Some editors empty a file before they write it: that is not a wish to delete what it defined.
    if text.trim().is_empty() {
        let problem = Problem::new(422, "empty-file", "there is nothing in the file")
            .hint("delete the file if its objects are not wanted any more");
        return refuse("", problem);
    }
    Ok(text)
}

/// Why a file of more than [`MAX_FILE_BYTES`] is not read.
#[must_use]
pub fn too_large() -> Problem {
    Problem::new(422, "too-large", format!("the file is larger than {MAX_FILE_BYTES} bytes"))
        .hint("spread the documents over several files")
}

/// The place after a text. Lines end as YAML's do: with a line feed, a carriage return, or both.
pub(super) fn end_of(text: &str) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = text.matches(['\n', '\r']).count() - text.matches("\r\n").count() + 1;
    let column = text.rsplit(['\n', '\r']).next().unwrap_or_default().chars().count() + 1;
    Place { line: number(line), column: number(column), length: 1 }
}
