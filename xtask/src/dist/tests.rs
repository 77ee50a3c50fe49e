//! Without building anything: archives, the configuration, the scripts.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use osmoda_schemas::config::Config;

use super::{
    archive::{Effort, Tree, ar, gzip, tar},
    contents::{Release, build_info, enabled},
    deb, machines, pack,
};

/// A release with something of everything in it, its files added in this order or the other.
fn tree(backwards: bool) -> Tree {
    let mut files = vec![
        ("usr/bin/osmoda", "\x7fELF"),
        ("usr/lib/osmoda/BUILDINFO", "Version: 1.2.3\n"),
        ("usr/lib/systemd/system/osmoda-a.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=x.target\n"),
        ("usr/lib/systemd/system/osmoda-b.service", "# not [Install]\n[Service]\nExecStart=/bin/true\n"),
        ("etc/osmoda/agentd.yaml", "# nothing\n"),
    ];
    if backwards {
        files.reverse();
    }
    let mut tree = Tree::default();
    for (path, text) in files {
        if path.contains("/bin/") { tree.program(path, text) } else { tree.file(path, text) }.unwrap();
    }
    tree.link("usr/bin/agentctl", "osmoda").unwrap();
    tree
}

fn release() -> Release {
    Release { version: "1.2.3".to_owned(), epoch: 1_700_000_000, commit: "c0ffee".to_owned(), is_changed: false }
}

fn products(backwards: bool) -> super::Products {
    pack(&crate::root(), &release(), &tree(backwards), (2, 34), Effort::Best).unwrap()
}

/// Runs a program that has to succeed, far from Greenwich; gives what it writes.
fn words(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "Pacific/Auckland")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("SKIPPED: {program} is not installed");
    }
    there
}

#[test]
fn the_same_files_make_the_same_release() {
    assert_eq!(products(false), products(true));
    assert_eq!(products(false).len(), 4);
}

#[test]
fn another_file_another_time_or_another_name_makes_another_release() {
    let bytes = |tree: &Tree, epoch| tar(tree, "./", epoch).unwrap();
    let mut other = tree(false);
    assert_ne!(bytes(&other, 1), bytes(&other, 2));
    let before = bytes(&other, 1);
    other.file("usr/share/x", "").unwrap();
    assert_ne!(before, bytes(&other, 1));
    assert!(other.file("usr/share/x", "").is_err(), "a path was given twice");
    for path in ["", "/etc/x", "usr//x", "usr/../x", "usr/a b", "usr/$(x)", "usr/x\n"] {
        assert!(other.file(path, "").is_err(), "{path}");
    }
}

#[test]
fn tar_reads_the_tarball_and_all_is_roots() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in products(false) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    words("sha256sum", &["--check", "--strict", "--quiet", "SHA256SUMS"], folder.path());
    let name = format!("osmoda-1.2.3-{}-linux", std::env::consts::ARCH);
    let list = words("tar", &["-tvzf", &format!("{name}.tar.gz"), "--utc", "--full-time"], folder.path());
    for line in list.lines() {
        let mode = &line[..10];
        assert!(["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"].contains(&mode), "{line}");
        assert!(line.contains(" root/root ") && line.contains(" 2023-11-14 22:13:20 "), "{line}");
    }
    let first = |line: &str| line.starts_with("-rwxr-xr-x") && line.ends_with(&format!(" {name}/usr/bin/osmoda"));
    assert!(list.lines().any(first), "{list}");
    assert!(list.contains("/usr/bin/agentctl -> osmoda"), "{list}");
    words("tar", &["-xzf", &format!("{name}.tar.gz")], folder.path());
    words("sha256sum", &["--check", "--strict", "--quiet", "SHA256SUMS"], &folder.path().join(&name));
}

