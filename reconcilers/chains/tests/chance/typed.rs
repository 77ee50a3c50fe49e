//! Typed data of the types that are known here, for several tests.

use osmoda_chains::ethereum::typed_data::TypedData;

/// Permit2 of Uniswap.
pub const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
/// The domain's fields that bind a message.
pub const CHAIN_AND_CONTRACT: &str = "uint256 chainId,address verifyingContract";

/// Fields as EIP-712's JSON lists them.
pub fn fields(list: &str) -> String {
    let field = |field: &str| {
        let (kind, name) = field.split_once(' ').unwrap();
        format!(r#"{{"name": "{name}", "type": "{kind}"}}"#)
    };
    format!("[{}]", list.split(',').map(field).collect::<Vec<_>>().join(","))
}

/// The types of a message that is known here, by what it is called; `DaiPermit` for the other `Permit`.
pub fn types(message: &str) -> String {
    let details = ("PermitDetails", "address token,uint160 amount,uint48 expiration,uint48 nonce");
    let tokens = ("TokenPermissions", "address token,uint256 amount");
    let authorization = "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce";
    let (list, other) = match message {
        "Permit" => ("address owner,address spender,uint256 value,uint256 nonce,uint256 deadline", None),
        "DaiPermit" => ("address holder,address spender,uint256 nonce,uint256 expiry,bool allowed", None),
        "PermitSingle" => ("PermitDetails details,address spender,uint256 sigDeadline", Some(details)),
        "PermitBatch" => ("PermitDetails[] details,address spender,uint256 sigDeadline", Some(details)),
        "PermitTransferFrom" => {
            ("TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline", Some(tokens))
        }
        "PermitBatchTransferFrom" => {
            ("TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline", Some(tokens))
        }
        "TransferWithAuthorization" | "ReceiveWithAuthorization" => (authorization, None),
        other => panic!("{other}"),
    };
    let own = format!(r#""{}": {}"#, message.trim_start_matches("Dai"), fields(list));
    other.map_or(own.clone(), |(name, list)| format!(r#"{own}, "{name}": {}"#, fields(list)))
}

/// The whole text.
pub fn text(domain_fields: &str, domain: &str, types: &str, message_type: &str, message: &str) -> String {
    let (domain_fields, primary) = (fields(domain_fields), message_type.trim_start_matches("Dai"));
    format!(
        r#"{{"types": {{"EIP712Domain": {domain_fields}, {types}}}, "primaryType": "{primary}", "domain": {domain}, "message": {message}}}"#
    )
}

pub fn parse(domain_fields: &str, domain: &str, types: &str, message_type: &str, message: &str) -> TypedData {
    let text = text(domain_fields, domain, types, message_type, message);
    TypedData::parse(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}
