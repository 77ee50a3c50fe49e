//! Transactions that are made here from the fields of a request.

use data_encoding::BASE64;
use osmoda_chains::{
    U256, base58,
    effects::{Account, Chain},
    ethereum::{
        Address, Authorization, ChainId, SignedAuthorization,
        abi::Call,
        transaction::{Access, Common, Transaction},
    },
    hex,
    keys::secp256k1,
    solana::{self, message::Version, programs},
};
use osmoda_schemas::{
    ops::keyd::{AccessEntry, AuthorizationEntry, Build, Gas, Transfer},
    problem::Problem,
};
use osmoda_wallet_policy::{Amount, Policy, What};

use super::order::wrong;

/// Gas that a transfer of coins takes (EIP-2: 21000).
const TRANSFER_GAS: u64 = 21_000;

/// What goes to whom.
fn amount(
    transfer: &Transfer,
    policy: &Policy,
    chain: Chain,
    chain_id: Option<u64>,
) -> Result<(What, u8, U256), Problem> {
    let name = transfer.asset.as_deref().unwrap_or("native");
    let (what, decimals) = policy.asset(name, chain, chain_id).ok_or_else(|| {
        wrong("asset", format!("the wallet's policy names no token `{name}` on that chain"))
            .hint("`native`, or the name of one of the policy's `tokens`; what it does not name it lets nobody move")
    })?;
    let amount = Amount::parse(&transfer.amount);
    let amount = amount.ok_or_else(|| wrong("amount", "it is no amount").hint("such as \"0.05\""))?;
    let amount = amount.exact_units(decimals);
    let amount =
        amount.ok_or_else(|| wrong("amount", format!("it has more than {decimals} digits after the point")))?;
    Ok((what, decimals, amount))
}

fn missing(field: &str, why: &str) -> Problem {
    wrong(field, format!("it is missing: {why}"))
}

/// A number in decimal digits.
fn wei(field: &str, text: &str) -> Result<U256, Problem> {
    U256::from_decimal(text).map_err(|error| wrong(field, error))
}

fn address(field: &str, text: &str) -> Result<Address, Problem> {
    text.parse().map_err(|error| wrong(field, error))
}

fn solana_address(field: &str, text: &str) -> Result<solana::Address, Problem> {
    text.parse().map_err(|error| wrong(field, error))
}

/// A transfer of Ethereum.
pub(super) fn ethereum_transfer(transfer: &Transfer, policy: &Policy) -> Result<Transaction, Problem> {
    let gas = transfer.gas.as_ref();
    let gas = gas.ok_or_else(|| missing("gas", "the chain, the nonce and the fees are the caller's to know"))?;
    let (what, _, amount) = amount(transfer, policy, Chain::Ethereum, Some(gas.chain_id))?;
    let to = address("to", &transfer.to)?;
    let (to, value, data) = match what {
        What::Token(Account::Ethereum(contract)) => {
            if gas.limit.is_none() {
                return Err(missing("gas.limit", "a transfer of tokens takes as much as its contract needs"));
            }
            (contract, U256::ZERO, Call::Erc20Transfer { to, amount }.encode())
        }
        _ => (to, amount, Vec::new()),
    };
    assemble(gas, Some(to), value, data, None, Vec::new())
}

/// A transaction of Ethereum.
pub(super) fn ethereum(build: &Build) -> Result<Transaction, Problem> {
    if !build.instructions.is_empty() || build.blockhash.is_some() {
        return Err(wrong("instructions", "instructions and blockhashes are Solana's"));
    }
    let gas = build.gas.as_ref();
    let gas = gas.ok_or_else(|| missing("gas", "the chain, the nonce and the fees are the caller's to know"))?;
    let to = build.to.as_deref().map(|to| address("to", to)).transpose()?;
    let value = build.value.as_deref().map_or(Ok(U256::ZERO), |value| wei("value", value))?;
    let data = build.data.as_deref().map_or(Ok(Vec::new()), hex::decode).map_err(|error| wrong("data", error))?;
    if gas.limit.is_none() && (!data.is_empty() || to.is_none()) {
        return Err(missing("gas.limit", "a call takes as much as its contract needs"));
    }
    let accesses = build.access_list.as_deref().map(accesses).transpose()?;
    let authorizations = build.authorizations.iter().map(authorization).collect::<Result<_, _>>()?;
    assemble(gas, to, value, data, accesses, authorizations)
}

fn accesses(entries: &[AccessEntry]) -> Result<Vec<Access>, Problem> {
    let key = |key: &String| hex::decode_array(key).map_err(|error| wrong("accessList[].storageKeys[]", error));
    let access = |entry: &AccessEntry| {
        let keys = entry.storage_keys.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Access { address: address("accessList[].address", &entry.address)?, keys })
    };
    entries.iter().map(access).collect()
}

fn authorization(entry: &AuthorizationEntry) -> Result<SignedAuthorization, Problem> {
    let bytes = hex::decode_array(&entry.signature).map_err(|error| wrong("authorizations[].signature", error))?;
    let signature = secp256k1::Signature::from_bytes(&bytes);
    let signature = signature.map_err(|error| wrong("authorizations[].signature", error))?;
    let chain_id = match entry.chain_id {
        0 => None,
        number => Some(chain_id("authorizations[].chainId", number)?),
    };
    let delegate = address("authorizations[].delegate", &entry.delegate)?;
    Ok(SignedAuthorization { authorization: Authorization { chain_id, delegate, nonce: entry.nonce }, signature })
}

