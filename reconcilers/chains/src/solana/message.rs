//! Messages: what the signers of a transaction sign, legacy or of version 0 (with lookup tables).

use std::collections::BTreeSet;

use super::{
    Address,
    compact::{Reader, write_length, write_list},
};

/// The longest transaction, in bytes: one packet of IPv6 without its headers.
pub const MOST_BYTES: usize = 1232;
/// The most accounts, with those of lookup tables: an index is one byte.
pub const MOST_ACCOUNTS: usize = 256;

/// Bytes or parts are no message that a validator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes end too early.
    #[error("it ends in the middle of a field")]
    Short,
    /// There are bytes after the end.
    #[error("there is more after its end")]
    Trailing,
    /// Longer than a packet.
    #[error("it is longer than a packet holds ({MOST_BYTES} bytes with its signatures)")]
    TooLong,
    /// A length that is not written in its shortest form, or is more than 65,535.
    #[error("a length is not written in its one form")]
    Length,
    /// A version that is not known here.
    #[error("messages of version {0} are not known here (known: legacy, 0)")]
    Version(u8),
    /// The numbers of signers and of accounts do not fit.
    #[error("the header counts more signers, or more accounts that are only read, than there can be")]
    Header,
    /// An account twice.
    #[error("account {0} is listed twice")]
    Duplicate(Address),
    /// More than 256.
    #[error("it has more than {MOST_ACCOUNTS} accounts")]
    TooManyAccounts,
    /// An index of no account.
    #[error("instruction {0} refers to an account that is not there")]
    Account(usize),
    /// The payer, or an account of a lookup table.
    #[error("the program of instruction {0} is no listed account, or is the payer")]
    Program(usize),
    /// A lookup table that nothing is taken from, or twice the same one.
    #[error("lookup table {0} is listed twice, or nothing is taken from it")]
    Lookup(Address),
    /// A legacy message with lookup tables.
    #[error("a legacy message has no lookup tables")]
    LegacyLookup,
}

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The first form.
    Legacy,
    /// Version 0: with lookup tables.
    V0,
}

/// How many accounts sign, and how many are only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first accounts, which sign. The very first pays.
    pub signers: u8,
    /// The last of those, which are only read.
    pub readonly_signers: u8,
    /// The last of the others, which are only read.
    pub readonly_others: u8,
}

/// An instruction, by indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledInstruction {
    /// The program: an index of the listed accounts.
    pub program: u8,
    /// Its accounts: indexes of the listed ones, then of those that lookup tables give.
    pub accounts: Vec<u8>,
    /// Its data.
    pub data: Vec<u8>,
}

/// Accounts of a table that is on the chain. Which addresses they are, a transaction does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The table.
    pub table: Address,
    /// Its entries that may be written.
    pub writable: Vec<u8>,
    /// Its entries that are only read.
    pub readonly: Vec<u8>,
}

/// An account that an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Listed in the message.
    Listed(Address),
    /// Entry of a lookup table: not known from the transaction.
    Looked {
        /// The table.
        table: Address,
        /// The entry.
        entry: u8,
    },
}

impl Account {
    /// The address, when the message tells it.
    #[must_use]
    pub fn listed(self) -> Option<Address> {
        match self {
            Self::Listed(address) => Some(address),
            Self::Looked { .. } => None,
        }
    }
}

/// A message that is consistent: see [`Message::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    version: Version,
    header: Header,
    accounts: Vec<Address>,
    blockhash: [u8; 32],
    instructions: Vec<CompiledInstruction>,
    lookups: Vec<Lookup>,
}

