//! A signer that is another process. It need not be trusted with anything but its own keys: what it answers is verified.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    DEADLINE, SignerBackend, SignerError,
    protocol::{Answer, Code, Question},
    wire::Wire,
};
use crate::{
    key::{Payload, Signed},
    wallet::WalletId,
};

/// A signer behind a Unix socket; `protocol` in this folder tells what is said.
#[derive(Clone, Debug)]
pub struct RemoteSigner {
    socket: PathBuf,
    uid: u32,
    deadline: Duration,
}

impl RemoteSigner {
    /// Whoever listens at the socket, if it is that user. Of a socket that systemd listens at (socket activation) it is
    /// the user of systemd, root.
    #[must_use]
    pub fn new(socket: PathBuf, uid: u32) -> Self {
        Self { socket, uid, deadline: DEADLINE }
    }

    /// With another deadline for each call, at most [`DEADLINE`].
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline: deadline.min(DEADLINE), ..self }
    }

    fn ask(&self, question: &Question<'_>) -> Result<Answer, SignerError> {
        let mut wire = Wire::connect(&self.socket, Instant::now() + self.deadline)?;
        // Before anything is told.
        let found = wire.peer()?;
        if found != self.uid {
            return Err(SignerError::Peer { found, expected: self.uid });
        }
        wire.send(&question.encode())?;
        Answer::decode(&wire.receive()?).ok_or(SignerError::Protocol("the answer cannot be read"))
    }
}

impl SignerBackend for RemoteSigner {
    fn describe(&self) -> String {
        format!("signer at {} (uid {})", self.socket.display(), self.uid)
    }

    /// What the signer says. Public keys that a policy goes by are better taken from elsewhere.
    fn wallets(&self) -> Result<Vec<WalletId>, SignerError> {
        match self.ask(&Question::Wallets)? {
            Answer::Wallets(wallets) => Ok(wallets),
            Answer::Refused(_, reason) => Err(SignerError::Refused(reason)),
            Answer::Signed(_) => Err(SignerError::Protocol("it answered another question")),
        }
    }

    fn sign(&self, wallet: &WalletId, what: &Payload<'_>) -> Result<Signed, SignerError> {
        wallet.public.admit(what)?;
        match self.ask(&Question::Sign(wallet.clone(), *what))? {
            Answer::Signed(signed) => match wallet.public.verify(what, &signed) {
                Ok(()) => Ok(signed),
                Err(_) => Err(SignerError::Lie(wallet.name.clone())),
            },
            Answer::Refused(Code::NoWallet, _) => Err(SignerError::NoWallet(wallet.name.clone())),
            Answer::Refused(Code::OtherKey, _) => Err(SignerError::OtherKey(wallet.name.clone())),
            Answer::Refused(Code::Other, reason) => Err(SignerError::Refused(reason)),
            Answer::Wallets(_) => Err(SignerError::Protocol("it answered another question")),
        }
    }
}
