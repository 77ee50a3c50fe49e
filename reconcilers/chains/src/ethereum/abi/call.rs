//! The calls that are known.

use super::words::{Reader, Writer};
use crate::{U256, ethereum::Address};

/// Data is no call that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Fewer than 4 bytes.
    #[error("data of {0} bytes names no function")]
    NoSelector(usize),
    /// None of the functions that are known here.
    #[error("the function {} is not known here", crate::hex::encode(.0))]
    Unknown([u8; 4]),
    /// The function is known, and its arguments are not written as they have to be.
    #[error("the arguments of {0} are not exactly as Solidity writes them")]
    Arguments(&'static str),
    /// A batch of no items: what a contract makes of that is not told.
    #[error("{0} lists nothing")]
    Empty(&'static str),
}

/// A signature in arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sig {
    /// 27 or 28, or what is written there.
    pub v: u8,
    /// r.
    pub r: [u8; 32],
    /// s.
    pub s: [u8; 32],
}

/// Arguments of both calls of EIP-3009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorized {
    /// Who pays, and has signed.
    pub from: Address,
    /// Who gets it.
    pub to: Address,
    /// How much.
    pub value: U256,
    /// Not before, in seconds since 1970.
    pub valid_after: U256,
    /// Before, in seconds since 1970.
    pub valid_before: U256,
    /// Tells it from others.
    pub nonce: [u8; 32],
    /// Of `from`.
    pub signature: Sig,
}

/// A call of a function that is known here. Amounts are in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "arguments are named as their standards name them")]
pub enum Call {
    /// ERC-20: `to` gets from the caller. Of some that keep items (CryptoKitties) too: the item `amount`.
    Erc20Transfer { to: Address, amount: U256 },
    /// ERC-20: `to` gets from `from`, who has approved the caller. ERC-721 too: the item `amount`.
    Erc20TransferFrom { from: Address, to: Address, amount: U256 },
    /// ERC-20: `spender` may take so much. ERC-721 too: the item `amount`.
    Erc20Approve { spender: Address, amount: U256 },
    /// Of many ERC-20: `spender` may take so much more.
    Erc20IncreaseAllowance { spender: Address, added: U256 },
    /// ERC-721.
    Erc721SafeTransferFrom { from: Address, to: Address, id: U256 },
    /// ERC-721, with data for the recipient.
    Erc721SafeTransferFromData { from: Address, to: Address, id: U256, data: Vec<u8> },
    /// ERC-721 and ERC-1155: `operator` may take all items, or no longer.
    SetApprovalForAll { operator: Address, approved: bool },
    /// ERC-1155.
    Erc1155SafeTransferFrom { from: Address, to: Address, id: U256, amount: U256, data: Vec<u8> },
    /// ERC-1155: as many ids as amounts, at least one.
    Erc1155SafeBatchTransferFrom { from: Address, to: Address, ids: Vec<U256>, amounts: Vec<U256>, data: Vec<u8> },
    /// EIP-2612: hands in what `owner` has signed.
    Erc2612Permit { owner: Address, spender: Address, value: U256, deadline: U256, signature: Sig },
    /// DAI's own: all or nothing.
    DaiPermit { holder: Address, spender: Address, nonce: U256, expiry: U256, allowed: bool, signature: Sig },
    /// EIP-3009.
    Erc3009TransferWithAuthorization(Authorized),
    /// EIP-3009, only by the recipient.
    Erc3009ReceiveWithAuthorization(Authorized),
}

