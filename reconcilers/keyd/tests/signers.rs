//! Two signers, one of them in another process, behind a real socket; and others that are slow, broken, or lie.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock, Mutex},
    thread,
    time::Duration,
};

use osmoda_keyd::{
    key::{MOST_MESSAGE, Payload, SignError, Signed},
    signer::{DEADLINE, FileSigner, RemoteSigner, SignerBackend, SignerError, serve, serve_one},
    vault::{Cost, Passphrase, Secret, Vault},
    wallet::{Chain, WalletId},
};
use rustix::{
    net::{AddressFamily, Shutdown, SocketAddrUnix, SocketType, bind, listen, shutdown, socket},
    process::geteuid,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

const SOON: Duration = Duration::from_millis(300);

fn passphrase() -> Passphrase {
    Passphrase::new(Zeroizing::new(b"a passphrase of tests".to_vec())).unwrap()
}

fn uid() -> u32 {
    geteuid().as_raw()
}

/// A vault with the wallets `eth` and `sol`, made once: Argon2id takes its time.
fn make(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    Vault::init(folder, &passphrase(), Cost::default()).unwrap();
    let vault = Vault::open(folder, &passphrase(), Duration::ZERO).unwrap();
    vault.import(&"eth".parse().unwrap(), &Secret::from_bytes(Chain::Ethereum, &[0x46; 32]).unwrap()).unwrap();
    vault.import(&"sol".parse().unwrap(), &Secret::from_bytes(Chain::Solana, &[0x22; 32]).unwrap()).unwrap();
}

struct Shared {
    _folder: TempDir,
    signer: FileSigner,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let vault = Vault::open(folder.path(), &passphrase(), Duration::from_secs(60)).unwrap();
    Shared { _folder: folder, signer: FileSigner::new(Arc::new(vault)) }
});

fn wallets() -> [WalletId; 2] {
    SHARED.signer.wallets().unwrap().try_into().unwrap()
}

/// A listener, and a signer that asks it.
fn pair(deadline: Duration) -> (TempDir, UnixListener, RemoteSigner) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    (folder, listener, RemoteSigner::new(path, uid()).within(deadline))
}

/// What a remote signer makes of somebody who does this with each connection.
fn against<T>(
    deadline: Duration,
    answer: impl Fn(UnixStream) + Send + Sync,
    ask: impl FnOnce(&RemoteSigner) -> T,
) -> T {
    let (_folder, listener, remote) = pair(deadline);
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            while let Ok((stream, _)) = listener.accept() {
                answer(stream);
            }
        });
        let asked = ask(&remote);
        shutdown(&listener, Shutdown::Both).unwrap();
        answering.join().unwrap();
        asked
    })
}

