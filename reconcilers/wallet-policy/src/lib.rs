//! What a [`WalletPolicy`](osmoda_schemas::kinds::WalletPolicy) decides about a signature: no I/O, no clock, and the same
//! answer to the same question.
//!
//! A transaction is taken apart: what it moves, which rights it gives, what of it cannot be read. Each part is decided by
//! the first rule that matches it, what no rule matches is refused, and the strictest of these decisions is the
//! transaction's. So a batch is signed only where each of its parts would be.
//!
//! Rules that let through ask that *all* of a transaction's functions and programs are those that they name; rules that
//! refuse, or want an approval, match where *any* is.

mod amount;
mod compile;
mod decide;
mod hours;
mod limit;
mod loosens;
mod matching;
mod parts;

pub use amount::Amount;
pub use compile::{ADDRESS_HINT, Policy, chain_of, native_decimals};
pub use decide::{Decision, PartDecision, Refusal, Request, TypedDataFacts, Verdict};
pub use hours::Hours;
pub use limit::{Limit, Period};
pub use loosens::loosens;
pub use parts::{Spend, What};