/// Selector, name and declaration of each. The selector is the start of the Keccak-256 of the declaration.
pub(crate) const FUNCTIONS: [([u8; 4], &str, &str); 13] = [
    ([0xa9, 0x05, 0x9c, 0xbb], "erc20.transfer", "transfer(address,uint256)"),
    ([0x23, 0xb8, 0x72, 0xdd], "erc20.transferFrom", "transferFrom(address,address,uint256)"),
    ([0x09, 0x5e, 0xa7, 0xb3], "erc20.approve", "approve(address,uint256)"),
    ([0x39, 0x50, 0x93, 0x51], "erc20.increaseAllowance", "increaseAllowance(address,uint256)"),
    ([0x42, 0x84, 0x2e, 0x0e], "erc721.safeTransferFrom", "safeTransferFrom(address,address,uint256)"),
    ([0xb8, 0x8d, 0x4f, 0xde], "erc721.safeTransferFromData", "safeTransferFrom(address,address,uint256,bytes)"),
    ([0xa2, 0x2c, 0xb4, 0x65], "erc721.setApprovalForAll", "setApprovalForAll(address,bool)"),
    ([0xf2, 0x42, 0x43, 0x2a], "erc1155.safeTransferFrom", "safeTransferFrom(address,address,uint256,uint256,bytes)"),
    (
        [0x2e, 0xb2, 0xc2, 0xd6],
        "erc1155.safeBatchTransferFrom",
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
    ),
    ([0xd5, 0x05, 0xac, 0xcf], "erc2612.permit", "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
    ([0x8f, 0xcb, 0xaf, 0x0c], "dai.permit", "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)"),
    (
        [0xe3, 0xee, 0x16, 0x0e],
        "erc3009.transferWithAuthorization",
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
    ),
    (
        [0xef, 0x55, 0xbe, 0xc6],
        "erc3009.receiveWithAuthorization",
        "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
    ),
];

/// The selector that a name stands for, such as that of `erc20.transfer`.
#[must_use]
pub fn selector_of(name: &str) -> Option<[u8; 4]> {
    FUNCTIONS.iter().find(|(_, known, _)| *known == name).map(|(selector, ..)| *selector)
}

impl Call {
    /// Reads data. It is the call's own encoding byte for byte: nothing after it, no other offsets, clean padding.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn decode(data: &[u8]) -> Result<Self, CallError> {
        let (selector, words) = data.split_first_chunk::<4>().ok_or(CallError::NoSelector(data.len()))?;
        let known = FUNCTIONS.iter().position(|(known, ..)| known == selector).ok_or(CallError::Unknown(*selector))?;
        let call = Self::read(known, &mut Reader::new(words));
        let call = call.filter(|call| call.encode() == data).ok_or(CallError::Arguments(FUNCTIONS[known].1))?;
        match &call {
            Self::Erc1155SafeBatchTransferFrom { ids, .. } if ids.is_empty() => Err(CallError::Empty(call.name())),
            _ => Ok(call),
        }
    }

    /// The name, such as `erc20.transfer`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        FUNCTIONS[self.place()].1
    }

    /// Its place in the table.
    fn place(&self) -> usize {
        match self {
            Self::Erc20Transfer { .. } => 0,
            Self::Erc20TransferFrom { .. } => 1,
            Self::Erc20Approve { .. } => 2,
            Self::Erc20IncreaseAllowance { .. } => 3,
            Self::Erc721SafeTransferFrom { .. } => 4,
            Self::Erc721SafeTransferFromData { .. } => 5,
            Self::SetApprovalForAll { .. } => 6,
            Self::Erc1155SafeTransferFrom { .. } => 7,
            Self::Erc1155SafeBatchTransferFrom { .. } => 8,
            Self::Erc2612Permit { .. } => 9,
            Self::DaiPermit { .. } => 10,
            Self::Erc3009TransferWithAuthorization(_) => 11,
            Self::Erc3009ReceiveWithAuthorization(_) => 12,
        }
    }

    fn read(place: usize, words: &mut Reader<'_>) -> Option<Self> {
        Some(match place {
            0 => Self::Erc20Transfer { to: words.address()?, amount: words.number()? },
            1 => Self::Erc20TransferFrom { from: words.address()?, to: words.address()?, amount: words.number()? },
            2 => Self::Erc20Approve { spender: words.address()?, amount: words.number()? },
            3 => Self::Erc20IncreaseAllowance { spender: words.address()?, added: words.number()? },
            4 => Self::Erc721SafeTransferFrom { from: words.address()?, to: words.address()?, id: words.number()? },
            5 => {
                let (from, to, id) = (words.address()?, words.address()?, words.number()?);
                Self::Erc721SafeTransferFromData { from, to, id, data: words.bytes()? }
            }
            6 => Self::SetApprovalForAll { operator: words.address()?, approved: words.bool()? },
            7 => {
                let (from, to, id) = (words.address()?, words.address()?, words.number()?);
                Self::Erc1155SafeTransferFrom { from, to, id, amount: words.number()?, data: words.bytes()? }
            }
            8 => {
                let (from, to, ids) = (words.address()?, words.address()?, words.numbers()?);
                let amounts = words.numbers().filter(|amounts| amounts.len() == ids.len())?;
                Self::Erc1155SafeBatchTransferFrom { from, to, ids, amounts, data: words.bytes()? }
            }
            9 => {
                let (owner, spender) = (words.address()?, words.address()?);
                let (value, deadline) = (words.number()?, words.number()?);
                Self::Erc2612Permit { owner, spender, value, deadline, signature: signature(words)? }
            }
            10 => {
                let (holder, spender, nonce) = (words.address()?, words.address()?, words.number()?);
                let (expiry, allowed) = (words.number()?, words.bool()?);
                Self::DaiPermit { holder, spender, nonce, expiry, allowed, signature: signature(words)? }
            }
            11 => Self::Erc3009TransferWithAuthorization(authorized(words)?),
            12 => Self::Erc3009ReceiveWithAuthorization(authorized(words)?),
            _ => return None,
        })
    }

    /// The data of the call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut words = Writer::default();
        match self {
            Self::Erc20Transfer { to: who, amount }
            | Self::Erc20Approve { spender: who, amount }
            | Self::Erc20IncreaseAllowance { spender: who, added: amount } => {
                words.address(who).number(*amount);
            }
            Self::Erc20TransferFrom { from, to, amount: number }
            | Self::Erc721SafeTransferFrom { from, to, id: number } => {
                words.address(from).address(to).number(*number);
            }
            Self::Erc721SafeTransferFromData { from, to, id, data } => {
                words.address(from).address(to).number(*id).bytes(data);
            }
            Self::SetApprovalForAll { operator, approved } => {
                words.address(operator).small(*approved);
            }
            Self::Erc1155SafeTransferFrom { from, to, id, amount, data } => {
                words.address(from).address(to).number(*id).number(*amount).bytes(data);
            }
            Self::Erc1155SafeBatchTransferFrom { from, to, ids, amounts, data } => {
                words.address(from).address(to).numbers(ids).numbers(amounts).bytes(data);
            }
            Self::Erc2612Permit { owner, spender, value, deadline, signature } => {
                words.address(owner).address(spender).number(*value).number(*deadline);
                write_signature(&mut words, signature);
            }
            Self::DaiPermit { holder, spender, nonce, expiry, allowed, signature } => {
                words.address(holder).address(spender).number(*nonce).number(*expiry).small(*allowed);
                write_signature(&mut words, signature);
            }
            Self::Erc3009TransferWithAuthorization(authorized) | Self::Erc3009ReceiveWithAuthorization(authorized) => {
                let Authorized { from, to, value, valid_after, valid_before, nonce, signature } = authorized;
                words.address(from).address(to).number(*value).number(*valid_after).number(*valid_before);
                write_signature(words.word(*nonce), signature);
            }
        }
        [FUNCTIONS[self.place()].0.as_slice(), &words.finish()].concat()
    }
}

fn signature(words: &mut Reader<'_>) -> Option<Sig> {
    Some(Sig { v: words.byte()?, r: words.word()?, s: words.word()? })
}

fn write_signature(words: &mut Writer, signature: &Sig) {
    words.small(signature.v).word(signature.r).word(signature.s);
}

fn authorized(words: &mut Reader<'_>) -> Option<Authorized> {
    let (from, to, value) = (words.address()?, words.address()?, words.number()?);
    let (valid_after, valid_before, nonce) = (words.number()?, words.number()?, words.word()?);
    Some(Authorized { from, to, value, valid_after, valid_before, nonce, signature: signature(words)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethereum::keccak256;

    #[test]
    fn selectors_are_the_hashes_of_the_declarations() {
        for (selector, name, declaration) in FUNCTIONS {
            assert_eq!(keccak256(declaration.as_bytes())[..4], selector, "{name}");
            assert_eq!(selector_of(name), Some(selector));
        }
    }
}
