//! Calls of daemons over their sockets, by an outside client.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Host;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status; 0 when nobody answers.
    pub status: u16,
    /// The media type.
    pub media: String,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("{self:?} is no JSON"))
    }

    /// The body of a call that went well.
    pub fn ok(&self) -> Result<Value> {
        ensure!(self.status == 200, "{self:?}");
        self.json()
    }

    /// A refusal with this status and code, in the one form that refusals have.
    pub fn refused(&self, status: u16, code: &str) -> Result<Value> {
        let problem = self.json()?;
        ensure!(self.media == "application/problem+json", "{self:?}");
        ensure!(self.status == status && problem["status"] == status && problem["code"] == code, "{self:?}");
        let is_text = |field: &str| problem[field].as_str().is_some_and(|text| !text.is_empty());
        ensure!(is_text("type") && is_text("title") && is_text("detail"), "{self:?}");
        Ok(problem)
    }
}

/// Calls a daemon as root.
pub fn call(host: Host<'_>, daemon: &str, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
    call_as(host, &[], daemon, method, path, body)
}

/// Calls a daemon with words in front of curl that make it somebody else.
pub fn call_as(
    host: Host<'_>,
    words: &[&str],
    daemon: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> Result<Answer> {
    let (socket, url) = (format!("/run/osmoda/{daemon}.sock"), format!("http://localhost{path}"));
    let curl = ["/usr/bin/curl", "-sS", "--max-time", "60", "-X", method, "--unix-socket", &socket, &url];
    let tail = ["-w", "\\n%{http_code} %{content_type}"];
    let sent = body.map(|body| ["-H", "content-type: application/json", "--data-binary", body]);
    let all = [words, &curl, &tail, sent.as_ref().map_or(&[][..], |sent| &sent[..])].concat();
    let (_, out, err) = host.end(&all)?;
    let (text, last) = out.rsplit_once('\n').with_context(|| format!("{all:?}: {out}{err}"))?;
    let (status, media) = last.split_once(' ').unwrap_or((last, ""));
    Ok(Answer { status: status.parse()?, media: media.to_owned(), text: text.to_owned() })
}
