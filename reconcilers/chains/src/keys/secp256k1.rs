//! ECDSA over secp256k1 (SEC 2; FIPS 186-5) as Ethereum uses it: of 32 bytes that are a hash, deterministic (RFC 6979 with
//! SHA-256), with the lower of both possible `s` (EIP-2), and with the parity that the public key is recovered by.

use k256::ecdsa::{RecoveryId, Signature as Raw, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier};
use zeroize::Zeroizing;

/// What a key or signature is refused for. It never tells anything of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Zero, or not below the order of the curve.
    #[error("these 32 bytes are no secret key of secp256k1")]
    Secret,
    /// Not a point of the curve.
    #[error("this is no public key of secp256k1")]
    Public,
    /// `r` or `s` is zero or not below the order, or `s` is the higher of two.
    #[error("this is no signature with 0 < r < n and 0 < s <= n/2")]
    Signature,
    /// No public key fits the signature.
    #[error("no public key fits this signature")]
    Recovery,
    /// What was signed did not verify: the machine reckons wrongly, and the signature is not given out.
    #[error("the signature did not verify and is withheld: this machine reckons wrongly")]
    Fault,
}

/// A secret key. It is wiped when dropped; it can be neither cloned nor printed.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From 32 bytes, such as fresh entropy. Of random bytes fewer than one in 2^127 are refused: take others then.
    ///
    /// # Errors
    /// [`KeyError::Secret`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| KeyError::Secret)
    }

    /// The 32 bytes, to be sealed.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Signs a hash of 32 bytes, and verifies what it signed, so that no wrongly reckoned signature tells the key.
    ///
    /// # Errors
    /// [`KeyError::Fault`].
    pub fn sign_hash(&self, hash: &[u8; 32]) -> Result<Signature, KeyError> {
        let (raw, recovery) = self.0.sign_prehash_recoverable(hash);
        let (r, s) = raw.split_bytes();
        // An `r` that was reduced by the order (one signature in 2^127) has no place in Ethereum's signatures.
        let signature = Signature { r: r.into(), s: s.into(), y_parity: recovery.is_y_odd() };
        // A key that is recovered is one that verifies: R = (z/s)G + (r/s)Q where Q = (s/r)R - (z/r)G (SEC 1, 4.1.6).
        let recovered = signature.recover(hash).map_err(|_| KeyError::Fault)?;
        if recovery.is_x_reduced() || recovered != self.public() {
            return Err(KeyError::Fault);
        }
        Ok(signature)
    }

    pub(crate) fn scalar(&self) -> &k256::NonZeroScalar {
        self.0.as_nonzero_scalar()
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// From SEC 1: 33 bytes compressed, or 65 that begin with 4.
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes {
            [2 | 3, rest @ ..] if rest.len() == 32 => {}
            [4, rest @ ..] if rest.len() == 64 => {}
            _ => return Err(KeyError::Public),
        }
        VerifyingKey::from_sec1_bytes(bytes).map(Self).map_err(|_| KeyError::Public)
    }

    /// 33 bytes: 2 or 3, and x.
    #[must_use]
    pub fn to_compressed(&self) -> [u8; 33] {
        self.encoded(true)
    }

    /// 65 bytes: 4, x and y.
    #[must_use]
    pub fn to_uncompressed(&self) -> [u8; 65] {
        self.encoded(false)
    }

    fn encoded<const LENGTH: usize>(&self, is_compressed: bool) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        for (to, from) in bytes.iter_mut().zip(self.0.to_sec1_point(is_compressed).as_bytes()) {
            *to = *from;
        }
        bytes
    }

    /// Is that this key's signature of the hash?
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify_hash(&self, hash: &[u8; 32], signature: &Signature) -> Result<(), KeyError> {
        self.0.verify_prehash(hash, &signature.raw()?).map_err(|_| KeyError::Signature)
    }
}

/// A signature. Fields are as they were given; [`Signature::check`] tells whether they are in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// `r`, the most significant byte first.
    pub r: [u8; 32],
    /// `s`, the most significant byte first.
    pub s: [u8; 32],
    /// Is the y of the point whose x is `r` odd?
    pub y_parity: bool,
}

impl Signature {
    /// Are `r` and `s` in range, and is `s` the lower of both (EIP-2)?
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn check(&self) -> Result<(), KeyError> {
        self.raw().map(|_| ())
    }

    fn raw(&self) -> Result<Raw, KeyError> {
        let raw = Raw::from_scalars(self.r, self.s).map_err(|_| KeyError::Signature)?;
        if raw.normalize_s() == raw { Ok(raw) } else { Err(KeyError::Signature) }
    }

    /// The public key whose signature of the hash this is.
    ///
    /// # Errors
    /// [`KeyError::Signature`], [`KeyError::Recovery`].
    pub fn recover(&self, hash: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let recovery = RecoveryId::new(self.y_parity, false);
        let key = VerifyingKey::recover_from_prehash(hash, &self.raw()?, recovery).map_err(|_| KeyError::Recovery)?;
        Ok(PublicKey(key))
    }

    /// 65 bytes: r, s, and 27 or 28, as signatures of messages are written.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..64].copy_from_slice(&self.s);
        bytes[64] = 27 + u8::from(self.y_parity);
        bytes
    }

    /// From what [`Signature::to_bytes`] gives.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn from_bytes(bytes: &[u8; 65]) -> Result<Self, KeyError> {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..64]);
        let y_parity = match bytes[64] {
            27 => false,
            28 => true,
            _ => return Err(KeyError::Signature),
        };
        let signature = Self { r, s, y_parity };
        signature.check()?;
        Ok(signature)
    }
}
