//! What happens to a key itself, and only with an approval of somebody else's: it is given out, or destroyed.

use osmoda_chains::{base58, hex};
use osmoda_schemas::{name::Name, ops::keyd::ExportedWallet, problem::Problem};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    force::InForce,
    keyd::{Keyd, policies_changed, spend_problem, vault_problem},
    order::account,
    users::Users,
};
use crate::{
    key::Key,
    spending::{Note, Purpose, SpendError, Used},
    vault::VaultError,
    wallet::{Wallet, WalletId},
};

impl Keyd {
    /// Destroys a wallet of the vault that nothing declares; gives its address.
    pub fn destroy(&self, name: &Name, address: &str, caller: u32) -> Result<String, Problem> {
        let force = self.force();
        force.check()?;
        if force.wallets.contains_key(name) {
            let detail = format!("Wallet/{name} is in force, and would get a new key");
            return Err(Problem::new(409, "wallet-declared", detail).hint("delete its document first"));
        }
        let wallet = self.named(name, address)?;
        let done = self.use_up(&force, &wallet.id, Purpose::Destroy, caller)?;
        let destroyed = self.vault.destroy(name);
        self.look().and(destroyed).map_err(vault_problem)?;
        self.book.note(done).map_err(|error| spend_problem(&error))?;
        Ok(wallet.id.public.address())
    }

    /// Gives out the key of a wallet of the vault whose policy lets keys leave.
    pub fn export(&self, name: &Name, address: &str, caller: u32) -> Result<ExportedWallet, Problem> {
        let wallet = self.named(name, address)?;
        let force = self.force();
        force.check()?;
        let ruled = self.ruled(&force, &wallet.id)?;
        if !ruled.is_exportable {
            let detail = format!("the policy `{}` lets no key leave", ruled.name);
            return Err(Problem::new(403, "not-exportable", detail)
                .hint("`exportable: true` in the policy lets them, each with an approval"));
        }
        let done = self.use_up(&force, &wallet.id, Purpose::Export, caller)?;
        let key = self.vault.key(name, std::time::Instant::now()).map_err(vault_problem)?;
        if key.public() != wallet.id.public {
            return Err(Problem::new(409, "other-key", format!("the wallet {name} has another key by now")));
        }
        self.book.note(done).map_err(|error| spend_problem(&error))?;
        Ok(ExportedWallet { wallet: name.clone(), address: wallet.id.public.address(), secret: text(&key) })
    }

    /// The wallet of the vault that is meant.
    fn named(&self, name: &Name, address: &str) -> Result<Wallet, Problem> {
        let wallet = self.kept().get(name).cloned();
        let wallet = wallet.ok_or_else(|| vault_problem(VaultError::NoWallet(name.clone())))?;
        if address.parse() == Ok(account(&wallet.id.public)) {
            return Ok(wallet);
        }
        let detail = format!("the address of the wallet {name} is {}", wallet.id.public.address());
        Err(Problem::new(409, "other-key", detail).hint("look again whether this is the one"))
    }

    /// Uses up an approval of somebody else's who may approve now, and writes down that it begins; gives what is to be
    /// written down when it is done. It is refused when other policies came into force meanwhile.
    fn use_up(&self, force: &InForce, id: &WalletId, purpose: Purpose, caller: u32) -> Result<Note, Problem> {
        let ruled = force.governing(&id.name, account(&id.public))?;
        let approvers = ruled.map(|ruled| Users::read().map(|users| users.uids(&ruled.approvers))).transpose()?;
        let (begins, ends, word, what) = match purpose {
            Purpose::Export => ("wallet.exporting", "wallet.exported", "export", "to give out the key of"),
            _ => ("wallet.destroying", "wallet.destroyed", "destroy", "to destroy"),
        };
        let told = json!({
            "wallet": id.name, "address": id.public.address(), "by": caller,
            "policy": ruled.map(|ruled| &ruled.name), "policyHash": ruled.map(|ruled| &ruled.hash),
        });
        let note = |kind| Note { kind, payload: told.to_string() };
        let payload = payload(word, id);
        let used = Used { wallet: id.name.clone(), purpose, payload, caller, approvers: approvers.unwrap_or_default() };
        self.book.use_approval(used, note(begins)).map_err(|error| match error {
            SpendError::NotApproved => {
                let (name, payload) = (&id.name, hex::encode(&payload));
                Problem::new(403, "needs-approval", format!("{what} the wallet {name} needs an approval")).hint(format!(
                    "somebody else who may approve: `osmoda wallet approve --{word} {name} {payload}`; then ask again"
                ))
            }
            other => spend_problem(&other),
        })?;
        // That took a while.
        if self.force().path == force.path { Ok(note(ends)) } else { Err(policies_changed()) }
    }
}

/// What an approval of it names.
fn payload(word: &str, id: &WalletId) -> [u8; 32] {
    let mut text = format!("osmoda-keyd {word} v1\n").into_bytes();
    id.encode(&mut text);
    Sha256::digest(&text).into()
}

/// As [`crate::vault::Secret::from_text`] takes it.
fn text(key: &Key) -> String {
    let secret = key.expose();
    match key {
        Key::Ethereum(_) => hex::encode(&*secret),
        Key::Solana(key) => {
            let mut pair = Zeroizing::new([0; 64]);
            pair[..32].copy_from_slice(&*secret);
            pair[32..].copy_from_slice(&key.public().0);
            base58::encode(&*pair)
        }
    }
}
