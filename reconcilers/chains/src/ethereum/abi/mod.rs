//! What a contract is called with: the functions of tokens that are known here, and nothing else.
//!
//! A name tells what was asked for, not what the contract does: only who knows the contract knows that. `transfer`,
//! `transferFrom` and `approve` are the same for ERC-20 (an amount) and contracts that keep items (which one).

pub(crate) mod call;
mod words;

pub use call::{Authorized, Call, CallError, Sig, selector_of};
