//! What a program can do and see, asked from inside its unit.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    Case,
    inside::{Seen, UNIT, look},
    quick,
};
use crate::{Host, wait};

/// A port that another service of the machine listens on.
const PORT: u16 = 18_080;
/// An address of the machine that is not a loopback one.
const ADDRESS: &str = "198.51.100.7";

/// The suite.
pub fn cases() -> Vec<Case> {
    let case = Case::better_whole;
    let whole = Case::whole;
    vec![
        case("sandbox: tier 1 writes only what is its own", tier_1_writes),
        case("sandbox: tier 1 does not see what belongs to others", tier_1_sees),
        case("sandbox: tier 1 gains no privileges", tier_1_privileges),
        case("sandbox: tier 1 reaches local services and no other families", tier_1_network),
        case("sandbox: declared access works, and no further", declared_access),
        case("sandbox: tier 2 has no network", tier_2_network),
        case("sandbox: tier 2 sees no other process and only its own folders", tier_2_sees),
        case("sandbox: tier 0 with the user root is not sandboxed", tier_0),
        case("sandbox: secrets arrive by credential and are nowhere else", secrets),
        // Address filters are programs of the control group, which a container may not be able to load.
        whole("sandbox: tier 1 does not leave the machine", tier_1_stays),
        whole("sandbox: the memory limit kills", memory_limit),
        whole("sandbox: the task limit refuses", task_limit),
    ]
}

fn tier_1_writes(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.sh("echo theirs > /tmp/of-the-machine; mkdir -p /srv/theirs; chmod 777 /srv/theirs")?;
    let seen = look(
        host,
        json!({ "stateDirectory": true }),
        r#"
for path in ["/usr", "/etc", "/var", "/var/lib", "/nix/store", "/srv/theirs", "/opt", "/boot", "/run", "/dev", "/home", "/root",
             "/run/user"]:
    ask("write " + path, lambda: write(path + "/by-the-sandbox"))
ask("write /etc/passwd", lambda: open("/etc/passwd", "a").close())
ask("write its files", lambda: open(sys.argv[0], "a").close())
ask("write hostname", lambda: write("/proc/sys/kernel/hostname"))
ask("write cgroup", lambda: os.mkdir("/sys/fs/cgroup/by-the-sandbox"))
ask("state", lambda: write("/var/lib/osmoda-app-inside/mine"))
ask("runtime", lambda: write("/run/osmoda-app-inside/mine"))
ask("tmp", lambda: write("/tmp/mine"))
ask("tmp lists", lambda: os.listdir("/tmp"))
ask("folder", os.getcwd)
"#,
    )?;
    seen.could_not("write ")?;
    seen.could(&["state", "runtime", "tmp"])?;
    ensure!(seen.value("tmp lists")? == "['mine']", "/tmp is not its own: {}", seen.value("tmp lists")?);
    ensure!(seen.value("folder")?.ends_with("osmoda-app-inside"), "it works in {}", seen.value("folder")?);
    let mode = host.sh("stat -Lc %a /var/lib/osmoda-app-inside; test ! -e /tmp/mine")?;
    ensure!(mode.trim() == "700", "the state directory's mode is {mode}");
    host.sh("rm -rf /tmp/of-the-machine /srv/theirs")?;
    quick::clear(host)
}

