//! The text of a unit file (systemd.syntax(7)): sections, keys, and values that mean what they say.

use crate::fragment::RenderError;

/// A unit file in the making. Keys stay in the order in which they were added.
///
/// It is the last gate before systemd: a value that would end its line, or go on in the next one, spoils the whole unit.
#[derive(Clone, Debug, Default)]
pub struct UnitText {
    text: String,
    spoilt: Option<String>,
}

impl UnitText {
    /// Begins a section.
    pub fn section(&mut self, name: &str) -> &mut Self {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&format!("[{name}]\n"));
        self
    }

    /// Adds a setting whose value is written in systemd's own syntax already.
    pub fn set(&mut self, key: &str, value: impl AsRef<str>) -> &mut Self {
        let value = value.as_ref();
        if value.chars().any(|c| c.is_control() && c != '\t') || value.ends_with('\\') {
            self.spoilt.get_or_insert_with(|| key.to_owned());
        }
        self.text.push_str(key);
        self.text.push('=');
        self.text.push_str(value);
        self.text.push('\n');
        self
    }

    /// Adds several settings.
    pub fn set_all(&mut self, settings: &[(&str, &str)]) -> &mut Self {
        for (key, value) in settings {
            self.set(key, value);
        }
        self
    }

    /// The text.
    ///
    /// # Errors
    /// When a value holds a control character or ends with a backslash.
    pub fn finish(self) -> Result<String, RenderError> {
        match self.spoilt {
            None => Ok(self.text),
            Some(key) => Err(RenderError::Field {
                field: "spec".to_owned(),
                reason: format!("what is written to `{key}=` has a control character in it, or a backslash at its end"),
            }),
        }
    }
}

/// Text in which `%` means `%`.
#[must_use]
pub fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word in quotes: whatever is in it reaches the other side.
pub(super) fn quoted(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for c in word.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '%' => out.push_str("%%"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("\\x{byte:02x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A command line of `Exec*=`. Words reach the program as they are: `$` is not replaced, but for a word that is exactly
/// `$MAINPID`.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    let expand = words.iter().any(|word| word == "$MAINPID");
    let plain = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.,:=@+".contains(&b));
    let write = |word: &String| match word.as_str() {
        "$MAINPID" => word.clone(),
        w if plain(w) => w.to_owned(),
        w if expand => quoted(w).replace('$', "$$"),
        w => quoted(w),
    };
    let prefix = if expand { "" } else { ":" };
    format!("{prefix}{}", words.iter().map(write).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_its_line() {
        for value in ["x\nExecStartPre=+/bin/sh", "x\r", "x\\", "\u{85}x"] {
            let mut unit = UnitText::default();
            unit.section("Unit").set("Description", value).set("After", "a.service");
            let error = unit.finish().unwrap_err().to_string();
            assert!(error.contains("`Description=`"), "{value:?}: {error}");
        }
    }

    #[test]
    fn words_are_quoted_only_when_they_need_it() {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(command_line(&words(&["/bin/a", "-x", "b=c"])), ":/bin/a -x b=c");
        assert_eq!(
            command_line(&words(&["/bin/sh", "-c", "echo \"$1\" 100% \\ \n;"])),
            ":/bin/sh -c \"echo \\\"$1\\\" 100%% \\\\ \\n;\""
        );
        assert_eq!(command_line(&words(&["/bin/kill", "-HUP", "$MAINPID", "a$b"])), "/bin/kill -HUP $MAINPID \"a$$b\"");
        assert_eq!(command_line(&words(&["/bin/a", ""])), ":/bin/a \"\"");
    }
}
