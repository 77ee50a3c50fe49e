//! What is in force: the wallets and policies of the active generation.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use osmoda_chains::effects::Account;
use osmoda_schemas::{
    kinds::{Wallet, WalletPolicy},
    name::Name,
    problem::Problem,
};
use osmoda_wallet_policy::Policy;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// A policy in force.
#[derive(Debug)]
pub(super) struct Ruled {
    pub name: Name,
    /// SHA-256 of its file, in hexadecimal.
    pub hash: String,
    /// Those that may approve, beside root.
    pub approvers: Vec<String>,
    /// Keys of its wallets may leave.
    pub is_exportable: bool,
    pub policy: Policy,
    /// Names and addresses of the wallets that it governs.
    wallets: Vec<String>,
    accounts: Vec<Account>,
}

/// All that a generation says of wallets.
#[derive(Debug, Default)]
pub(super) struct InForce {
    /// The generation.
    pub path: PathBuf,
    pub wallets: BTreeMap<Name, Wallet>,
    pub policies: Vec<Arc<Ruled>>,
    /// Why nothing is signed at all.
    closed: Option<String>,
}

/// A file of a generation, as it is and as it is read.
type SliceFile<T> = (Vec<u8>, Slice<T>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slice<T> {
    name: Name,
    spec: T,
}

impl InForce {
    /// What a generation says. What cannot be read closes all of it: nobody knows what it would have refused.
    pub fn read(generation: &Path) -> Self {
        let read = || -> Result<Self, String> {
            let mut wallets = BTreeMap::new();
            for (_, slice) in slices::<Wallet>(&generation.join("etc/keyd/wallets"))? {
                wallets.insert(slice.name, slice.spec);
            }
            let mut policies = Vec::new();
            for (bytes, slice) in slices::<WalletPolicy>(&generation.join("etc/keyd/policies"))? {
                let policy = Policy::compile(&slice.spec).map_err(|violations| {
                    let first = violations.first().map_or_else(String::new, |v| format!("{}: {}", v.field, v.detail));
                    format!("the policy `{}` cannot be used: {first}", slice.name)
                })?;
                policies.push(Arc::new(Ruled {
                    name: slice.name,
                    hash: data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)),
                    approvers: slice.spec.approvers,
                    is_exportable: slice.spec.exportable,
                    policy,
                    accounts: slice.spec.wallets.iter().filter_map(|wallet| wallet.parse().ok()).collect(),
                    wallets: slice.spec.wallets,
                }));
            }
            Ok(Self { path: generation.to_owned(), wallets, policies, closed: None })
        };
        read().unwrap_or_else(|why| Self { path: generation.to_owned(), closed: Some(why), ..Self::default() })
    }

    /// Nothing is in force.
    pub fn none(why: String) -> Self {
        Self { closed: Some(why), ..Self::default() }
    }

    /// Why nothing is signed at all.
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// May anything be signed?
    pub fn check(&self) -> Result<(), Problem> {
        match &self.closed {
            None => Ok(()),
            Some(why) => Err(Problem::new(503, "policies-unreadable", why.clone())
                .hint("nothing is signed until a generation is in force whose policies can be read: `osmoda status`")),
        }
    }

    /// The policy that governs a wallet: the one that names it, or else the one of all others.
    ///
    /// # Errors
    /// When several do: nobody knows which was meant.
    pub fn governing(&self, name: &Name, account: Account) -> Result<Option<&Arc<Ruled>>, Problem> {
        let one = |fits: &dyn Fn(&Ruled) -> bool| {
            let mut all = self.policies.iter().filter(|ruled| fits(ruled));
            match (all.next(), all.next()) {
                (Some(one), Some(other)) => Err(Problem::new(
                    409,
                    "wallet-governed",
                    format!("the policies `{}` and `{}` both name the wallet {name}", one.name, other.name),
                )
                .hint("one policy governs a wallet: take its name or its address out of one of them")),
                (one, _) => Ok(one),
            }
        };
        let named = |ruled: &Ruled| {
            ruled.accounts.contains(&account) || ruled.wallets.iter().any(|wallet| wallet == name.as_str())
        };
        match one(&named)? {
            Some(one_of_it) => Ok(Some(one_of_it)),
            None => one(&|ruled| ruled.wallets.iter().any(|wallet| wallet == "*")),
        }
    }
}

/// The files of a folder, which may be missing, in the order of their names.
fn slices<T: DeserializeOwned>(folder: &Path) -> Result<Vec<SliceFile<T>>, String> {
    let said = |path: &Path, error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", path.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(said(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| said(folder, &error))?.path());
    }
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).map_err(|error| said(&path, &error))?;
        let slice = serde_json::from_slice(&bytes).map_err(|error| said(&path, &error))?;
        Ok((bytes, slice))
    };
    paths.into_iter().map(read).collect()
}
