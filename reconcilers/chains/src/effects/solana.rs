//! Effects of messages of Solana.

use super::{Account, Asset, Chain, Effects, Grant, Move, Why};
use crate::{
    U256,
    solana::{
        Address, Message, associated_token_address,
        instruction::{Authority, Known, System, Token},
        message::Account as Place,
        programs,
    },
};

/// Lamports for each signature.
const SIGNATURE_FEE: u64 = 5_000;
/// Units that an instruction gets when no limit is set, and the most of a transaction.
const UNITS_PER_INSTRUCTION: u64 = 200_000;
const MOST_UNITS: u64 = 1_400_000;
/// What the 165 bytes of a token account have to hold: (165 + 128) * 3,480 * 2 lamports.
const TOKEN_ACCOUNT_RENT: u64 = 2_039_280;

impl Effects {
    /// What this account's signature of a message would do.
    #[must_use]
    pub fn of_solana(message: &Message, signer: Address) -> Self {
        let mut effects = Self::new(Chain::Solana, Account::Solana(signer));
        effects.fee_payer = message.signers().first().copied().map(Account::Solana);
        if !message.signers().contains(&signer) {
            effects.not_read("signers", Why::NotASigner);
        }
        let (mut limit, mut price) = (None, 0);
        // Token accounts and their owners, as far as this transaction has made sure of them.
        let mut owners: Vec<(Account, Account)> = Vec::new();
        for (at, instruction) in message.instructions().iter().enumerate() {
            let known = Known::read(message, instruction);
            let mut reading =
                Reading { effects: &mut effects, part: format!("instruction {at}"), signer, owners: &mut owners };
            if let Some(Place::Listed(program)) = message.account(instruction.program) {
                reading.effects.program(Account::Solana(program));
            }
            reading.effects.functions.extend(known.name());
            match known {
                Known::UnitLimit(units) => limit = Some(u64::from(units).max(limit.unwrap_or(0))),
                Known::UnitPrice(lamports) => price = lamports.max(price),
                other => reading.read(&other),
            }
        }
        let count = u64::try_from(message.instructions().len()).unwrap_or(u64::MAX);
        let units = limit.unwrap_or(UNITS_PER_INSTRUCTION.saturating_mul(count)).min(MOST_UNITS);
        let priority = (u128::from(units) * u128::from(price)).div_ceil(1_000_000);
        let base = u128::from(SIGNATURE_FEE) * u128::from(message.header().signers);
        effects.max_fee = U256::from(base.saturating_add(priority));
        effects
    }
}

/// One instruction that is read into effects.
struct Reading<'a> {
    effects: &'a mut Effects,
    part: String,
    signer: Address,
    owners: &'a mut Vec<(Account, Account)>,
}

