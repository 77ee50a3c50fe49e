//! What Nix finds wrong with option values: the answers of `nix/backend/check.nix`.

use osmoda_schemas::nixos::OptionPath;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The options of a NixosConfig document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionsOf {
    /// The object's name.
    pub name: String,
    /// In the order of the document.
    #[serde(default)]
    pub options: Vec<OptionValue>,
    /// Attributes of nixpkgs that it names besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
}

/// A value for an option, or for a part of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionValue {
    /// Where it goes.
    pub path: OptionPath,
    /// The value.
    pub value: Value,
}

/// Something that is wrong with an option of a document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// Index of the document.
    pub document: usize,
    /// Index of the option in the document.
    pub option: usize,
    /// Where it is wrong: the option's path, or one below it.
    pub at: OptionPath,
    /// What is wrong.
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "problem", rename_all = "camelCase")]
pub enum Wrong {
    /// There is no such option.
    Missing {
        /// Those that are there, beside it.
        names: Vec<String>,
    },
    /// It is a group of options, and the value is no mapping.
    Group {
        /// The options in it.
        names: Vec<String>,
    },
    /// The value is of another type.
    Type {
        /// The option's type, in Nix's words.
        #[serde(rename = "type")]
        expected: String,
    },
    /// Nobody may set it.
    ReadOnly,
    /// It takes modules, and documents are data.
    Module,
    /// Its evaluation threw: what it takes cannot be told.
    Unknown,
    /// `${pkgs.NAME}` of a package that is not there.
    Package {
        /// What is not there.
        names: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_nix_are_read() {
        let text = r#"[{"document":0,"option":1,"at":["services","pg"],"problem":"missing","names":["postgresql"]},
            {"document":1,"option":0,"at":["a"],"problem":"type","type":"boolean"},
            {"document":1,"option":1,"at":["b"],"problem":"readOnly"}]"#;
        let findings: Vec<Finding> = serde_json::from_str(text).unwrap();
        assert_eq!(findings[0].wrong, Wrong::Missing { names: vec!["postgresql".to_owned()] });
        assert_eq!(findings[1].wrong, Wrong::Type { expected: "boolean".to_owned() });
        assert_eq!((&findings[2].wrong, findings[2].at.to_string().as_str()), (&Wrong::ReadOnly, "b"));
    }
}
