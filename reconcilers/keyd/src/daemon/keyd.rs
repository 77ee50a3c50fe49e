//! The daemon's state: a vault, a book, and what is in force. Whatever is asked for is answered by what the machine's
//! active generation says at that instant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use osmoda_chains::effects::Account;
use osmoda_schemas::{
    kinds::{self, wallet::Signer, wallet_policy::Chain as WrittenChain},
    name::Name,
    ops::keyd::{PolicyView, WalletList, WalletView},
    problem::Problem,
};
use osmoda_wallet_policy::chain_of;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    force::{InForce, Ruled},
    order::account,
};
use crate::{
    signer::{FileSigner, RemoteSigner, SignerBackend, SignerError},
    spending::{Group, Note, SpendError, Spending},
    vault::{Secret, Vault, VaultError, system_entropy},
    wallet::{Chain, Wallet, WalletId},
};

/// What answers.
pub(super) struct Keyd {
    pub vault: Arc<Vault>,
    pub book: Spending,
    /// The link to the active generation.
    link: PathBuf,
    force: RwLock<Arc<InForce>>,
    /// What the vault holds.
    kept: RwLock<BTreeMap<Name, Wallet>>,
    /// Wallets of other signers whose keys have been seen to be those of their addresses.
    seen: Mutex<BTreeMap<Name, (kinds::Wallet, WalletId)>>,
    unprotected: Vec<String>,
    /// Users who have something at work.
    pub turns: Mutex<BTreeMap<u32, Arc<Semaphore>>>,
}

/// A wallet that can sign.
pub(super) struct Able {
    pub id: WalletId,
    pub signer: Arc<dyn SignerBackend>,
    /// Its errors tell for certain that nothing was signed.
    pub is_ours: bool,
}

impl Keyd {
    pub fn new(vault: Vault, book: Spending, link: PathBuf, unprotected: Vec<String>) -> Result<Self, VaultError> {
        let keyd = Self {
            vault: Arc::new(vault),
            book,
            link,
            force: RwLock::new(Arc::new(InForce::default())),
            kept: RwLock::default(),
            seen: Mutex::default(),
            unprotected,
            turns: Mutex::default(),
        };
        keyd.look()?;
        Ok(keyd)
    }

