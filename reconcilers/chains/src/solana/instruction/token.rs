//! SPL Token and Token-2022: the number of the instruction in a byte, then its fields.

use super::Data;
use crate::solana::{Address, message::Account};

/// What an authority may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Make tokens of a mint.
    MintTokens,
    /// Freeze accounts of a mint.
    FreezeAccount,
    /// All that an account's owner may.
    AccountOwner,
    /// Close an account, and take its lamports.
    CloseAccount,
    /// One of Token-2022's others, by its number.
    Other(u8),
}

/// An instruction. Amounts are in the token's smallest unit. `owner` may be a delegate, or of several signers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as the program names them")]
pub enum Token {
    /// Tokens of an account whose mint is not told.
    Transfer { source: Account, destination: Account, owner: Account, amount: u64 },
    /// Tokens of a mint.
    TransferChecked { source: Account, mint: Account, destination: Account, owner: Account, amount: u64, decimals: u8 },
    /// `delegate` may take so many of an account whose mint is not told.
    Approve { source: Account, delegate: Account, owner: Account, amount: u64 },
    /// `delegate` may take so many.
    ApproveChecked { source: Account, mint: Account, delegate: Account, owner: Account, amount: u64, decimals: u8 },
    /// No delegate any longer.
    Revoke { source: Account, owner: Account },
    /// Somebody else has an authority, or nobody.
    SetAuthority { account: Account, kind: Authority, new: Option<Address>, owner: Account },
    /// An account is closed, and its lamports go to another: all of them, which is how many wrapped SOL it had.
    CloseAccount { account: Account, destination: Account, owner: Account },
    /// The amount of wrapped SOL is counted again.
    SyncNative { account: Account },
}

pub(crate) const NAMES: [&str; 25] = [
    "initializeMint",
    "initializeAccount",
    "initializeMultisig",
    "transfer",
    "approve",
    "revoke",
    "setAuthority",
    "mintTo",
    "burn",
    "closeAccount",
    "freezeAccount",
    "thawAccount",
    "transferChecked",
    "approveChecked",
    "mintToChecked",
    "burnChecked",
    "initializeAccount2",
    "syncNative",
    "initializeAccount3",
    "initializeMultisig2",
    "initializeMint2",
    "getAccountDataSize",
    "initializeImmutableOwner",
    "amountToUiAmount",
    "uiAmountToAmount",
];

pub(super) fn name(data: &[u8]) -> Option<&'static str> {
    NAMES.get(usize::from(*data.first()?)).copied()
}

impl Token {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES[match self {
            Self::Transfer { .. } => 3,
            Self::Approve { .. } => 4,
            Self::Revoke { .. } => 5,
            Self::SetAuthority { .. } => 6,
            Self::CloseAccount { .. } => 9,
            Self::TransferChecked { .. } => 12,
            Self::ApproveChecked { .. } => 13,
            Self::SyncNative { .. } => 17,
        }]
    }

    /// Reads data to its last byte. Accounts after the owner sign with it, or are what a hook of Token-2022 wants.
    pub(super) fn read(accounts: &[Account], data: &[u8]) -> Option<Self> {
        let mut data = Data(data);
        let read = match (data.byte()?, accounts) {
            (3, [source, destination, owner, ..]) => {
                Self::Transfer { source: *source, destination: *destination, owner: *owner, amount: data.u64()? }
            }
            (4, [source, delegate, owner, ..]) => {
                Self::Approve { source: *source, delegate: *delegate, owner: *owner, amount: data.u64()? }
            }
            (5, [source, owner, ..]) => Self::Revoke { source: *source, owner: *owner },
            (6, [account, owner, ..]) => {
                let kind = match data.byte()? {
                    0 => Authority::MintTokens,
                    1 => Authority::FreezeAccount,
                    2 => Authority::AccountOwner,
                    3 => Authority::CloseAccount,
                    other => Authority::Other(other),
                };
                let new = match data.byte()? {
                    0 => None,
                    1 => Some(data.address()?),
                    _ => return None,
                };
                Self::SetAuthority { account: *account, kind, new, owner: *owner }
            }
            (9, [account, destination, owner, ..]) => {
                Self::CloseAccount { account: *account, destination: *destination, owner: *owner }
            }
            (12, [source, mint, destination, owner, ..]) => {
                let (source, mint, destination, owner) = (*source, *mint, *destination, *owner);
                let (amount, decimals) = (data.u64()?, data.byte()?);
                Self::TransferChecked { source, mint, destination, owner, amount, decimals }
            }
            (13, [source, mint, delegate, owner, ..]) => {
                let (source, mint, delegate, owner) = (*source, *mint, *delegate, *owner);
                let (amount, decimals) = (data.u64()?, data.byte()?);
                Self::ApproveChecked { source, mint, delegate, owner, amount, decimals }
            }
            (17, [account, ..]) => Self::SyncNative { account: *account },
            _ => return None,
        };
        data.0.is_empty().then_some(read)
    }
}