fn tier_1_sees(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.sh("mkdir -p /home/someone; for f in /home/someone/letter /root/letter; do echo dear > $f; done")?;
    host.sh("chmod -R a+rX /home/someone /root/letter; chmod 755 /root")?;
    let seen = look(
        host,
        json!({}),
        r#"
ask("home", lambda: os.listdir("/home"))
ask("root", lambda: os.listdir("/root"))
for path in ["/home/someone/letter", "/root/letter", "/etc/shadow", "/proc/1/environ", "/proc/1/cmdline", "/proc/kcore"]:
    ask("read " + path, lambda: read(path))
for path in ["/var/lib/osmoda", "/var/lib/osmoda/ledger", "/etc/osmoda", "/var/lib/private"]:
    ask("list " + path, lambda: os.listdir(path))
for path in ["/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port", "/dev/fuse", "/dev/net/tun", "/dev/vda", "/dev/loop0"]:
    ask("open " + path, lambda: os.open(path, os.O_RDONLY))
ask("pids", lambda: sorted(p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()))
ask("call osmoda", lambda: socket.socket(socket.AF_UNIX).connect("/run/osmoda/agentd.sock"))
"#,
    )?;
    ensure!(matches!(seen.answer("home")?, "yes: []" | "no: "), "/home: {}", seen.answer("home")?);
    ensure!(seen.answer("root")? == "yes: []" || seen.answer("root")?.starts_with("no"), "{}", seen.answer("root")?);
    for prefix in ["read ", "list ", "open ", "call "] {
        seen.could_not(prefix)?;
    }
    ensure!(seen.value("pids")? == "[]", "it sees the processes {}", seen.value("pids")?);
    host.sh("rm -rf /home/someone /root/letter; chmod 700 /root")?;
    quick::clear(host)
}

/// What no sandboxed program may do, whatever its tier.
const PRIVILEGES: &str = r#"
ask("uid", os.getuid)
for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]:
    ask(field, lambda: status(field))
ask("suid id", lambda: run("/usr/local/bin/id-of-root", "-u"))
ask("gain chmod", lambda: (write("/tmp/tool"), os.chmod("/tmp/tool", 0o4755)))
ask("gain setuid", lambda: os.setuid(0))
ask("gain user namespace", lambda: run("/usr/bin/unshare", "--user", "/bin/true"))
ask("gain mount namespace", lambda: run("/usr/bin/unshare", "--mount", "/bin/true"))
ask("gain mount", lambda: run("/bin/mount", "-t", "tmpfs", "none", "/tmp"))
ask("gain mount call", lambda: syscall(165, '"none"', '"/tmp"', '"tmpfs"', 0, 0))
ask("gain ptrace", lambda: syscall(101, 0, 0, 0, 0))
ask("gain bpf", lambda: syscall(321, 0, 0, 0))
ask("gain module", lambda: syscall(175, 0, 0, '""'))
ask("gain keyring", lambda: syscall(250, 3, 0, 0, 0, 0))
ask("gain clock", lambda: syscall(227, 0, '"0000000000000000"'))
ask("gain hostname", lambda: socket.sethostname("elsewhere"))
ask("gain personality", lambda: syscall(135, 0x0040000))
ask("gain realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
ask("gain chroot", lambda: os.chroot("/tmp"))
ask("gain mknod", lambda: os.mknod("/tmp/mem", 0o600 | 0o020000, os.makedev(1, 1)))
"#;

fn privileges(host: Host<'_>, tier: u8) -> Result<Seen> {
    host.sh("install -m 4755 /usr/bin/id /usr/local/bin/id-of-root")?;
    let seen = look(host, json!({ "tier": tier }), PRIVILEGES)?;
    seen.could_not("gain ")?;
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        ensure!(seen.value(field)? == "0000000000000000", "{field}: {}", seen.value(field)?);
    }
    ensure!(seen.value("NoNewPrivs")? == "1" && seen.value("Seccomp")? == "2", "{seen:?}");
    ensure!(seen.value("uid")? != "0", "it runs as root");
    let suid = seen.answer("suid id")?;
    ensure!(suid.starts_with("no") || seen.value("suid id")? == seen.value("uid")?, "a setuid program is {suid}");
    host.sh("rm /usr/local/bin/id-of-root")?;
    Ok(seen)
}

fn tier_1_privileges(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    privileges(host, 1)?;
    quick::clear(host)
}

