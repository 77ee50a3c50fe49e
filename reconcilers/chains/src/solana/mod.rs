//! Solana: addresses, messages (legacy and version 0), transactions, known instructions, messages that are built here, and
//! messages that are signed off the chain.

mod address;
mod build;
mod compact;
pub mod instruction;
pub mod message;
pub mod offchain;
pub mod programs;
mod transaction;

pub use address::{Address, AddressError, associated_token_address, find_program_address};
pub use build::{BuildError, Instruction, TokenTransfer, compile, transfer, transfer_token};
pub use message::{Message, MessageError};
pub use transaction::{Transaction, TransactionError};
