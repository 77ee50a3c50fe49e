//! What wallets have spent, and what they may: nothing is signed before it is written down here that it was, and no two
//! callers are told yes to the same money.
//!
//! One thread decides, one question after the other, and writes down what it has granted; many grants share a commit. An
//! answer leaves it only when that is durable. A process that is killed at any instant has granted no more than is written
//! down, and perhaps less was signed: what is written down stays spent, unless whoever asked proves that nothing was signed
//! ([`Spending::release`]).
//!
//! Sums belong to wallets, by name and by address, and to the policy that let them pass, by name: a policy that changes, or
//! comes back, finds them as they are, and a wallet that goes leaves them behind.

mod database;
mod sums;
mod writer;

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use jiff::Timestamp;
use osmoda_chains::{
    U256,
    effects::{Account, Chain},
};
use osmoda_schemas::name::Name;
use osmoda_wallet_policy::{Limit, Spend};

/// Questions that wait for an answer; whoever comes later waits before that.
const WAITING: usize = 1024;

/// The book of all wallets.
#[derive(Debug)]
pub struct Spending {
    asks: Option<mpsc::SyncSender<writer::Ask>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A signature that is to be written down.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// The wallet.
    pub wallet: Name,
    /// Its address.
    pub account: Account,
    /// The policy that lets it pass.
    pub policy: Name,
    /// What the limits are over.
    pub group: Group,
    /// SHA-256 of all that is to be signed, and how. The same once more is the same signature, and costs nothing.
    pub payload: [u8; 32],
    /// The chain family.
    pub chain: Chain,
    /// The chain (EIP-155).
    pub chain_id: Option<u64>,
    /// What leaves.
    pub spends: Vec<Spend>,
    /// Limits with what of it counts against each.
    pub limits: Vec<(Limit, U256)>,
    /// Who asks (uid).
    pub caller: u32,
    /// Somebody else has to have approved it: root, or one of these users. None: nobody has to.
    pub approvers: Option<Vec<u32>>,
    /// What is written down of it for others, in the same commit.
    pub note: Note,
}

/// Whose signatures a limit is over: those of these wallets, by name or by address, and those that the policy let pass,
/// whatever has become of their wallets.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Names of the wallets.
    pub wallets: Vec<Name>,
    /// Their addresses.
    pub accounts: Vec<Account>,
    /// The policy.
    pub policy: Option<Name>,
}

/// Something that happened, for others to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What, such as `wallet.signed`.
    pub kind: &'static str,
    /// All about it, in JSON.
    pub payload: String,
}

/// Something that happened, as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number; later ones are larger.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What, such as `wallet.signed`.
    pub kind: String,
    /// The reservation that it is about.
    pub reservation: Option<i64>,
    /// All about it, in JSON.
    pub payload: String,
}

/// What an approval is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A signature.
    Sign,
    /// The destruction of the key.
    Destroy,
    /// Giving the key out.
    Export,
}

/// An approval that is to be remembered.
#[derive(Clone, Debug)]
pub struct Approve {
    /// The wallet.
    pub wallet: Name,
    /// What for: a signature, or the end of the wallet.
    pub purpose: Purpose,
    /// What is approved: for a signature that of [`Reserve::payload`].
    pub payload: [u8; 32],
    /// By whom (uid).
    pub approver: u32,
    /// Until when.
    pub until: Timestamp,
    /// What is written down of it for others.
    pub note: Note,
}

/// An approval that is asked for.
#[derive(Clone, Debug)]
pub struct Used {
    /// The wallet.
    pub wallet: Name,
    /// What for.
    pub purpose: Purpose,
    /// What has to have been approved.
    pub payload: [u8; 32],
    /// Who asks, and cannot be who has approved.
    pub caller: u32,
    /// Users beside root whose approvals count now.
    pub approvers: Vec<u32>,
}

/// It is written down, and may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its number; larger ones are later.
    pub id: i64,
    /// It was granted before, to the same payload.
    pub again: bool,
}

