//! Does a command say what the page says it does?

/// Compares what a command wrote with what the page says. Runs of spaces count as one space, for columns are as wide as
/// what is in them; `...` in a line stands for any text, and as a whole line for any lines.
///
/// # Errors
/// The number of the first line of the page that does not hold; `None` when the command says more than the page.
pub fn compare(expected: &[(usize, String)], actual: &str) -> Result<(), Option<usize>> {
    let actual: Vec<String> = actual.lines().map(squeeze).collect();
    // Which of the lines that were written may come next; before the first one of the page that is the first one.
    let mut next = vec![0];
    for (number, pattern) in expected {
        let pattern = squeeze(pattern);
        next = if pattern == "..." {
            (next.first().copied().unwrap_or_default()..=actual.len()).collect()
        } else {
            let holds = |at: &usize| actual.get(*at).is_some_and(|line| matches(&pattern, line));
            next.into_iter().filter(holds).map(|at| at + 1).collect()
        };
        if next.is_empty() {
            return Err(Some(*number));
        }
    }
    if next.contains(&actual.len()) { Ok(()) } else { Err(None) }
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `...` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("...");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expected: &[&str], actual: &str) -> Result<(), Option<usize>> {
        let expected: Vec<(usize, String)> = expected.iter().zip(1..).map(|(l, n)| (n, (*l).to_owned())).collect();
        compare(&expected, actual)
    }

    #[test]
    fn the_same_words_are_the_same_whatever_the_columns() {
        assert_eq!(told(&["STATE  GEN", "committed  1"], "STATE      GEN\ncommitted  1  \n"), Ok(()));
        assert_eq!(told(&[], ""), Ok(()));
        assert_eq!(told(&["a", "b"], "a\nc\n"), Err(Some(2)));
        assert_eq!(told(&["a", "b"], "a\n"), Err(Some(2)));
        assert_eq!(told(&["a"], "a\nb\n"), Err(None));
        assert_eq!(told(&[], "a\n"), Err(None));
        assert_eq!(told(&["a b"], "ab\n"), Err(Some(1)));
    }

    #[test]
    fn three_dots_stand_for_any_text() {
        for (pattern, line, expected) in [
            ("committed as generation ... in ... s", "committed as generation 12 in 3.4 s", true),
            ("committed as generation ... in ... s", "committed as generation 12", false),
            ("... s", "3 s", true),
            ("a...", "a", true),
            ("a...a", "a", false),
            ("a...b...c", "a-b-b-c", true),
            ("a...b", "a-b-c", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, line), expected, "{pattern:?} {line:?}");
        }
    }

    #[test]
    fn three_dots_alone_stand_for_any_lines() {
        assert_eq!(told(&["...", "b", "..."], "a\na\nb\n"), Ok(()));
        assert_eq!(told(&["a", "...", "b"], "a\nb\nc\nb\n"), Ok(()));
        assert_eq!(told(&["a", "..."], "a\n"), Ok(()));
        assert_eq!(told(&["...", "b", "c"], "b\nb\nc\n"), Ok(()));
        assert_eq!(told(&["...", "b", "c"], "b\nb\n"), Err(Some(3)));
        assert_eq!(told(&["...", "c"], "a\nb\n"), Err(Some(2)));
    }
}