fn question(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
    stream.read_exact(&mut body).unwrap();
    body
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

#[test]
#[ignore = "it is the signer in another process that the next test starts"]
fn child() {
    let folder = PathBuf::from(env::var("OSMODA_SIGNER").unwrap());
    make(&folder);
    let vault = Vault::open(&folder, &passphrase(), Duration::from_secs(60)).unwrap();
    let listener = UnixListener::bind(folder.join("bound.sock")).unwrap();
    fs::rename(folder.join("bound.sock"), folder.join("signer.sock")).unwrap();
    panic!("{}", serve(&listener, &FileSigner::new(Arc::new(vault)), uid(), DEADLINE, &|error| panic!("{error}")));
}

/// A process that does not outlive the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_signer_in_another_process_signs_as_the_one_here() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("signer.sock");
    let mut child = Ended(
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored"])
            .env("OSMODA_SIGNER", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    while !socket.exists() {
        assert!(child.0.try_wait().unwrap().is_none(), "it ended");
        thread::sleep(Duration::from_millis(5));
    }
    let remote = RemoteSigner::new(socket.clone(), uid());
    let here = &SHARED.signer;
    assert_eq!(remote.wallets().unwrap(), wallets());
    let [eth, sol] = wallets();
    let long = vec![7; MOST_MESSAGE];
    for (wallet, what) in [
        (&eth, Payload::Hash([1; 32])),
        (&eth, Payload::Hash([0xff; 32])),
        (&sol, Payload::Message(b"")),
        (&sol, Payload::Message(b"words")),
        (&sol, Payload::Message(&long)),
    ] {
        let signed = here.sign(wallet, &what).unwrap();
        wallet.public.verify(&what, &signed).unwrap();
        assert_eq!(remote.sign(wallet, &what).unwrap(), signed);
    }
    // Both refuse the same.
    let signers: [&dyn SignerBackend; 2] = [here, &remote];
    for signer in signers {
        let unknown = WalletId { name: "none".parse().unwrap(), public: eth.public };
        let other = WalletId { name: sol.name.clone(), public: eth.public };
        let hash = Payload::Hash([1; 32]);
        assert!(matches!(signer.sign(&unknown, &hash), Err(SignerError::NoWallet(name)) if name == unknown.name));
        assert!(matches!(signer.sign(&other, &hash), Err(SignerError::OtherKey(name)) if name == sol.name));
        assert!(matches!(signer.sign(&sol, &hash), Err(SignerError::Sign(SignError::Payload(Chain::Solana)))));
        let message = Payload::Message(b"x");
        assert!(matches!(signer.sign(&eth, &message), Err(SignerError::Sign(SignError::Payload(Chain::Ethereum)))));
        let longer = vec![7; MOST_MESSAGE + 1];
        let refused = signer.sign(&sol, &Payload::Message(&longer));
        assert!(matches!(refused, Err(SignerError::Sign(SignError::TooLong(_)))), "{}", signer.describe());
    }
    // Somebody else at the socket is told nothing.
    let expecting = RemoteSigner::new(socket, uid() + 1);
    let hash = Payload::Hash([1; 32]);
    assert!(matches!(expecting.sign(&eth, &hash), Err(SignerError::Peer { found, .. }) if found == uid()));
    drop(child);
    // It is gone, and it is said at once.
    assert!(matches!(remote.sign(&eth, &hash), Err(SignerError::Io(_))));
}

#[test]
fn a_signer_that_lies_is_found_out() {
    let [eth, sol] = wallets();
    let hash = Payload::Hash([1; 32]);
    let message = Payload::Message(b"words");
    let encoded = |signed: &Signed| match signed {
        Signed::Secp256k1(signature) => [&[1, 2][..], &signature.to_bytes()].concat(),
        Signed::Ed25519(signature) => [&[1, 2][..], signature].concat(),
    };
    let of = |wallet: &WalletId, what: &Payload<'_>| encoded(&SHARED.signer.sign(wallet, what).unwrap());
    let (good_eth, good_sol) = (of(&eth, &hash), of(&sol, &message));
    // Of another hash or message, by another key, of the other curve, with a bit changed, the parity, the higher s.
    let other = |chain| Secret::from_bytes(chain, &[9; 32]).unwrap();
    let mut lies = vec![
        (&eth, hash, of(&eth, &Payload::Hash([2; 32]))),
        (&sol, message, of(&sol, &Payload::Message(b"word"))),
        (&eth, hash, good_sol.clone()),
        (&sol, message, good_eth.clone()),
    ];
    for (wallet, what, good) in [(&eth, hash, &good_eth), (&sol, message, &good_sol)] {
        for at in [2, 20, 40, 60] {
            let mut lie = good.clone();
            lie[at] ^= 1;
            lies.push((wallet, what, lie));
        }
    }
    let mut parity = good_eth.clone();
    parity[66] ^= 27 ^ 28;
    lies.push((&eth, hash, parity));
    for (wallet, what, lie) in lies {
        let lie = &lie;
        let told = against(
            DEADLINE,
            |mut stream| {
                question(&mut stream);
                stream.write_all(&frame(lie)).unwrap();
            },
            |remote| remote.sign(wallet, &what),
        );
        assert!(matches!(&told, Err(SignerError::Lie(name)) if *name == wallet.name), "{told:?}");
    }
    // The same way the truth is taken.
    let told = against(
        DEADLINE,
        |mut stream| {
            question(&mut stream);
            stream.write_all(&frame(&good_eth)).unwrap();
        },
        |remote| remote.sign(&eth, &hash),
    );
    assert_eq!(encoded(&told.unwrap()), good_eth);
    // A key that the caller does not mean is refused by an honest one, too.
    let theirs = WalletId { name: eth.name.clone(), public: other(Chain::Ethereum).public() };
    assert!(matches!(SHARED.signer.sign(&theirs, &hash), Err(SignerError::OtherKey(_))));
}

#[test]
fn answers_that_are_no_answers_are_refused() {
    let [eth, _] = wallets();
    let hash = Payload::Hash([1; 32]);
    let good = match SHARED.signer.sign(&eth, &hash).unwrap() {
        Signed::Secp256k1(signature) => frame(&[&[1, 2][..], &signature.to_bytes()].concat()),
        Signed::Ed25519(_) => unreachable!(),
    };
    let mut high = good.clone();
    // s above half of the order.
    high[4 + 2 + 32] = 0xff;
    let mut answers: Vec<Vec<u8>> = (0..good.len()).map(|cut| good[..cut].to_vec()).collect();
    answers.extend([
        high,
        frame(&[1, 1, 0, 0]),
        frame(&[2, 2]),
        frame(&[1, 3]),
        frame(&[1, 3, 3, b'\n']),
        frame(&[1, 3, 3, 0x1b, b'[']),
        frame(&[&[1, 3, 3][..], &[b'x'; 513]].concat()),
        frame(&[good[4..].to_vec(), vec![0]].concat()),
        vec![0; 4],
        vec![0xff; 100_000],
        [&65_537_u32.to_be_bytes()[..], &[0; 65_537]].concat(),
    ]);
    for answer in answers {
        let answer = &answer;
        let told = against(
            DEADLINE,
            |mut stream| {
                question(&mut stream);
                // Whoever asked may have gone.
                let _ = stream.write_all(answer);
            },
            |remote| remote.sign(&eth, &hash),
        );
        // A connection that is closed with something unread is reset.
        assert!(matches!(told, Err(SignerError::Protocol(_) | SignerError::Io(_))), "{told:?} to {answer:?}");
    }
    let told = against(
        DEADLINE,
        |mut stream| {
            question(&mut stream);
            stream.write_all(&frame(b"\x01\x03\x03it is night")).unwrap();
        },
        |remote| remote.sign(&eth, &hash),
    );
    assert!(matches!(told, Err(SignerError::Refused(reason)) if reason == "it is night"));
}

#[test]
fn a_signer_that_takes_its_time_is_left() {
    let [eth, _] = wallets();
    let hash = Payload::Hash([1; 32]);
    let held = Mutex::new(Vec::new());
    let told = against(SOON, |stream| held.lock().unwrap().push(stream), |remote| remote.sign(&eth, &hash));
    assert!(matches!(told, Err(SignerError::TimedOut)), "{told:?}");
    // One that is never silent for long comes to no end either.
    let told = against(
        SOON,
        |mut stream| {
            question(&mut stream);
            let answer = frame(&[0; 1000]);
            for byte in answer {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        },
        |remote| remote.sign(&eth, &hash),
    );
    assert!(matches!(told, Err(SignerError::TimedOut)), "{told:?}");
    // Nor one that takes no connections.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer.sock");
    let full = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&full, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&full, 0).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let told = RemoteSigner::new(path, uid()).within(SOON).sign(&eth, &hash);
    assert!(matches!(told, Err(SignerError::TimedOut)), "{told:?}");
}

/// What [`serve_one`] says of a caller, and what the caller gets.
fn served(uid: u32, said: &[u8], deadline: Duration) -> (Result<(), SignerError>, Vec<u8>) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(move || serve_one(theirs, &SHARED.signer, uid, deadline));
        let _ = ours.write_all(said);
        let mut got = Vec::new();
        let _ = ours.read_to_end(&mut got);
        (serving.join().unwrap(), got)
    })
}

