//! Looked at before anything is changed.

use anyhow::{Result, ensure};

use super::{MEDIA, PACKAGE, STATE, TARBALL, as_system, ends, everything, refuses, same};
use crate::{Host, suites::Case};

pub fn cases() -> Vec<Case> {
    let case = Case::anywhere;
    vec![
        case("install: a dry run changes nothing", dry_run),
        case("install: a system that osModa does not know is refused", systems),
        case("install: what is not what was released is refused", releases),
        case("install: a machine that does not fit is refused", machines),
        case("install: wrong arguments are refused", arguments),
    ]
}

fn dry_run(host: Host<'_>) -> Result<()> {
    let before = everything(host)?;
    for from in [TARBALL, PACKAGE] {
        let text = ends(host, &format!("{from} --dry-run"), 0)?;
        ensure!(text.contains("nix-bin nix-setup-systemd"), "{text}");
    }
    let text = ends(host, "--uninstall --purge --dry-run", 0)?;
    ensure!(text.contains("/var/lib/osmoda"), "{text}");
    same(&before, &everything(host)?)
}

fn systems(host: Host<'_>) -> Result<()> {
    let before = everything(host)?;
    for (release, expected, says) in [
        (
            "ID=debian\nVERSION_ID=\"11\"\nPRETTY_NAME=\"Debian GNU/Linux 11 (bullseye)\"\n",
            3,
            "Debian GNU/Linux 11 (bullseye) is too old",
        ),
        ("ID=debian\nVERSION_ID=\"12\"\n", 0, ""),
        ("PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\n", 0, ""),
        ("ID=ubuntu\nVERSION_ID=\"20.04\"\nPRETTY_NAME=\"Ubuntu 20.04 LTS\"\n", 3, "Ubuntu 20.04 LTS is too old"),
        ("ID=ubuntu\nVERSION_ID=\"21.10\"\n", 3, "is too old"),
        ("ID=ubuntu\nVERSION_ID=\"22.04\"\n", 0, ""),
        ("ID=\"ubuntu\"\nVERSION_ID='26.10'\n", 0, ""),
        (
            "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=21\nPRETTY_NAME=\"Linux Mint 21\"\n",
            3,
            "Linux Mint 21 is neither",
        ),
        ("ID=fedora\nVERSION_ID=40\nPRETTY_NAME=\"Fedora Linux 40\"\n", 3, "Fedora Linux 40 is neither"),
        ("ID=$(touch /etc/pwned)\n", 3, "is neither"),
        ("", 3, "is neither"),
    ] {
        let (status, text) = as_system(host, release, &format!("{TARBALL} --dry-run"))?;
        ensure!(status == expected && text.contains(says), "{release}: {status}, {text}");
    }
    same(&before, &everything(host)?)
}

fn releases(host: Host<'_>) -> Result<()> {
    host.sh(&format!(
        "rm -rf /root/bad; mkdir -p /root/bad/unlisted /root/bad/alone; cp {MEDIA}/new/* /root/bad; \
         cp {MEDIA}/new/*.tar.gz /root/bad/alone; cp {MEDIA}/new/*.tar.gz /root/bad/unlisted; \
         echo >/root/bad/unlisted/SHA256SUMS; printf x >>$(ls /root/bad/*.tar.gz); printf x >>$(ls /root/bad/*.deb)"
    ))?;
    refuses(host, "--from /root/bad/*.tar.gz", 4, "is not what was released")?;
    refuses(host, "--from /root/bad/*.deb", 4, "is not what was released")?;
    refuses(host, "--from /root/bad/alone/*.tar.gz", 4, "there is no file /root/bad/alone/SHA256SUMS")?;
    refuses(host, "--from /root/bad/unlisted/*.tar.gz", 4, "does not name")?;
    refuses(host, "--from /root/bad/none.tar.gz", 4, "there is no file")?;
    refuses(host, &format!("{TARBALL} --sha256 {:064}", 0), 4, "is not what was released")?;
    refuses(host, "--from https://127.0.0.1:9/osmoda.deb", 4, "cannot be downloaded")?;
    // One that says so of itself, and is not.
    host.sh(
        "cd /root/bad; rm -f *.tar.gz; tar -xzf alone/*.tar.gz; echo >>$(ls osmoda-*/LICENSE); tar -czf bad.tar.gz osmoda-*; \
         sha256sum bad.tar.gz >SHA256SUMS",
    )?;
    refuses(host, "--from /root/bad/bad.tar.gz", 4, "is not whole")?;
    host.sh("cd /root/bad; mkdir alien; cp -a osmoda-*/. alien; cd alien; sed -i 's/^Architecture: .*/Architecture: riscv64/' \
             usr/lib/osmoda/BUILDINFO; find . -type f ! -name SHA256SUMS | sed 's,^./,,' | xargs sha256sum >/root/sums; mv /root/sums SHA256SUMS")?;
    let (status, out, _) = host.end(&["/bin/sh", "-c", "sh /root/bad/alien/install.sh --dry-run 2>&1"])?;
    ensure!(status == 3 && out.contains("for riscv64"), "{status}, {out}");
    host.sh("rm -rf /root/bad")?;
    Ok(())
}

