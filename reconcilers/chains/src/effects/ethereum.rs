//! Effects of transactions and authorizations of Ethereum.

use super::{Account, Asset, Chain, Effects, Grant, Move, Why};
use crate::{
    U256,
    ethereum::{
        Address, Authorization, ChainId,
        abi::{Authorized, Call, CallError},
        transaction::Transaction,
    },
    hex,
};

impl Effects {
    /// What a transaction of this account would do.
    #[must_use]
    pub fn of_ethereum(transaction: &Transaction, signer: Address) -> Self {
        let mut effects = Self::new(Chain::Ethereum, Account::Ethereum(signer));
        effects.chain_id = transaction.chain_id().map(ChainId::get);
        effects.fee_payer = Some(effects.signer);
        let common = transaction.common();
        let fee = transaction.max_gas_price().checked_mul(U256::from(common.gas_limit));
        effects.max_fee = fee.unwrap_or(U256::MAX);
        if fee.is_none() {
            effects.not_read("fee", Why::Overflow);
        }
        if effects.chain_id.is_none() {
            effects.not_read("chain id", Why::AnyChain);
        }
        let mut runs_code = vec![signer];
        for (at, signed) in transaction.authorizations().iter().enumerate() {
            match signed.authority() {
                Ok(authority) => {
                    runs_code.push(authority);
                    effects.code(authority, &signed.authorization, &format!("authorization {at}"));
                }
                Err(_) => effects.not_read(format!("authorization {at}"), Why::Authorization),
            }
        }
        let to = transaction.to().copied();
        // Of 0 too: whoever is called is told. What is created has an address before it is there.
        effects.moved(Asset::Native, signer, to.unwrap_or_else(|| signer.created(common.nonce)), common.value);
        let Some(to) = to else {
            effects.not_read("data", Why::Creation);
            return effects;
        };
        let directs = !common.data.is_empty() || !transaction.authorizations().is_empty();
        if directs && runs_code.contains(&to) {
            effects.not_read("data", Why::OwnCode);
        }
        if !common.data.is_empty() {
            effects.program(Account::Ethereum(to));
            match Call::decode(&common.data) {
                Ok(call) => effects.call(&call, signer, to),
                Err(error) => {
                    if let CallError::Unknown(selector) = error {
                        effects.functions.push(hex::encode(&selector));
                    } else if let CallError::Arguments(name) | CallError::Empty(name) = error {
                        effects.functions.push(name.to_owned());
                    }
                    effects.not_read("data", Why::Call(error));
                }
            }
        }
        effects
    }

    /// What an authorization of this account would do (EIP-7702).
    #[must_use]
    pub fn of_authorization(authorization: &Authorization, signer: Address) -> Self {
        let mut effects = Self::new(Chain::Ethereum, Account::Ethereum(signer));
        effects.chain_id = authorization.chain_id.map(ChainId::get);
        effects.code(signer, authorization, "authorization");
        effects
    }

    fn code(&mut self, authority: Address, authorization: &Authorization, part: &str) {
        let chain_id = authorization.chain_id.map(ChainId::get);
        if chain_id.is_none() {
            self.not_read(part, Why::AnyChain);
        }
        let (authority, delegate) = (Account::Ethereum(authority), Account::Ethereum(authorization.delegate));
        self.grants.push(Grant::Code { authority, delegate, chain_id });
    }

    pub(super) fn moved(&mut self, asset: Asset, from: Address, to: Address, amount: U256) {
        let (from, to) = (Some(Account::Ethereum(from)), Some(Account::Ethereum(to)));
        self.moves.push(Move { asset, from, to, to_owner: None, amount });
    }

    pub(super) fn allowed(&mut self, asset: Asset, owner: Address, spender: Address, amount: U256, adds: bool) {
        let (owner, spender) = (Account::Ethereum(owner), Account::Ethereum(spender));
        self.grants.push(Grant::Allowance { asset, owner, spender, amount, adds });
    }

    fn call(&mut self, call: &Call, signer: Address, to: Address) {
        self.functions.push(call.name().to_owned());
        let contract = Account::Ethereum(to);
        let token = Asset::Token(contract);
        let either = Asset::TokenOrItem(contract);
        let item = |id: &U256| Asset::Item(contract, *id);
        match call {
            Call::Erc20Transfer { to, amount } => self.moved(either, signer, *to, *amount),
            Call::Erc20TransferFrom { from, to, amount } => self.moved(either, *from, *to, *amount),
            Call::Erc20Approve { spender, amount } => self.allowed(either, signer, *spender, *amount, false),
            // What it adds to is not told: at least so much may be taken, and it was granted before.
            Call::Erc20IncreaseAllowance { spender, added } => self.allowed(token, signer, *spender, *added, true),
            Call::Erc721SafeTransferFrom { from, to, id } => self.moved(item(id), *from, *to, U256::ONE),
            Call::Erc721SafeTransferFromData { from, to, id, data } => {
                self.moved(item(id), *from, *to, U256::ONE);
                self.hook(data);
            }
            Call::Erc1155SafeTransferFrom { from, to, id, amount, data } => {
                self.moved(item(id), *from, *to, *amount);
                self.hook(data);
            }
            Call::Erc1155SafeBatchTransferFrom { from, to, ids, amounts, data } => {
                for (id, amount) in ids.iter().zip(amounts) {
                    self.moved(item(id), *from, *to, *amount);
                }
                self.hook(data);
            }
            Call::SetApprovalForAll { operator, approved } => {
                if *approved {
                    let (owner, operator) = (Account::Ethereum(signer), Account::Ethereum(*operator));
                    self.grants.push(Grant::AllItems { contract, owner, operator });
                }
            }
            Call::Erc2612Permit { owner, spender, value, .. } => {
                self.allowed(token, *owner, *spender, *value, false);
            }
            Call::DaiPermit { holder, spender, allowed, .. } => {
                self.allowed(token, *holder, *spender, if *allowed { U256::MAX } else { U256::ZERO }, false);
            }
            Call::Erc3009TransferWithAuthorization(authorized) | Call::Erc3009ReceiveWithAuthorization(authorized) => {
                let Authorized { from, to, value, .. } = authorized;
                self.moved(token, *from, *to, *value);
            }
        }
    }

    /// The recipient of a safe transfer is called with this.
    fn hook(&mut self, data: &[u8]) {
        if !data.is_empty() {
            self.not_read("data", Why::HookData);
        }
    }
}
