//! What osmoda-keyd answers: wallets, what they sign, and what would decide about it.

mod order;

use jiff::Timestamp;
pub use order::{AccessEntry, AccountEntry, AuthorizationEntry, Build, Gas, InstructionEntry, Order, Transfer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    kinds::wallet_policy::Chain,
    name::Name,
    operation::{Nothing, operations},
};

/// A wallet that is to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWalletRequest {
    /// Its name.
    pub wallet: Name,
    /// Whose keys it has.
    pub chain: Chain,
}

/// A key that there is already.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportWalletRequest {
    /// The wallet's name.
    pub wallet: Name,
    /// Whose key it is.
    pub chain: Chain,
    /// The key as text (64 hexadecimal digits; Solana: 64 bytes in base58 or as a list of numbers), or a mnemonic of BIP-39.
    #[serde(deserialize_with = "hidden")]
    pub secret: String,
    /// The mnemonic's passphrase; empty: none.
    #[serde(default, deserialize_with = "hidden")]
    pub passphrase: String,
    /// The path of the key below a mnemonic (BIP-32, SLIP-10). Default: `m/44'/60'/0'/0/0`, or `m/44'/501'/0'/0'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A text that no error tells of.
fn hidden<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        _ => Err(serde::de::Error::custom("it has to be a text")),
    }
}

impl std::fmt::Debug for ImportWalletRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportWalletRequest").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

/// A wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalletView {
    /// Its name.
    pub name: Name,
    /// Whose keys it has.
    pub chain: Chain,
    /// Its address: with the checksum of EIP-55, or in base58. None: there is no key yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where its key came from, or who holds it.
    pub origin: String,
    /// It has a document that is in force: without one it signs nothing.
    pub declared: bool,
    /// The policy that governs it; without one it signs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Name>,
    /// Why it signs nothing, when something is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Wallets by name, and what keyd goes by.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalletList {
    /// They.
    pub wallets: Vec<WalletView>,
    /// Policies in force.
    pub policies: Vec<PolicyView>,
    /// Protections of keyd's memory that this machine does not give.
    pub unprotected: Vec<String>,
    /// Why nothing is signed at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyView {
    /// Its name.
    pub name: Name,
    /// SHA-256 of what keyd reads of it, in hexadecimal.
    pub hash: String,
}

/// Something is to be signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// By this wallet.
    pub wallet: Name,
    /// What.
    pub order: Order,
}

/// Coins or tokens are to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// By this wallet.
    pub wallet: Name,
    /// What, and to whom.
    pub transfer: Transfer,
}

/// A transaction is to be made and signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildRequest {
    /// By this wallet.
    pub wallet: Name,
    /// Its fields.
    pub transaction: Build,
}

/// A signature. Nothing is sent to any chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// The wallet.
    pub wallet: Name,
    /// Its address.
    pub address: String,
    /// Ethereum: r, s, and 27 or 28, 65 bytes in hexadecimal. Solana: 64 bytes in base58.
    pub signature: String,
    /// Ethereum: the hash that was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_hash: Option<String>,
    /// Of a transaction: what the network calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_hash: Option<String>,
    /// Of a transaction: what is to be sent, in hexadecimal (Ethereum) or base64 (Solana).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// Of a transaction of Solana: others that have to sign it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_signers: Vec<String>,
    /// The most that it costs in fees, in whole coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fee: Option<String>,
    /// The policy that let it through.
    pub policy: Name,
    /// The number in keyd's book that it is written down under.
    pub reservation: i64,
    /// The same was signed before, and costs nothing again.
    pub again: bool,
}

/// What would come of an order, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `allow`, `needs-approval` or `refuse`; limits count.
    pub verdict: String,
    /// Why it is not simply signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What would make it pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The policy that decides.
    pub policy: PolicyView,
    /// What an approval has to name.
    pub payload: String,
    /// How each part was decided, of the first 64.
    pub parts: Vec<ExplainedPart>,
    /// Limits that it counts against.
    pub limits: Vec<ExplainedLimit>,
}

/// How a part was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPart {
    /// The part, in words.
    pub part: String,
    /// The first rule that matches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name>,
    /// What that rule says: `allow`, `deny` or `requireApproval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<crate::kinds::wallet_policy::Effect>,
    /// The rules before, and why each does not match.
    pub passed: Vec<PassedRule>,
}

/// A rule that does not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedRule {
    /// Its name.
    pub rule: Name,
    /// Why not.
    pub why: String,
}

/// A limit, in whole coins or tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedLimit {
    /// Its name.
    pub limit: Name,
    /// What the order takes of it.
    pub wanted: String,
    /// What is left of it now.
    pub left: String,
    /// Signatures that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<u32>,
}

