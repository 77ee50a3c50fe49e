//! The header of a vault: how its key is derived, which rotation it is of, and a check that tells a wrong passphrase
//! before any key is looked at.

use super::{
    CostError, VaultError,
    master::{Kdf, MasterKey, Sealed},
};
use crate::bytes::Reader;

const MAGIC: &[u8] = b"osmoda-vault-v1\n";
/// What is sealed as a check. 32 bytes that are known bind a ciphertext of GCM to one key, which its tag alone does not
/// (Albertini et al., How to Abuse and Fix Authenticated Encryption Without Key Commitment, USENIX Security 2022).
const CHECK: [u8; 32] = [0; 32];

/// The file `vault`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kdf: Kdf,
    /// Rotations before this one.
    pub(crate) rotation: u64,
    check: Sealed,
}

/// Bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It has another form.
    Form,
    /// It asks for more or less than is good.
    Cost(CostError),
}

impl Header {
    pub(crate) const LEN: usize = MAGIC.len() + Kdf::LEN + 8 + Sealed::LEN;

    pub(crate) fn new(master: &MasterKey, rotation: u64) -> Result<Self, VaultError> {
        let kdf = master.kdf().clone();
        let check = master.seal(&associated(&kdf, rotation), &CHECK)?;
        Ok(Self { kdf, rotation, check })
    }

    /// Is that the key whose header this is?
    pub(crate) fn is_of(&self, master: &MasterKey) -> bool {
        master.open(&associated(&self.kdf, self.rotation), &self.check).is_ok_and(|check| *check == CHECK)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = associated(&self.kdf, self.rotation);
        self.check.encode(&mut bytes);
        bytes
    }

    /// What is taken is what [`Header::to_bytes`] gives of it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut reader = Reader::new(bytes);
        let mut parts = || {
            let magic = reader.take(MAGIC.len())?;
            let (kdf, rotation, check) = (Kdf::decode(&mut reader)?, reader.u64()?, Sealed::decode(&mut reader)?);
            (magic == MAGIC).then_some((kdf, rotation, check))
        };
        let (kdf, rotation, check) = parts().ok_or(HeaderError::Form)?;
        reader.end().ok_or(HeaderError::Form)?;
        Ok(Self { kdf: kdf.map_err(HeaderError::Cost)?, rotation, check })
    }
}

/// All that is before the check.
fn associated(kdf: &Kdf, rotation: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    kdf.encode(&mut bytes);
    bytes.extend_from_slice(&rotation.to_be_bytes());
    bytes
}
