//! Documents: bad ones keep nobody back, and lose nothing.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    Case,
    switch::{runs, sleeper},
};
use crate::{Host, wait};

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("documents: a bad one keeps nobody back, and its object as it was", bad_beside_good),
        case("documents: an object may be defined once", twice),
        case("documents: what only shows among several is refused", among_several),
        case("documents: files that cannot be read", unreadable),
        case("documents: apply -f, and delete", applied_and_deleted),
        case("documents: status files say what the API says", status_files),
        case("examples: all of them are applied together", examples),
    ]
}

const NOW: &str = "  probation: {ttl: 0s}\n";

fn bad_beside_good(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 9001, NOW))?;
    wait("the app", Duration::from_secs(20), || runs(host, 9001))?;
    host.settle()?;
    host.document("a.yaml", &sleeper("a", 9002, "  enviroment: {A: b}\n"))?;
    host.document("b.yaml", &sleeper("b", 9003, NOW))?;
    wait("the good one", Duration::from_secs(20), || runs(host, 9003))?;
    ensure!(runs(host, 9001)?, "the bad document took its object away");
    let (status, reason) = host.condition("App/a", "Accepted")?;
    ensure!((status.as_str(), reason.as_str()) == ("False", "UnknownField"), "{status} {reason}");
    let text = host.run(&["/bin/cat", "/var/lib/osmoda/status/App/a.yaml"])?;
    for word in ["unknown-field", "did you mean `environment`?", "line: 7"] {
        ensure!(text.contains(word), "{word:?} is not in the status file:\n{text}");
    }
    let (code, _, err) = host.osmoda(&["validate", "/var/lib/osmoda/desired/a.yaml"])?;
    ensure!(code == 2 && err.contains("a.yaml:7:3"), "{code} {err}");
    Ok(())
}

fn twice(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 9101, NOW))?;
    wait("the app", Duration::from_secs(20), || runs(host, 9101))?;
    host.document("second.yaml", &sleeper("a", 9102, NOW))?;
    wait("the refusal", Duration::from_secs(20), || Ok(host.condition("App/a", "Accepted")?.1 == "DuplicateObject"))?;
    ensure!(runs(host, 9101)? && !runs(host, 9102)?);
    host.sh("rm /var/lib/osmoda/desired/second.yaml")?;
    wait("the acceptance", Duration::from_secs(20), || Ok(host.condition("App/a", "Accepted")?.0 == "True"))?;
    Ok(())
}

fn among_several(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 9201, "  probation: {ttl: 0s}\n  ports: {http: {port: 9999}}\n"))?;
    wait("the app", Duration::from_secs(20), || runs(host, 9201))?;
    for (more, reason) in [
        ("  ports: {http: {port: 9999}}\n", "PortCollision"),
        ("  after: [App/nobody]\n", "UnknownReference"),
        ("  after: [App/b]\n", "DependencyCycle"),
    ] {
        host.document("b.yaml", &sleeper("b", 9202, more))?;
        wait(reason, Duration::from_secs(20), || {
            Ok(host.osmoda(&["get", "App/b"])?.0 == 0 && host.condition("App/b", "Accepted")?.1 == reason)
        })?;
    }
    ensure!(runs(host, 9201)? && !runs(host, 9202)?);
    Ok(())
}

