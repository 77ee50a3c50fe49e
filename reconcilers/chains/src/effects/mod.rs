//! What a signature would do, told the same way for both chains: the one thing that a policy has to look at.
//!
//! All that moves value is in [`Effects::moves`], all that lets somebody move it later is in [`Effects::grants`], and
//! whatever could do either and cannot be read is in [`Effects::undecoded`]. A policy that signs although something is
//! there has to say for which reasons it does.
//!
//! What no transaction tells, and what is therefore not here:
//! - what a contract does that is called by a known name: only a policy that names the contract knows it;
//! - the charge for data of some rollups, which comes on top of the fee for gas;
//! - what Solana charges for signatures that its own programs verify (5,000 lamports each): those are not known here;
//! - whether a token account on Solana that is derived from an owner still belongs to it.

mod ethereum;
mod names;
mod solana;
mod typed_data;

pub use names::{function_names, function_of};

use std::{fmt, str::FromStr};

use crate::{
    U256, ethereum as eth,
    solana::{self as sol, programs},
};

/// A chain family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// Ethereum and chains like it.
    Ethereum,
    /// Solana.
    Solana,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ethereum => "ethereum",
            Self::Solana => "solana",
        })
    }
}

/// An address of either chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Of Ethereum.
    Ethereum(eth::Address),
    /// Of Solana.
    Solana(sol::Address),
}

impl Account {
    /// Whose address it is.
    #[must_use]
    pub fn chain(&self) -> Chain {
        match self {
            Self::Ethereum(_) => Chain::Ethereum,
            Self::Solana(_) => Chain::Solana,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethereum(address) => address.fmt(f),
            Self::Solana(address) => address.fmt(f),
        }
    }
}

/// A text is no address of either chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// It begins with `0x`.
    #[error("{0}")]
    Ethereum(#[from] eth::AddressError),
    /// It does not.
    #[error("{0}")]
    Solana(#[from] sol::AddressError),
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        // There is no 0 in base58.
        if text.starts_with("0x") { Ok(Self::Ethereum(text.parse()?)) } else { Ok(Self::Solana(text.parse()?)) }
    }
}

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// The chain's own coin, in wei or lamports.
    Native,
    /// A token by its contract or mint, in its smallest unit.
    Token(Account),
    /// Of a contract that keeps a token (ERC-20), so much of it; of one that keeps items (ERC-721), the item of that
    /// number: both are called the same way, and only who knows the contract knows which.
    TokenOrItem(Account),
    /// An item of a contract, or so many of a kind (ERC-721, ERC-1155).
    Item(Account, U256),
    /// A token whose mint is not told, by the account that it is taken from (Solana).
    TokenOf(Account),
}

/// Something goes from one to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What.
    pub asset: Asset,
    /// Whose it is; of tokens on Solana the token account. None: it is in a lookup table.
    pub from: Option<Account>,
    /// Who gets it; of tokens on Solana the token account. None: it is in a lookup table.
    pub to: Option<Account>,
    /// The owner of that token account, when the same transaction made sure of it.
    pub to_owner: Option<Account>,
    /// How much, in the smallest unit; of an item of [`Asset::TokenOrItem`] its number.
    pub amount: U256,
}

impl Move {
    /// Does it go to this owner: to the address itself, or to its associated token account of the mint?
    #[must_use]
    pub fn reaches(&self, owner: &Account) -> bool {
        if self.to == Some(*owner) || self.to_owner == Some(*owner) {
            return true;
        }
        let (Account::Solana(owner), Asset::Token(Account::Solana(mint))) = (owner, self.asset) else { return false };
        let kept = |program| sol::associated_token_address(owner, &mint, program).map(Account::Solana);
        self.to.is_some() && [programs::TOKEN, programs::TOKEN_2022].iter().any(|program| kept(program) == self.to)
    }
}

/// Somebody may move something later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// `spender` may take so much. 0 that is not added takes the right away, but of items (see [`Asset::TokenOrItem`])
    /// it is the item 0.
    Allowance {
        /// What.
        asset: Asset,
        /// Whose.
        owner: Account,
        /// Who may take it.
        spender: Account,
        /// How much, in the smallest unit; of an item of [`Asset::TokenOrItem`] its number.
        amount: U256,
        /// Does it come on top of what `spender` may take already, or in its place?
        adds: bool,
    },
    /// `operator` may take all items of a contract.
    AllItems {
        /// The contract.
        contract: Account,
        /// Whose.
        owner: Account,
        /// Who may take them.
        operator: Account,
    },
    /// The code of `delegate` may do all that the account may (EIP-7702). [`eth::Address::ZERO`] takes it away.
    Code {
        /// The account.
        authority: Account,
        /// Whose code.
        delegate: Account,
        /// On which chain; none: on all.
        chain_id: Option<u64>,
    },
    /// An account, or a right over it, is another's from now on (Solana).
    Authority {
        /// The account.
        account: Account,
        /// Which right, by the name of the function that gives it.
        right: String,
        /// Whose; none: nobody's.
        to: Option<Account>,
    },
}

