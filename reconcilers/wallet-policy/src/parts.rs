//! What a signature would do, in parts that rules decide about one by one.

use std::collections::BTreeMap;

use osmoda_chains::{
    Effects, U256,
    effects::{Account, Asset, Chain, Grant, Move, Undecoded},
    solana::programs,
};

use crate::compile::Policy;

/// An asset as a policy knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The chain's own coin.
    Native,
    /// A token that the policy names, by its contract or mint.
    Token(Account),
    /// One that it does not name.
    Other(Asset),
}

/// So much of an asset leaves, or may be taken by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// The chain family.
    pub chain: Chain,
    /// The chain (EIP-155).
    pub chain_id: Option<u64>,
    /// What.
    pub what: What,
    /// In the smallest unit, or in items.
    pub amount: U256,
}

/// A part of what a signature would do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// Something is moved.
    Move(What, &'a Move),
    /// A contract is called with no coins: what that does is in the other parts, and only what refuses looks at this one.
    Call(&'a Move),
    /// Somebody may do something later.
    Grant(Option<What>, &'a Grant),
    /// It cannot be read.
    Undecoded(&'a Undecoded),
    /// Nothing but the call, or the fee.
    Bare,
}

impl Part<'_> {
    /// The asset that it is about.
    pub fn what(&self) -> Option<What> {
        match self {
            Self::Move(what, _) => Some(*what),
            Self::Call(_) => Some(What::Native),
            Self::Grant(what, _) => *what,
            Self::Undecoded(_) | Self::Bare => None,
        }
    }
}

/// What a signature would do, as a policy sees it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub effects: &'a Effects,
    pub parts: Vec<Part<'a>>,
    /// What is moved, or may be taken, of each asset, without the fee; none: more than 256 bits hold.
    pub moved: BTreeMap<What, Option<U256>>,
}

impl<'a> View<'a> {
    pub fn of(policy: &Policy, effects: &'a Effects) -> Self {
        let mut view = Self { effects, parts: Vec::new(), moved: BTreeMap::new() };
        for step in &effects.moves {
            let (what, amount) = known(policy, effects, step.asset, step.amount);
            view.add(what, amount);
            view.parts.push(Part::Move(what, step));
        }
        for grant in &effects.grants {
            let what = match grant {
                Grant::Allowance { asset, amount, .. } => {
                    let (what, amount) = known(policy, effects, *asset, *amount);
                    view.add(what, amount);
                    Some(what)
                }
                Grant::AllItems { contract, .. } => {
                    let (what, _) = known(policy, effects, Asset::Item(*contract, U256::ZERO), U256::ONE);
                    view.add(what, U256::MAX);
                    Some(what)
                }
                Grant::Code { .. } | Grant::Authority { .. } => None,
            };
            view.parts.push(Part::Grant(what, grant));
        }
        view.parts.extend(effects.undecoded.iter().map(Part::Undecoded));
        // Without data there is nothing else that tells who is called.
        if view.parts.len() > 1 && effects.chain == Chain::Ethereum && !effects.programs.is_empty() {
            for part in &mut view.parts {
                if let Part::Move(What::Native, step) = *part
                    && step.amount.is_zero()
                {
                    *part = Part::Call(step);
                }
            }
        }
        if view.parts.is_empty() {
            view.parts.push(Part::Bare);
        }
        view
    }

    fn add(&mut self, what: What, amount: U256) {
        let sum = self.moved.entry(what).or_insert(Some(U256::ZERO));
        *sum = sum.and_then(|sum| sum.checked_add(amount));
    }

    /// The fee, as far as the signer pays it.
    pub fn fee(&self) -> U256 {
        let pays = self.effects.fee_payer == Some(self.effects.signer);
        if pays { self.effects.max_fee } else { U256::ZERO }
    }

    /// All that leaves, with the fee; none: more than 256 bits hold.
    pub fn spends(&self) -> Option<Vec<Spend>> {
        let mut sums = self.moved.clone();
        let native = sums.entry(What::Native).or_insert(Some(U256::ZERO));
        *native = native.and_then(|sum| sum.checked_add(self.fee()));
        let (chain, chain_id) = (self.effects.chain, self.effects.chain_id);
        let spend = |(what, amount): (What, Option<U256>)| Some(Spend { chain, chain_id, what, amount: amount? });
        let spends: Option<Vec<Spend>> = sums.into_iter().map(spend).collect();
        Some(spends?.into_iter().filter(|spend| !spend.amount.is_zero()).collect())
    }
}

/// The asset as the policy knows it, and how much of it that is: the amount of items may be the number of one.
fn known(policy: &Policy, effects: &Effects, asset: Asset, amount: U256) -> (What, U256) {
    let token = |account: &Account| policy.token(effects, account);
    match asset {
        Asset::Native => (What::Native, amount),
        // The mint of wrapped coins: they are coins.
        Asset::Token(Account::Solana(mint)) if mint == programs::WRAPPED_SOL => (What::Native, amount),
        Asset::TokenOrItem(account) => match token(&account) {
            Some(token) if token.items => (What::Token(account), U256::ONE),
            Some(_) => (What::Token(account), amount),
            None => (What::Other(asset), amount),
        },
        Asset::Token(account) if token(&account).is_some_and(|token| !token.items) => (What::Token(account), amount),
        Asset::Item(account, _) if token(&account).is_some_and(|token| token.items) => (What::Token(account), amount),
        Asset::Token(_) | Asset::Item(..) | Asset::TokenOf(_) => (What::Other(asset), amount),
    }
}
