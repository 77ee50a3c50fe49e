//! Every place where something becomes durable: a process is killed there (SIGKILL), or the disk refuses there. What is
//! left is the old state or the new one, of exactly one passphrase.

use std::{
    cell::Cell,
    env, io,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    rc::Rc,
};

use osmoda_failpoint::simulated::{self, Action};
use rustix::process::{Signal, getpid, kill_process};

use super::*;

const STORIES: [&str; 6] = ["init", "create", "import", "destroy", "rotate", "recover"];

/// What is there before a story.
fn prepare(story: &str) -> TempDir {
    if story == "init" {
        return folder();
    }
    let folder = two_wallets();
    if story == "recover" {
        // A key that was not kept, one that was half destroyed, and a rotation that was cut off.
        let staged = folder.path().join("keys.new");
        rotate(&open(folder.path(), OLD).unwrap(), OLD, NEW).unwrap();
        fs::create_dir(&staged).unwrap();
        fs::set_permissions(&staged, fs::Permissions::from_mode(0o700)).unwrap();
        for (from, to) in [
            ("vault", "keys.new/vault"),
            ("eth.key", "keys.new/eth.key"),
            ("sol.key", "keys.new/sol.key"),
            ("eth.key", "keys/.eth.new"),
            ("sol.key", "keys/.other.gone"),
        ] {
            fs::copy(folder.path().join("keys").join(from), folder.path().join(to)).unwrap();
        }
    }
    folder
}

fn tell(story: &str, folder: &Path) -> Result<(), VaultError> {
    match story {
        "init" => init(folder, OLD),
        "create" => open(folder, OLD)?.create(&name("new"), Chain::Solana, &mut system_entropy).map(drop),
        "import" => open(folder, OLD)?.import(&name("new"), &secret(Chain::Ethereum, 0x33)).map(drop),
        "destroy" => open(folder, OLD)?.destroy(&name("eth")),
        "rotate" => rotate(&open(folder, OLD)?, OLD, NEW),
        _ => open(folder, NEW).map(drop),
    }
}

/// Opens what a story has left, and tells whether it has happened.
fn check(story: &str, folder: &Path) -> bool {
    let opens = |key: &u8| match open(folder, *key) {
        Ok(_) => true,
        Err(VaultError::Missing(_)) if story == "init" => false,
        Err(VaultError::Passphrase { hint, .. }) => {
            assert!(hint.is_none() || story == "rotate");
            false
        }
        Err(error) => panic!("{story}: {error}"),
    };
    let good: Vec<u8> = [OLD, NEW].into_iter().filter(opens).collect();
    if story == "init" && good.is_empty() {
        init(folder, OLD).unwrap();
        assert_eq!(contents(&open(folder, OLD).unwrap()), BTreeMap::new());
        return false;
    }
    let [key] = good[..] else { panic!("{story}: {good:?} open it") };
    let vault = open(folder, key).unwrap();
    assert_eq!(files(folder), ["keys"]);
    let left = files(&folder.join("keys"));
    assert!(!left.iter().any(|file| file.starts_with('.')), "{left:?}");
    let mut wallets = contents(&vault);
    let happened = match story {
        "create" | "import" => wallets.remove("new").is_some(),
        "destroy" => wallets.insert("eth".to_owned(), 0x11).is_none(),
        "init" => {
            assert_eq!(wallets, BTreeMap::new());
            return true;
        }
        _ => key == NEW,
    };
    assert_eq!(wallets, BTreeMap::from([("eth".to_owned(), 0x11), ("sol".to_owned(), 0x22)]));
    drop(vault);
    // What did not happen can be done now, and what did is not done twice.
    match (story, tell(story, folder)) {
        ("recover", result) => result.unwrap(),
        (_, result) => assert_eq!(result.is_ok(), !happened, "{story}: {result:?}"),
    }
    happened
}

