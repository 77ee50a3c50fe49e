//! Who a caller is, by all names that the user has.

use std::fs;

/// The uid as a number, and the names that passwd(5) has for it.
pub(super) fn names(uid: u32) -> Vec<String> {
    names_in(&fs::read_to_string("/etc/passwd").unwrap_or_default(), uid)
}

fn names_in(passwd: &str, uid: u32) -> Vec<String> {
    let named = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    std::iter::once(uid.to_string()).chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_number_and_names() {
        let passwd = "root:x:0:0::/root:/bin/sh\nagent:x:990:990::/:/bin/false\nalso:x:990:1::/:/bin/false\nbad\n";
        assert_eq!(names_in(passwd, 990), ["990", "agent", "also"]);
        assert_eq!(names_in(passwd, 991), ["991"]);
    }
}
