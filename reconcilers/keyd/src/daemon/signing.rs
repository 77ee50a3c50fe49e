//! What is signed, and why not: an order is read, decided about, written down, and only then signed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use osmoda_chains::{U256, effects::Chain, hex};
use osmoda_schemas::{
    name::Name,
    ops::keyd::{
        self, Approval, ApproveRequest, ExplainedLimit, ExplainedPart, Explanation, Order, PassedRule, Signature,
    },
    problem::Problem,
};
use osmoda_wallet_policy::{Amount, Decision, Limit, Request, Verdict, native_decimals};
use serde_json::json;

use super::{
    force::{InForce, Ruled},
    keyd::{Able, Keyd, policies_changed, policy_view, signer_problem, spend_problem},
    order::{Prepared, account},
    users::Users,
};
use crate::{
    signer::SignerError,
    spending::{Approve, Group, Note, Purpose, Reserve, SpendError},
};

/// Parts of an order that its receipt names, and an explanation.
const MOST_PARTS: usize = 64;
/// How long an approval holds when nothing is said, in seconds, and at most.
const APPROVAL: (u32, u32) = (600, 86_400);

impl Keyd {
    /// Signs an order.
    ///
    /// # Errors
    /// The refusal, with the rule or limit that refuses.
    pub fn sign(&self, name: &Name, order: &Order, caller: u32) -> Result<Signature, Problem> {
        let users = Users::read()?;
        let Asked { force, able, ruled, group, prepared, payload } = self.asked(name, order)?;
        let decision = decide(&ruled, &prepared, users.names(caller));
        let needs_approval = match &decision.verdict {
            Verdict::Allow => None,
            Verdict::NeedsApproval { why, .. } => Some(why.clone()),
            Verdict::Refuse(_) => return Err(refusal(&decision, &ruled)),
        };
        // What the key cannot sign is not written down as signed.
        able.id.public.admit(&prepared.payload()).map_err(|error| signer_problem(&error.into()))?;
        let effects = &prepared.effects;
        let reserve = Reserve {
            wallet: name.clone(),
            account: account(&able.id.public),
            policy: ruled.name.clone(),
            group,
            payload,
            chain: effects.chain,
            chain_id: effects.chain_id,
            spends: decision.spends.clone(),
            limits: decision.limits.iter().map(|(limit, amount)| ((*limit).clone(), *amount)).collect(),
            caller,
            approvers: needs_approval.as_ref().map(|_| users.uids(&ruled.approvers)),
            note: note(&able, &ruled, &prepared, &decision, caller, &payload),
        };
        let reservation = self.book.reserve(reserve).map_err(|error| match error {
            SpendError::NotApproved => needs(name, &payload, &needs_approval.unwrap_or_default(), &ruled),
            SpendError::Limit { limit, left, wanted } => over(&ruled, &limit, left, wanted, &decision),
            other => spend_problem(&other).hint(format!("the policy is `{}`", ruled.name)),
        })?;
        // What was granted before may have been signed before.
        let take_back = || {
            if !reservation.again {
                let _ = self.book.release(reservation.id).inspect_err(|error| tracing::error!("{error}"));
            }
        };
        // A switch may have come while it was written down.
        if self.force().path != force.path {
            take_back();
            return Err(policies_changed());
        }
        let signed = able.signer.sign(&able.id, &prepared.payload()).map_err(|error| {
            if nothing_was_signed(&able, &error) {
                take_back();
            }
            signer_problem(&error)
        })?;
        let max_fee = Amount::text(effects.max_fee, native_decimals(effects.chain));
        let max_fee = effects.fee_payer.map(|_| max_fee);
        let finished = prepared.finish(&able.id.public, &signed)?;
        Ok(Signature {
            wallet: name.clone(),
            address: able.id.public.address(),
            signature: finished.signature,
            signed_hash: finished.signed_hash,
            transaction_hash: finished.transaction_hash,
            transaction: finished.transaction,
            missing_signers: finished.missing_signers,
            max_fee,
            policy: ruled.name.clone(),
            reservation: reservation.id,
            again: reservation.again,
        })
    }

