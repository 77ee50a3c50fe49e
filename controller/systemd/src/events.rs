//! State changes of units as they happen, from D-Bus signals; nothing is polled.

use std::collections::HashMap;

use futures_util::StreamExt;
use tokio::{sync::mpsc, task::AbortHandle};
use zbus::{MatchRule, Message, MessageStream, message::Type};

use crate::{ActiveState, Manager, SystemdError, manager::Link};

const UNIT_FOLDER: &str = "/org/freedesktop/systemd1/unit";
const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";

/// A unit has a new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitEvent {
    /// The unit.
    pub unit: String,
    /// Its active state.
    pub active: ActiveState,
    /// Its sub state.
    pub sub: String,
}

/// A stream of the state changes of all units. It ends when the connection does.
///
/// Changes wait here for a reader that is slow, and hold nobody else's answers back.
#[derive(Debug)]
pub struct UnitEvents {
    events: mpsc::UnboundedReceiver<UnitEvent>,
    /// Whoever brings them here; a stand-in does that itself.
    reading: Option<AbortHandle>,
}

impl Drop for UnitEvents {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

impl UnitEvents {
    /// Follows all units from now on.
    ///
    /// # Errors
    /// When the bus does not take the match rule.
    pub async fn new(manager: &Manager) -> Result<Self, SystemdError> {
        let bus = match manager.link() {
            Link::Bus(bus) => bus,
            Link::StandIn(stand_in) => return Ok(Self { events: stand_in.events(), reading: None }),
        };
        let rule = || -> zbus::Result<MatchRule<'static>> {
            MatchRule::builder()
                .msg_type(Type::Signal)
                .sender("org.freedesktop.systemd1")
                .interface("org.freedesktop.DBus.Properties")
                .member("PropertiesChanged")
                .path_namespace(UNIT_FOLDER)
                .arg(0, UNIT_INTERFACE)
                .build()
        };
        let rule = rule().map_err(SystemdError::Bus)?;
        let messages = MessageStream::for_match_rule(rule, &bus.connection, None).await;
        let mut messages = messages.map_err(SystemdError::Bus)?;
        let (sender, events) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if event_of(&message).is_some_and(|event| sender.send(event).is_err()) {
                    break;
                }
            }
        });
        Ok(Self { events, reading: Some(reading.abort_handle()) })
    }

    /// The next change; none when the connection has ended.
    pub async fn next(&mut self) -> Option<UnitEvent> {
        self.events.recv().await
    }
}

/// What a signal tells, if it is about the state of a unit.
fn event_of(message: &Message) -> Option<UnitEvent> {
    let header = message.header();
    let unit = unit_of_path(header.path()?.as_str())?;
    let body = message.body();
    let (_, properties, _) = body.deserialize::<(&str, HashMap<&str, zbus::Variant<'_>>, Vec<&str>)>().ok()?;
    let text = |key: &str| properties.get(key).and_then(|v| v.downcast_ref::<&str>().ok());
    let active = ActiveState::parse(text("ActiveState")?);
    Some(UnitEvent { unit, active, sub: text("SubState").unwrap_or_default().to_owned() })
}

/// The unit name of an object path: bytes other than letters and digits are `_` and two hex digits.
fn unit_of_path(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix(UNIT_FOLDER)?.strip_prefix('/')?.bytes();
    let mut name = Vec::new();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let hex = [rest.next()?, rest.next()?];
            name.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd's `unit_dbus_path_from_name` does.
    fn path_of_unit(unit: &str) -> String {
        let mut path = format!("{UNIT_FOLDER}/");
        for (i, byte) in unit.bytes().enumerate() {
            if byte.is_ascii_alphabetic() || (i > 0 && byte.is_ascii_digit()) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("_{byte:02x}"));
            }
        }
        path
    }

    #[test]
    fn unit_names_survive_their_object_paths() {
        for unit in ["osmoda-app-web.service", "1.mount", "a@b\\x2d.service", "ä.service"] {
            assert_eq!(unit_of_path(&path_of_unit(unit)).as_deref(), Some(unit));
        }
        assert_eq!(path_of_unit("a-b.service"), "/org/freedesktop/systemd1/unit/a_2db_2eservice");
    }
}
