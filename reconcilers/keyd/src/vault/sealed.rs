//! The file of a wallet: what is known of it, and its secret key, sealed together with that.

use super::{
    VaultError,
    master::{Forged, MasterKey, Sealed},
};
use crate::{
    bytes::Reader,
    key::Key,
    wallet::{Name, Origin, Wallet, WalletId},
};

const MAGIC: &[u8] = b"osmoda-key-v1\n";

/// The file `NAME.key`: nobody can give it another name, chain, public key or origin, as they are associated with what is
/// sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyFile {
    pub(crate) wallet: Wallet,
    sealed: Sealed,
}

impl KeyFile {
    /// Of the longest name, the longest path and the longer public key.
    pub(crate) const MOST_LEN: usize = MAGIC.len() + 1 + Name::MAX_LEN + 34 + 2 + 16 * 4 + Sealed::LEN;

    /// Seals a key, with a new nonce.
    pub(crate) fn seal(master: &MasterKey, name: &Name, key: &Key, origin: &Origin) -> Result<Self, VaultError> {
        let id = WalletId { name: name.clone(), public: key.public() };
        let wallet = Wallet { id, origin: origin.clone() };
        let sealed = master.seal(&associated(&wallet), &key.expose())?;
        Ok(Self { wallet, sealed })
    }

    /// The key, whose public half is the one that the file tells.
    pub(crate) fn open(&self, master: &MasterKey) -> Result<Key, Forged> {
        let public = self.wallet.id.public;
        let secret = master.open(&associated(&self.wallet), &self.sealed)?;
        Key::from_bytes(public.chain(), &secret).filter(|key| key.public() == public).ok_or(Forged)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = associated(&self.wallet);
        self.sealed.encode(&mut bytes);
        bytes
    }

    /// What is taken is what [`KeyFile::to_bytes`] gives of it.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let (id, origin) = (WalletId::decode(&mut reader)?, Origin::decode(&mut reader)?);
        let sealed = Sealed::decode(&mut reader)?;
        reader.end()?;
        Some(Self { wallet: Wallet { id, origin }, sealed })
    }
}

/// All that is before the nonce.
fn associated(wallet: &Wallet) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    wallet.id.encode(&mut bytes);
    wallet.origin.encode(&mut bytes);
    bytes
}
