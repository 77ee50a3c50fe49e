//! From the document to rules with typed conditions. What a schema cannot say is told here with its field.

use jiff::SignedDuration;
use osmoda_chains::{
    Effects,
    effects::{Account, Chain, function_of},
};
use osmoda_schemas::{
    kinds::{
        WalletPolicy,
        wallet_policy::{self as schema, Effect, SigningOperation, Undecoded},
    },
    name::Name,
    rules::Violation,
};

use crate::{
    amount::Amount,
    hours::Hours,
    limit::{Limit, Period},
    parts::What,
};

/// A policy that can decide.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) tokens: Vec<Token>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) limits: Vec<Limit>,
}

/// A token that the policy names.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub name: Name,
    pub chain: Chain,
    pub chain_id: Option<u64>,
    pub account: Account,
    pub decimals: u8,
    pub items: bool,
}

/// A rule with its conditions.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub name: Name,
    pub effect: Effect,
    pub approval_above: Option<Amount>,
    pub chains: Vec<Chain>,
    pub chain_ids: Vec<u64>,
    pub operations: Vec<SigningOperation>,
    pub to: Vec<Account>,
    pub assets: Vec<What>,
    pub max_amount: Option<Amount>,
    pub max_fee: Option<Amount>,
    pub functions: Vec<String>,
    pub programs: Vec<Account>,
    pub domains: Vec<String>,
    pub types: Vec<String>,
    pub delegates: Vec<Account>,
    pub callers: Vec<String>,
    pub hours: Vec<Hours>,
    pub undecoded: Vec<Undecoded>,
}

/// Digits after the point of a chain's own coin.
#[must_use]
pub fn native_decimals(chain: Chain) -> u8 {
    match chain {
        Chain::Ethereum => 18,
        Chain::Solana => 9,
    }
}

impl Policy {
    /// Longest window of a limit, in days: sums are kept that long.
    pub const LONGEST_WINDOW_DAYS: i64 = 366;

    /// Reads a document.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(document: &WalletPolicy) -> Result<Self, Vec<Violation>> {
        let mut compiler = Compiler { tokens: Vec::new(), faults: Vec::new() };
        for (at, token) in document.tokens.iter().enumerate() {
            compiler.token(at, token);
        }
        let rules = document.rules.iter().enumerate().map(|(at, rule)| compiler.rule(at, rule)).collect();
        let limits: Vec<Option<Limit>> =
            document.limits.iter().enumerate().map(|(at, limit)| compiler.limit(at, limit)).collect();
        let names = document
            .rules
            .iter()
            .map(|r| ("rules", &r.name))
            .chain(document.limits.iter().map(|l| ("limits", &l.name)));
        compiler.twice(names.chain(document.tokens.iter().map(|t| ("tokens", &t.name))));
        if document.exportable && document.approvers.is_empty() {
            compiler.fault(
                "no-approver",
                "approvers",
                "`exportable` is true, and nobody is there who could approve it".to_owned(),
                "list who has to approve before root is given a key; nobody approves what they ask for themselves",
            );
        }
        if compiler.faults.is_empty() {
            Ok(Self { tokens: compiler.tokens, rules, limits: limits.into_iter().flatten().collect() })
        } else {
            Err(compiler.faults)
        }
    }

    /// The token of that address on that chain.
    pub(crate) fn token(&self, effects: &Effects, account: &Account) -> Option<&Token> {
        let is_there = |token: &&Token| token.chain == effects.chain && token.chain_id == effects.chain_id;
        self.tokens.iter().filter(is_there).find(|token| token.account == *account)
    }

    /// The asset that a name stands for on a chain (`native`, or a token's), and its digits after the point.
    #[must_use]
    pub fn asset(&self, name: &str, chain: Chain, chain_id: Option<u64>) -> Option<(What, u8)> {
        if name == "native" {
            return Some((What::Native, native_decimals(chain)));
        }
        let is_it = |token: &&Token| token.name.as_str() == name && token.chain == chain && token.chain_id == chain_id;
        self.tokens.iter().find(is_it).map(|token| (What::Token(token.account), token.decimals))
    }

    /// The asset's name, as the document says it.
    pub(crate) fn name_of(&self, what: What) -> String {
        match what {
            What::Native => "native".to_owned(),
            What::Token(account) => {
                let token = self.tokens.iter().find(|token| token.account == account);
                token.map_or_else(|| account.to_string(), |token| token.name.to_string())
            }
            What::Other(asset) => format!("{asset:?}"),
        }
    }

    /// Digits after the point; none of what the policy does not name.
    pub(crate) fn decimals_of(&self, what: What, chain: Chain) -> Option<u8> {
        match what {
            What::Native => Some(native_decimals(chain)),
            What::Token(account) => self.tokens.iter().find(|t| t.account == account).map(|t| t.decimals),
            What::Other(_) => None,
        }
    }
}

