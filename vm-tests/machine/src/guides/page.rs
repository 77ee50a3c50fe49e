//! A guide's page: the files and commands in it, in the order in which a reader meets them.

use anyhow::{Result, bail, ensure};

/// What a reader does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the page, from 1.
    pub line: usize,
    /// What it says there.
    pub action: Action,
}

/// One thing that a reader does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Saves a block as the file that its first line names.
    Save {
        /// Absolute.
        path: String,
        /// The whole block.
        text: String,
    },
    /// Types a command.
    Type(Command),
}

/// A command, and what the page says that it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Typed at root's prompt, not at the user's.
    pub as_root: bool,
    /// For a shell.
    pub words: String,
    /// Lines with their numbers; `...` stands for anything.
    pub output: Vec<(usize, String)>,
    /// Its exit status.
    pub ends_with: i32,
    /// It is typed again until it says so: what it shows takes a moment.
    pub soon: bool,
}

/// Reads a page.
///
/// Every fenced block has to be one that is carried out, or `text`, which is only shown: a block that nobody tests would
/// be a promise that nobody keeps.
///
/// # Errors
/// A block that is none of these, with its line.
pub fn read(page: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut lines = page.lines().enumerate().map(|(i, line)| (i + 1, line));
    while let Some((start, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            ensure!(!line.trim_start().starts_with("```"), "{start}: a block begins at the beginning of its line");
            continue;
        };
        let mut block = Vec::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some(line) => block.push(line),
                None => bail!("{start}: the block has no end"),
            }
        }
        match info.split_whitespace().collect::<Vec<_>>()[..] {
            ["text"] => {}
            ["console"] => steps.extend(commands(&block, false)?),
            ["console", "soon"] => steps.extend(commands(&block, true)?),
            [_] => steps.push(Step { line: start, action: file(start, &block)? }),
            _ => bail!("{start}: a block of {info:?} is not known here"),
        }
    }
    Ok(steps)
}

fn file(start: usize, block: &[(usize, &str)]) -> Result<Action> {
    let path = block.first().and_then(|(_, line)| line.strip_prefix("# "));
    let Some(path) = path.filter(|path| path.starts_with('/') && !path.contains(char::is_whitespace)) else {
        bail!("{start}: the first line of a file is a comment with its path, such as `# /etc/osmoda/agentd.yaml`");
    };
    let text = block.iter().flat_map(|(_, line)| [line, "\n"]).collect();
    Ok(Action::Save { path: path.to_owned(), text })
}

fn commands(block: &[(usize, &str)], soon: bool) -> Result<Vec<Step>> {
    let mut steps: Vec<(usize, Command)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in block {
        let prompt = line.strip_prefix("# ").map(|words| (true, words));
        let prompt = prompt.or_else(|| line.strip_prefix("$ ").map(|words| (false, words)));
        match (prompt, steps.last_mut()) {
            (_, Some((_, command))) if goes_on => {
                command.words += "\n";
                command.words += line;
            }
            (Some((as_root, words)), _) => {
                let command = Command { as_root, words: words.to_owned(), output: Vec::new(), ends_with: 0, soon };
                steps.push((*number, command));
            }
            (None, Some((_, command))) => {
                match line.strip_prefix("(ends with ").and_then(|rest| rest.strip_suffix(')')) {
                    Some(status) => command.ends_with = status.parse()?,
                    None => command.output.push((*number, (*line).to_owned())),
                }
                continue;
            }
            (None, None) => bail!("{number}: a block of commands begins with a prompt, `# ` or `$ `"),
        }
        goes_on = line.ends_with('\\');
    }
    ensure!(!goes_on, "{}: the command goes on after the end of its block", block.last().map_or(0, |(n, _)| *n));
    Ok(steps.into_iter().map(|(line, command)| Step { line, action: Action::Type(command) }).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn typed(words: &str, output: &[(usize, &str)]) -> Command {
        let output = output.iter().map(|(n, line)| (*n, (*line).to_owned())).collect();
        Command { as_root: true, words: words.to_owned(), output, ends_with: 0, soon: false }
    }

    #[test]
    fn files_and_commands_come_in_their_order() {
        let page = "# A guide\n\nWrite:\n\n```yaml\n# /etc/a.yaml\nkind: App\n\n```\n\n```text\nno step\n```\n\n\
                    ```console\n# osmoda status\nidle\n  objects ...\n$ id\n```\n";
        let steps = read(page).unwrap();
        assert_eq!(steps[0].line, 5);
        let Action::Save { path, text } = &steps[0].action else { panic!("{steps:?}") };
        assert_eq!((path.as_str(), text.as_str()), ("/etc/a.yaml", "# /etc/a.yaml\nkind: App\n\n"));
        assert_eq!(steps[1].action, Action::Type(typed("osmoda status", &[(17, "idle"), (18, "  objects ...")])));
        assert_eq!(steps[2].action, Action::Type(Command { as_root: false, ..typed("id", &[]) }));
        assert_eq!((steps[1].line, steps[2].line, steps.len()), (16, 19, 3));
    }

    #[test]
    fn a_command_may_take_several_lines_end_badly_and_take_a_moment() {
        let page = "```console soon\n# osmoda apply \\\n  --wait\nrolled back ...\n(ends with 3)\n```\n";
        let command = typed("osmoda apply \\\n  --wait", &[(4, "rolled back ...")]);
        let expected = Action::Type(Command { ends_with: 3, soon: true, ..command });
        assert_eq!(read(page).unwrap(), [Step { line: 2, action: expected }]);
    }

    #[test]
    fn a_comment_of_the_output_is_told_from_a_prompt_by_its_space() {
        let steps = read("```console\n# cat a\n#no prompt\n```\n").unwrap();
        assert_eq!(steps[0].action, Action::Type(typed("cat a", &[(3, "#no prompt")])));
    }

    #[test]
    fn what_would_not_be_tested_is_refused_with_its_line() {
        for (page, line) in [
            ("text\n```yaml\nkind: App\n```\n", "2:"),
            ("```yaml\n# see /etc/a.yaml\n```\n", "1:"),
            ("```\n# id\n```\n", "1:"),
            ("```console later\n# id\n```\n", "1:"),
            ("```console\nuid=0\n```\n", "2:"),
            ("```console\n# id \\\n```\n", "2:"),
            ("```console\n# id\n", "1:"),
            ("- a list\n  ```console\n  # id\n  ```\n", "2:"),
        ] {
            let error = read(page).unwrap_err().to_string();
            assert!(error.starts_with(line), "{page:?}: {error}");
        }
    }
}
