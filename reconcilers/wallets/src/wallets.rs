//! What a wallet becomes.

use osmoda_chains::effects::Account;
use osmoda_generation::fragment::{Fragment, Loosens, Reconciler, RenderError};
use osmoda_schemas::{
    kinds::{Wallet, wallet::Signer},
    object::{Kind, Object, Spec},
    rules::Violation,
};
use osmoda_wallet_policy::{ADDRESS_HINT, chain_of};

/// Renders wallets to `etc/keyd/wallets/<name>.json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wallets;

impl Reconciler for Wallets {
    fn kind(&self) -> Kind {
        Kind::Wallet
    }

    fn render(&self, object: &Object) -> Result<Fragment, RenderError> {
        let Spec::Wallet(wallet) = &object.spec else {
            return Err(RenderError::Field { field: "kind".to_owned(), reason: "it is no Wallet".to_owned() });
        };
        let violations = check(wallet);
        if violations.is_empty() {
            Ok(crate::slice("wallets", &object.metadata.name, wallet))
        } else {
            Err(RenderError::Rules(violations))
        }
    }

    /// A key that may sign from now on; another key, or another keeper, under a name that policies trust.
    fn loosens(&self) -> Option<Loosens> {
        Some(|old, new| match (old.map(|object| &object.spec), new.map(|object| &object.spec)) {
            (Some(Spec::Wallet(old)), Some(Spec::Wallet(new))) => {
                old.signer != new.signer || (old.address.is_some() && old.address != new.address)
            }
            (old, _) => old.is_none(),
        })
    }
}

/// What a schema cannot say.
fn check(wallet: &Wallet) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut add = |rule, field, detail: String, hint: &str| broken.push(Violation::new(rule, field, detail, hint));
    match wallet.address.as_deref().map(|text| (text, text.parse::<Account>())) {
        Some((text, Err(error))) => {
            add("wallet-address", "spec.address", format!("`{text}` is no address: {error}"), ADDRESS_HINT);
        }
        Some((_, Ok(account))) if account.chain() != chain_of(wallet.chain) => {
            add("wallet-address", "spec.address", "it is an address of another chain".to_owned(), "see `chain`");
        }
        _ => {}
    }
    if let Signer::Socket(socket) = &wallet.signer {
        if wallet.address.is_none() {
            add(
                "wallet-signer",
                "spec.address",
                "a signer's word is not enough for which key it has".to_owned(),
                "write the address that the wallet has to have",
            );
        }
        let path = &socket.path;
        // sun_path of unix(7), with its end.
        if !path.starts_with('/') || path.len() > 107 || path.contains('\0') || path.split('/').any(|part| part == "..")
        {
            add(
                "wallet-signer",
                "spec.signer.path",
                format!("`{}` is no socket's path", path.escape_debug()),
                "an absolute path of at most 107 bytes, such as `/run/hsm/signer.sock`",
            );
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use osmoda_schemas::document;
    use serde_json::json;

    use super::*;

    fn rendered(spec: &serde_json::Value) -> Result<Fragment, RenderError> {
        let text = json!({ "apiVersion": "os.moda/v1", "kind": "Wallet", "metadata": { "name": "a" }, "spec": spec });
        let object = document::read(Path::new("a.json"), text.to_string().as_bytes()).remove(0).result.unwrap();
        Wallets.render(&object)
    }

    #[test]
    fn a_wallet_is_one_file_and_what_cannot_be_is_told() {
        let fragment = rendered(&json!({ "chain": "solana" })).unwrap();
        let slice = String::from_utf8(fragment.etc["keyd/wallets/a.json"].clone()).unwrap();
        assert_eq!(slice, r#"{"name":"a","spec":{"chain":"solana"}}"#);
        let address = "0x00000000000000000000000000000000000000aa";
        let socket = |path: &str| json!({ "type": "socket", "path": path, "uid": 0 });
        rendered(&json!({ "chain": "ethereum", "address": address, "signer": socket("/run/s") })).unwrap();
        for (spec, field) in [
            (json!({ "chain": "ethereum", "address": "0x12" }), "spec.address"),
            (json!({ "chain": "solana", "address": address }), "spec.address"),
            (json!({ "chain": "ethereum", "signer": socket("/run/s") }), "spec.address"),
            (json!({ "chain": "ethereum", "address": address, "signer": socket("run/s") }), "spec.signer.path"),
            (json!({ "chain": "ethereum", "address": address, "signer": socket("/a/../b") }), "spec.signer.path"),
        ] {
            match rendered(&spec) {
                Err(RenderError::Rules(violations)) => assert_eq!(violations[0].field, field, "{spec}"),
                other => panic!("{spec}: {other:?}"),
            }
        }
    }
}