/// The chain that a document names.
#[must_use]
pub fn chain_of(chain: schema::Chain) -> Chain {
    match chain {
        schema::Chain::Ethereum => Chain::Ethereum,
        schema::Chain::Solana => Chain::Solana,
    }
}

/// How addresses are written.
pub const ADDRESS_HINT: &str =
    "an address of Ethereum (0x..., in lower case or with its checksum) or of Solana (base58)";

struct Compiler {
    tokens: Vec<Token>,
    faults: Vec<Violation>,
}

impl Compiler {
    fn fault(&mut self, rule: &'static str, field: impl AsRef<str>, detail: impl Into<String>, hint: &str) {
        self.faults.push(Violation::new(rule, format!("spec.{}", field.as_ref()), detail, hint));
    }

    fn account(&mut self, field: &str, text: &str) -> Option<Account> {
        let read = text.parse::<Account>();
        if let Err(error) = &read {
            self.fault("wallet-address", field, format!("`{text}` is no address: {error}"), ADDRESS_HINT);
        }
        read.ok()
    }

    fn accounts(&mut self, field: &str, texts: &[String]) -> Vec<Account> {
        let read = |(at, text): (usize, &String)| self.account(&format!("{field}[{at}]"), text);
        texts.iter().enumerate().filter_map(read).collect()
    }

    fn amount(&mut self, field: String, amount: Option<&schema::Amount>) -> Option<Amount> {
        let text = &amount?.0;
        let read = Amount::parse(text);
        if read.is_none() {
            self.fault(
                "wallet-amount",
                field,
                format!("`{text}` is no amount"),
                "such as \"0.05\", with at most 18 digits after the point",
            );
        }
        read
    }

    fn token(&mut self, at: usize, token: &schema::Token) {
        let field = format!("tokens[{at}]");
        let chain = chain_of(token.chain);
        if (chain == Chain::Ethereum) != token.chain_id.is_some() {
            self.fault(
                "wallet-token",
                format!("{field}.chainId"),
                "a token of Ethereum has a chain id, and one of Solana has none",
                "1 is Ethereum's main network; the same address is something else on another chain",
            );
        }
        if token.items && token.decimals != 0 {
            self.fault("wallet-token", format!("{field}.decimals"), "items are whole", "write `decimals: 0`");
        }
        if token.decimals > 18 {
            self.fault(
                "wallet-token",
                format!("{field}.decimals"),
                "there are at most 18 digits after the point",
                "see its contract or mint",
            );
        }
        if token.name.as_str() == "native" {
            self.fault(
                "wallet-token",
                format!("{field}.name"),
                "`native` is the chain's own coin",
                "give it another name",
            );
        }
        let Some(account) = self.account(&format!("{field}.address"), &token.address) else { return };
        if account.chain() != chain {
            self.fault(
                "wallet-address",
                format!("{field}.address"),
                "it is an address of another chain",
                "see `chain`",
            );
        }
        if self.tokens.iter().any(|other| other.account == account) {
            self.fault(
                "wallet-token",
                format!("{field}.address"),
                "another token has that address",
                "a contract that is on several chains needs a policy for each",
            );
        }
        let (name, chain_id) = (token.name.clone(), token.chain_id);
        self.tokens.push(Token { name, chain, chain_id, account, decimals: token.decimals, items: token.items });
    }

    fn asset(&mut self, field: String, name: &str) -> Option<What> {
        if name == "native" {
            return Some(What::Native);
        }
        let token =
            self.tokens.iter().find(|token| token.name.as_str() == name).map(|token| What::Token(token.account));
        if token.is_none() {
            self.fault(
                "wallet-asset",
                field,
                format!("there is no token `{name}`"),
                "`native`, or the name of one of `tokens`",
            );
        }
        token
    }

