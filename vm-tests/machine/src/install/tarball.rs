//! From a tarball: installed, again, over an older one, taken away.

use anyhow::{Result, ensure};

use super::{
    Gone, MEDIA, OLD, OLD_PACKAGE, OLD_TARBALL, PACKAGE, STALE, STALE_UNIT, STATE, TARBALL, UNITS, ends, everything,
    gone, installer, refuses, remembers, same, serves, tidy, whole, wish, without_nix,
};
use crate::{Host, suites::Case};

pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("tarball: on a fresh machine Nix comes with apt-get, and osModa runs", fresh),
        case("tarball: a second time nothing is changed; what is missing or stopped is put back", again),
        case("tarball: over an older one; apps go on, what only that had goes away", upgrade),
        case("tarball: unpacked, or from an address", elsewhere),
        case("tarball: a daemon that does not start is named, and keeps no other back", bad_configuration),
        case("tarball: while a switch is in flight nothing is installed or taken away", in_flight),
        case("tarball: uninstalled, nothing is left but what is kept; installed again, all is back", uninstall),
        case("tarball: a purge leaves nothing but the data of apps", purge),
    ]
}

fn fresh(host: Host<'_>) -> Result<()> {
    without_nix(host)?;
    // An operator's configuration of Nix, from before.
    let configuration = "# mine\nsandbox = false\nkeep-outputs = true\nsubstituters =\n";
    host.machine.write("/etc/nix/nix.conf", configuration)?;
    let text = ends(host, TARBALL, 0)?;
    ensure!(text.contains("apt-get installs nix-bin nix-setup-systemd"), "{text}");
    ensure!(host.sh("cat /etc/nix/nix.conf")? == configuration, "another nix.conf");
    whole(host)?;
    wish(host, 1)?;
    host.sh("MANPAGER=cat man -w osmoda 2>/dev/null || test -e /usr/share/man/man1/osmoda.1.gz; osmoda doctor")?;
    Ok(())
}

fn again(host: Host<'_>) -> Result<()> {
    ends(host, TARBALL, 0)?;
    let pids = || host.sh("systemctl show -P MainPID osmoda-agentd osmoda-watch osmoda-routines osmoda-witness");
    let (before, running) = (everything(host)?, pids()?);
    let text = ends(host, TARBALL, 0)?;
    ensure!(text.contains("nothing to do"), "{text}");
    ensure!(pids()? == running, "daemons were started anew");
    same(&before, &everything(host)?)?;
    // The operator's configuration and will stay.
    host.sh("echo '# mine' >>/etc/osmoda/agentd.yaml; rm /usr/lib/osmoda/osmoda-watch; systemctl stop osmoda-watch")?;
    host.sh("systemctl disable --now --quiet osmoda-routines")?;
    ends(host, TARBALL, 0)?;
    let routines = host.end(&["/usr/bin/systemctl", "is-enabled", "osmoda-routines"])?.1;
    ensure!(routines.trim() == "disabled" && host.active("osmoda-routines")? != "active", "{routines}");
    ensure!(host.sh("cat /etc/osmoda/agentd.yaml")?.ends_with("# mine\n"), "the configuration was written over");
    host.sh("systemctl enable --now --quiet osmoda-routines")?;
    whole(host)
}

fn upgrade(host: Host<'_>) -> Result<()> {
    let (_, text) = installer(host, "--uninstall")?;
    ensure!(text.contains("osModa is uninstalled."), "{text}");
    ends(host, OLD_TARBALL, 0)?;
    host.sh(&format!("test -e {STALE}; systemctl is-active {STALE_UNIT}"))?;
    wish(host, 2)?;
    let app = host.main_pid("osmoda-app-web.service")?;
    let daemon = host.main_pid("osmoda-agentd")?;
    let text = ends(host, TARBALL, 0)?;
    ensure!(text.contains(&format!("over {OLD}")) && text.contains("2 taken away"), "{text}");
    whole(host)?;
    ensure!(host.main_pid("osmoda-agentd")? != daemon, "agentd is the old one");
    ensure!(host.main_pid("osmoda-app-web.service")? == app, "the app was started anew");
    serves(host, 2)?;
    refuses(host, OLD_TARBALL, 3, "is older than")?;
    ends(host, &format!("{OLD_TARBALL} --allow-downgrade"), 0)?;
    ends(host, TARBALL, 0)?;
    serves(host, 2)?;
    wish(host, 3)?;
    whole(host)
}

fn elsewhere(host: Host<'_>) -> Result<()> {
    ends(host, "--uninstall", 0)?;
    host.sh(&format!("rm -rf /root/there; mkdir /root/there; tar -xzf {MEDIA}/new/*.tar.gz -C /root/there"))?;
    host.sh("cd /tmp; sh /root/there/osmoda-*/install.sh; rm -r /root/there")?;
    whole(host)?;
    ends(host, "--uninstall", 0)?;
    // Over http it is the checksum alone that tells whose it is.
    host.sh(&format!(
        "systemd-run --quiet --unit=shelf python3 -m http.server 8099 --bind 127.0.0.1 --directory {MEDIA}/new; \
         until curl -sf http://127.0.0.1:8099/ >/dev/null; do sleep 0.1; done"
    ))?;
    let result = (|| {
        let name = host.sh(&format!("cd {MEDIA}/new; ls *.tar.gz"))?;
        let from = format!("--from http://127.0.0.1:8099/{}", name.trim());
        refuses(host, &format!("{from} --sha256 {:064}", 0), 4, "is not what was released")?;
        ends(host, &format!("{from} --sha256 $(sha256sum <{MEDIA}/new/{} | cut -c1-64)", name.trim()), 0)?;
        whole(host)
    })();
    host.sh("systemctl stop shelf")?;
    result
}

