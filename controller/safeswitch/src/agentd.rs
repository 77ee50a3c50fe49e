//! Whether osModa itself answers: a gate of every switch.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use osmoda_ipc::Client;
use osmoda_schemas::{operation::Nothing, ops::common::GetHealth};

/// Time that agentd gets to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Who is asked whether osModa answers.
#[derive(Clone)]
pub enum Agentd {
    /// agentd, at its socket.
    At(PathBuf),
    /// A simulated one.
    Simulated(Arc<dyn Fn() -> bool + Send + Sync>),
}

impl fmt::Debug for Agentd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::At(_) => "At",
            Self::Simulated(_) => "Simulated",
        })
    }
}

impl Agentd {
    /// Asks it.
    pub(crate) async fn answers(&self) -> Result<(), String> {
        let socket = match self {
            Self::At(socket) => socket,
            Self::Simulated(answers) if answers() => return Ok(()),
            Self::Simulated(_) => return Err("agentd does not answer".to_owned()),
        };
        let client = Client::new(socket).deadline(ANSWER);
        client.call::<GetHealth>(&Nothing {}).await.map(drop).map_err(|e| format!("agentd does not answer: {e}"))
    }
}