fn machines(host: Host<'_>) -> Result<()> {
    let dry = format!("sh {MEDIA}/new/install.sh {TARBALL} --dry-run 2>&1");
    let without = |what: &str, says: &str| -> Result<()> {
        let script = format!("{what}; exec {dry}");
        let (status, out, _) = host.end(&["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", &script])?;
        ensure!(status == 3 && out.contains(says), "{what}: {status}, {out}");
        Ok(())
    };
    without("mount -t tmpfs none /run", "systemd is not process 1")?;
    without(
        "mkdir /run/little; mount -t tmpfs -o size=20m none /run/little; cd /run/little; mkdir -p lib/dpkg/updates \
         lib/dpkg/info; cp /var/lib/dpkg/status lib/dpkg; mount --bind /run/little /var",
        "too little room (MiB): /var has",
    )?;
    without("mount --bind /usr/bin /usr/bin; mount -o remount,bind,ro /usr/bin", "/usr/bin cannot be written")?;
    // What the kernel is of is not what programs are of.
    host.machine.write(
        "/run/dpkg-i386",
        "#!/bin/sh\n[ \"$1\" != --print-architecture ] || exec echo i386\nexec /run/dpkg \"$@\"\n",
    )?;
    without(
        "cp /usr/bin/dpkg /run; chmod 755 /run/dpkg-i386; mount --bind /run/dpkg-i386 /usr/bin/dpkg",
        "this system is of i386",
    )?;
    let script = format!("sh {MEDIA}/new/install.sh {TARBALL} 2>&1");
    let words = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "/bin/sh", "-c", &script];
    let (status, out, _) = host.end(&words)?;
    ensure!(status == 3 && out.contains("as root"), "{status}, {out}");
    for (sign, says) in [
        ("mkdir /nix; touch /nix/receipt.json", "/nix/receipt.json"),
        ("mkdir -p /nix/store; chown 1000 /nix/store", "which is a user's"),
        (
            "mkdir -p /nix/var/nix/profiles/default/bin; touch /nix/var/nix/profiles/default/bin/nix-store",
            "profiles/default",
        ),
        ("ln -s /nix/x /etc/systemd/system/nix-daemon.service", "nix-daemon.service"),
    ] {
        host.sh(sign)?;
        refuses(host, TARBALL, 3, says)?;
        refuses(host, PACKAGE, 3, says)?;
        host.sh("rm -rf /nix /etc/systemd/system/nix-daemon.service")?;
    }
    host.sh("echo mine >/usr/bin/osmoda")?;
    refuses(host, TARBALL, 3, "/usr/bin/osmoda")?;
    host.sh("rm /usr/bin/osmoda; touch /var/lib/dpkg/updates/0001")?;
    refuses(host, TARBALL, 3, "dpkg was interrupted")?;
    refuses(host, PACKAGE, 3, "dpkg was interrupted")?;
    host.sh("rm /var/lib/dpkg/updates/0001")?;
    ensure!(host.end(&["/bin/ls", "-d", STATE])?.0 != 0, "a refusal has left {STATE}");
    Ok(())
}

fn arguments(host: Host<'_>) -> Result<()> {
    refuses(host, "--form x", 2, "--form is not known")?;
    refuses(host, "--from", 2, "wants a value")?;
    refuses(host, "--from /etc/passwd", 2, "neither a .tar.gz nor a .deb")?;
    refuses(host, "--purge", 2, "goes with --uninstall")?;
    refuses(host, "", 2, "say what to install")?;
    refuses(host, "--from http://127.0.0.1:9/osmoda.deb", 2, "say --sha256")?;
    refuses(host, "--from https://me:secret@127.0.0.1/osmoda.deb", 2, "a password in an address")?;
    refuses(host, "--from ftp://127.0.0.1/osmoda.deb", 2, "only http and https")?;
    refuses(host, &format!("{TARBALL} --sha256 xyz"), 2, "hexadecimal")?;
    refuses(host, &format!("{TARBALL} --source /root"), 2, "--source is for NixOS")?;
    let text = ends(host, "--help", 0)?;
    ensure!(text.contains("Exit status"), "{text}");
    let text = ends(host, "--convert", 0)?;
    ensure!(text.contains("nix flake init -t") && text.contains("--flake .#osmoda-server"), "{text}");
    ensure!(text.contains("disko") && text.contains("ssh key") && text.contains("/etc/nixos"), "{text}");
    let text = ends(host, "--uninstall", 0)?;
    ensure!(text.contains("nothing to do"), "{text}");
    Ok(())
}