#[test]
fn callers_that_do_not_keep_to_the_protocol_get_no_answer() {
    LazyLock::force(&SHARED);
    let list = frame(&[1, 1]);
    let (told, got) = served(uid(), &list, DEADLINE);
    // The frame's length, three bytes and a byte of count, and both wallets.
    assert!(told.is_ok() && got.len() == 4 + 4 + (4 + 34) + (4 + 33), "{told:?} {got:?}");
    let (told, got) = served(uid() + 1, &list, DEADLINE);
    assert!(matches!(told, Err(SignerError::Peer { .. })) && got.is_empty());
    for said in [&[0; 4][..], &[0xff; 70_000], &frame(&[1, 9]), &frame(&[2, 1]), &frame(&[1, 1, 0]), &frame(&[1, 2, 3])]
    {
        let (told, got) = served(uid(), said, DEADLINE);
        assert!(matches!(told, Err(SignerError::Protocol(_))) && got.is_empty(), "{told:?}");
    }
    let (told, got) = served(uid(), &list[..5], SOON);
    assert!(matches!(told, Err(SignerError::TimedOut)) && got.is_empty());
}

#[test]
fn many_callers_at_once_are_all_answered_or_turned_away() {
    let (_folder, listener, remote) = pair(DEADLINE);
    let [_, sol] = wallets();
    let errors = Mutex::new(Vec::new());
    let answered = thread::scope(|scope| {
        let serving = scope.spawn(|| {
            serve(&listener, &SHARED.signer, uid(), DEADLINE, &|error| errors.lock().unwrap().push(error.to_string()))
        });
        let callers: Vec<_> = (0..40_u8)
            .map(|n| {
                let (remote, sol) = (&remote, &sol);
                scope.spawn(move || match remote.sign(sol, &Payload::Message(&[n])) {
                    Ok(signed) => {
                        sol.public.verify(&Payload::Message(&[n]), &signed).unwrap();
                        true
                    }
                    Err(SignerError::Protocol(_) | SignerError::Io(_)) => false,
                    Err(error) => panic!("{error}"),
                })
            })
            .collect();
        let answered = callers.into_iter().map(|caller| caller.join().unwrap()).filter(|ok| *ok).count();
        shutdown(&listener, Shutdown::Both).unwrap();
        assert_eq!(serving.join().unwrap().kind(), std::io::ErrorKind::InvalidInput);
        answered
    });
    let turned_away = errors.into_inner().unwrap();
    assert!(answered >= 16 && turned_away.iter().all(|error| error.contains("too many")), "{turned_away:?}");
    assert_eq!(answered + turned_away.len(), 40);
}
