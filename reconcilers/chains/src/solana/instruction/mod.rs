//! Instructions of programs that are known here. What is not read to its last byte is told as not read.

pub(crate) mod system;
pub(crate) mod token;

use super::{
    Address,
    message::{Account, CompiledInstruction, Message},
    programs,
};

pub use system::System;
pub use token::{Authority, Token};

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Of the System program.
    System(System),
    /// Of a token program.
    Token {
        /// [`programs::TOKEN`] or [`programs::TOKEN_2022`].
        program: Address,
        /// What.
        what: Token,
    },
    /// Of the Associated Token Account program: an account for tokens is made, and the payer pays its rent.
    CreateAssociated {
        /// Who pays.
        payer: Account,
        /// The account.
        account: Account,
        /// For whom.
        owner: Account,
        /// For which tokens.
        mint: Account,
        /// Of which program they are.
        token_program: Account,
        /// Is it no failure when it is there?
        idempotent: bool,
    },
    /// Of Compute Budget: at most so many units.
    UnitLimit(u32),
    /// Of Compute Budget: so many millionths of a lamport for a unit.
    UnitPrice(u64),
    /// Of Compute Budget: at most so many bytes of memory.
    HeapFrame(u32),
    /// Of Compute Budget: at most so many bytes of accounts.
    AccountsSize(u32),
    /// A text that stays on the chain.
    Memo(String),
    /// An instruction of a known program that is not read.
    Unread {
        /// The program.
        program: Address,
        /// Its name, when the first bytes tell one.
        name: Option<&'static str>,
    },
    /// An instruction of a program that is not known here.
    Unknown {
        /// The program.
        program: Address,
    },
}

impl Known {
    /// What policies call it, such as `system.transfer`; of a program that is not known here: none.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let (program, name) = match self {
            Self::System(what) => (programs::SYSTEM, what.name()),
            Self::Token { program, what } => (*program, what.name()),
            Self::CreateAssociated { idempotent: true, .. } => (programs::ASSOCIATED_TOKEN, "createIdempotent"),
            Self::CreateAssociated { .. } => (programs::ASSOCIATED_TOKEN, "create"),
            Self::UnitLimit(_) => (programs::COMPUTE_BUDGET, "setComputeUnitLimit"),
            Self::UnitPrice(_) => (programs::COMPUTE_BUDGET, "setComputeUnitPrice"),
            Self::HeapFrame(_) => (programs::COMPUTE_BUDGET, "requestHeapFrame"),
            Self::AccountsSize(_) => (programs::COMPUTE_BUDGET, "setLoadedAccountsDataSizeLimit"),
            Self::Memo(_) => (programs::MEMO, "memo"),
            Self::Unread { program, name } => (*program, (*name)?),
            Self::Unknown { .. } => return None,
        };
        programs::name(&program).map(|program| format!("{program}.{name}"))
    }

    /// Reads an instruction of a message.
    #[must_use]
    pub fn read(message: &Message, instruction: &CompiledInstruction) -> Self {
        let program = message.account(instruction.program).and_then(Account::listed);
        // A message has been checked: there is no other case.
        let program = program.unwrap_or(Address([0xff; 32]));
        let accounts: Option<Vec<_>> = instruction.accounts.iter().map(|index| message.account(*index)).collect();
        let accounts = accounts.unwrap_or_default();
        let data = instruction.data.as_slice();
        let unread = |name| Self::Unread { program, name };
        match program {
            programs::SYSTEM => System::read(&accounts, data).map_or_else(|| unread(system::name(data)), Self::System),
            programs::TOKEN | programs::TOKEN_2022 => Token::read(&accounts, data)
                .map_or_else(|| unread(token::name(data)), |what| Self::Token { program, what }),
            programs::ASSOCIATED_TOKEN => associated(&accounts, data).unwrap_or_else(|| unread(None)),
            programs::COMPUTE_BUDGET => budget(data).unwrap_or_else(|| unread(None)),
            programs::MEMO | programs::MEMO_V1 => {
                String::from_utf8(data.to_vec()).map_or_else(|_| unread(None), Self::Memo)
            }
            _ => Self::Unknown { program },
        }
    }
}

fn associated(accounts: &[Account], data: &[u8]) -> Option<Known> {
    let idempotent = match data {
        [] | [0] => false,
        [1] => true,
        _ => return None,
    };
    let [payer, account, owner, mint, _system, token_program] = *accounts else { return None };
    Some(Known::CreateAssociated { payer, account, owner, mint, token_program, idempotent })
}

fn budget(data: &[u8]) -> Option<Known> {
    let (kind, rest) = data.split_first()?;
    let small = || rest.try_into().ok().map(u32::from_le_bytes);
    match kind {
        1 => small().map(Known::HeapFrame),
        2 => small().map(Known::UnitLimit),
        3 => rest.try_into().ok().map(|bytes| Known::UnitPrice(u64::from_le_bytes(bytes))),
        4 => small().map(Known::AccountsSize),
        _ => None,
    }
}

/// Reads fields of data one after the other.
struct Data<'a>(&'a [u8]);

impl Data<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn address(&mut self) -> Option<Address> {
        self.array().map(Address)
    }

    /// A text of bincode: its length in 8 bytes, and UTF-8. At most 32 bytes, as seeds are.
    fn seed(&mut self) -> Option<String> {
        let length = usize::try_from(self.u64()?).ok().filter(|length| *length <= 32)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(bytes.to_vec()).ok()
    }
}
