//! The one printer: tables for people, JSON and YAML for programs.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use osmoda_schemas::diagnostics::visible;
use serde::Serialize;

use crate::args::{Color, Output};

/// Prints answers in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    output: Output,
    /// Colour on standard output.
    pub color: bool,
    /// Colour on standard error.
    pub color_errors: bool,
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Good news.
    Good,
    /// Something to look at.
    Warning,
    /// Bad news.
    Bad,
    /// Not important.
    Dim,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl Cell {
    /// A cell with a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: visible(&text.into()), tone }
    }
}

impl Printer {
    /// A printer for this process's standard streams.
    #[must_use]
    pub fn new(output: Output, color: Color) -> Self {
        let auto = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let wants = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => auto && terminal,
        };
        Self { output, color: wants(io::stdout().is_terminal()), color_errors: wants(io::stderr().is_terminal()) }
    }

    /// The form that was asked for.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output
    }

    /// Prints a text as it is.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn raw(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// True when the answer is for people.
    #[must_use]
    pub fn for_people(&self) -> bool {
        self.output == Output::Table
    }

    /// Prints a value as JSON or YAML, or for people as `table` says.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print<T: Serialize>(&self, value: &T, table: impl FnOnce(&Self) -> String) -> io::Result<()> {
        let text = match self.output {
            Output::Table => table(self),
            Output::Json => serde_json::to_string_pretty(value).map_err(io::Error::other)? + "\n",
            Output::Yaml => serde_saphyr::to_string(value).map_err(io::Error::other)?,
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Text in a tone.
    #[must_use]
    pub fn paint(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            _ if !self.color => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Rows under headers, as wide as their widest cell; the last column is never padded.
    #[must_use]
    pub fn table(&self, headers: &[&str], rows: &[Vec<Cell>]) -> String {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
            cells.max().unwrap_or(0).max(headers[column].len())
        };
        let widths: Vec<usize> = (0..headers.len()).map(width).collect();
        let mut text = String::new();
        let header: Vec<Cell> = headers.iter().map(|h| Cell::toned(*h, Tone::Dim)).collect();
        for row in std::iter::once(&header).chain(rows) {
            for (column, cell) in row.iter().enumerate() {
                let last = column + 1 == row.len();
                let pad = if last { 0 } else { widths[column] - cell.text.chars().count() + 2 };
                let _ = write!(text, "{}{:pad$}", self.paint(&cell.text, cell.tone), "");
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_the_last_one_is_not_padded() {
        let printer = Printer { output: Output::Table, color: false, color_errors: false };
        let rows = [vec!["App/web".into(), "ok".into()], vec!["App/a".into(), Cell::toned("failed", Tone::Bad)]];
        assert_eq!(printer.table(&["OBJECT", "STATE"], &rows), "OBJECT   STATE\nApp/web  ok\nApp/a    failed\n");
    }

    #[test]
    fn colour_does_not_move_columns() {
        let printer = Printer { output: Output::Table, color: true, color_errors: false };
        let text = printer.table(&["A", "B"], &[vec![Cell::toned("x", Tone::Good), "y".into()]]);
        assert_eq!(text, "\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m\n\x1b[32mx\x1b[0m  y\n");
    }
}
