//! Nix's errors, shortened to what matters: without traces, excerpts of other people's Nix code and consequences.

/// Lines that an error keeps.
const LINES: usize = 20;
/// Errors that only follow from another one.
const CONSEQUENCES: [&str; 4] =
    ["dependencies of derivation", "dependency of derivation", "Cannot build", "some errors were encountered"];

/// What matters of what Nix printed.
pub(super) fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    // With a trace the error itself comes last (Nix 2.20 and later); what follows from it may come after it.
    let is_error = |line: &str| {
        let words = line.trim_start().strip_prefix("error:").map(str::trim);
        words.is_some_and(|words| !words.is_empty() && !CONSEQUENCES.iter().any(|c| words.contains(c)))
    };
    let Some(begin) = lines.iter().rposition(|line| is_error(line)) else {
        let words: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        return words[words.len().saturating_sub(3)..].join("\n");
    };
    let mut kept = Vec::new();
    let mut in_excerpt = false;
    for line in &lines[begin..] {
        let words = line.trim_start();
        if !kept.is_empty() && words.starts_with("error:") {
            break;
        }
        if words.starts_with("at ") && words.ends_with(':') {
            in_excerpt = true;
        } else if in_excerpt && (words.is_empty() || is_code(words)) {
        } else if words.starts_with('…')
            || words.starts_with("(use '--show-trace'")
            || words.starts_with("For full logs")
        {
            in_excerpt = false;
        } else if !(words.is_empty() && kept.last().is_none_or(|last: &&str| last.is_empty())) {
            in_excerpt = false;
            kept.push(*line);
        }
    }
    while kept.last().is_some_and(|line| line.is_empty()) {
        kept.pop();
    }
    let first = kept[0].trim_start().trim_start_matches("error:").trim();
    let indent = |line: &&&str| line.len() - line.trim_start().len();
    let common = kept[1..].iter().filter(|line| !line.is_empty()).map(|line| indent(&line)).min().unwrap_or(0);
    let rest = kept[1..].iter().map(|line| line.get(common..).unwrap_or_default());
    [first].into_iter().chain(rest).take(LINES).collect::<Vec<_>>().join("\n")
}

/// A line of an excerpt: `12|   code`, or `  |   ^`.
fn is_code(words: &str) -> bool {
    words.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_stays_and_the_way_to_it_goes() {
        let old = "warning: something\nerror: The option `services.postgersql' does not exist. Definition values:\n       \
                   - In `NixosConfig/pg':\n           {\n             enable = true;\n           }\n(use '--show-trace' to \
                   show detailed location information)\n";
        assert_eq!(
            shortened(old),
            "The option `services.postgersql' does not exist. Definition values:\n- In `NixosConfig/pg':\n    {\n      \
             enable = true;\n    }"
        );
        let new = "error:\n       … while calling the 'head' builtin\n         at /nix/store/x/lib/attrsets.nix:1:2:\n          \
                   11|   a\n            |   ^\n\n       (stack trace truncated; use '--show-trace' to show the full trace)\n\n       \
                   error: A definition for option `a.b' is not of type `boolean'. Definition values:\n       - In \
                   `NixosConfig/x': 3\n";
        assert_eq!(
            shortened(new),
            "A definition for option `a.b' is not of type `boolean'. Definition values:\n- In `NixosConfig/x': 3"
        );
        let code = "error: attribute 'x' missing\n\n       at /etc/nixos/a.nix:5:3:\n\n            4|\n            5|   y.x\n             |   ^\n            6|\n";
        assert_eq!(shortened(code), "attribute 'x' missing");
    }

    #[test]
    fn a_builder_that_fails_is_named_with_its_last_words() {
        let text = "building '/nix/store/a.drv'...\nerror: builder for '/nix/store/a.drv' failed with exit code 1;\n       \
                    last 2 log lines:\n       > cc: no such file\n       > make: failed\n       For full logs, run 'nix log \
                    /nix/store/a.drv'.\nerror: 1 dependencies of derivation '/nix/store/b.drv' failed to build\n";
        assert_eq!(
            shortened(text),
            "builder for '/nix/store/a.drv' failed with exit code 1;\nlast 2 log lines:\n> cc: no such file\n> make: failed"
        );
        assert_eq!(shortened("no such thing\n"), "no such thing");
        assert_eq!(shortened(""), "");
    }
}
