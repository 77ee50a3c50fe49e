//! The guides of `docs/guides` hold, word for word.

use anyhow::Result;

use super::{Case, quick};
use crate::{Host, guides::Guide};

const STATIC_SITE: Guide =
    Guide { file: "static-site.md", text: include_str!("../../../../docs/guides/static-site.md"), user: "nobody" };
const AGENT_BOX: Guide =
    Guide { file: "agent-box.md", text: include_str!("../../../../docs/guides/agent-box.md"), user: "agent" };
const PYTHON_POSTGRESQL: Guide = Guide {
    file: "python-postgresql.md",
    text: include_str!("../../../../docs/guides/python-postgresql.md"),
    user: "nobody",
};

/// The suite on Debian.
pub fn cases() -> Vec<Case> {
    vec![
        Case::anywhere("guides: a static site with nginx", static_site),
        Case::anywhere("guides: a box that an agent runs", agent_box),
    ]
}

/// The suite on NixOS.
pub fn nixos() -> Vec<Case> {
    vec![Case::anywhere("guides: a Python service with PostgreSQL", python_postgresql)]
}

fn static_site(host: Host<'_>) -> Result<()> {
    on_a_fresh_debian(host, STATIC_SITE, "rm -rf /root/site /root/pages")
}

fn agent_box(host: Host<'_>) -> Result<()> {
    on_a_fresh_debian(host, AGENT_BOX, "userdel -r agent 2>/dev/null || true")
}

fn python_postgresql(host: Host<'_>) -> Result<()> {
    let fresh = || {
        host.clear()?;
        host.sh("systemctl stop postgresql 2>/dev/null || true; rm -rf /var/lib/postgresql")
    };
    fresh()?;
    let result = PYTHON_POSTGRESQL.follow(host);
    let cleaned = fresh();
    result?;
    cleaned.map(|_| ())
}

/// Follows a guide with osModa as it is installed, and leaves nothing of it behind, not even of one that fails.
fn on_a_fresh_debian(host: Host<'_>, guide: Guide, clean: &str) -> Result<()> {
    let fresh = || {
        quick::clear(host)?;
        host.sh(&format!("rm -f /etc/osmoda/agentd.yaml /var/lib/osmoda/quarantine.json; {clean}"))?;
        quick::restart(host)
    };
    fresh()?;
    let result = guide.follow(host);
    let cleaned = fresh();
    result?;
    cleaned
}
