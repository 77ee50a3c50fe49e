//! Unit files as data (systemd.syntax(7)).

use std::collections::BTreeMap;

/// A unit file: by section and key all values, in order. An empty assignment clears those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFile {
    sections: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl UnitFile {
    /// Reads the text of a unit file. Lines that are no assignment are passed over, as systemd does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut file = Self::default();
        file.merge(text);
        file
    }

    /// Adds the text of a drop-in.
    pub fn merge(&mut self, text: &str) {
        let mut section = String::new();
        let mut pending = String::new();
        for line in text.lines() {
            let trimmed = line.trim_start();
            if trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(start) = trimmed.trim_end().strip_suffix('\\') {
                pending.push_str(start);
                pending.push(' ');
                continue;
            }
            let whole = std::mem::take(&mut pending) + trimmed.trim_end();
            if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
                continue;
            }
            let Some((key, value)) = whole.split_once('=') else { continue };
            let values = self.sections.entry(section.clone()).or_default().entry(key.trim().to_owned()).or_default();
            match value.trim() {
                "" => values.clear(),
                value => values.push(value.to_owned()),
            }
        }
    }

    /// All values of a key, in order.
    #[must_use]
    pub fn values(&self, section: &str, key: &str) -> &[String] {
        self.sections.get(section).and_then(|s| s.get(key)).map_or(&[], Vec::as_slice)
    }

    /// The last value of a key that is a boolean (systemd.syntax(7)).
    #[must_use]
    pub fn bool(&self, section: &str, key: &str) -> Option<bool> {
        match self.values(section, key).last()?.to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
            "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
            _ => None,
        }
    }

    /// Every section and key with its values, leaving out keys with none.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        let keys = self
            .sections
            .iter()
            .flat_map(|(s, keys)| keys.iter().map(move |(k, v)| (s.as_str(), k.as_str(), v.as_slice())));
        keys.filter(|(_, _, values)| !values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_add_up_and_an_empty_one_clears() {
        let file = UnitFile::parse(
            "[Service]\nExecStartPre=/a\nExecStartPre=\nExecStartPre = /b\n# c\nExecStart=/x \\\n  y\n",
        );
        assert_eq!(file.values("Service", "ExecStartPre"), ["/b"]);
        assert_eq!(file.values("Service", "ExecStart"), ["/x  y"]);
    }

    #[test]
    fn a_drop_in_adds_to_its_unit() {
        let mut file = UnitFile::parse("[Unit]\nX-StopOnRemoval=yes\n[Service]\nUser=a\n");
        file.merge("[Service]\nUser=b\n[Unit]\nX-StopOnRemoval=off\n");
        assert_eq!(file.values("Service", "User").last().unwrap(), "b");
        assert_eq!(file.bool("Unit", "X-StopOnRemoval"), Some(false));
    }
}
