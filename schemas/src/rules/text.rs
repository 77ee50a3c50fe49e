//! Checks of texts that end up in unit files, paths and addresses.

use super::Violation;

/// Collects violations of one object.
#[derive(Debug, Default)]
pub(super) struct Checker {
    pub violations: Vec<Violation>,
}

impl Checker {
    pub fn add(&mut self, rule: &'static str, field: impl Into<String>, detail: impl Into<String>, hint: &str) {
        self.violations.push(Violation::new(rule, field, detail, hint));
    }

    /// Text that goes into a unit file: one line, no control characters, no NUL.
    pub fn line(&mut self, field: &str, text: &str) {
        if text.chars().any(|c| c.is_control() && c != '\t') {
            self.add(
                "control-character",
                field,
                "there is a control character in it",
                "keep it on one line of plain text",
            );
        }
    }

    /// An absolute path without `.`, `..` or empty components.
    pub fn absolute_path(&mut self, field: &str, path: &str) {
        self.line(field, path);
        let plain =
            path == "/" || path.strip_prefix('/').is_some_and(|p| p.split('/').all(|c| !matches!(c, "" | "." | "..")));
        if !plain {
            self.add(
                "absolute-path",
                field,
                format!("`{path}` is not a plain absolute path"),
                "start with `/` and leave out `.`, `..` and double slashes",
            );
        }
        if path.contains([':', ' ']) {
            self.add(
                "absolute-path",
                field,
                format!("`{path}` contains a colon or a space"),
                "systemd cannot take such paths in lists; use another name",
            );
        }
    }

    /// A relative path that cannot leave its folder.
    pub fn relative_path(&mut self, field: &str, path: &str) {
        self.line(field, path);
        if path.is_empty() || path.len() > 512 || path.split('/').any(|c| matches!(c, "" | "." | "..")) {
            self.add(
                "path-traversal",
                field,
                format!("`{path}` is not a plain relative path"),
                "leave out a leading `/`, `.`, `..` and double slashes",
            );
        }
    }

    /// A program and its arguments: no shell finds it, so it has to be a path.
    pub fn command(&mut self, field: &str, command: &[String], package: bool) {
        let Some(program) = command.first() else { return };
        if program.starts_with('/') {
            self.absolute_path(&format!("{field}[0]"), program);
        } else if package {
            self.relative_path(&format!("{field}[0]"), program);
        } else {
            let hint = format!("write the whole path, such as `/usr/bin/{program}`; there is no shell and no PATH");
            self.add("absolute-command", format!("{field}[0]"), format!("`{program}` is not an absolute path"), &hint);
        }
        for (i, word) in command.iter().enumerate() {
            if word.contains('\0') {
                self.add(
                    "control-character",
                    format!("{field}[{i}]"),
                    "there is a NUL in it",
                    "arguments cannot contain NUL",
                );
            }
        }
    }

    /// A unit name with a suffix that systemd knows.
    pub fn unit(&mut self, field: &str, unit: &str) {
        const SUFFIXES: [&str; 9] =
            [".service", ".socket", ".timer", ".mount", ".target", ".path", ".slice", ".scope", ".device"];
        let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
        if !SUFFIXES.iter().any(|s| unit.len() > s.len() && unit.ends_with(s))
            || !unit.bytes().all(plain)
            || unit.len() > 255
        {
            self.add(
                "unit-name",
                field,
                format!("`{unit}` is not a unit name"),
                "write the whole name, such as `nginx.service`",
            );
        }
    }

    /// A regular expression.
    pub fn regex(&mut self, field: &str, pattern: &str) {
        if let Err(error) = super::regular_expression(pattern) {
            self.add(
                "regular-expression",
                field,
                format!("it does not compile: {error}"),
                "see the syntax of Rust's regex-lite; large repetitions make it too large",
            );
        }
    }

    /// A URL that the probing client can ask: `http://host[:port][/path]`.
    pub fn http_url(&mut self, field: &str, url: &str) {
        let valid = url.parse::<http::Uri>().ok().is_some_and(|u| {
            u.host().is_some_and(|h| !h.is_empty())
                && u.port().is_none_or(|p| p.as_str().parse::<u16>().is_ok_and(|p| p > 0))
        });
        if !valid {
            self.add("http-url", field, format!("`{url}` is not a URL"), "such as `http://127.0.0.1:8080/health`");
        }
    }
}
