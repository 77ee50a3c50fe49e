//! Problems for a terminal: what, where with the lines around it, and what would make it pass.

use std::fmt::Write as _;

use crate::problem::Problem;

/// Renders problems as compilers do. `source` gives the text of a file, if it is at hand.
#[must_use]
pub fn render(problems: &[Problem], color: bool, source: &dyn Fn(&std::path::Path) -> Option<String>) -> String {
    let mut out = String::new();
    for problem in problems {
        render_one(&mut out, problem, color, source);
        for inner in &problem.errors {
            render_one(&mut out, inner, color, source);
        }
    }
    out
}

fn render_one(out: &mut String, problem: &Problem, color: bool, source: &dyn Fn(&std::path::Path) -> Option<String>) {
    let paint = |text: &str, code: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let (red, blue, green) = ("1;31", "1;34", "1;32");
    let _ = write!(out, "{}{} ", paint("error", red), paint(&format!("[{}]:", problem.code), red));
    if let Some(field) = &problem.field {
        let _ = write!(out, "{}: ", paint(&visible(field), "1"));
    }
    let _ = writeln!(out, "{}", visible(&problem.detail));
    if let Some(at) = &problem.source {
        let width = (at.line + 1).to_string().len();
        let _ = writeln!(out, "{:width$}{} {}", "", paint("-->", blue), visible(&at.to_string()));
        let text = source(&at.file);
        let lines: Vec<&str> = text.as_deref().map(|t| t.lines().collect()).unwrap_or_default();
        let first = at.line.saturating_sub(1).max(1);
        if (at.line as usize) <= lines.len() {
            let bar = paint("|", blue);
            let _ = writeln!(out, "{:width$} {bar}", "");
            for number in first..=at.line {
                let line = clip(lines[number as usize - 1]);
                let _ = writeln!(out, "{} {bar} {line}", paint(&format!("{number:>width$}"), blue));
            }
            let line = lines[at.line as usize - 1];
            let column = at.column as usize;
            let word = line.chars().skip(column - 1).take_while(|c| !c.is_whitespace() && !",:]}".contains(*c)).count();
            let pad: String = line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            if column <= 160 {
                let _ = writeln!(out, "{:width$} {bar} {pad}{}", "", paint(&"^".repeat(word.clamp(1, 80)), red));
            }
        }
    }
    if let Some(hint) = &problem.hint {
        let width = problem.source.as_ref().map_or(0, |at| (at.line + 1).to_string().len());
        let _ = writeln!(out, "{:width$} {} {}", "", paint("= hint:", green), visible(hint));
    }
    out.push('\n');
}

/// A text as a terminal may have it: what others wrote (names of files, the words of a program that failed) does not
/// steer it. Control characters keep their column and do nothing; lines and tabulators stay.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\t' | '\n') { '\u{fffd}' } else { c }).collect()
}

/// The beginning of a line.
fn clip(line: &str) -> String {
    let line = visible(line);
    if line.chars().count() <= 160 { line } else { line.chars().take(159).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use crate::{document::read, problem::Problem};

    fn shown(text: &str) -> String {
        let documents = read("web.yaml".as_ref(), text.as_bytes());
        let problems: Vec<_> = documents.into_iter().filter_map(|d| d.result.err()).flat_map(|r| r.problems).collect();
        super::render(&problems, false, &|_| Some(text.to_owned()))
    }

    #[test]
    fn a_misspelt_field_is_shown_where_it_stands() {
        insta::assert_snapshot!(shown(
            "apiVersion: os.moda/v1\nkind: App\nmetadata:\n  name: web\nspec:\n  command: [/usr/bin/python3]\n  enviroment:\n    PORT: 8080\n"
        ));
    }

    #[test]
    fn every_mistake_of_a_document_is_shown_at_once() {
        insta::assert_snapshot!(shown(
            "apiVersion: os.moda/v1\nkind: App\nmetadata:\n  name: Web\nspec:\n  command: /usr/bin/python3\n  environment:\n    PORT: 8080\n  resources: {memory: 64MB}\n  health:\n    - probe: {type: htp, url: 'http://127.0.0.1'}\n    - probe: {type: tcp, prot: 80}\n      interval: 5\n  restart: {policy: allways}\n"
        ));
    }

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        let problem = Problem::new(422, "bad", "a\u{1b}[2Jb\rc").hint("\u{9b}31m").field("x\u{7}");
        let text = super::render(&[problem], false, &|_| None);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn yaml_that_is_none_is_shown_with_its_line() {
        insta::assert_snapshot!(shown("apiVersion: os.moda/v1\nkind: App\nmetadata: {name: web\nspec: {}\n"));
    }
}
