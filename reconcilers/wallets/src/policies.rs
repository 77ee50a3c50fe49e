//! What a wallet policy becomes.

use osmoda_generation::fragment::{Fragment, Loosens, Reconciler, RenderError};
use osmoda_schemas::{
    kinds::WalletPolicy,
    object::{Kind, Object, Spec},
};

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
        Ok(crate::slice("policies", &object.metadata.name, policy))
    }

    fn loosens(&self) -> Option<Loosens> {
        Some(|old, new| osmoda_wallet_policy::loosens(policy(old), policy(new)))
    }
}

fn policy(object: Option<&Object>) -> Option<&WalletPolicy> {
    match &object?.spec {
        Spec::WalletPolicy(policy) => Some(policy),
        _ => None,
    }
}
