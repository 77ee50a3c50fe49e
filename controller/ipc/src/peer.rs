//! Who is at the other end of a socket, and what they may ask.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use osmoda_schemas::{
    object::Author,
    operation::{Callers, Operation},
    problem::Problem,
};

/// The process at the other end (SO_PEERCRED of unix(7)): the kernel's word, not the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id; none when the process is in another namespace.
    pub pid: Option<i32>,
}

impl Peer {
    /// As the author of what it wishes.
    #[must_use]
    pub fn author(self) -> Author {
        Author { uid: self.uid }
    }

    /// As an actor in the ledger.
    #[must_use]
    pub fn actor(self) -> String {
        self.author().to_string()
    }
}

/// Which users a daemon answers: root, and those that the operator lists. Everybody else is refused. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    authors: Arc<RwLock<BTreeSet<u32>>>,
}

impl Peers {
    /// Root only.
    #[must_use]
    pub fn root_only() -> Self {
        Self::default()
    }

    /// Replaces the users beside root.
    pub fn set_authors(&self, uids: impl IntoIterator<Item = u32>) {
        *self.authors.write().unwrap_or_else(PoisonError::into_inner) = uids.into_iter().collect();
    }

    /// May this peer make this call?
    ///
    /// # Errors
    /// The refusal, with what would make it pass.
    pub fn admit(&self, peer: Peer, operation: &Operation) -> Result<(), Problem> {
        let listed = || self.authors.read().unwrap_or_else(PoisonError::into_inner).contains(&peer.uid);
        let allowed = match operation.callers {
            _ if peer.uid == 0 => true,
            Callers::Root => false,
            Callers::Authors => listed(),
        };
        if allowed {
            return Ok(());
        }
        let hint = match operation.callers {
            Callers::Root => "only root may make this call",
            Callers::Authors => "an operator can list the user under `authors` in /etc/osmoda/agentd.yaml",
        };
        let detail = format!("uid {} may not call {}", peer.uid, operation.name);
        Err(Problem::new(403, "peer-not-allowed", detail).hint(hint))
    }
}