    /// What would come of an order.
    ///
    /// # Errors
    /// When it cannot be told: the wallet is not there, or the order makes no sense.
    pub fn explain(&self, name: &Name, order: &Order, caller: u32) -> Result<Explanation, Problem> {
        let Asked { ruled, group, prepared, payload, .. } = self.asked(name, order)?;
        let decision = decide(&ruled, &prepared, Users::read()?.names(caller));
        let limits: Vec<Limit> = decision.limits.iter().map(|(limit, _)| (*limit).clone()).collect();
        let left = self.book.left(group, limits).map_err(|error| spend_problem(&error))?;
        let counted: Vec<_> = decision.limits.iter().zip(left).collect();
        let over = counted.iter().find(|((_, amount), (left, signatures))| amount > left || *signatures == Some(0));
        let over = over.map(|((limit, amount), (left, signatures))| match signatures {
            Some(0) => format!("the limit `{}` lets no more signatures pass", limit.name),
            _ => limit_words(limit, *left, *amount),
        });
        let told = counted.iter().map(|((limit, amount), (left, signatures))| ExplainedLimit {
            limit: limit.name.clone(),
            wanted: Amount::text(*amount, limit.decimals),
            left: Amount::text(*left, limit.decimals),
            signatures: *signatures,
        });
        let limits: Vec<ExplainedLimit> = told.collect();
        let (verdict, why, hint) = match (&decision.verdict, over) {
            (Verdict::Refuse(refusal), _) => ("refuse", Some(refusal.detail.clone()), Some(refusal.hint.to_owned())),
            // What the rules let pass a limit may refuse none the less.
            (_, Some(over)) => ("refuse", Some(over), Some(LIMIT_HINT.to_owned())),
            (Verdict::NeedsApproval { why, .. }, None) => ("needs-approval", Some(why.clone()), None),
            (Verdict::Allow, None) => ("allow", None, None),
        };
        Ok(Explanation {
            verdict: verdict.to_owned(),
            why,
            hint,
            policy: policy_view(&ruled),
            payload: hex::encode(&payload),
            parts: parts(&decision),
            limits,
        })
    }

    /// What is asked for, of whom, and by which policy it is decided: all of one generation.
    fn asked(&self, name: &Name, order: &Order) -> Result<Asked, Problem> {
        let force = self.force();
        force.check()?;
        let able = self.able(&force, name)?;
        let ruled = self.ruled(&force, &able.id)?;
        let prepared = Prepared::new(order, &able.id.public, &ruled.policy)?;
        let group = self.group(&force, &ruled, &able.id);
        let payload = prepared.digest(&able.id);
        Ok(Asked { force, able, ruled, group, prepared, payload })
    }

    /// Remembers an approval.
    ///
    /// # Errors
    /// When the caller may not approve.
    pub fn approve(&self, request: &ApproveRequest, caller: u32) -> Result<Approval, Problem> {
        let force = self.force();
        let known = self.view(&force, &request.wallet);
        if known.address.is_none() {
            return Err(Problem::new(404, "no-such-wallet", format!("there is no wallet {}", request.wallet))
                .hint("`osmoda wallet list` tells which there are"));
        }
        let ruled = known.policy.and_then(|policy| force.policies.iter().find(|ruled| ruled.name == policy));
        let approvers = ruled.map(|ruled| Users::read().map(|users| users.uids(&ruled.approvers))).transpose()?;
        if caller != 0 && !approvers.is_some_and(|approvers| approvers.contains(&caller)) {
            return Err(Problem::new(
                403,
                "no-approver",
                format!("uid {caller} approves nothing of {}", request.wallet),
            )
            .hint("root does, and whom the wallet's policy lists under `approvers`"));
        }
        let payload: [u8; 32] = hex::decode_array(&request.payload).map_err(|error| {
            Problem::new(422, "invalid-request", error.to_string())
                .field("payload")
                .hint("what the refusal, or `osmoda wallet explain`, tells")
        })?;
        let ttl = request.ttl_secs.unwrap_or(APPROVAL.0);
        if ttl == 0 || ttl > APPROVAL.1 {
            let detail = format!("an approval holds from 1 to {} seconds", APPROVAL.1);
            return Err(Problem::new(422, "invalid-request", detail).field("ttlSecs"));
        }
        let until = Timestamp::now().checked_add(SignedDuration::from_secs(ttl.into())).unwrap_or(Timestamp::MAX);
        let words = json!({
            "wallet": request.wallet, "purpose": request.purpose, "payload": request.payload, "by": caller, "until": until,
        });
        let purpose = match request.purpose {
            keyd::Purpose::Sign => Purpose::Sign,
            keyd::Purpose::Destroy => Purpose::Destroy,
            keyd::Purpose::Export => Purpose::Export,
        };
        let note = Note { kind: "wallet.approved", payload: words.to_string() };
        let approve = Approve { wallet: request.wallet.clone(), purpose, payload, approver: caller, until, note };
        self.book.approve(approve).map_err(|error| spend_problem(&error))?;
        let (wallet, payload) = (request.wallet.clone(), request.payload.clone());
        Ok(Approval { wallet, purpose: request.purpose, payload, until })
    }
}

