//! agentd's configuration with everything resolved; the other daemons take from it who may call.

use std::{fs, io, path::Path};

use osmoda_schemas::{
    authors::{AuthorRule, UserId},
    config::Config,
    problem::Problem,
};

/// Reads the configuration; a file that is not there is the default one.
///
/// # Errors
/// Every problem of it.
pub fn read_config(file: &Path) -> Result<Config, Vec<Problem>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let detail = format!("{} cannot be read: {error}", file.display());
            return Err(vec![Problem::new(500, "unreadable-file", detail)]);
        }
    };
    let mut config = Config::read(file, &text)?;
    config.authors = resolve(config.authors, &fs::read_to_string("/etc/passwd").unwrap_or_default())?;
    Ok(config)
}

/// Names of users become uids (passwd(5)).
fn resolve(rules: Vec<AuthorRule>, passwd: &str) -> Result<Vec<AuthorRule>, Vec<Problem>> {
    let uid_of = |name: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
        })
    };
    let mut problems = Vec::new();
    let mut resolved = Vec::new();
    for (i, mut rule) in rules.into_iter().enumerate() {
        if let UserId::Name(name) = &rule.user {
            match uid_of(name) {
                Some(uid) => rule.user = UserId::Number(uid),
                None => {
                    let problem = Problem::new(422, "unknown-user", format!("there is no user `{name}`"));
                    let problem = problem.field(format!("authors[{i}].user"));
                    problems.push(problem.hint("create it first, or write its uid"));
                    continue;
                }
            }
        }
        resolved.push(rule);
    }
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// The uids that a configuration lists as authors.
#[must_use]
pub fn authors_of(config: &Config) -> Vec<u32> {
    let uid = |rule: &AuthorRule| match rule.user {
        UserId::Number(uid) => Some(uid),
        UserId::Name(_) => None,
    };
    config.authors.iter().filter_map(uid).collect()
}

/// The configuration for everybody but agentd, which refuses to run with one that cannot be used: they take the default
/// one instead.
#[must_use]
pub fn config_or_default(file: &Path) -> Config {
    read_config(file).unwrap_or_else(|problems| {
        for problem in problems {
            tracing::error!("{problem}");
        }
        Config::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_uids_and_unknown_ones_are_told() {
        let rules = |name: &str| {
            Config::read("c".as_ref(), &format!("authors:\n- user: {name}\n  kinds: [App]\n")).unwrap().authors
        };
        let passwd = "root:x:0:0::/root:/bin/sh\nagent:x:990:990::/:/bin/false\n";
        assert_eq!(resolve(rules("agent"), passwd).unwrap()[0].user, UserId::Number(990));
        assert_eq!(resolve(rules("nobody-here"), passwd).unwrap_err()[0].code, "unknown-user");
    }
}
