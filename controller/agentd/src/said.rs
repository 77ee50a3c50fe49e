//! What goes wrong again and again, told once.

use std::fmt::Display;

/// What was told last.
#[derive(Debug, Default)]
pub struct Said(String);

impl Said {
    /// All is well: what comes next is told, whatever it is.
    pub fn well(&mut self) {
        self.0.clear();
    }

    /// Tells of an error, if it is not the one that was told last.
    pub fn tell(&mut self, error: &impl Display, say: impl FnOnce(&str)) {
        let words = error.to_string();
        if words != self.0 {
            say(&words);
            self.0 = words;
        }
    }
}