fn chain_id(field: &str, number: u64) -> Result<ChainId, Problem> {
    ChainId::new(number).ok_or_else(|| wrong(field, "there is no such chain id"))
}

/// Of the type that its fields ask for.
fn assemble(
    gas: &Gas,
    to: Option<Address>,
    value: U256,
    data: Vec<u8>,
    accesses: Option<Vec<Access>>,
    authorizations: Vec<SignedAuthorization>,
) -> Result<Transaction, Problem> {
    let common = Common { nonce: gas.nonce, gas_limit: gas.limit.unwrap_or(TRANSFER_GAS), value, data };
    let chain_id = chain_id("gas.chainId", gas.chain_id)?;
    let price = |field: &str, text: &Option<String>| match text {
        Some(text) => wei(field, text).map(Some),
        None => Ok(None),
    };
    let gas_price = price("gas.price", &gas.price)?;
    let (max_fee, priority) = (price("gas.maxFee", &gas.max_fee)?, price("gas.priorityFee", &gas.priority_fee)?);
    let transaction = match (gas_price, max_fee, priority) {
        (Some(gas_price), None, None) if authorizations.is_empty() => match accesses {
            None => Transaction::Legacy { common, gas_price, to, chain_id: Some(chain_id) },
            Some(accesses) => Transaction::AccessList { common, gas_price, to, chain_id, accesses },
        },
        (None, Some(max_fee), Some(max_priority_fee)) => {
            if max_priority_fee > max_fee {
                return Err(wrong("gas.priorityFee", "it is more than `maxFee` (EIP-1559)"));
            }
            let accesses = accesses.unwrap_or_default();
            if authorizations.is_empty() {
                Transaction::DynamicFee { common, max_priority_fee, max_fee, to, chain_id, accesses }
            } else {
                let to = to.ok_or_else(|| missing("to", "EIP-7702 creates no contracts"))?;
                Transaction::SetCode { common, max_priority_fee, max_fee, to, chain_id, accesses, authorizations }
            }
        }
        _ => {
            return Err(wrong("gas", "the price is told by `maxFee` and `priorityFee`, or by `price` alone")
                .hint("in wei; with authorizations (EIP-7702) only the first two will do"));
        }
    };
    // What is signed is what can be read: the rules of each type are the decoder's.
    Transaction::decode(&transaction.encode()).map_err(|error| wrong("type", error))
}

fn blockhash(text: Option<&str>) -> Result<[u8; 32], Problem> {
    let text = text.ok_or_else(|| missing("blockhash", "a recent one is the caller's to know"))?;
    base58::decode_array(text).map_err(|error| wrong("blockhash", error))
}

/// A transfer of Solana.
pub(super) fn solana_transfer(
    transfer: &Transfer,
    from: solana::Address,
    policy: &Policy,
) -> Result<solana::Message, Problem> {
    if transfer.gas.is_some() {
        return Err(wrong("gas", "gas is Ethereum's"));
    }
    let (what, decimals, amount) = amount(transfer, policy, Chain::Solana, None)?;
    let amount = u64::try_from(amount).map_err(|_| wrong("amount", "it is more than 64 bits hold"))?;
    let (to, blockhash) = (solana_address("to", &transfer.to)?, blockhash(transfer.blockhash.as_deref())?);
    match what {
        What::Token(Account::Solana(mint)) => {
            let token_program = if transfer.token_2022 { programs::TOKEN_2022 } else { programs::TOKEN };
            let to_program = transfer.to_program;
            let order = solana::TokenTransfer { from, to, mint, token_program, amount, decimals, to_program };
            solana::transfer_token(&order, blockhash).map_err(|error| wrong("to", error))
        }
        _ => solana::transfer(from, to, amount, blockhash).map_err(|error| wrong("to", error)),
    }
}

/// A transaction of Solana, of which the wallet pays the fee.
pub(super) fn solana(order: &Build, from: solana::Address) -> Result<solana::Message, Problem> {
    if order.gas.is_some() || order.to.is_some() || order.value.is_some() || order.data.is_some() {
        return Err(wrong("gas", "`to`, `value`, `data` and `gas` are Ethereum's"));
    }
    let mut instructions = Vec::new();
    for (at, entry) in order.instructions.iter().enumerate() {
        let field = |name: &str| format!("instructions[{at}].{name}");
        let mut accounts = Vec::new();
        for account in &entry.accounts {
            accounts.push((solana_address(&field("accounts"), &account.address)?, account.signer, account.writable));
        }
        let data = BASE64.decode(entry.data.as_bytes());
        let data = data.map_err(|_| wrong(&field("data"), "it is no base64 with padding"))?;
        let program = solana_address(&field("program"), &entry.program)?;
        instructions.push(solana::Instruction { program, accounts, data });
    }
    let blockhash = blockhash(order.blockhash.as_deref())?;
    solana::compile(Version::Legacy, from, &instructions, blockhash).map_err(|error| wrong("instructions", error))
}