#[test]
fn dpkg_reads_the_package() {
    if !is_there("dpkg-deb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = deb::name(&release()).unwrap();
    fs::write(folder.path().join(&name), &products(false)[&name]).unwrap();
    let field = |field: &str| words("dpkg-deb", &["--field", &name, field], folder.path());
    assert_eq!((field("Package").trim(), field("Version").trim()), ("osmoda", "1.2.3"));
    assert!(field("Depends").contains("libc6 (>= 2.34)") && field("Depends").contains("nix-bin"));
    // A machine with dbus-broker has a bus.
    assert!(field("Depends").contains("dbus | dbus-system-bus,"), "{}", field("Depends"));
    let list = words("dpkg-deb", &["--contents", &name], folder.path());
    assert!(list.lines().all(|line| line.contains(" root/root ")), "{list}");
    words("dpkg-deb", &["--raw-extract", &name, "raw"], folder.path());
    let control = folder.path().join("raw/DEBIAN");
    words("md5sum", &["--check", "--strict", "--quiet", "DEBIAN/md5sums"], &folder.path().join("raw"));
    let read = |file: &str| fs::read_to_string(control.join(file)).unwrap();
    assert_eq!(read("conffiles"), "/etc/osmoda/agentd.yaml\n");
    assert!(!read("md5sums").contains("agentd.yaml"), "an operator's change of a conffile is no damage");
    assert!(read("postinst").contains("UNITS=\"osmoda-a.service\""), "{}", read("postinst"));
}

#[test]
fn ar_and_gzip_are_as_others_write_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.ar"), ar(&[("odd", b"abc"), ("even", b"abcd")], 7).unwrap()).unwrap();
    assert_eq!(words("ar", &["-p", "x.ar", "even"], folder.path()), "abcd");
    assert!(ar(&[("a-name-of-seventeen", b"")], 7).is_err());
    for effort in [Effort::Best, Effort::Quick] {
        let bytes = gzip(b"something", effort).unwrap();
        // No flags, so no name; no time.
        assert_eq!(bytes[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        fs::write(folder.path().join("x.gz"), bytes).unwrap();
        assert_eq!(words("gzip", &["-dc", "x.gz"], folder.path()), "something");
    }
}

#[test]
fn what_comes_before_a_release_is_older_than_it() {
    let release = Release { version: "1.2.3-rc.1".to_owned(), ..release() };
    let info = build_info(&crate::root(), &release).unwrap();
    assert!(info.starts_with("Version: 1.2.3~rc.1\n"), "{info}");
    let folder = tempfile::tempdir().unwrap();
    // As install.sh compares.
    fs::write(folder.path().join("versions"), "1.2.3\n1.2.3~rc.1\n1.2.2\n").unwrap();
    assert_eq!(words("sort", &["-V", "versions"], folder.path()), "1.2.2\n1.2.3~rc.1\n1.2.3\n");
    if !is_there("dpkg-deb") {
        return;
    }
    let products = pack(&crate::root(), &release, &tree(false), (2, 34), Effort::Quick).unwrap();
    let name = deb::name(&release).unwrap();
    fs::write(folder.path().join(&name), &products[&name]).unwrap();
    let version = words("dpkg-deb", &["--field", &name, "Version"], folder.path());
    words("dpkg", &["--compare-versions", version.trim(), "lt", "1.2.3"], folder.path());
    words("dpkg", &["--compare-versions", version.trim(), "gt", "1.2.2"], folder.path());
}

#[test]
fn a_time_that_is_given_is_the_time_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| words("git", arguments, folder.path());
    assert!(Release::at(folder.path(), None).is_err(), "no commit, and no time");
    let unknown = Release::at(folder.path(), Some("7")).unwrap();
    assert_eq!((unknown.commit.as_str(), unknown.epoch), ("unknown", 7));
    git(&["init", "--quiet"]);
    fs::write(folder.path().join("x"), "").unwrap();
    git(&["add", "x"]);
    git(&["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message=x"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let given = Release::at(folder.path(), Some(" 7\n")).unwrap();
    assert_eq!((given.commit.as_str(), given.epoch, given.is_changed), (commit.trim(), 7, false));
    assert_ne!(Release::at(folder.path(), None).unwrap().epoch, 7);
    assert!(Release::at(folder.path(), Some("yesterday")).is_err());
    fs::write(folder.path().join("x"), "changed").unwrap();
    assert!(Release::at(folder.path(), Some("7")).unwrap().is_changed);
}

#[test]
fn cases_that_are_not_there_are_not_passed() {
    assert!(machines::cases("tarball:").is_ok_and(|cases| cases.len() > 3));
    assert!(machines::cases("tarbal1:").is_err());
}

/// Two scripts take everything away, and two see whether a switch is in flight: each pair has to mean the same.
#[test]
fn scripts_that_do_the_same_name_the_same() {
    let read = |name: &str| fs::read_to_string(crate::root().join(name)).unwrap();
    let (installer, postrm, stop_all) = (read("install.sh"), read("packaging/postrm"), read("packaging/stop-all"));
    // What would be given to rm, with nothing there that a pattern could mean.
    let paths = |script: &str| {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("rm() {{ shift; printf '%s\\n' \"$@\"; }}; ls() {{ false; }}; set -f; {script}");
        let text = words("sh", &["-c", &script, "script", "purge"], folder.path());
        text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let set: String = installer
        .lines()
        .filter(|l| l.starts_with("DATA=") || l.starts_with("PROFILE="))
        .fold(String::new(), |all, line| all + line + "\n");
    let purge = installer.lines().find_map(|line| line.trim().strip_prefix("[ -z \"$purge\" ] || rm")).unwrap();
    let mut by_package = paths(&postrm);
    // It is there while osModa runs.
    assert!(by_package.remove("/run/osmoda"));
    assert_eq!(by_package, paths(&format!("{set}rm{purge}")));
    assert!(by_package.len() > 5, "{by_package:?}");
    let in_flight = "'osmoda-switch-*.service' 'osmoda-deadman-*.timer' 'osmoda-deadman-*.service'";
    assert!(installer.contains(in_flight) && stop_all.contains(in_flight));
}

#[test]
fn every_unit_that_says_for_what_is_enabled() {
    assert_eq!(enabled(&tree(false)), ["osmoda-a.service"]);
}

#[test]
fn the_configuration_shows_the_defaults() {
    let text = fs::read_to_string(crate::root().join("packaging/agentd.yaml")).unwrap();
    let read = |text: &str| Config::read("agentd.yaml".as_ref(), text).unwrap();
    assert_eq!(read(&text), Config::default(), "something is set");
    // A setting has no space behind its sign, a comment has.
    let shown: String = text
        .lines()
        .filter_map(|l| l.strip_prefix('#'))
        .filter(|l| !l.starts_with(' ') || l.starts_with("  "))
        .map(|l| format!("{l}\n"))
        .collect();
    assert_eq!(read(&shown), Config::default(), "{shown}");
    for setting in ["reconcile:", "sources:", "safeSwitch:", "massDelete:", "authors:"] {
        assert!(shown.contains(setting), "{setting} is not shown");
    }
}

#[test]
fn scripts_have_nothing_that_shellcheck_minds() {
    if !is_there("shellcheck") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::copy(crate::root().join("install.sh"), folder.path().join("install.sh")).unwrap();
    let scripts = deb::SCRIPTS.into_iter().chain(["stop-all"]);
    for script in scripts.clone() {
        let text = fs::read_to_string(crate::root().join("packaging").join(script)).unwrap();
        fs::write(folder.path().join(script), text.replace("@UNITS@", "a.service b.service")).unwrap();
    }
    // SC2015: `a && b || die` is meant as it reads.
    let mut shellcheck = Command::new("shellcheck");
    shellcheck.args(["--exclude=SC2015", "install.sh"]).args(scripts).current_dir(&folder);
    let output = shellcheck.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// What the installer takes a machine for.
fn taken_for(os_release: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("os-release"), os_release).unwrap();
    let script = fs::read_to_string(crate::root().join("install.sh")).unwrap();
    let functions = script.strip_suffix("main \"$@\"\n").expect("its last line runs it");
    fs::write(folder.path().join("functions"), functions).unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", ". ./functions; system_kind ./os-release"])
        .current_dir(&folder)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn the_installer_knows_its_systems() {
    for (id, version, kind) in [
        ("nixos", "25.05", "nixos"),
        ("nixos", "", "nixos"),
        ("debian", "12", "debian"),
        ("debian", "\"13\"", "debian"),
        ("debian", "", "debian"),
        ("ubuntu", "\"22.04\"", "debian"),
        ("'ubuntu'", "'24.04'", "debian"),
        ("\"debian\"", "100", "debian"),
    ] {
        assert_eq!(taken_for(&format!("VERSION_ID={version}\nID={id}\n")), (true, kind.to_owned()), "{id} {version}");
    }
    for (id, version) in [
        ("debian", "11"),
        ("debian", "9"),
        ("ubuntu", "20.04"),
        ("ubuntu", ""),
        ("raspbian", "12"),
        ("arch", ""),
        ("", ""),
    ] {
        let (known, words) = taken_for(&format!("ID={id}\nVERSION_ID={version}\nPRETTY_NAME=\"It\"\n"));
        assert!(!known && words.starts_with("It is "), "{id} {version}: {words}");
    }
    assert!(!taken_for("NAME=x\n").0);
    // It is read, not run.
    assert!(taken_for("ID=$(echo nixos)\n").1.contains("neither"));
}
