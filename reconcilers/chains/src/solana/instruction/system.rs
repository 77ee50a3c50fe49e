//! The System program: the number of the instruction in 4 bytes, then its fields (bincode).

use super::Data;
use crate::solana::{Address, message::Account};

/// An instruction that can move lamports, or give an account away. Amounts are in lamports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as the program names them")]
pub enum System {
    /// A new account with lamports, which belongs to a program.
    CreateAccount { from: Account, to: Account, lamports: u64, space: u64, owner: Address },
    /// The signing account now belongs to a program, which may do with its lamports as it likes.
    Assign { account: Account, owner: Address },
    /// Lamports.
    Transfer { from: Account, to: Account, lamports: u64 },
    /// As `CreateAccount`, at an address that is derived from `base`.
    CreateAccountWithSeed { from: Account, to: Account, base: Address, lamports: u64, space: u64, owner: Address },
    /// The value of a durable nonce is used up.
    AdvanceNonce { nonce: Account, authority: Account },
    /// Lamports of a nonce account.
    WithdrawNonce { nonce: Account, to: Account, lamports: u64 },
    /// Somebody else has the nonce account, with its lamports.
    AuthorizeNonce { nonce: Account, authority: Address },
    /// Room for data. It moves nothing.
    Allocate { account: Account, space: u64 },
    /// Lamports of an address that is derived from `base`.
    TransferWithSeed { from: Account, base: Account, to: Account, lamports: u64 },
}

/// Numbers and names.
pub(crate) const NAMES: [&str; 13] = [
    "createAccount",
    "assign",
    "transfer",
    "createAccountWithSeed",
    "advanceNonceAccount",
    "withdrawNonceAccount",
    "initializeNonceAccount",
    "authorizeNonceAccount",
    "allocate",
    "allocateWithSeed",
    "assignWithSeed",
    "transferWithSeed",
    "upgradeNonceAccount",
];

pub(super) fn name(data: &[u8]) -> Option<&'static str> {
    let number = usize::try_from(u32::from_le_bytes(*data.first_chunk()?)).ok()?;
    NAMES.get(number).copied()
}

impl System {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES[match self {
            Self::CreateAccount { .. } => 0,
            Self::Assign { .. } => 1,
            Self::Transfer { .. } => 2,
            Self::CreateAccountWithSeed { .. } => 3,
            Self::AdvanceNonce { .. } => 4,
            Self::WithdrawNonce { .. } => 5,
            Self::AuthorizeNonce { .. } => 7,
            Self::Allocate { .. } => 8,
            Self::TransferWithSeed { .. } => 11,
        }]
    }

    /// Reads data to its last byte. More accounts than are used are taken: the program does not look at them.
    pub(super) fn read(accounts: &[Account], data: &[u8]) -> Option<Self> {
        let mut data = Data(data);
        let number = data.array().map(u32::from_le_bytes)?;
        let read = match (number, accounts) {
            (0, [from, to, ..]) => {
                let (lamports, space, owner) = (data.u64()?, data.u64()?, data.address()?);
                Self::CreateAccount { from: *from, to: *to, lamports, space, owner }
            }
            (1, [account, ..]) => Self::Assign { account: *account, owner: data.address()? },
            (2, [from, to, ..]) => Self::Transfer { from: *from, to: *to, lamports: data.u64()? },
            (3, [from, to, ..]) => {
                let (base, _seed, lamports) = (data.address()?, data.seed()?, data.u64()?);
                let (space, owner) = (data.u64()?, data.address()?);
                Self::CreateAccountWithSeed { from: *from, to: *to, base, lamports, space, owner }
            }
            (4, [nonce, _, authority, ..]) => Self::AdvanceNonce { nonce: *nonce, authority: *authority },
            (5, [nonce, to, _, _, _, ..]) => Self::WithdrawNonce { nonce: *nonce, to: *to, lamports: data.u64()? },
            (7, [nonce, _, ..]) => Self::AuthorizeNonce { nonce: *nonce, authority: data.address()? },
            (8, [account, ..]) => Self::Allocate { account: *account, space: data.u64()? },
            (11, [from, base, to, ..]) => {
                let (lamports, _seed, _owner) = (data.u64()?, data.seed()?, data.address()?);
                Self::TransferWithSeed { from: *from, base: *base, to: *to, lamports }
            }
            _ => return None,
        };
        data.0.is_empty().then_some(read)
    }
}
