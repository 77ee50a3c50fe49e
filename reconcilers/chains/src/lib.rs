//! What a wallet daemon has to know of Ethereum and Solana, and nothing that it could do harm with: no I/O, no clock, no
//! chance of its own (callers pass entropy), no panic on any input. Secrets are wiped when dropped and cannot be printed.
//! What the libraries of curves and hashes leave of them on the stack while they reckon, and what a move of a value leaves
//! behind, is not wiped. Who holds keys keeps the memory of its process out of swap, core dumps and debuggers.
//!
//! Whatever comes from outside is read exactly: it has limits, and what is read encodes to the same bytes, or it is
//! refused. [`Effects`] then tells, the same way for both chains, what a signature would do, so that a policy need not
//! know either.
//!
//! ```
//! use osmoda_chains::{Effects, U256, effects::Asset, ethereum::{Address, transaction::Transaction}, hex};
//! use osmoda_chains::keys::secp256k1::SecretKey;
//!
//! // The example of EIP-155.
//! let unsigned = hex::decode(
//!     "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
//! )?;
//! let transaction = Transaction::decode(&unsigned)?;
//! let key = SecretKey::from_bytes(&[0x46; 32])?;
//! let signer = Address::of(&key.public());
//!
//! let effects = Effects::of_ethereum(&transaction, signer);
//! assert!(effects.is_decoded());
//! assert_eq!(effects.moves[0].amount, U256::from(1_000_000_000_000_000_000_u64));
//! assert_eq!(effects.total(&Asset::Native), Some("1000420000000000000".parse()?));
//!
//! let signed = transaction.sign(&key)?;
//! assert_eq!(signed.signer()?.to_string(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod base58;
pub mod derive;
pub mod effects;
pub mod ethereum;
pub mod hex;
pub mod keys;
pub mod mnemonic;
pub mod number;
pub mod promise;
mod shown;
pub mod solana;

pub use effects::Effects;
pub use number::U256;
