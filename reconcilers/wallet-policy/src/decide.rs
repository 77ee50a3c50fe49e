//! The decision about one signature.

use jiff::{Timestamp, tz::TimeZone};
use osmoda_chains::{
    Effects, U256,
    effects::{Account, Grant, Why},
};
use osmoda_schemas::{
    kinds::wallet_policy::{Effect, SigningOperation},
    name::Name,
};

use crate::{
    amount::Amount,
    compile::Policy,
    limit::Limit,
    matching::Question,
    parts::{Part, Spend, View, What},
};

/// A signature that somebody asks for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is to be signed.
    pub operation: SigningOperation,
    /// What that would do.
    pub effects: &'a Effects,
    /// Of typed data.
    pub typed_data: Option<TypedDataFacts>,
    /// Who asks: all names that this user has, and the uid as a number.
    pub callers: Vec<String>,
    /// When.
    pub now: Timestamp,
}

/// What rules look at of EIP-712 typed data.
#[derive(Clone, Debug)]
pub struct TypedDataFacts {
    /// The domain's name.
    pub domain: Option<String>,
    /// The contract that is to read it.
    pub contract: Option<Account>,
    /// The type of the message.
    pub primary_type: String,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is signed, as far as limits let it.
    Allow,
    /// It is signed once somebody else has approved it, as far as limits let it.
    NeedsApproval {
        /// The rule that wants it.
        rule: Name,
        /// Why.
        why: String,
    },
    /// It is not signed.
    Refuse(Refusal),
}

/// Why something is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `denied`, `no-rule`, `no-limit` or `not-signable`.
    pub code: &'static str,
    /// The rule that refuses.
    pub rule: Option<Name>,
    /// What is refused, and why.
    pub detail: String,
    /// What would make it pass.
    pub hint: &'static str,
}

/// How a part was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartDecision {
    /// The part, in words.
    pub part: String,
    /// The first rule that matches it.
    pub rule: Option<(Name, Effect)>,
    /// The rules before it, and why each does not match.
    pub passed: Vec<(Name, String)>,
}

/// A decision with all that has led to it.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// What comes of it.
    pub verdict: Verdict,
    /// How each part was decided.
    pub parts: Vec<PartDecision>,
    /// What counts against limits: all that leaves, the fee, and what others may take.
    pub spends: Vec<Spend>,
    /// Limits that it counts against, with how much.
    pub limits: Vec<(&'a Limit, U256)>,
}

impl Request<'_> {
    /// The minute of the day, UTC.
    pub(crate) fn minute(&self) -> u16 {
        let time = self.now.to_zoned(TimeZone::UTC).time();
        u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
    }
}