    fn rule(&mut self, at: usize, rule: &schema::Rule) -> Rule {
        let (field, conditions) = (format!("rules[{at}]"), &rule.conditions);
        let of = |name: &str| format!("{field}.match.{name}");
        let amounts = [&conditions.max_amount, &conditions.max_fee, &rule.approval_above];
        if rule.effect == Effect::Deny && amounts.into_iter().any(Option::is_some) {
            self.fault(
                "rule-ceiling",
                &field,
                "what refuses has no ceilings",
                "say what is allowed, with its ceilings; the rest is refused",
            );
        }
        if rule.effect == Effect::RequireApproval && rule.approval_above.is_some() {
            self.fault(
                "rule-ceiling",
                format!("{field}.approvalAbove"),
                "all of it needs an approval",
                "leave it out, or write `effect: allow`",
            );
        }
        let transactions = [SigningOperation::Transaction, SigningOperation::Authorization];
        let signs = conditions.operations.is_empty() || conditions.operations.contains(&transactions[0]);
        if rule.effect == Effect::Allow && signs && conditions.max_fee.is_none() {
            self.fault(
                "rule-ceiling",
                of("maxFee"),
                "there is no ceiling for fees",
                "such as `maxFee: \"0.002\"`: fees can be as large as one likes",
            );
        }
        let mut functions = Vec::new();
        for (at, function) in conditions.functions.iter().enumerate() {
            match function_of(function) {
                Some(name) => functions.push(name),
                None => self.fault(
                    "wallet-function",
                    format!("{}[{at}]", of("functions")),
                    format!("`{function}` is no function that is known here"),
                    "a name such as `erc20.transfer`, or the first 4 bytes of the data such as `0x12345678`",
                ),
            }
        }
        let mut hours = Vec::new();
        for (at, text) in conditions.hours.iter().enumerate() {
            match Hours::parse(text) {
                Some(span) => hours.push(span),
                None => self.fault(
                    "hours",
                    format!("{}[{at}]", of("hours")),
                    format!("`{text}` is not a span of hours"),
                    "such as `09:00-17:00`",
                ),
            }
        }
        let assets = conditions.assets.iter().enumerate();
        let assets = assets.filter_map(|(at, name)| self.asset(format!("{}[{at}]", of("assets")), name)).collect();
        Rule {
            name: rule.name.clone(),
            effect: rule.effect,
            approval_above: self.amount(format!("{field}.approvalAbove"), rule.approval_above.as_ref()),
            chains: conditions.chains.iter().copied().map(chain_of).collect(),
            chain_ids: conditions.chain_ids.clone(),
            operations: conditions.operations.clone(),
            to: self.accounts(&of("to"), &conditions.to),
            assets,
            max_amount: self.amount(of("maxAmount"), conditions.max_amount.as_ref()),
            max_fee: self.amount(of("maxFee"), conditions.max_fee.as_ref()),
            functions,
            programs: self.accounts(&of("programs"), &conditions.programs),
            domains: conditions.typed_data_domains.clone(),
            types: conditions.typed_data_types.clone(),
            delegates: self.accounts(&of("delegates"), &conditions.delegates),
            callers: conditions.callers.clone(),
            hours,
            undecoded: conditions.undecoded.clone(),
        }
    }

    fn limit(&mut self, at: usize, limit: &schema::Limit) -> Option<Limit> {
        let (field, chain) = (format!("limits[{at}]"), chain_of(limit.chain));
        let what = self.asset(format!("{field}.asset"), &limit.asset);
        let token = what.and_then(|what| match what {
            What::Token(account) => self.tokens.iter().find(|token| token.account == account).cloned(),
            _ => None,
        });
        if token.as_ref().is_some_and(|token| token.chain != chain) {
            self.fault("wallet-asset", format!("{field}.asset"), "it is a token of another chain", "see `chain`");
        }
        if chain == Chain::Solana && !limit.chain_ids.is_empty() {
            self.fault("wallet-chain", format!("{field}.chainIds"), "Solana has no chain ids", "leave it out");
        }
        let period = match (limit.per.window, limit.per.calendar) {
            (Some(window), None) => {
                let length = SignedDuration::try_from(window.as_std()).unwrap_or(SignedDuration::MAX);
                if window.is_zero() || length > SignedDuration::from_hours(24 * Policy::LONGEST_WINDOW_DAYS) {
                    self.fault(
                        "limit-period",
                        format!("{field}.per.window"),
                        "a window is at most 366 days",
                        "such as `1h` or `7d`",
                    );
                }
                Some(Period::Window(length))
            }
            (None, Some(unit)) => Some(Period::Calendar(unit)),
            _ => {
                self.fault(
                    "limit-period",
                    format!("{field}.per"),
                    "one of `window` and `calendar` is needed",
                    "such as `per: {calendar: day}`",
                );
                None
            }
        };
        let amount = self.amount(format!("{field}.amount"), Some(&limit.amount));
        let decimals = token.map_or(native_decimals(chain), |token| token.decimals);
        Some(Limit {
            name: limit.name.clone(),
            chain,
            chain_ids: limit.chain_ids.clone(),
            what: what?,
            decimals,
            amount: amount?.units(decimals),
            period: period?,
            signatures: limit.signatures,
        })
    }

    fn twice<'a>(&mut self, names: impl Iterator<Item = (&'static str, &'a Name)>) {
        let mut seen = std::collections::BTreeSet::new();
        for (list, name) in names {
            if !seen.insert((list, name)) {
                self.fault(
                    "rule-name",
                    list,
                    format!("`{name}` is there twice"),
                    "a refusal names it: give each a name of its own",
                );
            }
        }
    }
}