/// Something that could move value and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecoded {
    /// Where, such as `data` or `instruction 2`.
    pub part: String,
    /// Why.
    pub why: Why,
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// See [`eth::abi::CallError`].
    #[error("{0}")]
    Call(eth::abi::CallError),
    /// A safe transfer (ERC-721, ERC-1155) calls its recipient with this data.
    #[error("it hands data to whoever receives the item, which may act on it")]
    HookData,
    /// Its code may do anything with what it is given.
    #[error("it creates a contract")]
    Creation,
    /// The account runs code that it has delegated to, and what is signed directs it.
    #[error("it is for an account that runs code as its own (EIP-7702)")]
    OwnCode,
    /// The signature is good on other chains too.
    #[error("it is not bound to one chain and can be used on others")]
    AnyChain,
    /// Fee or sum beyond 256 bits.
    #[error("a fee or a sum is larger than 256 bits hold")]
    Overflow,
    /// An authorization without an account that it is of.
    #[error("an authorization has no valid signature")]
    Authorization,
    /// Typed data that is not known here, or lists nothing.
    #[error("typed data of the type `{0}` is not read here as a spend, and may be one")]
    TypedData(String),
    /// Typed data that is known, for a contract that is not.
    #[error("its domain does not name the contract that it has to be for")]
    Domain,
    /// Contracts exist that take a signed message for consent.
    #[error("it is a message: what somebody makes of it cannot be told")]
    Message,
    /// Bytes that nothing is known about.
    #[error("it is a hash: what it is of cannot be told")]
    Hash,
    /// A program that is not known here.
    #[error("the program {0} is not known here")]
    Program(sol::Address),
    /// An instruction of a known program.
    #[error("the instruction {0} is not read here")]
    Instruction(String),
    /// An account that only the chain tells.
    #[error("it refers to an account of a lookup table")]
    Lookup,
    /// What is moved is not told.
    #[error("it does not tell which token it moves: use transferChecked or approveChecked")]
    Mint,
    /// Token-2022.
    #[error("the token may charge fees, call programs or do more (extensions of Token-2022)")]
    Extensions,
    /// It stays good.
    #[error("it uses a durable nonce and can be sent at any later time")]
    DurableNonce,
    /// As much as is there.
    #[error("an account is closed and all that it holds goes to somebody else")]
    Close,
    /// The accounts of an instruction contradict each other.
    #[error("the account is not the associated one of this owner and mint")]
    NotAssociated,
    /// The wallet's signature is not needed.
    #[error("the wallet is not one of the signers")]
    NotASigner,
}

/// All that a signature would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The chain family.
    pub chain: Chain,
    /// The chain (EIP-155); none of Solana, or when it is not bound to one.
    pub chain_id: Option<u64>,
    /// Whose signature is asked for.
    pub signer: Account,
    /// Who pays the fee; none: there is no fee.
    pub fee_payer: Option<Account>,
    /// The most that the fee may be, in wei or lamports.
    pub max_fee: U256,
    /// The latest that the signature can be used, in seconds since 1970, when typed data says so (Permit2's allowances: or
    /// what it gives); none: for ever, or it does not tell. Transactions and authorizations of Ethereum never do: they are
    /// good until their nonce is used. A transaction of Solana is good for about 150 slots (a minute) after its blockhash,
    /// and for ever with a durable nonce ([`Why::DurableNonce`]). An allowance of EIP-2612 or DAI stays when this is over.
    pub good_until: Option<U256>,
    /// What is moved.
    pub moves: Vec<Move>,
    /// Who may move something later.
    pub grants: Vec<Grant>,
    /// Functions by name (`erc20.transfer`, `system.transfer`) or by selector (`0x12345678`).
    pub functions: Vec<String>,
    /// Contracts and programs that are called, or that a message is for.
    pub programs: Vec<Account>,
    /// What cannot be read.
    pub undecoded: Vec<Undecoded>,
}

impl Effects {
    fn new(chain: Chain, signer: Account) -> Self {
        Self {
            chain,
            chain_id: None,
            signer,
            fee_payer: None,
            max_fee: U256::ZERO,
            good_until: None,
            moves: Vec::new(),
            grants: Vec::new(),
            functions: Vec::new(),
            programs: Vec::new(),
            undecoded: Vec::new(),
        }
    }

    /// Bytes that nothing is known about, as somebody else's hash.
    #[must_use]
    pub fn of_hash(chain: Chain, signer: Account) -> Self {
        let mut effects = Self::new(chain, signer);
        effects.not_read("hash", Why::Hash);
        effects
    }

    /// A message for people (EIP-191, or [`sol::offchain`]).
    #[must_use]
    pub fn of_message(chain: Chain, signer: Account) -> Self {
        let mut effects = Self::new(chain, signer);
        effects.not_read("message", Why::Message);
        effects
    }

    /// Is all of it read?
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        self.undecoded.is_empty()
    }

    /// All that leaves of an asset, whoever pays, with the fee of the native coin when the signer pays it; none when it
    /// does not fit 256 bits.
    #[must_use]
    pub fn total(&self, asset: &Asset) -> Option<U256> {
        let pays = *asset == Asset::Native && self.fee_payer == Some(self.signer);
        let fee = if pays { self.max_fee } else { U256::ZERO };
        let of = self.moves.iter().filter(|step| step.asset == *asset);
        of.map(|step| step.amount).try_fold(fee, U256::checked_add)
    }

    fn not_read(&mut self, part: impl Into<String>, why: Why) {
        self.undecoded.push(Undecoded { part: part.into(), why });
    }

    fn program(&mut self, account: Account) {
        if !self.programs.contains(&account) {
            self.programs.push(account);
        }
    }
}
