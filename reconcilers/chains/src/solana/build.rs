//! Messages that are built here: transfers of SOL and of tokens.

use std::collections::BTreeMap;

use super::{
    Address, Message, MessageError, associated_token_address,
    message::{CompiledInstruction, Header, Version},
    programs,
};

/// A message cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// See [`MessageError`].
    #[error("{0}")]
    Message(#[from] MessageError),
    /// Only both token programs keep tokens.
    #[error("{0} is no token program")]
    TokenProgram(Address),
    /// An owner that is no point of the curve has no key: tokens would mostly be lost.
    #[error("{0} is no address of a key: say so explicitly if it belongs to a program")]
    OffCurve(Address),
    /// One in 2^255.
    #[error("there is no associated token account for this owner and mint")]
    NoAccount,
}

/// An instruction, with all that is known of its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The program.
    pub program: Address,
    /// Its accounts; does each sign, may each be written?
    pub accounts: Vec<(Address, bool, bool)>,
    /// Its data.
    pub data: Vec<u8>,
}

/// A message of instructions. Accounts are ordered as Solana's own library does: the payer, then signers that are
/// written, signers that are read, others that are written, others that are read, each by their bytes.
///
/// # Errors
/// See [`MessageError`].
pub fn compile(
    version: Version,
    payer: Address,
    instructions: &[Instruction],
    blockhash: [u8; 32],
) -> Result<Message, MessageError> {
    let mut roles: BTreeMap<Address, (bool, bool)> = BTreeMap::new();
    for instruction in instructions {
        roles.entry(instruction.program).or_default();
        for (account, signs, writes) in &instruction.accounts {
            let role = roles.entry(*account).or_default();
            *role = (role.0 || *signs, role.1 || *writes);
        }
    }
    roles.remove(&payer);
    let with = |wanted| roles.iter().filter(move |(_, role)| **role == wanted).map(|(account, _)| *account);
    let mut accounts = vec![payer];
    accounts.extend(with((true, true)));
    let written = accounts.len();
    accounts.extend(with((true, false)));
    let signers = accounts.len();
    accounts.extend(with((false, true)));
    let others = accounts.len();
    accounts.extend(with((false, false)));
    let count = |number| u8::try_from(number).map_err(|_| MessageError::TooManyAccounts);
    let header = Header {
        signers: count(signers)?,
        readonly_signers: count(signers - written)?,
        readonly_others: count(accounts.len() - others)?,
    };
    let index = |account: &Address| {
        let place = accounts.iter().position(|known| known == account);
        place.and_then(|place| u8::try_from(place).ok()).ok_or(MessageError::TooManyAccounts)
    };
    let mut compiled = Vec::new();
    for instruction in instructions {
        let indexes = instruction.accounts.iter().map(|(account, ..)| index(account)).collect::<Result<_, _>>()?;
        let program = index(&instruction.program)?;
        compiled.push(CompiledInstruction { program, accounts: indexes, data: instruction.data.clone() });
    }
    Message::new(version, header, accounts, blockhash, compiled, Vec::new())
}

/// A transfer of SOL; the amount in lamports (1e-9 SOL).
///
/// # Errors
/// See [`MessageError`].
pub fn transfer(from: Address, to: Address, lamports: u64, blockhash: [u8; 32]) -> Result<Message, MessageError> {
    let data = [2_u32.to_le_bytes().as_slice(), &lamports.to_le_bytes()].concat();
    let accounts = vec![(from, true, true), (to, false, true)];
    compile(Version::Legacy, from, &[Instruction { program: programs::SYSTEM, accounts, data }], blockhash)
}

/// What tokens go from whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTransfer {
    /// The owner, who signs and pays.
    pub from: Address,
    /// The recipient: the owner of tokens, not the account that keeps them.
    pub to: Address,
    /// The mint.
    pub mint: Address,
    /// [`programs::TOKEN`] or [`programs::TOKEN_2022`], whichever the mint belongs to.
    pub token_program: Address,
    /// How many, in the smallest unit.
    pub amount: u64,
    /// How many of them make a whole one, as a power of ten. The program refuses it when it is wrong.
    pub decimals: u8,
    /// May the recipient be an address without a key?
    pub to_program: bool,
}

/// A transfer of tokens between the associated accounts of two owners. The recipient's is created when it is not there:
/// the sender pays its rent then, about 0.002 SOL.
///
/// # Errors
/// See [`BuildError`].
pub fn transfer_token(order: &TokenTransfer, blockhash: [u8; 32]) -> Result<Message, BuildError> {
    let TokenTransfer { from, to, mint, token_program, amount, decimals, to_program } = *order;
    if token_program != programs::TOKEN && token_program != programs::TOKEN_2022 {
        return Err(BuildError::TokenProgram(token_program));
    }
    if !to_program && !to.is_on_curve() {
        return Err(BuildError::OffCurve(to));
    }
    let kept = |owner| associated_token_address(&owner, &mint, &token_program).ok_or(BuildError::NoAccount);
    let (source, destination) = (kept(from)?, kept(to)?);
    let create = Instruction {
        program: programs::ASSOCIATED_TOKEN,
        accounts: vec![
            (from, true, true),
            (destination, false, true),
            (to, false, false),
            (mint, false, false),
            (programs::SYSTEM, false, false),
            (token_program, false, false),
        ],
        data: vec![1],
    };
    let send = Instruction {
        program: token_program,
        accounts: vec![(source, false, true), (mint, false, false), (destination, false, true), (from, true, false)],
        data: [&[12], amount.to_le_bytes().as_slice(), &[decimals]].concat(),
    };
    Ok(compile(Version::Legacy, from, &[create, send], blockhash)?)
}
