//! Trust tiers.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// How far a program is trusted. A lower tier never invokes a higher one (0 is the highest).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Tier {
    /// The agent and the daemons: no sandbox.
    Trusted,
    /// Approved: a strict systemd sandbox with declared access.
    #[default]
    Approved,
    /// Untrusted: its own working directory and `/tmp`, no network.
    Untrusted,
}

/// Why a number is not a tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a trust tier: use 0 (trusted), 1 (approved) or 2 (untrusted)")]
pub struct InvalidTier(u8);

impl TryFrom<u8> for Tier {
    type Error = InvalidTier;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::Trusted),
            1 => Ok(Self::Approved),
            2 => Ok(Self::Untrusted),
            other => Err(InvalidTier(other)),
        }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Trusted => 0,
            Tier::Approved => 1,
            Tier::Untrusted => 2,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u8::from(*self))
    }
}

impl JsonSchema for Tier {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tier".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "description": "Trust tier: 0 trusted (no sandbox), 1 approved (declared access), 2 untrusted (no network, own directory only).",
            "enum": [0, 1, 2],
        })
    }
}
