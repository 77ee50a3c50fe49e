//! What a wallet daemon has to know of Ethereum and Solana. Pure: no I/O, no clock, no chance of its own.

pub mod base58;
pub mod derive;
pub mod ethereum;
pub mod hex;
pub mod keys;
pub mod mnemonic;
pub mod number;
pub mod solana;

pub use number::U256;
