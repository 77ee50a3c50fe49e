//! What a scan finds, and what it does not let itself be shown.

use std::{ffi::OsStr, fs};

use rustix::fs::Mode;

use super::*;

fn names(scan: &Scan) -> Vec<String> {
    scan.changes.keys().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn content(scan: &Scan, path: &Path) -> Content {
    scan.read(path, scan.changes[path]).unwrap()
}

fn text(scan: &Scan, path: &Path) -> String {
    match content(scan, path) {
        Content::Read { bytes, .. } => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn problem(scan: &Scan, path: &Path) -> Problem {
    match content(scan, path) {
        Content::Unreadable { problem, .. } => *problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_documents_that_changed_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("desired");
    fs::create_dir_all(folder.join("team")).unwrap();
    fs::write(folder.join("a.yaml"), "a").unwrap();
    fs::write(folder.join("team/b.json"), "b").unwrap();
    fs::write(folder.join(".c.yaml"), "hidden").unwrap();
    fs::write(folder.join("notes.txt"), "other").unwrap();
    let mut sources = Sources::new(vec![folder.clone()], []);
    assert_eq!(names(&sources.scan_all()), ["a.yaml", "b.json"]);
    assert!(sources.scan_all().changes.is_empty());
    fs::write(folder.join("a.yaml"), "aa").unwrap();
    fs::remove_file(folder.join("team/b.json")).unwrap();
    let scan = sources.scan_all();
    assert_eq!(text(&scan, &folder.join("a.yaml")), "aa");
    assert!(matches!(scan.changes[&folder.join("team/b.json")], Found::Gone));
}

#[test]
fn a_folder_that_vanishes_is_a_problem_and_none_of_its_files_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("desired");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), "a").unwrap();
    let mut sources = Sources::new(vec![folder.clone()], []);
    sources.scan_all();
    fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
    let scan = sources.scan_all();
    assert!(scan.changes.is_empty());
    assert_eq!(scan.problems[0].code, "source-unreadable");
}

#[test]
fn a_folder_that_never_was_is_no_problem_unless_it_had_documents() {
    let missing = PathBuf::from("/nonexistent/desired");
    assert!(Sources::new(vec![missing.clone()], []).scan_all().problems.is_empty());
    assert_eq!(Sources::new(vec![missing.clone()], [missing]).scan_all().problems.len(), 1);
}

#[test]
fn links_and_pipes_are_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/shadow", dir.path().join("link.yaml")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe.yaml"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
        .unwrap();
    let scan = Sources::new(vec![dir.path().to_owned()], []).scan_all();
    for path in scan.changes.keys() {
        assert_eq!(problem(&scan, path).code, "unreadable-file");
    }
    assert_eq!(scan.changes.len(), 2);
}

#[test]
fn file_events_look_only_at_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
    fs::write(&a, "a").unwrap();
    fs::write(&b, "b").unwrap();
    let mut sources = Sources::new(vec![dir.path().to_owned()], []);
    sources.scan_all();
    fs::write(&a, "aa").unwrap();
    fs::remove_file(&b).unwrap();
    assert_eq!(names(&sources.scan_paths(&BTreeSet::from([a]))), ["a.yaml"]);
    assert!(matches!(sources.scan_paths(&BTreeSet::from([b.clone()])).changes[&b], Found::Gone));
}

#[test]
fn a_folder_that_becomes_a_link_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, other) = (dir.path().join("desired"), dir.path().join("other"));
    fs::create_dir_all(folder.join("team")).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(folder.join("team/a.yaml"), "mine").unwrap();
    fs::write(other.join("a.yaml"), "root's").unwrap();
    let mut sources = Sources::new(vec![folder.clone()], []);
    let scan = sources.scan_all();
    let path = folder.join("team/a.yaml");
    assert_eq!(text(&scan, &path), "mine");
    fs::rename(folder.join("team"), dir.path().join("away")).unwrap();
    std::os::unix::fs::symlink(&other, folder.join("team")).unwrap();
    // Not even when the swap comes between the look and the reading.
    assert!(!matches!(scan.read(&path, scan.changes[&path]), Some(Content::Read { .. })));
    assert_eq!(sources.scan_paths(&BTreeSet::from([path.clone()])).changes[&path], Found::Gone);
    assert!(sources.scan_all().changes.is_empty());
    let new = Sources::new(vec![folder], []).scan_all();
    assert!(new.changes.is_empty(), "{new:?}");
}

#[test]
fn a_root_may_be_behind_a_link_and_stays_the_one_that_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (real, root) = (dir.path().join("real"), dir.path().join("root"));
    fs::create_dir(&real).unwrap();
    fs::write(real.join("a.yaml"), "a").unwrap();
    std::os::unix::fs::symlink(&real, &root).unwrap();
    let scan = Sources::new(vec![root.clone()], []).scan_all();
    fs::rename(&real, dir.path().join("elsewhere")).unwrap();
    assert_eq!(text(&scan, &root.join("a.yaml")), "a");
}