/// Somebody has looked at an order of somebody else's, and lets it pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApproveRequest {
    /// The wallet.
    pub wallet: Name,
    /// What a refusal, or `explain`, says has to be approved: 32 bytes in hexadecimal.
    pub payload: String,
    /// What for. Default: a signature.
    #[serde(default)]
    pub purpose: Purpose,
    /// For how long, in seconds. Default: 600; at most a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u32>,
}

/// What an approval is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// A signature.
    #[default]
    Sign,
    /// The destruction of the wallet's key.
    Destroy,
    /// Giving out the wallet's key.
    Export,
}

/// An approval: it holds once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The wallet.
    pub wallet: Name,
    /// What for.
    pub purpose: Purpose,
    /// What is approved.
    pub payload: String,
    /// Until when.
    #[schemars(with = "String")]
    pub until: Timestamp,
}

/// A wallet that is to be destroyed, with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteWalletRequest {
    /// Its name.
    pub wallet: Name,
    /// Its address, so that no slip of the hand takes another one.
    pub address: String,
}

/// A wallet is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Which.
    pub wallet: Name,
    /// The address that nobody can sign for any more.
    pub address: String,
}

/// A wallet whose key is to be given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportWalletRequest {
    /// Its name.
    pub wallet: Name,
    /// Its address, so that no slip of the hand takes another one.
    pub address: String,
}

/// A key that has left keyd, which keeps it, too.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExportedWallet {
    /// Whose.
    pub wallet: Name,
    /// The address that it signs for.
    pub address: String,
    /// The key, as an import takes it: 64 hexadecimal digits, or 64 bytes in base58 (Solana).
    pub secret: String,
}

impl std::fmt::Debug for ExportedWallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedWallet").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

/// What keyd has written down since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsRequest {
    /// The number of the last one that is known. Default: from the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Most of them. Default and most: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// When there is none: how long to wait for one, in seconds, at most 20. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_secs: Option<u32>,
}

/// In the order in which they were written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipts {
    /// They.
    pub receipts: Vec<Receipt>,
    /// The one that was asked after: who knows another one by that number has followed another book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Receipt>,
    /// The number of the last one that there is; 0: there is none.
    pub last: i64,
}

/// Something that keyd did, or let pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Its number; later ones are larger.
    pub id: i64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `wallet.created`, `wallet.imported`, `wallet.exporting`, `wallet.exported`, `wallet.destroying`, `wallet.destroyed`,
    /// `wallet.signed`, `wallet.released` or `wallet.approved`.
    pub kind: String,
    /// The number of the reservation that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// All about it.
    pub payload: Value,
}

operations! {
    /// Make a wallet with a new key.
    CreateWallet = "wallet.create" POST "/wallet/create" Change Root (CreateWalletRequest) -> <WalletView>;
    /// Keep a key that there is already.
    ImportWallet = "wallet.import" POST "/wallet/import" Change Root (ImportWalletRequest) -> <WalletView>;
    /// All wallets, and the policies in force.
    ListWallets = "wallet.list" GET "/wallet/list" Read Authors (Nothing) -> <WalletList>;
    /// Sign something, as far as the wallet's policy lets it.
    Sign = "wallet.sign" POST "/wallet/sign" Change Authors (SignRequest) -> <Signature>;
    /// Make and sign a transfer.
    Send = "wallet.send" POST "/wallet/send" Change Authors (SendRequest) -> <Signature>;
    /// Make and sign a transaction.
    BuildTransaction = "wallet.buildTx" POST "/wallet/build_tx" Change Authors (BuildRequest) -> <Signature>;
    /// What would come of an order, and why; nothing is signed.
    Explain = "wallet.explain" POST "/wallet/explain" Read Authors (SignRequest) -> <Explanation>;
    /// Let an order of somebody else's pass, once.
    Approve = "wallet.approve" POST "/wallet/approve" Change Authors (ApproveRequest) -> <Approval>;
    /// Destroy a wallet and its key, when somebody else has approved it.
    DeleteWallet = "wallet.delete" POST "/wallet/delete" Destroy Authors (DeleteWalletRequest) -> <Deleted>;
    /// Give a wallet's key out, when its policy lets keys leave and somebody else has approved it.
    ExportWallet = "wallet.export" POST "/wallet/export" Change Root (ExportWalletRequest) -> <ExportedWallet>;
    /// What keyd has done and let pass.
    ListReceipts = "wallet.receipts" GET "/wallet/receipts" Read Root (ReceiptsRequest) -> <Receipts>;
}
