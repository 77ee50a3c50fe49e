//! Effects of typed data: messages that contracts take for a payment or for the right to one.

use super::{Account, Asset, Chain, Effects, Why};
use crate::{
    U256,
    ethereum::{
        Address, ChainId,
        typed_data::{Struct, TypedData, Value},
    },
};

/// Permit2 of Uniswap, at the same address on nearly all chains: 0x000000000022D473030F116dDEE9F6B43aC78BA3.
pub(crate) const PERMIT2: Address = Address([
    0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4, 0x3a, 0xc7, 0x8b,
    0xa3,
]);

/// Types as they are hashed, and the name that policies know them by.
pub(super) const KNOWN: [(&str, &str); 8] = [
    ("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)", "erc2612.permit"),
    ("Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)", "dai.permit"),
    (
        "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)\
         PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
        "permit2.permitSingle",
    ),
    (
        "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)\
         PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
        "permit2.permitBatch",
    ),
    (
        "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)\
         TokenPermissions(address token,uint256 amount)",
        "permit2.permitTransferFrom",
    ),
    (
        "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)\
         TokenPermissions(address token,uint256 amount)",
        "permit2.permitBatchTransferFrom",
    ),
    (
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,\
         bytes32 nonce)",
        "erc3009.transferWithAuthorization",
    ),
    (
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,\
         bytes32 nonce)",
        "erc3009.receiveWithAuthorization",
    ),
];

impl Effects {
    /// What this account's signature of typed data would do. Only the types of EIP-2612, DAI, Permit2 and EIP-3009 are
    /// read, and only when they are exactly those; whatever else is typed data may be a spend too.
    #[must_use]
    pub fn of_typed_data(data: &TypedData, signer: Address) -> Self {
        let mut effects = Self::new(Chain::Ethereum, Account::Ethereum(signer));
        let domain = data.domain();
        let chain_id = domain.chain_id.and_then(|id| u64::try_from(id).ok()).and_then(ChainId::new);
        effects.chain_id = chain_id.map(ChainId::get);
        if effects.chain_id.is_none() {
            effects.not_read("domain", Why::AnyChain);
        }
        if let Some(contract) = domain.verifying_contract {
            effects.program(Account::Ethereum(contract));
            if contract == signer {
                effects.not_read("domain", Why::OwnCode);
            }
        }
        let text = data.type_text();
        let Some((_, name)) = KNOWN.iter().find(|(known, _)| *known == text) else {
            effects.not_read("message", Why::TypedData(data.primary_type().to_owned()));
            return effects;
        };
        effects.functions.push((*name).to_owned());
        let Some(contract) = domain.verifying_contract else {
            effects.not_read("domain", Why::Domain);
            return effects;
        };
        // Another contract may read the same type as something else.
        if name.starts_with("permit2.") && contract != PERMIT2 {
            effects.not_read("domain", Why::Domain);
        }
        if effects.spend(name, data.message(), contract, signer).is_none() {
            effects.not_read("message", Why::TypedData(data.primary_type().to_owned()));
        }
        effects
    }

    /// None: it lists nothing, or a field is not there, which the type's text excludes.
    fn spend(&mut self, name: &str, message: &Struct, contract: Address, signer: Address) -> Option<()> {
        let token = Asset::Token(Account::Ethereum(contract));
        match name {
            "erc2612.permit" => {
                let (owner, spender) = (address(message, "owner")?, address(message, "spender")?);
                self.allowed(token, owner, spender, number(message, "value")?, false);
                self.good_until = Some(number(message, "deadline")?);
            }
            "dai.permit" => {
                let (holder, spender) = (address(message, "holder")?, address(message, "spender")?);
                let Value::Bool(allowed) = message.get("allowed")? else { return None };
                self.allowed(token, holder, spender, if *allowed { U256::MAX } else { U256::ZERO }, false);
                // 0 is for ever.
                self.good_until = Some(number(message, "expiry")?).filter(|expiry| !expiry.is_zero());
            }
            "erc3009.transferWithAuthorization" | "erc3009.receiveWithAuthorization" => {
                let (from, to) = (address(message, "from")?, address(message, "to")?);
                self.moved(token, from, to, number(message, "value")?);
                self.good_until = Some(number(message, "validBefore")?);
            }
            _ => {
                // What is permitted is taken once by each signature; details are set, and can be used until they expire.
                let adds = message.get("permitted").is_some();
                let (list, until) = if adds { ("permitted", "deadline") } else { ("details", "sigDeadline") };
                let (spender, permits) = (address(message, "spender")?, message.get(list)?);
                let permits =
                    if let Value::Array(items) = permits { items.as_slice() } else { std::slice::from_ref(permits) };
                if permits.is_empty() {
                    return None;
                }
                let mut until = number(message, until)?;
                for permit in permits {
                    let Value::Struct(permit) = permit else { return None };
                    let token = Asset::Token(Account::Ethereum(address(permit, "token")?));
                    self.allowed(token, signer, spender, number(permit, "amount")?, adds);
                    if !adds {
                        until = until.max(number(permit, "expiration")?);
                    }
                }
                self.good_until = Some(until);
            }
        }
        Some(())
    }
}

fn address(message: &Struct, name: &str) -> Option<Address> {
    if let Value::Address(address) = message.get(name)? { Some(*address) } else { None }
}

fn number(message: &Struct, name: &str) -> Option<U256> {
    if let Value::Uint(number) = message.get(name)? { Some(*number) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permit2_is_where_it_is() {
        assert_eq!(PERMIT2.to_string(), "0x000000000022D473030F116dDEE9F6B43aC78BA3");
    }
}
