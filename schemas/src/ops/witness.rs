//! What osmoda-witness answers: c2sp.org/tlog-witness, as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{Nothing, operations};

/// A checkpoint to be cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCheckpointRequest {
    /// Rows of the checkpoint that the witness has cosigned last; 0: none.
    pub old: u64,
    /// Hashes of the consistency proof from there (RFC 6962, 2.1.2), in base64.
    pub proof: Vec<String>,
    /// The checkpoint, a signed note.
    pub checkpoint: String,
}

/// A checkpoint was cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cosigned {
    /// The signature line (c2sp.org/tlog-cosignature, Ed25519).
    pub cosignature: String,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// As `name+id+base64` (a vkey of c2sp.org/signed-note).
    pub key: String,
}

/// A log that the witness knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WitnessedLog {
    /// Its public key; the name in it is the origin of its checkpoints.
    pub key: String,
    /// Rows of the checkpoint that was cosigned last; 0: none.
    pub size: u64,
    /// That checkpoint with its signatures; empty: none.
    pub checkpoint: String,
}

/// Logs in no order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WitnessedLogs {
    /// Those that the witness knows.
    pub logs: Vec<WitnessedLog>,
}

operations! {
    /// Cosign a checkpoint that goes on from the last one.
    AddCheckpoint = "witness.addCheckpoint" POST "/add-checkpoint" Change Root (AddCheckpointRequest) -> <Cosigned>;
    /// Get to know a log; the first key of an origin stays.
    AddLog = "witness.addLog" POST "/add-log" Change Root (Key) -> <Key>;
    /// The witness's public key.
    GetWitnessKey = "witness.key" GET "/key" Read Authors (Nothing) -> <Key>;
    /// What the witness remembers of each log.
    ListWitnessedLogs = "witness.logs" GET "/logs" Read Authors (Nothing) -> <WitnessedLogs>;
}