fn bad_configuration(host: Host<'_>) -> Result<()> {
    for (kind, media) in [(TARBALL, OLD_TARBALL), (PACKAGE, OLD_PACKAGE)] {
        ends(host, "--uninstall", 0)?;
        ends(host, media, 0)?;
        let before = host.main_pid("osmoda-watch")?;
        host.sh("cp -p /etc/osmoda/agentd.yaml /root; echo 'reconcile: sometimes' >>/etc/osmoda/agentd.yaml")?;
        let text = ends(host, kind, 5)?;
        ensure!(text.contains("does not run or answer: osmoda-agentd.service;"), "{text}");
        let after = host.main_pid("osmoda-watch")?;
        ensure!(after != 0 && after != before, "osmoda-watch is the old one");
        // Mended, it goes on from there.
        host.sh("mv /root/agentd.yaml /etc/osmoda")?;
        ends(host, kind, 0)?;
        whole(host)?;
    }
    // dpkg is to know nothing of it.
    ends(host, "--uninstall --purge", 0).map(drop)
}

fn in_flight(host: Host<'_>) -> Result<()> {
    ends(host, TARBALL, 0)?;
    host.document(
        "slow.yaml",
        "apiVersion: os.moda/v1\nkind: App\nmetadata: {name: slow}\nspec:\n  command: [/bin/sleep, \"600\"]\n  \
         probation: {ttl: 10m}\n",
    )?;
    crate::wait("the switch", std::time::Duration::from_secs(30), || Ok(host.last_switch()?["state"] == "probation"))?;
    let refused = [&format!("{OLD_TARBALL} --allow-downgrade"), "--uninstall"].map(|words| ends(host, words, 3));
    let text = ends(host, TARBALL, 0)?;
    ensure!(text.contains("nothing to do"), "{text}");
    ensure!(host.active("osmoda-agentd")? == "active", "agentd was stopped");
    // Its runner is gone, and the dead-man will see to it.
    host.sh("rm /var/lib/osmoda/desired/slow.yaml; systemctl stop 'osmoda-switch-*.service'")?;
    ensure!(host.last_switch()?["state"] == "probation", "{:#}", host.last_switch()?);
    let alone = ends(host, "--uninstall", 3);
    let alone_too = host.end(&["/usr/lib/osmoda/stop-all"])?;
    host.sh("systemctl start $(systemctl list-units --no-legend --plain 'osmoda-deadman-*.timer' | cut -d' ' -f1 | sed s/timer/service/)")?;
    host.settle()?;
    ensure!(alone_too.0 == 1 && alone_too.2.contains("a switch is in flight"), "stop-all: {alone_too:?}");
    for text in refused.into_iter().chain([alone]) {
        let text = text?;
        ensure!(text.contains("a switch is in flight"), "{text}");
    }
    Ok(())
}

fn uninstall(host: Host<'_>) -> Result<()> {
    ends(host, TARBALL, 0)?;
    wish(host, 4)?;
    let documents = "cd /var/lib/osmoda; find desired -type f -exec sha256sum {} + | sort";
    let before = host.sh(documents)?;
    let events = host.events("switch.committed")?.len();
    ends(host, "--uninstall", 0)?;
    gone(host, Gone::Tarball)?;
    ensure!(host.sh(documents)? == before, "documents are others");
    ensure!(host.page(8080).is_none(), "the app still answers");
    host.sh(
        "test -s /var/lib/osmoda/ledger/ledger.db -o -d /var/lib/osmoda/ledger; test -L /nix/var/nix/profiles/osmoda",
    )?;
    let text = ends(host, "--uninstall", 0)?;
    ensure!(text.contains("nothing to do"), "{text}");
    ends(host, TARBALL, 0)?;
    whole(host)?;
    serves(host, 4)?;
    host.run(&["/usr/bin/osmoda", "ledger", "verify"])?;
    ensure!(host.events("switch.committed")?.len() >= events, "the ledger has forgotten");
    Ok(())
}

fn purge(host: Host<'_>) -> Result<()> {
    ends(host, TARBALL, 0)?;
    wish(host, 5)?;
    remembers(host)?;
    ends(host, "--uninstall --purge", 0)?;
    gone(host, Gone::Purged)?;
    let nix = host.sh("nix-store --version; ls -d /nix/store")?;
    ensure!(nix.contains("/nix/store"), "Nix is gone: {nix}");
    // And from the beginning.
    ends(host, TARBALL, 0)?;
    whole(host)?;
    let left = host.json(&["get"])?;
    ensure!(left["objects"].as_array().is_some_and(Vec::is_empty), "{left}");
    for unit in UNITS {
        host.run(&["/usr/bin/systemctl", "is-enabled", unit])?;
    }
    tidy(host)?;
    host.sh(&format!("test -s {STATE}/manifest"))?;
    Ok(())
}