impl Message {
    /// From its parts, which are checked as validators do: the header fits the accounts and the payer can be written, no
    /// account is listed twice, each index is of an account, programs are listed and not the payer.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn new(
        version: Version,
        header: Header,
        accounts: Vec<Address>,
        blockhash: [u8; 32],
        instructions: Vec<CompiledInstruction>,
        lookups: Vec<Lookup>,
    ) -> Result<Self, MessageError> {
        let Header { signers, readonly_signers, readonly_others } = header;
        if readonly_signers >= signers || usize::from(signers) + usize::from(readonly_others) > accounts.len() {
            return Err(MessageError::Header);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = accounts.iter().find(|account| !seen.insert(**account)) {
            return Err(MessageError::Duplicate(*twice));
        }
        if version == Version::Legacy && !lookups.is_empty() {
            return Err(MessageError::LegacyLookup);
        }
        let (mut all, mut tables) = (accounts.len(), BTreeSet::new());
        for lookup in &lookups {
            let count = lookup.writable.len() + lookup.readonly.len();
            if count == 0 || !tables.insert(lookup.table) {
                return Err(MessageError::Lookup(lookup.table));
            }
            all += count;
        }
        if all > MOST_ACCOUNTS {
            return Err(MessageError::TooManyAccounts);
        }
        for (at, instruction) in instructions.iter().enumerate() {
            if instruction.program == 0 || usize::from(instruction.program) >= accounts.len() {
                return Err(MessageError::Program(at));
            }
            if instruction.accounts.iter().any(|index| usize::from(*index) >= all) {
                return Err(MessageError::Account(at));
            }
        }
        let message = Self { version, header, accounts, blockhash, instructions, lookups };
        // A byte for the number of signatures, and 64 for each (the number of signers is below 128 then).
        if message.encode().len() + 1 + 64 * usize::from(signers) > MOST_BYTES {
            return Err(MessageError::TooLong);
        }
        Ok(message)
    }

    /// Reads the bytes that are signed.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MOST_BYTES {
            return Err(MessageError::TooLong);
        }
        let mut reader = Reader(bytes);
        let first = reader.byte()?;
        let (version, signers) = match first {
            0..=0x7f => (Version::Legacy, first),
            0x80 => (Version::V0, reader.byte()?),
            _ => return Err(MessageError::Version(first & 0x7f)),
        };
        let header = Header { signers, readonly_signers: reader.byte()?, readonly_others: reader.byte()? };
        let accounts = reader.arrays()?.into_iter().map(Address).collect();
        let blockhash = reader.array()?;
        let count = reader.length()?;
        let mut instructions = Vec::new();
        for _ in 0..count {
            let (program, accounts) = (reader.byte()?, reader.list()?);
            instructions.push(CompiledInstruction { program, accounts, data: reader.list()? });
        }
        let mut lookups = Vec::new();
        if version == Version::V0 {
            for _ in 0..reader.length()? {
                let (table, writable) = (Address(reader.array()?), reader.list()?);
                lookups.push(Lookup { table, writable, readonly: reader.list()? });
            }
        }
        if !reader.0.is_empty() {
            return Err(MessageError::Trailing);
        }
        Self::new(version, header, accounts, blockhash, instructions, lookups)
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.version == Version::V0 {
            bytes.push(0x80);
        }
        bytes.extend([self.header.signers, self.header.readonly_signers, self.header.readonly_others]);
        write_length(&mut bytes, self.accounts.len());
        bytes.extend(self.accounts.iter().flat_map(|account| account.0));
        bytes.extend(self.blockhash);
        write_length(&mut bytes, self.instructions.len());
        for instruction in &self.instructions {
            bytes.push(instruction.program);
            write_list(&mut bytes, &instruction.accounts);
            write_list(&mut bytes, &instruction.data);
        }
        if self.version == Version::V0 {
            write_length(&mut bytes, self.lookups.len());
            for lookup in &self.lookups {
                bytes.extend(lookup.table.0);
                write_list(&mut bytes, &lookup.writable);
                write_list(&mut bytes, &lookup.readonly);
            }
        }
        bytes
    }

    /// Its form.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The listed accounts.
    #[must_use]
    pub fn accounts(&self) -> &[Address] {
        &self.accounts
    }

    /// The accounts that have to sign; the first pays the fee.
    #[must_use]
    pub fn signers(&self) -> &[Address] {
        self.accounts.get(..usize::from(self.header.signers)).unwrap_or_default()
    }

    /// A recent blockhash, for about a minute and a half; or the value of a durable nonce, for ever.
    #[must_use]
    pub fn blockhash(&self) -> &[u8; 32] {
        &self.blockhash
    }

    /// The instructions.
    #[must_use]
    pub fn instructions(&self) -> &[CompiledInstruction] {
        &self.instructions
    }

    /// The lookup tables.
    #[must_use]
    pub fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// The account at an index: the listed ones, then all that tables give to write, then all that they give to read.
    #[must_use]
    pub fn account(&self, index: u8) -> Option<Account> {
        let index = usize::from(index);
        if let Some(address) = self.accounts.get(index) {
            return Some(Account::Listed(*address));
        }
        let entries = |entries: fn(&Lookup) -> &[u8]| {
            let of = move |lookup| entries(lookup).iter().map(move |entry| (lookup, *entry));
            self.lookups.iter().flat_map(of)
        };
        let mut all = entries(|lookup| &lookup.writable).chain(entries(|lookup| &lookup.readonly));
        let (lookup, entry) = all.nth(index - self.accounts.len())?;
        Some(Account::Looked { table: lookup.table, entry })
    }

    /// May the account at an index be written?
    #[must_use]
    pub fn is_writable(&self, index: u8) -> bool {
        let (index, signers) = (usize::from(index), usize::from(self.header.signers));
        if index < signers {
            index < signers - usize::from(self.header.readonly_signers)
        } else if index < self.accounts.len() {
            index < self.accounts.len() - usize::from(self.header.readonly_others)
        } else {
            index - self.accounts.len() < self.lookups.iter().map(|lookup| lookup.writable.len()).sum()
        }
    }
}
