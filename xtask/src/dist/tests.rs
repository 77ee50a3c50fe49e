//! Without building anything: archives, the configuration, the scripts.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use osmoda_schemas::config::Config;

use super::{
    archive::{Effort, Tree, ar, gzip, tar},
    contents::{Release, enabled},
    deb, pack,
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
    for script in ["stop-all", "postinst", "prerm", "postrm"] {
        let text = fs::read_to_string(crate::root().join("packaging").join(script)).unwrap();
        fs::write(folder.path().join(script), text.replace("@UNITS@", "a.service b.service")).unwrap();
    }
    let all = ["install.sh", "stop-all", "postinst", "prerm", "postrm"];
    // SC2015: `a && b || die` is meant as it reads.
    let output = Command::new("shellcheck").args(["--exclude=SC2015"]).args(all).current_dir(&folder).output().unwrap();
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