/// Runs work while something listens on the port, at all addresses.
fn with_listener<T>(host: Host<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let script = "import socket; s = socket.create_server(('', 18080), backlog=50)\nwhile True: s.accept()[0].close()";
    host.run(&[
        "/usr/bin/systemd-run",
        "--quiet",
        "--collect",
        "--unit",
        "listener",
        "/usr/bin/python3",
        "-c",
        script,
    ])?;
    let answers = || Ok(host.end(&["/bin/bash", "-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{PORT}")])?.0 == 0);
    wait("the listener", Duration::from_secs(20), answers)?;
    let result = work();
    host.run(&["/usr/bin/systemctl", "stop", "listener"])?;
    result
}

fn tier_1_network(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let questions = r#"
ask("local", lambda: connect("127.0.0.1", 18080))
ask("unix", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
ask("family packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
ask("family netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
ask("family raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
ask("family vsock", lambda: socket.socket(socket.AF_VSOCK))
"#;
    let seen = with_listener(host, || look(host, json!({}), questions))?;
    seen.could(&["local", "unix"])?;
    seen.could_not("family ")?;
    let shown = host.run(&["/usr/bin/systemctl", "show", "-p", "IPAddressDeny", "-p", "IPAddressAllow", UNIT])?;
    ensure!(shown.contains("0.0.0.0/0") && shown.contains("127.0.0.0/8"), "{shown}");
    quick::clear(host)
}

fn tier_1_stays(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.run(&["/bin/ip", "address", "add", &format!("{ADDRESS}/32"), "dev", "lo"])?;
    let questions = format!(r#"ask("away", lambda: connect("{ADDRESS}", 18080))"#) + "\n";
    let (local, any) = with_listener(host, || {
        let local = look(host, json!({ "access": { "network": "local" } }), &questions)?;
        Ok((local, look(host, json!({ "access": { "network": "host" } }), &questions)?))
    })?;
    host.run(&["/bin/ip", "address", "delete", &format!("{ADDRESS}/32"), "dev", "lo"])?;
    local.could_not("away")?;
    any.could(&["away"])?;
    quick::clear(host)
}

fn declared_access(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    host.sh("mkdir -p /home/someone/open /home/someone/closed /srv/shared; chmod 777 /srv/shared; \
         echo hello > /home/someone/open/page; echo dear > /home/someone/closed/letter; chmod -R a+rX /home/someone")?;
    let access = json!({
        "read": ["/home/someone/open"],
        "write": ["/srv/shared"],
        "capabilities": ["CAP_NET_BIND_SERVICE"],
        "devices": ["/dev/full"],
    });
    let seen = look(
        host,
        json!({ "access": access }),
        r#"
ask("read", lambda: read("/home/someone/open/page").strip())
ask("not write what is read", lambda: write("/home/someone/open/page"))
ask("not read its neighbour", lambda: read("/home/someone/closed/letter"))
ask("write", lambda: write("/srv/shared/by-the-sandbox"))
ask("not write elsewhere", lambda: write("/srv/by-the-sandbox"))
ask("bind", lambda: socket.create_server(("127.0.0.1", 81)).close())
ask("CapEff", lambda: status("CapEff"))
ask("device", lambda: os.open("/dev/full", os.O_RDWR))
ask("not open /dev/kmsg", lambda: os.open("/dev/kmsg", os.O_WRONLY))
"#,
    )?;
    seen.could(&["write", "bind", "device"])?;
    ensure!(seen.value("read")? == "hello", "{}", seen.value("read")?);
    seen.could_not("not ")?;
    ensure!(seen.value("CapEff")? == "0000000000000400", "it has the capabilities {}", seen.value("CapEff")?);
    host.sh("test -e /srv/shared/by-the-sandbox; rm -rf /srv/shared /home/someone")?;
    quick::clear(host)
}

fn tier_2_network(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let questions = r#"
ask("reach 127.0.0.1", lambda: connect("127.0.0.1", 18080))
ask("reach ::1", lambda: connect("::1", 18080))
ask("reach datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
ask("reach osmoda", lambda: socket.socket(socket.AF_UNIX).connect("/run/osmoda/agentd.sock"))
ask("reach the bus", lambda: socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket"))
ask("interfaces", lambda: sorted(os.listdir("/sys/class/net")))
ask("namespace", lambda: os.readlink("/proc/self/ns/net"))
"#;
    let seen = with_listener(host, || look(host, json!({ "tier": 2 }), questions))?;
    seen.could_not("reach ")?;
    let ours = host.run(&["/bin/readlink", "/proc/1/ns/net"])?;
    ensure!(seen.value("namespace")? != ours.trim(), "it is in the machine's network namespace");
    // Its own declaration does not open the network either.
    let asked = json!({ "tier": 2, "access": { "network": "host" } });
    host.machine.write("/run/inside.json", &document(asked).to_string())?;
    let (status, _, problems) = host.osmoda(&["validate", "/run/inside.json"])?;
    ensure!(status == 2 && problems.contains("network"), "tier 2 may declare a network: {status} {problems}");
    quick::clear(host)
}

fn document(spec: Value) -> Value {
    let mut document = json!({
        "apiVersion": "os.moda/v1", "kind": "App", "metadata": { "name": "inside" },
        "spec": { "command": ["/bin/true"] },
    });
    for (name, value) in spec.as_object().into_iter().flatten() {
        document["spec"][name] = value.clone();
    }
    document
}

fn tier_2_sees(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    privileges(host, 2)?;
    host.sh("mkdir -p /srv/theirs; chmod 777 /srv/theirs; echo dear > /srv/theirs/letter; echo > /dev/shm/theirs")?;
    let seen = look(
        host,
        json!({ "tier": 2 }),
        r#"
ask("pids", lambda: sorted(p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()))
for path in ["/etc", "/var/lib", "/srv/theirs", "/run", "/nix/store", "/home", "/root", "/dev"]:
    ask("write " + path, lambda: write(path + "/by-the-sandbox"))
for path in ["/srv", "/srv/theirs", "/opt", "/boot", "/mnt", "/run/osmoda", "/var/lib/osmoda", "/run/dbus"]:
    ask("list " + path, lambda: os.listdir(path))
for path in ["/proc/1/cmdline", "/proc/meminfo", "/proc/cmdline", "/proc/sys/kernel/hostname", "/srv/theirs/letter"]:
    ask("read " + path, lambda: read(path))
ask("shm", lambda: (write("/dev/shm/mine"), os.listdir("/dev/shm"))[1])
ask("tmp", lambda: write("/tmp/mine"))
ask("own", lambda: write("mine"))
ask("folder", os.getcwd)
ask("user namespace", lambda: read("/proc/self/uid_map").split()[2])
"#,
    )?;
    ensure!(seen.value("pids")? == "[]", "it sees the processes {}", seen.value("pids")?);
    for prefix in ["write ", "list ", "read "] {
        seen.could_not(prefix)?;
    }
    seen.could(&["tmp", "own"])?;
    ensure!(seen.value("shm")? == "['mine']", "it shares memory: {}", seen.value("shm")?);
    ensure!(seen.value("folder")? == "/run/osmoda-app-inside", "it works in {}", seen.value("folder")?);
    ensure!(seen.value("user namespace")? == "1", "it shares the machine's users");
    host.sh("rm -rf /srv/theirs /dev/shm/theirs")?;
    quick::clear(host)
}

fn tier_0(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let seen = look(
        host,
        json!({ "tier": 0, "user": { "name": "root" } }),
        r#"
ask("uid", os.getuid)
ask("write", lambda: write("/usr/local/by-tier-0"))
ask("root", lambda: os.listdir("/root"))
ask("osmoda", lambda: os.listdir("/var/lib/osmoda/ledger"))
ask("mount", lambda: run("/bin/mount", "-t", "tmpfs", "none", "/mnt"))
ask("unmount", lambda: run("/bin/umount", "/mnt"))
ask("init", lambda: read("/proc/1/cmdline"))
ask("NoNewPrivs", lambda: status("NoNewPrivs"))
ask("Seccomp of its own", lambda: read("/proc/self/status").count("NoNewPrivs:\t1"))
"#,
    )?;
    ensure!(seen.value("uid")? == "0", "its user is {}", seen.value("uid")?);
    seen.could(&["write", "root", "osmoda", "mount", "unmount", "init"])?;
    ensure!(seen.value("NoNewPrivs")? == "0", "{seen:?}");
    host.sh("rm /usr/local/by-tier-0")?;
    quick::clear(host)
}

fn secrets(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    // Its value is made on the machine, so that finding it anywhere means that osModa took it there.
    host.sh("umask 077; mkdir -p /etc/credstore; tr -dc a-f0-9 < /dev/urandom | head -c 40 > /root/token.secret")?;
    host.sh("cp /root/token.secret /etc/credstore/inside.key")?;
    let fields = json!({
        "stateDirectory": true,
        "secrets": { "token": { "file": "/root/token.secret" }, "key": { "credential": "inside.key" } },
    });
    let seen = look(
        host,
        fields,
        r#"
folder = os.environ["CREDENTIALS_DIRECTORY"]
ask("token", lambda: read(folder + "/token"))
ask("key", lambda: read(folder + "/key"))
ask("environment", lambda: " ".join(os.environ.values()))
ask("not the source", lambda: read("/root/token.secret"))
ask("not write", lambda: write(folder + "/token"))
ask("not writable", lambda: os.chmod(folder + "/token", 0o644))
"#,
    )?;
    let secret = host.run(&["/bin/cat", "/root/token.secret"])?;
    ensure!(secret.len() == 40 && seen.value("token")? == secret && seen.value("key")? == secret, "{seen:?}");
    ensure!(!seen.value("environment")?.contains(&secret), "the environment holds the secret");
    seen.could_not("not ")?;
    // The program's own notes hold the secret by now; those are its own.
    let places = "/nix/store /etc/systemd /run/systemd/generator /run/osmoda /run/systemd/system /run/systemd/transient \
                  /var/lib/osmoda /usr/lib/systemd";
    let found = host.sh(&format!("grep -rlaFf /root/token.secret {places} 2>/dev/null || true"))?;
    ensure!(found.is_empty(), "the secret is in {found}");
    let listed = "grep -laFf /root/token.secret /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true; \
                  { systemctl show osmoda-app-inside; systemctl cat osmoda-app-inside; journalctl --no-pager; } \
                  | grep -Ff /root/token.secret || true";
    let listed = host.sh(listed)?;
    ensure!(listed.is_empty(), "the secret can be read in {listed}");
    host.sh("rm /root/token.secret /etc/credstore/inside.key")?;
    quick::clear(host)
}

fn memory_limit(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let document = json!({
        "command": ["/usr/bin/python3", "-c", "import time; x = bytearray(256 << 20); time.sleep(60)"],
        "resources": { "memory": "64Mi" },
        "restart": { "policy": "never" },
    });
    quick::apply(host, &[self::document(document)])?;
    let result = || Ok(host.run(&["/usr/bin/systemctl", "show", "-P", "Result", UNIT])?.trim() == "oom-kill");
    wait("the end of what wants too much memory", Duration::from_secs(30), result)?;
    quick::clear(host)
}

fn task_limit(host: Host<'_>) -> Result<()> {
    quick::clear(host)?;
    let questions = r#"
import time
def fork():
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
for number in range(6):
    ask("few %d" % number, fork)
for number in range(20):
    ask("many %d" % number, fork)
ask("not one more", fork)
"#;
    let seen = look(host, json!({ "resources": { "tasks": 10 } }), questions)?;
    seen.could(&["few 0", "few 5"])?;
    seen.could_not("not ")?;
    quick::clear(host)
}