    /// Looks into the vault again, one after the other, so that nobody keeps an older list.
    pub fn look(&self) -> Result<(), VaultError> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        *kept = self.vault.list()?.into_iter().map(|wallet| (wallet.id.name.clone(), wallet)).collect();
        Ok(())
    }

    pub fn kept(&self) -> RwLockReadGuard<'_, BTreeMap<Name, Wallet>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<Name, (kinds::Wallet, WalletId)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in force now. It is read anew when the link leads elsewhere: no answer is by rules of before.
    pub fn force(&self) -> Arc<InForce> {
        let target = match fs::read_link(&self.link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Arc::new(InForce::none("no generation is in force".to_owned()));
            }
            Err(error) => return Arc::new(InForce::none(format!("{}: {error}", self.link.display()))),
        };
        let known = Arc::clone(&self.force.read().unwrap_or_else(PoisonError::into_inner));
        // What could not be read may be readable now.
        if known.path == target && known.check().is_ok() {
            return known;
        }
        let new = Arc::new(InForce::read(&target));
        *self.force.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        new
    }

    /// Makes the keys of declared wallets that have none.
    ///
    /// # Errors
    /// What the first one that has none still is refused for.
    pub fn make_declared(&self) -> Result<(), Problem> {
        let force = self.force();
        let is_missing = |(name, wallet): &(&Name, &kinds::Wallet)| {
            wallet.signer == Signer::Vault && wallet.address.is_none() && !self.kept().contains_key(*name)
        };
        let missing: Vec<_> = force.wallets.iter().filter(is_missing).collect();
        let mut refused = Ok(());
        for (name, wallet) in missing {
            // One that cannot be made keeps no other back.
            refused = refused.and(self.create(name, chain_of(wallet.chain), json!("document")).map(|_| ()));
        }
        refused
    }

    /// Makes a wallet.
    pub fn create(&self, name: &Name, chain: Chain, by: Value) -> Result<WalletView, Problem> {
        self.kept_anew("wallet.created", self.vault.create(name, chain, &mut system_entropy), by)
    }

    /// Keeps a key that there is already.
    pub fn import(&self, name: &Name, secret: &Secret, by: Value) -> Result<WalletView, Problem> {
        self.kept_anew("wallet.imported", self.vault.import(name, secret), by)
    }

    fn kept_anew(
        &self,
        kind: &'static str,
        made: Result<Wallet, VaultError>,
        by: Value,
    ) -> Result<WalletView, Problem> {
        // What was refused may be there all the same.
        let looked = self.look();
        let made = made.and_then(|made| looked.map(|()| made)).map_err(vault_problem)?;
        let id = &made.id;
        let payload = json!({
            "wallet": id.name, "chain": id.public.chain().to_string(), "address": id.public.address(),
            "origin": made.origin.to_string(), "by": by,
        });
        self.book.note(Note { kind, payload: payload.to_string() }).map_err(|e| spend_problem(&e))?;
        Ok(self.view(&self.force(), &id.name))
    }

    /// A wallet that is declared, with the key that it has to have.
    ///
    /// # Errors
    /// Why it cannot sign.
    pub fn able(&self, force: &InForce, name: &Name) -> Result<Able, Problem> {
        let refuse =
            |status, code: &str, detail: String, hint: &str| Err(Problem::new(status, code, detail).hint(hint));
        let Some(declared) = force.wallets.get(name) else {
            return refuse(
                404,
                "no-such-wallet",
                format!("no Wallet/{name} is in force"),
                "a wallet signs while its document is in force: write one, and `osmoda apply`",
            );
        };
        let able = match &declared.signer {
            Signer::Vault => match self.kept().get(name) {
                Some(wallet) => Able {
                    id: wallet.id.clone(),
                    signer: Arc::new(FileSigner::new(Arc::clone(&self.vault))),
                    is_ours: true,
                },
                None => {
                    return refuse(
                        409,
                        "no-key",
                        format!("the wallet {name} has no key yet"),
                        "`osmoda wallet import` for one with an address; others get theirs within a second",
                    );
                }
            },
            Signer::Socket(socket) => {
                let signer = RemoteSigner::new(PathBuf::from(&socket.path), socket.uid);
                let id = self.remote(&signer, name, declared)?;
                Able { id, signer: Arc::new(signer), is_ours: false }
            }
        };
        let public = &able.id.public;
        let is_it = declared.address.as_ref().is_none_or(|address| address.parse() == Ok(account(public)));
        if public.chain() != chain_of(declared.chain) || !is_it {
            return refuse(
                409,
                "other-key",
                format!(
                    "the key of the wallet {name} is that of {}, not the one that its document names",
                    public.address()
                ),
                "write that address, or give the wallet another name",
            );
        }
        Ok(able)
    }

    /// The wallet of another signer, known by its address.
    fn remote(&self, signer: &RemoteSigner, name: &Name, declared: &kinds::Wallet) -> Result<WalletId, Problem> {
        if let Some((_, id)) = self.seen().get(name).filter(|(document, _)| document == declared) {
            return Ok(id.clone());
        }
        let address = declared.address.as_ref().and_then(|address| address.parse::<Account>().ok());
        let wallets = signer.wallets().map_err(|error| signer_problem(&error))?;
        let found = wallets.into_iter().find(|id| id.name == *name && Some(account(&id.public)) == address);
        let id = found.ok_or_else(|| {
            Problem::new(409, "no-key", format!("{} has no wallet {name} of that address", signer.describe()))
        })?;
        self.seen().insert(name.clone(), (declared.clone(), id.clone()));
        Ok(id)
    }

    /// The policy that governs a wallet.
    pub fn ruled(&self, force: &InForce, id: &WalletId) -> Result<Arc<Ruled>, Problem> {
        force.governing(&id.name, account(&id.public))?.cloned().ok_or_else(|| {
            Problem::new(403, "no-policy", format!("no WalletPolicy in force governs the wallet {}", id.name))
                .hint("what no policy allows is refused: write one that names the wallet")
        })
    }

    /// Whose signatures count together: those of all wallets that the policy governs, and all that it has let pass.
    pub fn group(&self, force: &InForce, ruled: &Ruled, id: &WalletId) -> Group {
        let governs = |name: &Name, account: Account| {
            force.governing(name, account).is_ok_and(|other| other.is_some_and(|other| other.name == ruled.name))
        };
        let mut all = vec![(id.name.clone(), account(&id.public))];
        all.extend(self.kept().values().map(|wallet| (wallet.id.name.clone(), account(&wallet.id.public))));
        let declared =
            |(name, wallet): (&Name, &kinds::Wallet)| Some((name.clone(), wallet.address.as_ref()?.parse().ok()?));
        all.extend(force.wallets.iter().filter_map(declared));
        let is_one = |(name, account): &(Name, Account)| *name == id.name || governs(name, *account);
        let (wallets, accounts) = all.into_iter().filter(is_one).unzip();
        Group { wallets, accounts, policy: Some(ruled.name.clone()) }
    }

    /// All wallets: declared ones, and keys without a document.
    pub fn list(&self) -> WalletList {
        let force = self.force();
        let mut names: BTreeSet<Name> = self.kept().keys().cloned().collect();
        names.extend(force.wallets.keys().cloned());
        WalletList {
            wallets: names.iter().map(|name| self.view(&force, name)).collect(),
            policies: force.policies.iter().map(|ruled| policy_view(ruled)).collect(),
            unprotected: self.unprotected.clone(),
            closed: force.closed().map(str::to_owned),
        }
    }

    /// A wallet as people look at it.
    pub fn view(&self, force: &InForce, name: &Name) -> WalletView {
        let kept = self.kept().get(name).cloned();
        let declared = force.wallets.get(name);
        let signer = declared.map(|wallet| &wallet.signer);
        let kept = kept.filter(|_| !matches!(signer, Some(Signer::Socket(_))));
        let chain = kept.as_ref().map(|wallet| written(wallet.id.public.chain()));
        let address = kept.as_ref().map(|wallet| wallet.id.public.address());
        let address = address.or_else(|| declared.and_then(|wallet| wallet.address.clone()));
        let account = address.as_ref().and_then(|text| text.parse().ok());
        let origin = match (signer, &kept) {
            (Some(Signer::Socket(socket)), _) => format!("signer at {}", socket.path),
            (_, Some(wallet)) => wallet.origin.to_string(),
            (_, None) => "no key yet".to_owned(),
        };
        let ruled = account.map_or(Ok(None), |account| force.governing(name, account));
        let fault = match (declared, &ruled) {
            (None, _) => None,
            (Some(_), Err(problem)) => Some(problem.detail.clone()),
            // Another process is not asked for every look.
            (Some(wallet), Ok(_)) if wallet.signer != Signer::Vault => None,
            (Some(_), Ok(_)) => self.able(force, name).err().map(|problem| problem.detail),
        };
        WalletView {
            name: name.clone(),
            chain: chain.or_else(|| declared.map(|wallet| wallet.chain)).unwrap_or(WrittenChain::Ethereum),
            address,
            origin,
            declared: declared.is_some(),
            policy: ruled.ok().flatten().map(|ruled| ruled.name.clone()),
            fault,
        }
    }
}