impl Reading<'_> {
    fn not_read(&mut self, why: Why) {
        self.effects.not_read(self.part.clone(), why);
    }

    /// The address, or a word that it cannot be told.
    fn told(&mut self, place: Place) -> Option<Account> {
        let address = place.listed();
        if address.is_none() {
            self.not_read(Why::Lookup);
        }
        address.map(Account::Solana)
    }

    fn moved(&mut self, asset: Asset, from: Place, to: Place, amount: u64) {
        let (from, to) = (self.told(from), self.told(to));
        let to_owner =
            to.and_then(|to| self.owners.iter().find(|(account, _)| *account == to)).map(|(_, owner)| *owner);
        self.effects.moves.push(Move { asset, from, to, to_owner, amount: U256::from(amount) });
    }

    fn authority(&mut self, account: Place, right: &str, to: Option<Address>) {
        if let Some(account) = self.told(account) {
            let to = to.map(Account::Solana);
            self.effects.grants.push(Grant::Authority { account, right: right.to_owned(), to });
        }
    }

    fn read(&mut self, known: &Known) {
        match known {
            Known::System(what) => self.system(what),
            Known::Token { program, what } => {
                if *program == programs::TOKEN_2022 {
                    self.not_read(Why::Extensions);
                }
                self.token(what);
            }
            Known::CreateAssociated { payer, account, owner, mint, token_program, idempotent: _ } => {
                self.associated(*account, *owner, *mint, *token_program);
                self.moved(Asset::Native, *payer, *account, TOKEN_ACCOUNT_RENT);
            }
            Known::Unread { program, name } => {
                let program = programs::name(program).unwrap_or_default();
                self.not_read(Why::Instruction(format!("{program}.{}", name.unwrap_or("?"))));
            }
            Known::Unknown { program } => self.not_read(Why::Program(*program)),
            Known::Memo(_)
            | Known::UnitLimit(_)
            | Known::UnitPrice(_)
            | Known::HeapFrame(_)
            | Known::AccountsSize(_) => {}
        }
    }

    fn system(&mut self, what: &System) {
        match what {
            System::Transfer { from, to, lamports }
            | System::TransferWithSeed { from, to, lamports, .. }
            | System::WithdrawNonce { nonce: from, to, lamports } => self.moved(Asset::Native, *from, *to, *lamports),
            System::CreateAccount { from, to, lamports, owner, .. }
            | System::CreateAccountWithSeed { from, to, lamports, owner, .. } => {
                self.moved(Asset::Native, *from, *to, *lamports);
                // The program may do with the lamports as it likes. The new account may be the wallet itself.
                self.authority(*to, what.name(), Some(*owner));
            }
            System::Assign { account, owner } => self.authority(*account, what.name(), Some(*owner)),
            System::AuthorizeNonce { nonce, authority } => self.authority(*nonce, what.name(), Some(*authority)),
            System::AdvanceNonce { .. } => self.not_read(Why::DurableNonce),
            // An account with data cannot send lamports any more.
            System::Allocate { .. } => self.not_read(Why::Instruction(format!("system.{}", what.name()))),
        }
    }

    fn token(&mut self, what: &Token) {
        match what {
            Token::Transfer { source, destination, amount, .. } => {
                self.not_read(Why::Mint);
                if let Some(account) = source.listed() {
                    self.moved(Asset::TokenOf(Account::Solana(account)), *source, *destination, *amount);
                }
            }
            Token::TransferChecked { source, mint, destination, amount, .. } => {
                if let Some(mint) = self.told(*mint) {
                    self.moved(Asset::Token(mint), *source, *destination, *amount);
                }
            }
            Token::Approve { source, delegate, owner, amount } => {
                self.not_read(Why::Mint);
                if let Some(account) = self.told(*source) {
                    self.allowed(Asset::TokenOf(account), *owner, *delegate, *amount);
                }
            }
            Token::ApproveChecked { mint, delegate, owner, amount, .. } => {
                if let Some(mint) = self.told(*mint) {
                    self.allowed(Asset::Token(mint), *owner, *delegate, *amount);
                }
            }
            Token::SetAuthority { account, kind, new, .. } => {
                let right = match kind {
                    Authority::MintTokens => "mintTokens",
                    Authority::FreezeAccount => "freezeAccount",
                    Authority::AccountOwner => "accountOwner",
                    Authority::CloseAccount => "closeAccount",
                    Authority::Other(_) => "other",
                };
                // Whose it was made sure to be, it need not be any longer.
                let changed = account.listed().map(Account::Solana);
                self.owners.retain(|(account, _)| Some(*account) != changed && changed.is_some());
                self.authority(*account, right, *new);
            }
            Token::CloseAccount { destination, .. } => {
                if destination.listed() != Some(self.signer) {
                    self.not_read(Why::Close);
                }
            }
            Token::Revoke { .. } | Token::SyncNative { .. } => {}
        }
    }

    fn allowed(&mut self, asset: Asset, owner: Place, spender: Place, amount: u64) {
        if let (Some(owner), Some(spender)) = (self.told(owner), self.told(spender)) {
            let amount = U256::from(amount);
            self.effects.grants.push(Grant::Allowance { asset, owner, spender, amount, adds: false });
        }
    }

    fn associated(&mut self, account: Place, owner: Place, mint: Place, program: Place) {
        let parts = (account.listed(), owner.listed(), mint.listed(), program.listed());
        let (Some(account), Some(owner), Some(mint), Some(program)) = parts else {
            return self.not_read(Why::Lookup);
        };
        match program {
            programs::TOKEN => {}
            // Extensions make the account larger, and its rent higher.
            programs::TOKEN_2022 => self.not_read(Why::Extensions),
            other => return self.not_read(Why::Program(other)),
        }
        if associated_token_address(&owner, &mint, &program) == Some(account) {
            self.owners.push((Account::Solana(account), Account::Solana(owner)));
        } else {
            self.not_read(Why::NotAssociated);
        }
    }
}