/// Why it may not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SpendError {
    /// A limit.
    #[error("the limit `{limit}` lets {left} more pass, not {wanted} (in the smallest unit)")]
    Limit {
        /// Its name.
        limit: Name,
        /// What is left of it.
        left: U256,
        /// What was asked for.
        wanted: U256,
    },
    /// A limit of signatures.
    #[error("the limit `{limit}` lets no more than {most} signatures pass")]
    Signatures {
        /// Its name.
        limit: Name,
        /// How many.
        most: u32,
    },
    /// Nobody else has approved it, or not any longer.
    #[error("nobody has approved it")]
    NotApproved,
    /// It cannot be written down.
    #[error("what is spent cannot be written down: {0}")]
    Database(String),
}

impl Spending {
    /// Opens the book in a file, and makes it where there is none. `clock` tells the time; it may go back, the book's does not.
    ///
    /// # Errors
    /// When the file is not a book, or cannot be written.
    pub fn open(file: &Path, clock: impl Fn() -> Timestamp + Send + 'static) -> Result<Self, SpendError> {
        let writer = writer::Writer::open(file, Box::new(clock))?;
        let (asks, waiting) = mpsc::sync_channel(WAITING);
        let thread = thread::Builder::new().name("spending".to_owned()).spawn(move || writer.run(&waiting));
        let thread = thread.map_err(|error| SpendError::Database(error.to_string()))?;
        Ok(Self { asks: Some(asks), thread: Mutex::new(Some(thread)) })
    }

    /// Writes a signature down, so that it counts from now on.
    ///
    /// # Errors
    /// When a limit is reached, an approval is missing, or it cannot be made durable: then it does not count.
    pub fn reserve(&self, reserve: Reserve) -> Result<Reservation, SpendError> {
        self.ask(|answer| writer::Ask::Reserve(Box::new(reserve), answer))
    }

    /// Takes a reservation back of which nothing was signed, which the caller knows for certain. Writes that down, too. One
    /// that somebody else has been granted again meanwhile stays: it may be signed for them.
    ///
    /// # Errors
    /// When it cannot be made durable: then it counts on.
    pub fn release(&self, id: i64) -> Result<(), SpendError> {
        self.ask(|answer| writer::Ask::Release(id, answer))
    }

    /// Remembers that somebody has approved a payload of a wallet, once and until then.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn approve(&self, approve: Approve) -> Result<(), SpendError> {
        self.ask(|answer| writer::Ask::Approve(Box::new(approve), answer))
    }

    /// Uses up an approval of what is no signature, and writes that down.
    ///
    /// # Errors
    /// When there is none of somebody else, or it cannot be made durable.
    pub fn use_approval(&self, used: Used, note: Note) -> Result<(), SpendError> {
        self.ask(|answer| writer::Ask::Use(Box::new(used), note, answer))
    }

    /// Writes down that something happened.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn note(&self, note: Note) -> Result<(), SpendError> {
        self.ask(|answer| writer::Ask::Note(note, answer))
    }

    /// What happened after an event, from the earliest on (0: from the first); and the number of the last one.
    ///
    /// # Errors
    /// When the book cannot be read.
    pub fn events(&self, after: i64, most: u32) -> Result<(Vec<Event>, i64), SpendError> {
        self.ask(|answer| writer::Ask::Events(after, most, answer))
    }

    /// What is left of each limit for a group, and how many signatures; for people to look at.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn left(&self, group: Group, limits: Vec<Limit>) -> Result<Vec<(U256, Option<u32>)>, SpendError> {
        self.ask(|answer| writer::Ask::Left(group, limits, answer))
    }

    fn ask<T>(
        &self,
        ask: impl FnOnce(mpsc::SyncSender<Result<T, SpendError>>) -> writer::Ask,
    ) -> Result<T, SpendError> {
        let gone = || SpendError::Database("the book is closed".to_owned());
        let (answer, answered) = mpsc::sync_channel(1);
        self.asks.as_ref().ok_or_else(gone)?.send(ask(answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        drop(self.asks.take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It ends with the last question.
            let _ = thread.join();
        }
    }
}

impl From<rusqlite::Error> for SpendError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<io::Error> for SpendError {
    fn from(error: io::Error) -> Self {
        Self::Database(error.to_string())
    }
}