pub(super) fn policy_view(ruled: &Ruled) -> PolicyView {
    PolicyView { name: ruled.name.clone(), hash: ruled.hash.clone() }
}

fn written(chain: Chain) -> WrittenChain {
    match chain {
        Chain::Ethereum => WrittenChain::Ethereum,
        Chain::Solana => WrittenChain::Solana,
    }
}

/// What was decided is not decided any longer.
pub(super) fn policies_changed() -> Problem {
    let detail = "another generation came into force meanwhile".to_owned();
    Problem::new(409, "policies-changed", detail).hint("ask again: its policies decide")
}

/// What the vault refuses.
pub(super) fn vault_problem(error: VaultError) -> Problem {
    let (status, code) = match &error {
        VaultError::NoWallet(_) => (404, "no-such-wallet"),
        VaultError::NameTaken(_) => (409, "wallet-exists"),
        VaultError::KeyTaken(_) => (409, "key-known"),
        VaultError::Full => (409, "vault-full"),
        _ => (500, "vault-not-usable"),
    };
    Problem::new(status, code, error.to_string())
}

/// What a signer refuses.
pub(super) fn signer_problem(error: &SignerError) -> Problem {
    let (status, code) = match error {
        SignerError::NoWallet(_) | SignerError::OtherKey(_) => (409, "no-key"),
        SignerError::Refused(_) => (403, "signer-refuses"),
        SignerError::Sign(_) => (422, "invalid-order"),
        SignerError::TimedOut => (504, "deadline-exceeded"),
        _ => (502, "signer-not-usable"),
    };
    Problem::new(status, code, error.to_string())
}

/// What the book refuses.
pub(super) fn spend_problem(error: &SpendError) -> Problem {
    let (status, code) = match error {
        SpendError::Limit { .. } | SpendError::Signatures { .. } => (403, "limit-reached"),
        SpendError::NotApproved => (403, "needs-approval"),
        SpendError::Database(_) => (503, "book-not-usable"),
    };
    Problem::new(status, code, error.to_string())
}
