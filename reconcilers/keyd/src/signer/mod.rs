//! Whoever holds keys and signs: the vault in this process, or another process behind a Unix socket.

mod file;
mod protocol;
mod remote;
mod serve;
mod wire;

use std::{io, time::Duration};

pub use file::FileSigner;
pub use remote::RemoteSigner;
pub use serve::{MOST_CONNECTIONS, serve, serve_one};

use crate::{
    key::{Payload, SignError, Signed},
    vault::VaultError,
    wallet::{Name, WalletId},
};

/// The longest that a call of a remote signer takes: for connecting, asking, and all of the answer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Whoever holds keys and signs. Before a signature is given out it has been verified with the wallet's public key.
pub trait SignerBackend: Send + Sync {
    /// What it is, in one line for people.
    fn describe(&self) -> String;

    /// The wallets whose keys it holds.
    ///
    /// # Errors
    /// See [`SignerError`].
    fn wallets(&self) -> Result<Vec<WalletId>, SignerError>;

    /// Signs by the key of a wallet, which has to be the one that the caller names.
    ///
    /// # Errors
    /// See [`SignerError`].
    fn sign(&self, wallet: &WalletId, what: &Payload<'_>) -> Result<Signed, SignerError>;
}

/// There is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// There is no such wallet.
    #[error("there is no wallet {0}")]
    NoWallet(Name),
    /// The wallet has another key than the caller says.
    #[error("wallet {0} has another key than the one that was asked for")]
    OtherKey(Name),
    /// It is not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The vault does not give the key.
    #[error(transparent)]
    Vault(VaultError),
    /// The other process refuses, with what it says.
    #[error("the signer refuses: {0}")]
    Refused(String),
    /// It answered with what is no signature of that key: it is faulty, or lies.
    #[error(
        "the signer answered with a signature that does not verify with the key of wallet {0}: it is not given out"
    )]
    Lie(Name),
    /// It runs as another user.
    #[error("the process at the other end of the socket runs as uid {found}, and uid {expected} is asked for")]
    Peer {
        /// Its uid.
        found: u32,
        /// The one that is configured.
        expected: u32,
    },
    /// It does not speak as it should.
    #[error("the other end does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// It took too long.
    #[error("the signer did not answer in time")]
    TimedOut,
    /// The system said no.
    #[error("the signer cannot be reached: {0}")]
    Io(#[from] io::Error),
}