/// An order, as far as it can be told before anybody decides.
struct Asked {
    force: Arc<InForce>,
    able: Able,
    ruled: Arc<Ruled>,
    group: Group,
    prepared: Prepared,
    payload: [u8; 32],
}

fn decide<'a>(ruled: &'a Ruled, prepared: &'a Prepared, callers: Vec<String>) -> Decision<'a> {
    ruled.policy.decide(&Request {
        operation: prepared.operation,
        effects: &prepared.effects,
        typed_data: prepared.facts.clone(),
        callers,
        now: Timestamp::now(),
    })
}

/// Of a remote signer nobody knows what it did when it does not answer.
fn nothing_was_signed(able: &Able, error: &SignerError) -> bool {
    able.is_ours || matches!(error, SignerError::Sign(_) | SignerError::Peer { .. })
}

fn refusal(decision: &Decision<'_>, ruled: &Ruled) -> Problem {
    let Verdict::Refuse(refusal) = &decision.verdict else {
        return Problem::new(500, "internal-error", "what is not refused was");
    };
    let problem = Problem::new(403, refusal.code, format!("the policy `{}`: {}", ruled.name, refusal.detail));
    problem.hint(refusal.hint)
}

fn needs(name: &Name, payload: &[u8; 32], why: &str, ruled: &Ruled) -> Problem {
    let payload = hex::encode(payload);
    Problem::new(403, "needs-approval", format!("the policy `{}`: {why}", ruled.name)).hint(format!(
        "somebody else who may approve: `osmoda wallet approve {name} {payload}`; then ask for the same again"
    ))
}

const LIMIT_HINT: &str = "fees count; wait until its time is over, or ask for less";

fn limit_words(limit: &Limit, left: U256, wanted: U256) -> String {
    let text = |units| Amount::text(units, limit.decimals);
    format!("the limit `{}` lets {} more pass, not {}", limit.name, text(left), text(wanted))
}

fn over(ruled: &Ruled, limit: &Name, left: U256, wanted: U256, decision: &Decision<'_>) -> Problem {
    let known = decision.limits.iter().find(|(known, _)| known.name == *limit);
    let words = known.map_or_else(|| limit.to_string(), |(known, _)| limit_words(known, left, wanted));
    Problem::new(403, "limit-reached", format!("the policy `{}`: {words}", ruled.name)).hint(LIMIT_HINT)
}

fn parts(decision: &Decision<'_>) -> Vec<ExplainedPart> {
    let told = decision.parts.iter().take(MOST_PARTS).map(|part| ExplainedPart {
        part: part.part.clone(),
        rule: part.rule.as_ref().map(|(rule, _)| rule.clone()),
        effect: part.rule.as_ref().map(|(_, effect)| *effect),
        passed: part.passed.iter().map(|(rule, why)| PassedRule { rule: rule.clone(), why: why.clone() }).collect(),
    });
    told.collect()
}

/// What is written down of a signature, for the ledger.
fn note(
    able: &Able,
    ruled: &Ruled,
    prepared: &Prepared,
    decision: &Decision<'_>,
    caller: u32,
    payload: &[u8; 32],
) -> Note {
    let effects = &prepared.effects;
    let chain = effects.chain;
    let parts = decision.parts.iter().take(MOST_PARTS);
    let parts = parts.map(|part| json!({ "part": part.part, "rule": part.rule.as_ref().map(|(rule, _)| rule) }));
    let fee = effects.fee_payer.map(|_| Amount::text(effects.max_fee, native_decimals(chain)));
    let payload = json!({
        "wallet": able.id.name, "address": able.id.public.address(), "chain": Chain::to_string(&chain),
        "chainId": effects.chain_id, "operation": prepared.operation, "policy": ruled.name,
        "policyHash": ruled.hash, "by": caller, "payload": hex::encode(payload), "maxFee": fee,
        "parts": parts.collect::<Vec<_>>(), "allParts": decision.parts.len(),
    });
    Note { kind: "wallet.signed", payload: payload.to_string() }
}
