//! Who a caller is, by all names that the user has (passwd(5)).

use std::fs;

use osmoda_schemas::problem::Problem;

/// The users of this machine. Without them nobody is told apart: a rule that refuses somebody by name would not match.
pub(super) struct Users(String);

impl Users {
    pub fn read() -> Result<Self, Problem> {
        let read = fs::read_to_string("/etc/passwd");
        read.map(Self).map_err(|error| Problem::new(500, "users-unreadable", format!("/etc/passwd: {error}")))
    }

    fn all(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?.parse().ok()?))
        })
    }

    /// The uid as a number, and its names.
    pub fn names(&self, uid: u32) -> Vec<String> {
        let named = self.all().filter(|(_, of)| *of == uid).map(|(name, _)| name.to_owned());
        std::iter::once(uid.to_string()).chain(named).collect()
    }

    /// The uids that names or numbers stand for; a name that nobody has stands for none.
    pub fn uids(&self, names: &[String]) -> Vec<u32> {
        let of = |name: &String| {
            name.parse().ok().or_else(|| self.all().find(|(known, _)| known == name).map(|(_, uid)| uid))
        };
        names.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_number_and_names() {
        let passwd = "root:x:0:0::/root:/bin/sh\nagent:x:990:990::/:/bin/false\nalso:x:990:1::/:/bin/false\nbad\n";
        let users = Users(passwd.to_owned());
        assert_eq!(users.names(990), ["990", "agent", "also"]);
        assert_eq!(users.names(991), ["991"]);
        assert_eq!(users.uids(&["also".to_owned(), "nobody-here".to_owned(), "7".to_owned()]), [990, 7]);
    }
}
