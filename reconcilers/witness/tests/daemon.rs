//! The daemon, a process of its own, asked over its socket.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use osmoda_ipc::{Client, ClientError};
use osmoda_ledger::{
    Event, Ledger, PublicKey, Trust, keep_cosignature, log_key, to_cosign, trust_witness, verify_with,
};
use osmoda_schemas::{
    operation::Nothing,
    ops::witness::{AddCheckpoint, AddCheckpointRequest, AddLog, GetWitnessKey, Key, ListWitnessedLogs},
};

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> Daemon {
    let socket = folder.join("witness.sock");
    let _ = std::fs::remove_file(&socket);
    let mut command = Command::new(env!("CARGO_BIN_EXE_osmoda-witness"));
    command.arg("--socket").arg(&socket).arg("--state-dir").arg(folder.join("witness"));
    let daemon = Daemon(command.spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(20);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < until, "the witness does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon
}

async fn append(folder: &Path, events: i32) {
    let ledger = Ledger::open(folder).unwrap();
    for n in 0..events {
        ledger.append(Event::new("t", "test", serde_json::json!(n))).await.unwrap();
    }
    ledger.checkpoint().await.unwrap();
}

fn code(answer: Result<impl Sized, ClientError>) -> (u16, String) {
    let problem = answer.err().unwrap().into_problem();
    (problem.status, problem.code)
}

#[tokio::test]
async fn it_cosigns_remembers_and_refuses() {
    let me = std::fs::metadata("/proc/self").map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap();
    if me != 0 {
        println!("SKIPPED: the witness answers root only");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    append(&ledger, 5).await;
    let daemon = start(dir.path());
    let client = Client::new(dir.path().join("witness.sock"));
    let witness = client.call::<GetWitnessKey>(&Nothing {}).await.unwrap().key;
    assert!(trust_witness(&ledger, &witness).unwrap());
    let key = PublicKey::parse(&witness).unwrap();
    let request = |known| {
        let proof = to_cosign(&ledger, &key, known).unwrap().unwrap();
        AddCheckpointRequest { old: proof.old, proof: proof.hashes, checkpoint: proof.checkpoint }
    };
    let first = request(0);
    assert_eq!(code(client.call::<AddCheckpoint>(&first).await), (404, "unknown-log".to_owned()));
    let log = Key { key: log_key(&ledger).unwrap().to_string() };
    assert_eq!(client.call::<AddLog>(&log).await.unwrap().key, witness);
    let line = client.call::<AddCheckpoint>(&first).await.unwrap().cosignature;
    keep_cosignature(&ledger, &first.checkpoint, &line, &key).unwrap();

    append(&ledger, 4).await;
    let forged = AddCheckpointRequest { checkpoint: first.checkpoint.replace("\n5\n", "\n7\n"), ..request(5) };
    assert_eq!(code(client.call::<AddCheckpoint>(&forged).await), (403, "unsigned-checkpoint".to_owned()));
    let unproved = AddCheckpointRequest { proof: Vec::new(), ..request(5) };
    assert_eq!(code(client.call::<AddCheckpoint>(&unproved).await), (422, "inconsistent-checkpoint".to_owned()));
    let nonsense = AddCheckpointRequest { checkpoint: String::new(), ..request(5) };
    assert_eq!(code(client.call::<AddCheckpoint>(&nonsense).await), (400, "malformed-checkpoint".to_owned()));

    // Killed: what it has cosigned it remembers.
    drop(daemon);
    let _daemon = start(dir.path());
    assert_eq!(client.call::<GetWitnessKey>(&Nothing {}).await.unwrap().key, witness);
    let refused = client.call::<AddCheckpoint>(&AddCheckpointRequest { old: 0, ..request(5) }).await;
    let problem = refused.unwrap_err().into_problem();
    assert_eq!((problem.status, problem.code.as_str()), (409, "other-size"));
    assert!(problem.hint.unwrap().contains("`old: 5`"));
    let next = request(5);
    let line = client.call::<AddCheckpoint>(&next).await.unwrap().cosignature;
    keep_cosignature(&ledger, &next.checkpoint, &line, &key).unwrap();
    let logs = client.call::<ListWitnessedLogs>(&Nothing {}).await.unwrap().logs;
    assert_eq!((logs.len(), logs[0].size), (1, 9));
    let trust = Trust { seen: vec![logs[0].checkpoint.clone()], witnesses: vec![witness], ..Trust::default() };
    let report = verify_with(&ledger, &trust).unwrap();
    assert_eq!((report.is_whole(), report.cosigned_until), (true, Some(9)), "{report:?}");
}