/// Does something at the place with that number, and tells what was passed.
fn at(place: usize, what: impl Fn(&str, usize) -> Action + 'static) -> Rc<Cell<usize>> {
    let passed = Rc::new(Cell::new(0));
    let count = Rc::clone(&passed);
    simulated::set(Some(Rc::new(move |side, _, _| {
        let this = count.replace(count.get() + 1);
        if this >= place { what(side, this) } else { Action::Pass }
    })));
    passed
}

#[test]
#[ignore = "it is the process that the next test starts and kills"]
fn child() {
    let get = |name: &str| env::var(name).unwrap();
    let place: usize = get("OSMODA_PLACE").parse().unwrap();
    at(place, |_, _| {
        kill_process(getpid(), Signal::KILL).unwrap();
        unreachable!("nobody survives SIGKILL")
    });
    tell(&get("OSMODA_STORY"), Path::new(&get("OSMODA_FOLDER"))).unwrap();
}

#[test]
fn killed_at_any_place_it_is_as_before_or_as_after() {
    for story in STORIES {
        let (mut before, mut after) = (0, 0);
        for place in 0.. {
            let folder = prepare(story);
            let status = Command::new(env::current_exe().unwrap())
                .args(["--exact", "vault::tests::killed::child", "--ignored", "--test-threads=1"])
                .env("OSMODA_STORY", story)
                .env("OSMODA_FOLDER", folder.path())
                .env("OSMODA_PLACE", place.to_string())
                .stdout(Stdio::null())
                .status()
                .unwrap();
            if status.success() {
                assert!(check(story, folder.path()), "{story} ended, and did not happen");
                break;
            }
            assert_eq!(status.signal(), Some(9), "{story} at place {place}");
            if check(story, folder.path()) { after += 1 } else { before += 1 }
        }
        println!("{story}: killed {} times, {before} before it happened", before + after);
        let (least_before, least_after) = match story {
            "rotate" => (10, 10),
            "destroy" => (1, 5),
            // Of a recovery nobody sees more than that it is done.
            "recover" => (0, 20),
            _ => (3, 2),
        };
        assert!(before >= least_before && after >= least_after, "{story}: {before} before, {after} after");
    }
}

#[test]
fn when_the_disk_refuses_once_or_from_then_on_it_is_as_before_or_as_after() {
    for story in STORIES {
        for from_then_on in [false, true] {
            let mut refused = 0;
            for place in 0.. {
                let folder = prepare(story);
                let passed = at(place, move |side, this| match side {
                    "before" if this == place || from_then_on => {
                        Action::Fail(io::Error::from(io::ErrorKind::StorageFull))
                    }
                    _ => Action::Pass,
                });
                let told = tell(story, folder.path());
                simulated::set(None);
                if passed.get() <= place {
                    told.unwrap();
                    assert!(check(story, folder.path()));
                    break;
                }
                refused += usize::from(told.is_err());
                let happened = check(story, folder.path());
                assert!(told.is_err() || happened, "{story} at {place}: it said that it was done");
            }
            assert!(refused >= 3, "{story}: the disk refused {refused} times");
        }
    }
}

