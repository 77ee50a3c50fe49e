//! The vault as a signer.

use std::{sync::Arc, time::Instant};

use super::{SignerBackend, SignerError};
use crate::{
    key::{Payload, Signed},
    vault::{Vault, VaultError},
    wallet::WalletId,
};

/// Signs by keys of a vault.
#[derive(Debug)]
pub struct FileSigner(Arc<Vault>);

impl FileSigner {
    /// By the keys of this vault.
    #[must_use]
    pub fn new(vault: Arc<Vault>) -> Self {
        Self(vault)
    }
}

impl SignerBackend for FileSigner {
    fn describe(&self) -> String {
        "keys in files".to_owned()
    }

    fn wallets(&self) -> Result<Vec<WalletId>, SignerError> {
        let wallets = self.0.list().map_err(SignerError::Vault)?;
        Ok(wallets.into_iter().map(|wallet| wallet.id).collect())
    }

    fn sign(&self, wallet: &WalletId, what: &Payload<'_>) -> Result<Signed, SignerError> {
        wallet.public.admit(what)?;
        let key = self.0.key(&wallet.name, Instant::now()).map_err(|error| match error {
            VaultError::NoWallet(name) => SignerError::NoWallet(name),
            error => SignerError::Vault(error),
        })?;
        if key.public() != wallet.public {
            return Err(SignerError::OtherKey(wallet.name.clone()));
        }
        // The key verifies what it signs, by the public key that was just compared.
        Ok(key.sign(what)?)
    }
}
