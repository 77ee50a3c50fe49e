//! What can go wrong with systemd.

use std::time::Duration;

use zbus::fdo;

/// Why systemd did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SystemdError {
    /// The bus, or systemd behind it, cannot be reached.
    #[error("systemd cannot be reached over D-Bus: {0}")]
    Bus(#[source] zbus::Error),
    /// It answered with an error.
    #[error("systemd refused {what}: {message} ({name})")]
    Refused {
        /// What it was asked.
        what: String,
        /// The D-Bus error name.
        name: String,
        /// Its words.
        message: String,
    },
    /// It did not answer, or not finish, in time.
    #[error("{what} did not finish within {} ms", .after.as_millis())]
    Timeout {
        /// What it was asked.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// A file or pipe of ours.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl SystemdError {
    /// An error of the call `what`.
    pub(crate) fn of_call(what: impl Into<String>, error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => {
                Self::Refused { what: what.into(), name: name.to_string(), message: message.unwrap_or_default() }
            }
            // Errors of the bus's own names come as these; some of them say that there was nobody to answer.
            zbus::Error::FDO(error)
                if !matches!(
                    *error,
                    fdo::Error::ZBus(_)
                        | fdo::Error::NoReply(_)
                        | fdo::Error::Disconnected(_)
                        | fdo::Error::ServiceUnknown(_)
                        | fdo::Error::NameHasNoOwner(_)
                        | fdo::Error::NoServer(_)
                ) =>
            {
                let text = error.to_string();
                let (name, message) = text.split_once(": ").unwrap_or((&text, ""));
                Self::Refused { what: what.into(), name: name.to_owned(), message: message.to_owned() }
            }
            other => Self::Bus(other),
        }
    }

    /// True when systemd does not know the unit.
    #[must_use]
    pub fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NoSuchUnit")
    }

    /// True when systemd sends us its signals already.
    pub(crate) fn is_already_subscribed(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.AlreadySubscribed")
    }
}
