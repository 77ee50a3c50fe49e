//! NixOS: where the operator's own system is described, and paths of its options.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{problem::Problem, quantity::Duration};

/// The system that documents become a part of (backend `nixos`). Exactly one of `flake`, `configuration` and `system`
/// says where it is described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct NixosSystem {
    /// A flake with the system's name: `/etc/nixos#host`. Without a name that of the machine is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flake: Option<String>,
    /// A NixOS module, as `/etc/nixos/configuration.nix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// Any Nix file whose value is an evaluated system: a set with `config`, `options` and `extendModules`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The nixpkgs that `configuration` is evaluated with. Default: `<nixpkgs>` of root's channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nixpkgs: Option<String>,
    /// Beginnings of the options that NixosConfig documents may set, such as `services.postgresql`. Default: root's
    /// documents may set all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_options: Option<Vec<String>>,
    /// Longest time that the build of a system may take, its evaluation included.
    pub build_timeout: Duration,
}

impl Default for NixosSystem {
    fn default() -> Self {
        Self {
            flake: None,
            configuration: None,
            system: None,
            nixpkgs: None,
            allowed_options: None,
            build_timeout: Duration::from_secs(3600),
        }
    }
}

impl NixosSystem {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// A problem with the field, without a place.
    pub fn check(&self) -> Result<(), Problem> {
        let problem = |field: &str, detail: &str, hint: &str| {
            Err(Problem::new(422, "nixos-system", detail).field(format!("nixos{field}")).hint(hint))
        };
        let sources = [&self.flake, &self.configuration, &self.system];
        match sources.iter().filter(|source| source.is_some()).count() {
            1 => {}
            0 => {
                return problem(
                    "",
                    "backend `nixos` has to know where the system is described",
                    "set one of `nixos.flake`, `nixos.configuration` and `nixos.system`",
                );
            }
            _ => {
                return problem(
                    "",
                    "the system is described in more than one place",
                    "keep one of `nixos.flake`, `nixos.configuration` and `nixos.system`",
                );
            }
        }
        for (field, path) in
            [("configuration", &self.configuration), ("system", &self.system), ("nixpkgs", &self.nixpkgs)]
        {
            if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
                return problem(&format!(".{field}"), "it is not an absolute path", "such as `/etc/nixos/...`");
            }
        }
        if self.nixpkgs.is_some() && self.configuration.is_none() {
            return problem(".nixpkgs", "only `nixos.configuration` is evaluated with it", "leave it out");
        }
        for (i, prefix) in self.allowed_options.iter().flatten().enumerate() {
            if OptionPath::parse(prefix).is_none() {
                let field = format!(".allowedOptions[{i}]");
                return problem(&field, &format!("`{prefix}` is not an option path"), "such as `services.postgresql`");
            }
        }
        Ok(())
    }
}

/// The attribute of nixpkgs that a package is, without `pkgs.`: `nginx` of `pkgs.nginx`. None of a store path.
#[must_use]
pub fn package_attribute(package: &str) -> Option<&str> {
    let attribute = package.strip_prefix("pkgs.")?;
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_plain);
    attribute.split('.').all(is_name).then_some(attribute)
}

/// The path of a NixOS option or of a value in it: `services.nginx.virtualHosts."example.org".root`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OptionPath(pub Vec<String>);

impl OptionPath {
    /// Reads a path as it is written in Nix: names between dots, in quotes where they contain anything else than letters,
    /// digits, `_`, `-` and `'`. None when it is no path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').filter(|(name, _)| !name.contains(['\\', '$', '\n']))?,
                None => {
                    let (name, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                    if name.is_empty() || !name.chars().all(is_plain) {
                        return None;
                    }
                    (name, after)
                }
            };
            names.push(name.to_owned());
            if after.is_empty() {
                return Some(Self(names));
            }
            rest = after.strip_prefix('.')?;
        }
    }

    /// True when it is that path or lies below it.
    #[must_use]
    pub fn is_below(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// True when it lies below one of these, or is one.
    #[must_use]
    pub fn is_allowed(&self, prefixes: &[String]) -> bool {
        prefixes.iter().filter_map(|prefix| Self::parse(prefix)).any(|prefix| self.is_below(&prefix))
    }
}

/// A character that needs no quotes.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-'".contains(c)
}

impl fmt::Display for OptionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            if name.chars().all(is_plain) { write!(f, "{dot}{name}")? } else { write!(f, "{dot}\"{name}\"")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_nix_writes_them() {
        let names = |text: &str| OptionPath::parse(text).map(|path| path.0);
        let of = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(names("services.nginx.enable"), of(&["services", "nginx", "enable"]));
        assert_eq!(names(r#"a."b.c".d"#), of(&["a", "b.c", "d"]));
        assert_eq!(names(r#""x y""#), of(&["x y"]));
        for bad in ["", ".", "a.", ".a", "a..b", "a b", r#"a."b"#, r#"a."b"c"#, "a.${b}", r#""${x}""#, "a\n"] {
            assert_eq!(names(bad), None, "{bad:?}");
        }
        for text in ["services.nginx.enable", r#"a."b.c".d"#] {
            assert_eq!(OptionPath::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_prefix_is_one_of_whole_names() {
        let path = OptionPath::parse("services.postgresql.enable").unwrap();
        assert!(path.is_allowed(&["time".to_owned(), "services.postgresql".to_owned()]));
        assert!(!path.is_allowed(&["services.postgres".to_owned()]));
        assert!(!OptionPath::parse("services").unwrap().is_allowed(&["services.postgresql".to_owned()]));
    }

    #[test]
    fn a_system_is_described_once() {
        let read = |text: &str| serde_json::from_str::<NixosSystem>(text).unwrap().check();
        assert_eq!(read(r#"{"flake":"/etc/nixos#host"}"#), Ok(()));
        let field = |text: &str| read(text).unwrap_err().field.unwrap();
        assert_eq!(field("{}"), "nixos");
        assert_eq!(field(r#"{"flake":"/a","system":"/b"}"#), "nixos");
        assert_eq!(field(r#"{"system":"b.nix"}"#), "nixos.system");
        assert_eq!(field(r#"{"system":"/b","nixpkgs":"/c"}"#), "nixos.nixpkgs");
        assert_eq!(field(r#"{"system":"/b","allowedOptions":["a..b"]}"#), "nixos.allowedOptions[0]");
    }
}