impl Policy {
    /// Decides about a signature. Sums are not known here: whoever keeps them holds them against [`Decision::limits`].
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision<'_> {
        let view = View::of(self, request.effects);
        let question = Question { policy: self, request, view: &view };
        let parts: Vec<PartDecision> = view.parts.iter().map(|part| self.part(&question, part)).collect();
        let spends = view.spends();
        let limits = self.touched(&view, spends.as_deref().unwrap_or_default());
        let verdict = self.verdict(&question, &parts, spends.as_deref(), &limits);
        Decision { verdict, parts, spends: spends.unwrap_or_default(), limits }
    }

    fn part(&self, question: &Question<'_>, part: &Part<'_>) -> PartDecision {
        let mut passed = Vec::new();
        for rule in &self.rules {
            match rule.matches(question, part) {
                Ok(()) => {
                    let rule = Some((rule.name.clone(), rule.effect));
                    return PartDecision { part: self.words(question, part), rule, passed };
                }
                Err(miss) => passed.push((rule.name.clone(), miss)),
            }
        }
        PartDecision { part: self.words(question, part), rule: None, passed }
    }

    /// The strictest of all.
    fn verdict(
        &self,
        question: &Question<'_>,
        parts: &[PartDecision],
        spends: Option<&[Spend]>,
        limits: &[(&Limit, U256)],
    ) -> Verdict {
        let effects = question.view.effects;
        let never = effects
            .undecoded
            .iter()
            .find(|undecoded| matches!(undecoded.why, Why::Overflow | Why::Authorization | Why::NotASigner));
        let refuse = |code, rule, detail: String, hint| Verdict::Refuse(Refusal { code, rule, detail, hint });
        if let Some(never) = never {
            let detail = format!("{}: {}", never.part, never.why);
            return refuse("not-signable", None, detail, "mend the transaction");
        }
        let Some(spends) = spends else {
            return refuse(
                "not-signable",
                None,
                "the sum is larger than 256 bits hold".to_owned(),
                "mend the transaction",
            );
        };
        for part in parts {
            if let Some((rule, Effect::Deny)) = &part.rule {
                let detail = format!("the rule `{rule}` refuses {}", part.part);
                return refuse("denied", Some(rule.clone()), detail, "ask whoever writes the policy");
            }
        }
        let undecided = parts
            .iter()
            .zip(&question.view.parts)
            .find(|(decision, part)| decision.rule.is_none() && !matches!(part, Part::Call(_)));
        if let Some((part, _)) = undecided {
            let nearest = part.passed.iter().map(|(rule, miss)| format!("{rule}: {miss}"));
            let nearest: Vec<String> = nearest.collect();
            let why = if nearest.is_empty() { "there are no rules".to_owned() } else { nearest.join("; ") };
            let detail = format!("no rule lets {} through ({why})", part.part);
            return refuse("no-rule", None, detail, "what no rule names is refused: add a rule to the WalletPolicy");
        }
        if let Some(needs) = self.approval(question, parts) {
            return needs;
        }
        let bare = spends.iter().find(|spend| !limits.iter().any(|(limit, _)| limit.what == spend.what));
        if let Some(spend) = bare {
            let detail = format!("no limit is over `{}` on that chain", self.name_of(spend.what));
            return refuse(
                "no-limit",
                None,
                detail,
                "add a limit: what is allowed has one for each asset, fees included",
            );
        }
        Verdict::Allow
    }

    fn approval(&self, question: &Question<'_>, parts: &[PartDecision]) -> Option<Verdict> {
        for (decision, part) in parts.iter().zip(&question.view.parts) {
            let Some((name, effect)) = &decision.rule else { continue };
            let needs = |why: String| Some(Verdict::NeedsApproval { rule: name.clone(), why });
            if *effect == Effect::RequireApproval {
                return needs(format!("the rule `{name}` asks for an approval of {}", decision.part));
            }
            let rule = self.rules.iter().find(|rule| rule.name == *name)?;
            let (Some(above), Some(what)) = (&rule.approval_above, part.what()) else { continue };
            if !question.is_within(what, above, question.view.effects.chain) {
                return needs(format!("the rule `{name}` asks for an approval of what is above `approvalAbove`"));
            }
        }
        None
    }

    /// Limits that a signature counts against, and how much.
    fn touched(&self, view: &View<'_>, spends: &[Spend]) -> Vec<(&Limit, U256)> {
        let over = self.limits.iter().filter(|limit| limit.is_over(view.effects.chain, view.effects.chain_id));
        let amount = |limit: &Limit| {
            let spend = spends.iter().find(|spend| spend.what == limit.what);
            spend.map_or(U256::ZERO, |spend| spend.amount)
        };
        let all = over.map(|limit| (limit, amount(limit)));
        all.filter(|(limit, amount)| !amount.is_zero() || limit.signatures.is_some()).collect()
    }

    /// A part in words.
    fn words(&self, question: &Question<'_>, part: &Part<'_>) -> String {
        let chain = question.view.effects.chain;
        let sum = |what: What, amount: U256| match self.decimals_of(what, chain) {
            Some(decimals) => format!("{} {}", Amount::text(amount, decimals), self.name_of(what)),
            None => format!("{amount} of {}", self.name_of(what)),
        };
        let whom = |account: &Option<Account>| {
            account.map_or_else(|| "an account that is not told".to_owned(), |a| a.to_string())
        };
        match part {
            Part::Move(what, step) => format!("{} to {}", sum(*what, step.amount), whom(&step.to)),
            Part::Call(step) => format!("a call of {}", whom(&step.to)),
            Part::Grant(what, Grant::Allowance { spender, amount, asset, .. }) => {
                let what = what.unwrap_or(What::Other(*asset));
                format!("the right of {spender} to take {}", sum(what, *amount))
            }
            Part::Grant(_, Grant::AllItems { contract, operator, .. }) => {
                format!("the right of {operator} to take all items of {contract}")
            }
            Part::Grant(_, Grant::Code { authority, delegate, .. }) => format!("code of {delegate} for {authority}"),
            Part::Grant(_, Grant::Authority { account, right, to }) => {
                format!("the right `{right}` over {account} for {}", whom(to))
            }
            Part::Undecoded(undecoded) => format!("{}: {}", undecoded.part, undecoded.why),
            Part::Bare => "a call that moves nothing".to_owned(),
        }
    }
}