fn unreadable(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 9301, NOW))?;
    wait("the app", Duration::from_secs(20), || runs(host, 9301))?;
    host.settle()?;
    host.sh(
        "cd /var/lib/osmoda/desired; ln -s /etc/shadow link.yaml; mkfifo pipe.yaml; head -c 10485760 /dev/zero | tr '\\0' a > large.yaml; \
         printf '\\377\\376' > bytes.yaml; printf 'a: &a [*a, *a]\\n' > bomb.yaml; printf 'a: \"' > open.yaml",
    )?;
    let codes = |host: Host<'_>| -> Result<Vec<String>> {
        let status = host.json(&["status"])?;
        let problems = status["problems"].as_array().cloned().unwrap_or_default();
        Ok(problems.iter().filter_map(|p| p["code"].as_str().map(str::to_owned)).collect())
    };
    wait("all of them to be told", Duration::from_secs(20), || Ok(codes(host)?.len() >= 6))?;
    let found = codes(host)?;
    for code in ["unreadable-file", "too-large", "invalid-utf8"] {
        ensure!(found.iter().any(|c| c == code), "{code} is not among {found:?}");
    }
    host.document("a.yaml", &sleeper("a", 9302, NOW))?;
    wait("an edit beside them", Duration::from_secs(20), || runs(host, 9302))?;
    Ok(())
}

fn applied_and_deleted(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.configure("safeSwitch: {ttl: 500ms}\n")?;
    host.machine.write("/run/a.yaml", &sleeper("a", 9401, "  probation: {ttl: 200ms}\n"))?;
    let (code, out, err) = host.osmoda(&["apply", "-f", "/run/a.yaml", "--wait"])?;
    ensure!(code == 0 && runs(host, 9401)?, "{code} {out}{err}");
    ensure!(host.osmoda(&["diff", "-f", "/run/a.yaml"])?.0 == 0, "a second apply would change something");
    host.machine.write("/run/bad.yaml", &sleeper("a", 9402, "  tier: 7\n"))?;
    let (code, _, err) = host.osmoda(&["apply", "-f", "/run/bad.yaml"])?;
    ensure!(code == 2 && err.contains("tier"), "{code} {err}");
    ensure!(runs(host, 9401)?);
    let (code, out, err) = host.osmoda(&["delete", "App/a", "--wait"])?;
    ensure!(code == 0, "{code} {out}{err}");
    wait("its end", Duration::from_secs(20), || Ok(!runs(host, 9401)?))?;
    host.document("b.yaml", &sleeper("b", 9403, NOW))?;
    wait("the app", Duration::from_secs(20), || runs(host, 9403))?;
    let (code, _, err) = host.osmoda(&["delete", "App/b"])?;
    ensure!(code == 2 && err.contains("no-such-document"), "{code} {err}");
    Ok(())
}

fn status_files(host: Host<'_>) -> Result<()> {
    host.clear()?;
    host.document("a.yaml", &sleeper("a", 9501, NOW))?;
    wait("the app", Duration::from_secs(20), || runs(host, 9501))?;
    host.settle()?;
    wait("the file", Duration::from_secs(10), || {
        let (_, text, _) = host.end(&["/bin/cat", "/var/lib/osmoda/status/App/a.yaml"])?;
        Ok(text.contains("object: App/a") && text.contains("reason: Switched"))
    })?;
    host.sh("rm /var/lib/osmoda/desired/a.yaml")?;
    wait("its end", Duration::from_secs(20), || {
        Ok(host.end(&["/bin/cat", "/var/lib/osmoda/status/App/a.yaml"])?.0 != 0)
    })?;
    Ok(())
}

/// The examples of the documentation, as they are.
fn examples(host: Host<'_>) -> Result<()> {
    host.clear()?;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            host.document(&name, &std::fs::read_to_string(&path)?)?;
            count += 1;
        }
    }
    ensure!(count > 0, "there are no examples in {}", folder.display());
    wait("the verdict", Duration::from_secs(120), || {
        let status = host.settle()?;
        // Between two switches it is idle, too, with more to come.
        let is_all = status["objects"].as_u64() >= Some(count) && status["state"] == "idle";
        Ok(is_all && host.osmoda(&["diff"])?.0 == 0)
    })?;
    let list = host.json(&["get"])?;
    for object in list["objects"].as_array().into_iter().flatten() {
        let active = object["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Active");
        ensure!(active.is_some_and(|c| c["status"] == "True"), "{object:#}");
    }
    Ok(())
}
