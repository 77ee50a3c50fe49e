//! A daemon of its own, generations to put in force, and callers of several users.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use osmoda_ipc::{Client, ClientError};
use osmoda_schemas::{
    operation::{Nothing, Op},
    ops::keyd::{ListWallets, Order, Sign, SignRequest, Signature, WalletView},
    problem::Problem,
};
use rustix::{process::Uid, thread::set_thread_res_uid};
use serde_json::{Value, json};

/// A user of no name.
pub const AGENT: u32 = 4711;

/// A daemon in a folder of its own.
pub struct World {
    pub folder: tempfile::TempDir,
    daemon: Option<Child>,
    generations: std::sync::atomic::AtomicU32,
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

impl World {
    /// A daemon that nothing is in force for yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("secret")).unwrap();
        fs::write(at("secret/passphrase"), "correct horse battery staple\n").unwrap();
        fs::set_permissions(at("secret/passphrase"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(at("state")).unwrap();
        fs::write(at("agentd.yaml"), format!("authors:\n- user: {AGENT}\n  kinds: [App]\n")).unwrap();
        let mut world = Self { folder, daemon: None, generations: Default::default() };
        world.start();
        world
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osmoda-keyd"));
        command.arg("--socket").arg(self.at("keyd.sock")).arg("--state-dir").arg(self.at("state"));
        command.arg("--passphrase-file").arg(self.at("secret/passphrase")).arg("--config").arg(self.at("agentd.yaml"));
        command
    }

    pub fn start(&mut self) {
        let socket = self.at("keyd.sock");
        let _ = fs::remove_file(&socket);
        self.daemon = Some(self.command().spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "keyd does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whoever connects is told apart by the daemon, not by the socket's mode.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    }

    /// Puts another passphrase in the place of the one that the vault goes by; false: that was refused.
    pub fn rotate(&self, to: &str) -> bool {
        self.command().arg("--rotate-to").arg(self.at(to)).status().unwrap().success()
    }

    /// What it says when it does not start.
    pub fn start_refused(&self) -> String {
        let output = self.command().env("OSMODA_LOG", "error").output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Puts wallets and policies in force, each a name and a `spec`.
    pub fn activate(&self, wallets: &[(&str, Value)], policies: &[(&str, Value)]) -> PathBuf {
        let number = self.generations.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let generation = self.at(&format!("generation-{number}"));
        for (folder, all) in [("wallets", wallets), ("policies", policies)] {
            let folder = generation.join("etc/keyd").join(folder);
            fs::create_dir_all(&folder).unwrap();
            for (name, spec) in all {
                fs::write(folder.join(format!("{name}.json")), json!({ "name": name, "spec": spec }).to_string())
                    .unwrap();
            }
        }
        self.put_in_force(&generation);
        generation
    }

    /// Puts a generation in force, also one of before.
    pub fn put_in_force(&self, generation: &PathBuf) {
        let new = self.at("generation.new");
        symlink(generation, &new).unwrap();
        fs::rename(new, self.at("generation")).unwrap();
    }

    pub fn call<O: Op>(&self, request: &O::Request) -> Result<O::Response, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(self.at("keyd.sock"));
        runtime.block_on(client.call::<O>(request)).map_err(ClientError::into_problem)
    }

    /// The same call by another user: SO_PEERCRED tells of the thread that connects.
    pub fn call_as<O: Op>(&self, uid: u32, request: &O::Request) -> Result<O::Response, Problem>
    where
        O::Request: Sync,
    {
        std::thread::scope(|scope| {
            let call = || {
                let uid = Uid::from_raw(uid);
                set_thread_res_uid(uid, uid, uid).unwrap();
                self.call::<O>(request)
            };
            scope.spawn(call).join().unwrap()
        })
    }

    pub fn sign(&self, uid: u32, wallet: &str, order: &Order) -> Result<Signature, Problem> {
        let request = SignRequest { wallet: wallet.parse().unwrap(), order: order.clone() };
        if uid == 0 { self.call::<Sign>(&request) } else { self.call_as::<Sign>(uid, &request) }
    }

    /// The wallet of that name once it has a key.
    pub fn wallet(&self, name: &str) -> WalletView {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let wallets = self.call::<ListWallets>(&Nothing {}).unwrap().wallets;
            if let Some(wallet) = wallets.into_iter().find(|w| w.name.as_str() == name && w.address.is_some()) {
                return wallet;
            }
            assert!(Instant::now() < until, "no key is made");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A transfer of coins on Ethereum's own chain; the fee is at most 0.00042.
pub fn transfer(to: &str, amount: &str, nonce: u64) -> Order {
    serde_json::from_value(json!({
        "type": "transfer", "to": to, "amount": amount,
        "gas": { "chainId": 1, "nonce": nonce, "maxFee": "20000000000", "priorityFee": "1000000000" },
    }))
    .unwrap()
}

/// The code of a refusal, and that its words have all of these in them.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, words: &[&str]) -> String {
    let problem = result.unwrap_err();
    let all = format!("{} {}", problem.detail, problem.hint.as_deref().unwrap_or_default());
    words.iter().for_each(|word| assert!(all.contains(word), "`{word}` is not in: {all}"));
    problem.code
}
