//! What functions are called in [`Effects::functions`](super::Effects::functions).

use super::typed_data;
use crate::{
    ethereum::abi::call::FUNCTIONS,
    hex,
    solana::instruction::{system, token},
};

/// Of programs on Solana that have few.
const OTHERS: [&str; 7] = [
    "associatedToken.create",
    "associatedToken.createIdempotent",
    "computeBudget.setComputeUnitLimit",
    "computeBudget.setComputeUnitPrice",
    "computeBudget.requestHeapFrame",
    "computeBudget.setLoadedAccountsDataSizeLimit",
    "memo.memo",
];

/// The names of all functions that are known here.
pub fn function_names() -> impl Iterator<Item = String> {
    let system = system::NAMES.iter().map(|name| format!("system.{name}"));
    let tokens = ["token", "token2022"].into_iter();
    let tokens = tokens.flat_map(|program| token::NAMES.iter().map(move |name| format!("{program}.{name}")));
    let calls = FUNCTIONS.iter().map(|(_, name, _)| *name);
    let typed = typed_data::KNOWN.iter().map(|(_, name)| *name);
    calls.chain(typed).chain(OTHERS).map(ToOwned::to_owned).chain(system).chain(tokens)
}

/// A function by its name or selector (`0xa9059cbb`), as effects tell it: by its name where it has one. None: there is no
/// such function, and it is no selector.
#[must_use]
pub fn function_of(text: &str) -> Option<String> {
    if text.starts_with("0x") {
        let selector: [u8; 4] = hex::decode(text).ok()?.try_into().ok()?;
        let known = FUNCTIONS.iter().find(|(known, ..)| *known == selector).map(|(_, name, _)| (*name).to_owned());
        return Some(known.unwrap_or_else(|| hex::encode(&selector)));
    }
    function_names().find(|name| name == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_one_name() {
        assert_eq!(function_of("0xA9059CBB").as_deref(), Some("erc20.transfer"));
        assert_eq!(function_of("0x12345678").as_deref(), Some("0x12345678"));
        for known in ["system.transfer", "token.transferChecked", "permit2.permitSingle", "memo.memo"] {
            assert_eq!(function_of(known).as_deref(), Some(known));
        }
        for unknown in ["transfer", "erc20.transfr", "0x1234", "0x1234567890", ""] {
            assert_eq!(function_of(unknown), None, "{unknown}");
        }
    }
}
