//! Text of somebody else in our own: errors are read in terminals and logs.

/// The most characters that are shown.
const MOST: usize = 80;

/// The first characters of a text. What is not printed, a line feed, and what turns the direction of writing is escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut start = String::new();
    for character in text.chars().take(MOST) {
        match character {
            // Printed, and part of paths.
            '\'' | '"' => start.push(character),
            other => start.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(MOST).is_some() {
        start.push_str("...");
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_or_that_fills_a_log_is_shown() {
        assert_eq!(shown("\u{1b}[2J\n\u{202e}x"), "\\u{1b}[2J\\n\\u{202e}x");
        assert_eq!(shown("m/44'/60'"), "m/44'/60'");
        assert_eq!(shown(&"a".repeat(MOST)), "a".repeat(MOST));
        assert_eq!(shown(&"a".repeat(MOST + 1)), "a".repeat(MOST) + "...");
    }
}
