//! Wallets whose policy cannot be talked around. The trusted base of a wallet daemon: no network, no way to run a program,
//! no panic on any input, nothing secret in `Debug` or in an error.
//!
//! [`vault::Vault`] keeps keys in a folder, sealed by a passphrase. [`signer::SignerBackend`] is what signs: the vault
//! ([`signer::FileSigner`]), or another process behind a Unix socket ([`signer::RemoteSigner`]). [`memory`] is called
//! before any key is read. [`spending::Spending`] remembers what was signed for, before it is. File formats and what they
//! hold against are told in `docs/keyd.md`.

mod bytes;
pub mod daemon;
pub mod key;
pub mod memory;
pub mod signer;
pub mod spending;
pub mod unlocked;
pub mod vault;
pub mod wallet;
