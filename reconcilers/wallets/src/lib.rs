//! Wallets and their policies: keyd's slice of a generation. keyd reads it; no other process does.

mod policies;
mod wallets;

use osmoda_generation::fragment::Fragment;
use osmoda_schemas::name::Name;
pub use policies::WalletPolicies;
use serde::Serialize;
pub use wallets::Wallets;

/// The one file that an object becomes.
fn slice(folder: &str, name: &Name, spec: &impl Serialize) -> Fragment {
    let slice = osmoda_schemas::canonical_json(&serde_json::json!({ "name": name, "spec": spec }));
    let mut fragment = Fragment::default();
    fragment.etc.insert(format!("keyd/{folder}/{name}.json"), slice.into_bytes());
    fragment
}
