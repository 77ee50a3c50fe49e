//! Wallet policies: keyd's slice of a generation. keyd reads it; no other process does.

use osmoda_generation::fragment::{Fragment, Reconciler, RenderError};
use osmoda_schemas::object::{Kind, Object, Spec};

/// Renders wallet policies to `etc/keyd/policies/<name>.json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct WalletPolicies;

impl Reconciler for WalletPolicies {
    fn kind(&self) -> Kind {
        Kind::WalletPolicy
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::WalletPolicy(policy) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no WalletPolicy".to_owned() });
        };
        osmoda_wallet_policy::Policy::compile(policy).map_err(RenderError::Rules)?;
        let name = &object.metadata.name;
        let slice = osmoda_schemas::canonical_json(&serde_json::json!({ "name": name, "spec": policy }));
        let mut fragment = Fragment::default();
        fragment.etc.insert(format!("keyd/policies/{name}.json"), slice.into_bytes());
        Ok(fragment)
    }
}
