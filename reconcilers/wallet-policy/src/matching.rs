//! Does a rule match a part? Where it does not, the reason is told in words, for `explain`.

use osmoda_chains::{
    U256,
    effects::{Account, Chain, Grant, Why},
};
use osmoda_schemas::kinds::wallet_policy::{Effect, SigningOperation, Undecoded};

use crate::{
    amount::Amount,
    compile::{Policy, Rule, native_decimals},
    decide::Request,
    parts::{Part, View, What},
};

/// What a question is about: all that a rule looks at.
pub(crate) struct Question<'a> {
    pub policy: &'a Policy,
    pub request: &'a Request<'a>,
    pub view: &'a View<'a>,
}

/// Why a rule does not match.
pub(crate) type Miss = String;

type Match = Result<(), Miss>;

impl Rule {
    /// Does the rule match that part? Nothing that is given to be signed makes this larger than the number of conditions.
    pub fn matches(&self, question: &Question<'_>, part: &Part<'_>) -> Match {
        if matches!(part, Part::Call(_)) && self.effect != Effect::Deny {
            return Err("the other parts tell what the call does".to_owned());
        }
        self.whole(question)?;
        if let Part::Undecoded(undecoded) = part {
            self.undecoded(question, &undecoded.why)?;
        } else if self.effect == Effect::Deny && !self.undecoded.is_empty() {
            return Err("it can be read".to_owned());
        }
        self.to(question, part)?;
        self.asset(question, part)?;
        self.delegate(part)?;
        if self.effect == Effect::Allow && self.functions.is_empty() && self.types.is_empty() {
            match part {
                Part::Grant(_, Grant::Code { .. }) => {}
                Part::Grant(..) => return Err("rights are given only where `functions` names the function".to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Conditions over the request as a whole.
    fn whole(&self, question: &Question<'_>) -> Match {
        let (request, effects) = (question.request, question.view.effects);
        listed("chains", &self.chains, |chain| *chain == effects.chain)?;
        let is_any = effects.chain_id.is_none() && effects.chain == Chain::Ethereum && self.effect == Effect::Deny;
        listed("chainIds", &self.chain_ids, |id| is_any || effects.chain_id == Some(*id))?;
        if self.operations.is_empty() {
            if self.effect != Effect::Deny && request.operation != SigningOperation::Transaction {
                return Err("`operations` does not name it".to_owned());
            }
        } else {
            listed("operations", &self.operations, |operation| *operation == request.operation)?;
        }
        listed("callers", &self.callers, |caller| request.callers.iter().any(|name| name == caller))?;
        listed("hours", &self.hours, |hours| hours.contain(request.minute()))?;
        self.called("functions", &self.functions, &effects.functions)?;
        self.called("programs", &self.programs, &effects.programs)?;
        self.contracts(question)?;
        let typed = request.typed_data.as_ref();
        listed("typedDataDomains", &self.domains, |domain| {
            typed.is_some_and(|typed| {
                let contract = typed.contract.as_ref().map(ToString::to_string);
                typed.domain.as_ref() == Some(domain) || contract.is_some_and(|c| c.eq_ignore_ascii_case(domain))
            })
        })?;
        listed("typedDataTypes", &self.types, |name| typed.is_some_and(|typed| typed.primary_type == *name))?;
        let most = self.max_fee.as_ref().map(|most| most.units(native_decimals(effects.chain)));
        match most {
            Some(most) if question.view.fee() > most => Err("the fee is above `maxFee`".to_owned()),
            _ => Ok(()),
        }
    }

    /// What lets through asks that all are listed, what refuses or asks whether any is.
    fn called<T: PartialEq>(&self, name: &str, list: &[T], called: &[T]) -> Match {
        let is_in = |one: &T| list.contains(one);
        let holds = match self.effect {
            Effect::Allow => !called.is_empty() && called.iter().all(is_in),
            Effect::Deny | Effect::RequireApproval => called.iter().any(is_in),
        };
        if list.is_empty() || holds { Ok(()) } else { Err(format!("`{name}` does not name all that is called")) }
    }

    /// A contract may make anything of a function that is called by a known name: what lets through says which contract.
    fn contracts(&self, question: &Question<'_>) -> Match {
        let effects = question.view.effects;
        if self.effect != Effect::Allow || effects.chain != Chain::Ethereum {
            return Ok(());
        }
        let is_named = |contract: &&Account| {
            self.programs.contains(*contract)
                || self.to.contains(*contract)
                || question.policy.token(effects, contract).is_some()
        };
        match effects.programs.iter().find(|contract| !is_named(contract)) {
            Some(contract) => Err(format!("`programs` and `tokens` do not name the contract {contract}")),
            None => Ok(()),
        }
    }

    fn undecoded(&self, question: &Question<'_>, why: &Why) -> Match {
        let operation = question.request.operation;
        let reason = match why {
            // To name the operation is to say that it may be signed unread.
            Why::Message | Why::Hash if self.effect == Effect::Deny || self.operations.contains(&operation) => {
                return if self.effect == Effect::Deny && !self.undecoded.is_empty() {
                    Err("`undecoded` does not name it".to_owned())
                } else {
                    Ok(())
                };
            }
            Why::Message | Why::Hash => return Err("`operations` does not name it".to_owned()),
            why => reason(why),
        };
        let named = reason.is_some_and(|reason| self.undecoded.contains(&reason));
        let holds = match self.effect {
            Effect::Deny => self.undecoded.is_empty() || named,
            Effect::Allow | Effect::RequireApproval => named,
        };
        if holds { Ok(()) } else { Err(format!("it cannot be read ({why}), and `undecoded` does not name that")) }
    }

    fn to(&self, question: &Question<'_>, part: &Part<'_>) -> Match {
        let is = |account: Option<&Account>| account.is_some_and(|account| self.to.contains(account));
        let holds = match part {
            Part::Move(_, step) | Part::Call(step) => self.to.iter().any(|owner| step.reaches(owner)),
            Part::Grant(_, Grant::Allowance { spender, .. }) => is(Some(spender)),
            Part::Grant(_, Grant::AllItems { operator, .. }) => is(Some(operator)),
            Part::Grant(_, Grant::Code { delegate, .. }) => is(Some(delegate)),
            Part::Grant(_, Grant::Authority { to, .. }) => is(to.as_ref()),
            Part::Undecoded(_) => {
                let programs = &question.view.effects.programs;
                match self.effect {
                    Effect::Deny => programs.iter().any(|program| self.to.contains(program)),
                    _ => !programs.is_empty() && programs.iter().all(|program| self.to.contains(program)),
                }
            }
            Part::Bare => false,
        };
        if self.to.is_empty() || holds { Ok(()) } else { Err("`to` does not name whoever gets it".to_owned()) }
    }

    fn asset(&self, question: &Question<'_>, part: &Part<'_>) -> Match {
        let chain = question.view.effects.chain;
        let lets = self.effect == Effect::Allow;
        // What cannot be read is bounded by no amount: to name the reason is to say that this is known.
        if let (Part::Undecoded(_), true) = (part, self.effect != Effect::Deny) {
            return Ok(());
        }
        let what = part.what();
        if !self.assets.is_empty() && !what.is_some_and(|what| self.assets.contains(&what)) {
            return Err("`assets` does not name what is moved".to_owned());
        }
        if let (Some(What::Other(_)), true) = (what, lets) {
            return Err("it moves something that `tokens` does not name".to_owned());
        }
        let Some(most) = &self.max_amount else { return Ok(()) };
        match what {
            Some(what) if question.is_within(what, most, chain) => Ok(()),
            Some(_) => Err("it moves more than `maxAmount`".to_owned()),
            None if matches!(part, Part::Bare) => Ok(()),
            None => Err("`maxAmount` cannot be told of it".to_owned()),
        }
    }

    fn delegate(&self, part: &Part<'_>) -> Match {
        match part {
            Part::Grant(_, Grant::Code { delegate, .. }) => {
                let named = self.delegates.contains(delegate);
                let holds = match self.effect {
                    Effect::Allow => named,
                    Effect::Deny | Effect::RequireApproval => named || self.delegates.is_empty(),
                };
                if holds { Ok(()) } else { Err("`delegates` does not name whose code it is".to_owned()) }
            }
            _ if self.delegates.is_empty() => Ok(()),
            _ => Err("it is no delegation".to_owned()),
        }
    }
}

impl Question<'_> {
    /// Is all that is moved of it at most that?
    pub fn is_within(&self, what: What, most: &Amount, chain: Chain) -> bool {
        let decimals = self.policy.decimals_of(what, chain);
        let moved = self.view.moved.get(&what).copied().unwrap_or(Some(U256::ZERO));
        match (decimals, moved) {
            (Some(decimals), Some(moved)) => moved <= most.units(decimals),
            _ => false,
        }
    }
}

fn listed<T>(name: &str, list: &[T], holds: impl Fn(&T) -> bool) -> Match {
    if list.is_empty() || list.iter().any(holds) { Ok(()) } else { Err(format!("`{name}` does not name it")) }
}

/// The name that policies have for it; none: no policy can let it through.
fn reason(why: &Why) -> Option<Undecoded> {
    Some(match why {
        Why::Call(_) => Undecoded::Call,
        Why::HookData => Undecoded::HookData,
        Why::Creation => Undecoded::Creation,
        Why::OwnCode => Undecoded::OwnCode,
        Why::AnyChain => Undecoded::AnyChain,
        Why::TypedData(_) => Undecoded::TypedData,
        Why::Domain => Undecoded::Domain,
        Why::Program(_) => Undecoded::Program,
        Why::Instruction(_) => Undecoded::Instruction,
        Why::Lookup => Undecoded::Lookup,
        Why::Mint => Undecoded::Mint,
        Why::Extensions => Undecoded::Extensions,
        Why::DurableNonce => Undecoded::DurableNonce,
        Why::Close => Undecoded::Close,
        Why::NotAssociated => Undecoded::NotAssociated,
        Why::Overflow | Why::Authorization | Why::NotASigner | Why::Message | Why::Hash => return None,
    })
}
