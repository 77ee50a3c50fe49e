//! What a vault refuses. No error tells anything of a secret.

use std::{io, path::PathBuf};

use super::{CostError, EntropyError, MOST_WALLETS};
use crate::wallet::Name;

/// A vault refuses, or cannot.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no vault: none is ever made by opening it.
    #[error("there is no vault in {0}: an operator has to make one")]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a vault in {0} already; nothing was changed")]
    Present(PathBuf),
    /// Another process has it open.
    #[error("the vault in {0} is in use by another process")]
    InUse(PathBuf),
    /// It opens with another passphrase, or its header is damaged. Nothing but the header was read.
    #[error("the passphrase is wrong, or the header of the vault in {folder} is damaged{}", .hint.unwrap_or_default())]
    Passphrase {
        /// The folder.
        folder: PathBuf,
        /// What is known of that passphrase.
        hint: Option<&'static str>,
    },
    /// Others may read or write there, or it is no ordinary file.
    #[error("{path}: {reason}")]
    Access {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what makes it right.
        reason: String,
    },
    /// A file that is none of the vault's.
    #[error("{0} is none of this vault's files: take it away, then open the vault again")]
    Unknown(PathBuf),
    /// A file that is not what was written.
    #[error("{path} is damaged: {reason}; put it back from a backup, or take it away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it is known.
        reason: &'static str,
    },
    /// The costs of the header, or of the caller.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// There is no such wallet.
    #[error("there is no wallet {0}")]
    NoWallet(Name),
    /// The name is taken.
    #[error("there is a wallet {0} already; nothing was changed")]
    NameTaken(Name),
    /// The key is kept already.
    #[error("this key is that of wallet {0} already; nothing was changed")]
    KeyTaken(Name),
    /// Too many.
    #[error("there are {MOST_WALLETS} wallets, and there is no room for more")]
    Full,
    /// No chance from the system.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// What was written does not open: nothing was kept.
    #[error("{0}: what was written does not open again, and was taken away: memory or disk is faulty")]
    Fault(PathBuf),
    /// After a rotation.
    #[error(
        "the new passphrase is in force, but the files of the old one are not gone: {0}; opening the vault ends it"
    )]
    Rotated(Box<VaultError>),
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}
