//! NixOS options as data: what `nix/backend/generation.nix` makes a part of the operator's system.

use osmoda_generation::{
    fragment::{Fragment, Reconciler, RenderError},
    nixos::{OptionValue, OptionsOf},
};
use osmoda_schemas::{
    kinds::NixosConfig,
    nixos::OptionPath,
    object::{Kind, Object, Spec},
};

/// Renders options to `etc/nixos/<name>.json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NixosConfigs;

impl Reconciler for NixosConfigs {
    fn kind(&self) -> Kind {
        Kind::NixosConfig
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::NixosConfig(config) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no NixosConfig".to_owned() });
        };
        let options = options_of(object.metadata.name.as_str(), config)?;
        let mut fragment = Fragment::default();
        let slice = osmoda_schemas::canonical_json(&options);
        fragment.etc.insert(format!("nixos/{}.json", options.name), slice.into_bytes());
        Ok(fragment)
    }
}

/// The options of a document, with their paths taken apart.
///
/// # Errors
/// When one of them is not a path.
pub fn options_of(name: &str, config: &NixosConfig) -> Result<OptionsOf, RenderError> {
    let option = |(path, value): (&String, &serde_json::Value)| {
        let parsed = OptionPath::parse(path).ok_or_else(|| RenderError::Field {
            field: format!("spec.options[\"{path}\"]"),
            reason: "it is not an option path".to_owned(),
        })?;
        Ok(OptionValue { path: parsed, value: value.clone() })
    };
    let options = config.options.iter().map(option).collect::<Result<_, RenderError>>()?;
    Ok(OptionsOf { name: name.to_owned(), options, packages: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_a_slice() {
        let object = Object::from_json(
            r#"{"apiVersion":"os.moda/v1","kind":"NixosConfig","metadata":{"name":"pg"},
                "spec":{"options":{"services.postgresql.enable":true,"a.\"b.c\"":[1]}}}"#,
        )
        .unwrap();
        let fragment = NixosConfigs.render(&object).unwrap();
        let slice = String::from_utf8(fragment.etc["nixos/pg.json"].clone()).unwrap();
        assert_eq!(
            slice,
            r#"{"name":"pg","options":[{"path":["a","b.c"],"value":[1]},{"path":["services","postgresql","enable"],"value":true}]}"#
        );
        assert!(fragment.units.is_empty());
    }
}
