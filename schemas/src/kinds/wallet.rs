//! `Wallet`: a key that keyd keeps, or knows the keeper of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wallet_policy::Chain;

/// A wallet. keyd makes a key where there is none and no `address` is told. Deleting this document keeps the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wallet {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whose keys it has.
    pub chain: Chain,
    /// The address that it has to have: with another key it signs nothing, and no key is made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Who holds its key.
    #[serde(default, skip_serializing_if = "Signer::is_vault")]
    pub signer: Signer,
}

/// Who holds a wallet's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Signer {
    /// keyd, in its vault.
    #[default]
    #[schemars(extend("additionalProperties" = false))]
    Vault,
    /// Another process behind a Unix socket, such as that of a hardware wallet. Needs `address`.
    Socket(SocketSigner),
}

impl Signer {
    fn is_vault(&self) -> bool {
        *self == Self::Vault
    }
}

/// A process that signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SocketSigner {
    /// Its socket.
    pub path: String,
    /// The user that it runs as (uid); nobody else is asked.
    pub uid: u32,
}
