//! Keys at rest: a folder of files, each sealed by a key that a passphrase gives.

mod error;
mod folder;
mod header;
mod master;
mod passphrase;
mod rotate;
mod sealed;
mod secret;
mod store;
#[cfg(test)]
mod tests;

pub use error::VaultError;
pub use master::{Cost, CostError};
pub use passphrase::{MOST_PASSPHRASE, Passphrase, PassphraseError, read_passphrase};
pub use secret::{EntropyError, Secret, SecretError, system_entropy};
pub use store::{MOST_WALLETS, Vault};
