//! NixOS: what the other suites take for granted of Debian, and the backend `nixos`.

use anyhow::{Result, ensure};

use super::{Case, keyd};
use crate::Host;

/// Where a system is built from, in these machines.
const SYSTEM: &str = "/etc/nixos/system.nix";
/// What a test adds to it.
const CONFIGURATION: &str = "/etc/nixos/configuration.nix";
/// The system that is booted.
const PROFILE: &str = "/nix/var/nix/profiles/system";

/// The cases of this suite.
pub fn cases() -> Vec<Case> {
    vec![
        Case::anywhere("nixos: the machine boots, and osModa answers", boots),
        Case::anywhere("nixos: services of NixOS's own modules run", services),
        Case::anywhere("nixos: it is the same machine as a flake and as a system", descriptions),
        Case::anywhere("nixos: wallets are an option, and their daemon executes nothing but itself", wallets),
        Case::anywhere("nixos: a system is built, tested and taken back, and the profile is what boots", switches),
    ]
}

fn boots(host: Host<'_>) -> Result<()> {
    host.run(&["/usr/bin/test", "-e", "/etc/NIXOS"])?;
    let state = host.run(&["/usr/bin/systemctl", "is-system-running"])?;
    ensure!(state.trim() == "running", "the system is {state}");
    ensure!(current(host)? == profile(host)?, "it runs {}, the profile is {}", current(host)?, profile(host)?);
    for daemon in ["agentd", "watch", "routines", "witness"] {
        let unit = format!("osmoda-{daemon}.service");
        ensure!(host.active(&unit)? == "active", "{unit} is {}", host.active(&unit)?);
    }
    host.json(&["status"])?;
    Ok(())
}

/// By NixOS's own means, so that a failure of osModa is told from one of the machine.
fn switches(host: Host<'_>) -> Result<()> {
    let before = profile(host)?;
    let service =
        "{ systemd.services.proof = { wantedBy = [ \"multi-user.target\" ]; script = \"sleep infinity\"; }; }";
    let after = build(host, service)?;
    let switch = |system: &str, how: &str| switch(host, system, how);
    let runs = || host.active("proof.service");

    let (_, _, said) = host.end(&[&format!("{after}/bin/switch-to-configuration"), "dry-activate"])?;
    ensure!(said.contains("would activate the configuration"), "a dry run says:\n{said}");
    ensure!(runs()? == "inactive" && current(host)? == before, "a dry run was none");
    switch(&after, "test")?;
    ensure!(runs()? == "active" && current(host)? == after, "{}, and it runs {}", runs()?, current(host)?);
    ensure!(profile(host)? == before, "a test moved the profile");
    switch(&before, "test")?;
    ensure!(runs()? == "inactive" && current(host)? == before, "{}, and it runs {}", runs()?, current(host)?);

    for system in [&after, &before] {
        host.run(&["/usr/bin/nix-env", "-p", PROFILE, "--set", system])?;
        switch(system, "boot")?;
        host.machine.cut()?;
        host.machine.boot()?;
        ensure!(current(host)? == *system, "it booted {}, the profile was {system}", current(host)?);
    }
    ensure!(runs()? == "inactive", "it is {}", runs()?);
    Ok(())
}

/// Real programs with real settings, on ports that are not their own.
fn services(host: Host<'_>) -> Result<()> {
    let before = profile(host)?;
    let system = build(
        host,
        "{
           services.postgresql = { enable = true; settings.port = 5433; ensureDatabases = [ \"shop\" ]; };
           services.redis.servers.shop = { enable = true; port = 6380; };
           services.nginx = {
             enable = true;
             virtualHosts.localhost = {
               listen = [ { addr = \"127.0.0.1\"; port = 8081; } ];
               locations.\"/\".return = \"200 hello\";
             };
           };
         }",
    )?;
    switch(host, &system, "test")?;
    let asked = || -> Result<()> {
        let query = "SELECT count(*) FROM pg_database WHERE datname = 'shop'";
        let databases = host.run(&["runuser", "-u", "postgres", "--", "psql", "-p", "5433", "-tAc", query])?;
        ensure!(databases.trim() == "1", "there are {databases} databases called shop");
        let answer = host.run(&["redis-cli", "-p", "6380", "ping"])?;
        ensure!(answer.trim() == "PONG", "redis says {answer}");
        ensure!(host.page(8081).as_deref() == Some("hello"), "nginx says {:?}", host.page(8081));
        Ok(())
    };
    let answers = asked();
    switch(host, &before, "test")?;
    answers?;
    for unit in ["postgresql", "redis-shop", "nginx"] {
        let state = host.active(&format!("{unit}.service"))?;
        ensure!(state == "inactive", "{unit} is {state}");
    }
    Ok(())
}

/// The module's keyd: opted in, with a passphrase of its own.
fn wallets(host: Host<'_>) -> Result<()> {
    let before = profile(host)?;
    host.sh("umask 077; head -c 24 /dev/urandom | base64 > /run/keyd-passphrase")?;
    let module = "{ services.osmoda.keyd = { enable = true; passphraseFile = \"/run/keyd-passphrase\"; }; }";
    let system = build(host, module)?;
    switch(host, &system, "test")?;
    let looked = (|| {
        let list = host.json(&["wallet", "list"])?;
        ensure!(list["wallets"] == serde_json::json!([]), "{list:#}");
        let socket = host.run(&["/usr/bin/stat", "-c", "%G %a", "/run/osmoda/keyd.sock"])?;
        ensure!(socket.trim() == "osmoda 660", "the socket is {socket}");
        keyd::is_closed(host)
    })();
    switch(host, &before, "test")?;
    host.sh(
        "rm -rf /run/keyd-passphrase /var/lib/private/osmoda-keyd /var/lib/osmoda-keyd /var/lib/osmoda/keyd-receipts",
    )?;
    looked?;
    for unit in ["osmoda-keyd.service", "osmoda-keyd.socket"] {
        ensure!(host.active(unit)? == "inactive", "{unit} is {}", host.active(unit)?);
    }
    Ok(())
}

/// The ways in which agentd's configuration may name the machine.
fn descriptions(host: Host<'_>) -> Result<()> {
    let evaluate = |system: &str| {
        let what = format!("({system}).config.system.build.toplevel.drvPath");
        host.run(&["/usr/bin/nix-instantiate", "--eval", "--read-write-mode", "--expr", &what])
    };
    let system = evaluate(&format!("import {SYSTEM}"))?;
    let flake = evaluate("(builtins.getFlake \"/etc/nixos\").nixosConfigurations.osmoda")?;
    ensure!(system == flake, "the system is {system}, and from the flake {flake}");
    Ok(())
}

/// Builds the machine's system with a module besides.
fn build(host: Host<'_>, module: &str) -> Result<String> {
    host.machine.write(CONFIGURATION, module)?;
    let built = host.run(&["/usr/bin/nix-build", "--no-out-link", SYSTEM, "-A", "config.system.build.toplevel"]);
    host.machine.write(CONFIGURATION, "{ }\n")?;
    Ok(built?.trim().to_owned())
}

fn switch(host: Host<'_>, system: &str, how: &str) -> Result<String> {
    host.run(&[&format!("{system}/bin/switch-to-configuration"), how])
}

fn current(host: Host<'_>) -> Result<String> {
    Ok(host.run(&["/usr/bin/readlink", "-f", "/run/current-system"])?.trim().to_owned())
}

fn profile(host: Host<'_>) -> Result<String> {
    Ok(host.run(&["/usr/bin/readlink", "-f", PROFILE])?.trim().to_owned())
}