#[test]
fn a_file_is_read_where_nobody_but_root_and_its_owner_can_have_put_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("desired");
    fs::create_dir(&folder).unwrap();
    let (path, original) = (folder.join("a.yaml"), dir.path().join("original"));
    fs::write(&original, "a").unwrap();
    fs::hard_link(&original, &path).unwrap();
    let read = |mode| {
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let scan = Sources::new(vec![folder.clone()], []).scan_all();
        content(&scan, &path)
    };
    let refused = |mode| {
        let Content::Unreadable { problem, .. } = read(mode) else { panic!("{mode:o}") };
        assert!(problem.detail.contains("need not be who put it here"), "{problem}");
        assert_eq!(problem.source.unwrap().file, path);
    };
    [0o777, 0o1777, 0o775].into_iter().for_each(refused);
    // As in the Nix store, when it was optimised.
    assert!(matches!(read(0o755), Content::Read { .. }));
    // Also when the name that it was taken from is gone.
    fs::remove_file(&original).unwrap();
    [0o777, 0o1777, 0o775].into_iter().for_each(refused);
    assert!(matches!(read(0o755), Content::Read { .. }));
    if rustix::process::geteuid().is_root() {
        let give = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), None).unwrap();
        give(&folder, 4242);
        refused(0o755);
        give(&path, 4243);
        refused(0o755);
        give(&path, 4242);
        assert!(matches!(read(0o755), Content::Read { author: Author { uid: 4242 }, .. }));
        give(&folder, 0);
        assert!(matches!(read(0o755), Content::Read { author: Author { uid: 4242 }, .. }));
    }
}

#[test]
fn a_file_that_everybody_may_write_is_nobodys_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, "a").unwrap();
    for (mode, good) in [(0o666, false), (0o602, false), (0o664, true), (0o600, true)] {
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let scan = Sources::new(vec![dir.path().to_owned()], []).scan_all();
        assert_eq!(matches!(content(&scan, &path), Content::Read { .. }), good, "{mode:o}");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    let size = |bytes: usize| {
        fs::File::create(&path).unwrap().set_len(bytes as u64).unwrap();
        let scan = Sources::new(vec![dir.path().to_owned()], []).scan_all();
        content(&scan, &path)
    };
    let most = osmoda_schemas::document::MAX_FILE_BYTES;
    assert!(matches!(size(most), Content::Read { bytes, .. } if bytes.len() == most));
    let Content::Unreadable { problem, .. } = size(most + 1) else { panic!("it was read") };
    assert_eq!(problem.code, "too-large");
}

#[test]
fn what_went_away_since_it_was_found_is_found_gone_by_the_next_scan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, "a").unwrap();
    let mut sources = Sources::new(vec![dir.path().to_owned()], []);
    let scan = sources.scan_all();
    fs::remove_file(&path).unwrap();
    assert!(scan.read(&path, scan.changes[&path]).is_none());
    assert_eq!(sources.scan_all().changes[&path], Found::Gone);
}

#[test]
fn what_was_found_before_a_new_folder_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (edited, deleted, folder) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"), dir.path().join("c"));
    fs::write(&edited, "a").unwrap();
    fs::write(&deleted, "b").unwrap();
    let mut sources = Sources::new(vec![dir.path().to_owned()], []);
    sources.scan_all();
    fs::write(&edited, "aa").unwrap();
    fs::remove_file(&deleted).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("d.yaml"), "d").unwrap();
    let scan = sources.scan_paths(&BTreeSet::from([edited.clone(), deleted.clone(), folder.clone()]));
    assert_eq!(names(&scan), ["a.yaml", "b.yaml", "d.yaml"]);
    assert_eq!(text(&scan, &edited), "aa");
    assert_eq!(scan.changes[&deleted], Found::Gone);
}

#[test]
fn a_name_that_is_not_utf8_is_a_problem_and_goes_no_further() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(OsStr::from_bytes(b"team-\xff"));
    let (bad, inner) = (dir.path().join(OsStr::from_bytes(b"a\xff.yaml")), folder.join("b.yaml"));
    // It looks the same, but is another file.
    let twin = dir.path().join("a\u{fffd}.yaml");
    fs::create_dir(&folder).unwrap();
    for path in [&bad, &inner, &twin] {
        fs::write(path, "a").unwrap();
    }
    let mut sources = Sources::new(vec![dir.path().to_owned()], []);
    let scan = sources.scan_all();
    assert_eq!(scan.changes.len(), 3);
    assert_eq!(text(&scan, &twin), "a");
    for path in scan.changes.keys().filter(|path| **path != twin) {
        let problem = problem(&scan, path);
        assert_eq!(problem.code, "unreadable-file");
        // What serde refuses would end in a panic.
        serde_json::to_string(&problem).unwrap();
        serde_json::to_string(path).unwrap();
    }
    fs::remove_file(&bad).unwrap();
    let scan = sources.scan_paths(&BTreeSet::from([bad]));
    assert_eq!(scan.changes.into_iter().collect::<Vec<_>>(), [(key_of(&twin), Found::Gone)]);
    fs::remove_dir_all(&folder).unwrap();
    let scan = sources.scan_all();
    assert_eq!(scan.changes.len(), 1);
    assert!(scan.changes.keys().all(|path| path.to_str().is_some() && *path != twin));
}

fn key_of(twin: &Path) -> PathBuf {
    PathBuf::from(format!("{}{MISNAMED}", twin.display()))
}

#[test]
fn what_is_looked_at_again_is_still_missed_when_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, "a").unwrap();
    let mut sources = Sources::new(vec![dir.path().to_owned()], []);
    sources.scan_all();
    assert!(sources.scan_all().changes.is_empty());
    sources.forget(&path);
    assert_eq!(names(&sources.scan_paths(&BTreeSet::from([path.clone()]))), ["a.yaml"]);
    sources.forget(&path);
    fs::remove_file(&path).unwrap();
    assert_eq!(sources.scan_all().changes[&path], Found::Gone);
}