/// From a place on the disk is full.
fn disk_full_at(place: usize) -> Rc<Cell<usize>> {
    at(place, |side, _| match side {
        "before" => Action::Fail(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Action::Pass,
    })
}

#[test]
fn a_process_that_lives_on_after_the_disk_refused_goes_on_with_what_is_in_force() {
    let mut committed = 0;
    for (place, rotates_again) in (0..).flat_map(|place| [(place, false), (place, true)]) {
        let folder = two_wallets();
        let vault = open(folder.path(), OLD).unwrap();
        let passed = disk_full_at(place);
        let told = rotate(&vault, OLD, NEW);
        simulated::set(None);
        if passed.get() <= place {
            told.unwrap();
            break;
        }
        let mut key = match told {
            Ok(()) | Err(VaultError::Rotated(_)) => NEW,
            Err(_) => OLD,
        };
        committed += usize::from(told.is_err() && key == NEW);
        if rotates_again {
            rotate(&vault, key, 3).unwrap();
            key = 3;
        }
        // A key that is made now, and one that is destroyed, are so under whatever passphrase is in force.
        vault.create(&name("later"), Chain::Solana, &mut system_entropy).unwrap();
        vault.destroy(&name("eth")).unwrap();
        assert_eq!(files(folder.path()), ["keys"], "the destroyed key is still under the old passphrase");
        drop(vault);
        let vault = open(folder.path(), key).unwrap();
        assert_eq!(contents(&vault).keys().collect::<Vec<_>>(), ["later", "sol"]);
    }
    assert!(committed >= 6, "{committed}");
}

#[test]
fn a_passphrase_that_a_cut_off_rotation_has_to_do_with_is_told_so() {
    let hint = |folder: &Path, key| match open(folder, key) {
        Err(VaultError::Passphrase { hint, .. }) => hint.unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    let mut seen = [false; 2];
    for place in 0.. {
        let folder = two_wallets();
        let vault = open(folder.path(), OLD).unwrap();
        let passed = disk_full_at(place);
        let told = rotate(&vault, OLD, NEW);
        simulated::set(None);
        drop(vault);
        if passed.get() <= place {
            break;
        }
        // It is known while both headers are there: what will be is written header last, what was is erased header first.
        match told {
            Err(VaultError::Rotated(_)) => seen[1] |= hint(folder.path(), OLD).contains("before the last rotation"),
            _ => seen[0] |= hint(folder.path(), NEW).contains("cut off"),
        }
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn nothing_is_in_force_or_erased_before_what_it_goes_by_is_durable() {
    use std::cell::RefCell;
    let folder = two_wallets();
    let log = Rc::new(RefCell::new(Vec::new()));
    let noted = |what: &dyn Fn()| {
        let into = Rc::clone(&log);
        simulated::set(Some(Rc::new(move |side, point, detail| {
            let detail = detail.to_string();
            let last = detail.rsplit('/').next().unwrap_or_default();
            into.borrow_mut().push(format!("{side} {} {last}", point.trim_start_matches("vault.")));
            Action::Pass
        })));
        what();
        simulated::set(None);
        log.take()
    };
    let vault = open(folder.path(), OLD).unwrap();
    let root = folder.path().file_name().unwrap().to_str().unwrap();
    let made = noted(&|| drop(vault.import(&name("new"), &secret(Chain::Solana, 5)).unwrap()));
    assert_eq!(
        made,
        [
            "before write .new.new",
            "after write .new.new",
            "before rename new.key",
            "after rename new.key",
            "before sync keys",
        ]
    );
    let destroyed = noted(&|| vault.destroy(&name("new")).unwrap());
    assert_eq!(
        destroyed,
        [
            "before rename .new.gone",
            "after rename .new.gone",
            "before sync keys",
            "before erase .new.gone",
            "after erase .new.gone",
            "before unlink .new.gone",
            "after unlink .new.gone",
            "before sync keys",
        ]
    );
    let rotated = noted(&|| rotate(&vault, OLD, NEW).unwrap());
    let at =
        |what: &str| rotated.iter().position(|step| step == what).unwrap_or_else(|| panic!("{what}: {rotated:#?}"));
    let exchanged = at("before exchange keys");
    for file in ["vault", "eth.key", "sol.key"] {
        assert!(at(&format!("after write {file}")) < at("before sync keys.new"));
        assert!(at(&format!("before erase {file}")) > exchanged + 2);
    }
    assert_eq!(rotated[exchanged - 1], "before sync keys.new");
    assert_eq!(rotated[exchanged + 1], "after exchange keys");
    assert_eq!(rotated[exchanged + 2], format!("before sync {root}"));
    assert_eq!(rotated[exchanged + 3], "before erase vault");
}
