//! An explanation for a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Explanation, Field, shape::plain};

/// Columns that text is wrapped to.
const WIDTH: usize = 100;

/// Renders an explanation as lines of at most 100 columns, apart from what cannot be wrapped.
#[must_use]
pub fn render(explanation: &Explanation, color: bool) -> String {
    let pen = Pen { color };
    let mut out = format!("{}  {}", pen.bold(&explanation.path), pen.cyan(&explanation.type_name));
    let is_kind = !explanation.path.contains('.');
    out += &pen.traits(explanation.required && !is_kind, explanation.default.as_ref());
    out.push('\n');
    for paragraph in explanation.description.split("\n\n") {
        out.push('\n');
        wrapped(&mut out, paragraph, 2);
    }
    if let Some(default) = explanation.default.as_ref().filter(|default| is_long(default)) {
        out.push('\n');
        wrapped(&mut out, &format!("Default: {}", plain(default)), 2);
    }
    if !explanation.only_with.is_empty() {
        let tags: Vec<String> = explanation.only_with.iter().map(|tag| format!("`type: {tag}`")).collect();
        let _ = write!(out, "\n  {} {}\n", pen.dim("only with"), tags.join(", "));
    }
    if let Some(limits) = &explanation.limits {
        let _ = write!(out, "\n  {} {limits}\n", pen.dim("takes"));
    }
    if !explanation.fields.is_empty() {
        let _ = write!(out, "\n{}\n", pen.bold("FIELDS"));
        fields(&mut out, &explanation.fields, 2, pen);
    }
    variants(&mut out, explanation, pen);
    if let Some(example) = explanation.example {
        let _ = write!(out, "\n{}\n", pen.bold("EXAMPLE"));
        for line in example.lines() {
            let line = if line.trim_start().starts_with('#') { pen.dim(line) } else { line.to_owned() };
            let _ = writeln!(out, "{}", format!("  {line}").trim_end());
        }
    }
    if !explanation.fields.is_empty() {
        let field = if is_kind { "spec" } else { "<field>" };
        let more = format!("More about a field: osmoda explain {}.{field}", explanation.path);
        let _ = write!(out, "\n{}\n", pen.dim(&more));
    }
    out
}

fn variants(out: &mut String, explanation: &Explanation, pen: Pen) {
    let tagged = explanation.variants.iter().any(|variant| !variant.fields.is_empty());
    if !explanation.variants.is_empty() {
        let title = if tagged { "ONE OF, BY ITS TYPE" } else { "ONE OF" };
        let _ = write!(out, "\n{}\n", pen.bold(title));
    }
    let width = explanation.variants.iter().map(|variant| variant.name.len()).max().unwrap_or_default();
    for (i, variant) in explanation.variants.iter().enumerate() {
        if !tagged {
            let _ = write!(out, "  {}", pen.cyan(&format!("{:width$}", variant.name)));
            hanging(out, &variant.description, width + 4);
            continue;
        }
        if i > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "  type: {}", pen.cyan(&variant.name));
        wrapped(out, &variant.description, 4);
        fields(out, &variant.fields, 4, pen);
    }
}

fn fields(out: &mut String, fields: &[Field], indent: usize, pen: Pen) {
    let width = fields.iter().map(|field| field.name.len()).max().unwrap_or_default();
    for field in fields {
        let _ = write!(out, "{:indent$}{}  ", "", pen.bold(&format!("{:width$}", field.name)));
        out.push_str(&pen.cyan(&field.type_name));
        out.push_str(&pen.traits(field.required, field.default.as_ref()));
        out.push('\n');
        let mut description = field.description.clone();
        if let Some(default) = field.default.as_ref().filter(|default| is_long(default)) {
            let _ = write!(description, " Default: {}", plain(default));
        }
        wrapped(out, &description, indent + width + 2);
    }
}

/// Whether a default needs lines of its own.
fn is_long(default: &Value) -> bool {
    plain(default).len() > 32
}

/// Text in lines that begin at a column.
fn wrapped(out: &mut String, text: &str, indent: usize) {
    if !text.is_empty() {
        let _ = write!(out, "{:1$}", "", indent - 2);
        hanging(out, text, indent);
    }
}

/// Text that begins two columns on from where the line is; its other lines begin at a column.
fn hanging(out: &mut String, text: &str, indent: usize) {
    let mut column = indent;
    out.push_str(if text.is_empty() { "" } else { "  " });
    for (i, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if i > 0 && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if i > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Pen {
    color: bool,
}

impl Pen {
    fn paint(self, text: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn cyan(self, text: &str) -> String {
        self.paint(text, "36")
    }

    fn dim(self, text: &str) -> String {
        self.paint(text, "2")
    }

    fn traits(self, required: bool, default: Option<&Value>) -> String {
        match default {
            _ if required => format!("  {}", self.paint("required", "33")),
            Some(value) if !is_long(value) => format!("  {}", self.dim(&format!("default {}", plain(value)))),
            _ => String::new(),
        }
    }
}
