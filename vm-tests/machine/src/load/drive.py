# Edits documents at a fixed pace, and looks at osModa meanwhile. Writes what it saw as JSON to the file that its last
# argument names; errors are in it, too.
import http.client, json, os, socket, subprocess, sys, threading, time, traceback

import check
from fleet import Fleet, Object, replace, yaml

OBJECTS, UNITS, RATE, SECONDS, SEED = (int(word) for word in sys.argv[1:6])
DAEMONS = {"agentd": "osmoda-agentd", "watch": "osmoda-watch", "routines": "osmoda-routines"}
STATE = "/var/lib/osmoda"
GENERATION = "/run/osmoda/generation"
PROBE_UNIT = "osmoda-app-probe.service"
# Time between two samples, and between two edits that are followed.
SAMPLE, PROBE = min(5, SECONDS / 20), 5
TICK = os.sysconf("SC_CLK_TCK")


class Socket(http.client.HTTPConnection):
    """A daemon's API."""

    def __init__(self, name):
        super().__init__("localhost", timeout=300)
        self.name = name

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(f"/run/osmoda/{self.name}.sock")

    def get(self, path):
        self.request("GET", path)
        answer = self.getresponse().read()
        self.close()
        return answer.decode()


def call(name, path):
    return json.loads(Socket(name).get(path))


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)


def until(what, seconds, ask, pause=0.25):
    end = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(pause)


def settled(fleet):
    """Everything that is wished is active, and osModa rests."""
    status = call("agentd", "/status")
    # The probe is not of the fleet.
    wished = 1 + sum(1 for o in fleet.objects.values() if o.good)
    if status["state"] != "idle" or status.get("switch") or status["objects"] != wished:
        return False
    refused = sum(1 for o in fleet.objects.values() if o.refused)
    return status["refused"] == refused and run("osmoda", "diff").returncode == 0


# What is seen.


def pid_of(unit):
    return int(run("systemctl", "show", "-P", "MainPID", unit).stdout)


def daemon(pid):
    values = {}
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rsplit(") ", 1)[1].split()
    values["rss"] = int(fields["VmRSS"].split()[0]) * 1024
    values["peak"] = int(fields["VmHWM"].split()[0]) * 1024
    values["threads"] = int(fields["Threads"])
    values["cpu"] = (int(words[11]) + int(words[12])) / TICK
    values["files"], values["watches"] = 0, 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        values["files"] += 1
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as file:
                values["watches"] += sum(line.startswith("inotify") for line in file)
        except OSError:
            pass
    return values


def size_of(folder):
    """Bytes on the disk, and files."""
    words = run("du", "-s", "--block-size=1", folder).stdout.split()
    inodes = run("du", "-s", "--inodes", folder).stdout.split()
    return (int(words[0]), int(inodes[0])) if words and inodes else (0, 0)


def metrics():
    values = {}
    for line in Socket("agentd").get("/metrics").splitlines():
        if line.startswith("osmoda_"):
            name, _, value = line.partition(" ")
            values[name] = float(value)
    return values


def committed():
    links = os.listdir("/nix/var/nix/profiles")
    return sum(name.startswith("osmoda-") and name.endswith("-link") for name in links)


def sample(began, pids):
    seen = {"at": time.monotonic() - began, "daemons": {name: daemon(pid) for name, pid in pids.items()}}
    seen["metrics"] = metrics()
    seen["committed"] = committed()
    seen["trees"] = sum(name.endswith("-osmoda-generation") for name in os.listdir("/nix/store"))
    seen["ledger"] = size_of(f"{STATE}/ledger")[0]
    seen["state"] = size_of(STATE)[0]
    return seen


class Probe(threading.Thread):
    """An app that is edited every few seconds; how long it takes until its document is admitted, until its program runs
    with it, and until its status says so."""

    def __init__(self, stop):
        super().__init__()
        self.stop, self.took, self.error, self.number = stop, [], None, 0
        self.object = Object("App", "probe")
        self.write()

    def write(self):
        self.number += 1
        self.argument = str(900_000_000 + self.number)
        spec = {"command": ["/bin/sleep", self.argument], "tier": 0}
        metadata = {"name": "probe", "annotations": {"load/revision": str(self.number)}}
        self.object.good = {"apiVersion": "os.moda/v1", "kind": "App", "metadata": metadata, "spec": spec}
        replace(self.object.path, yaml(self.object.good))

    def runs(self):
        group = f"/sys/fs/cgroup/system.slice/{PROBE_UNIT}/cgroup.procs"
        try:
            with open(group) as file:
                pids = file.read().split()
            return any(check.words_of(pid) == ["/bin/sleep", self.argument] for pid in pids)
        except OSError:
            return False

    def follow(self):
        was = check.status_of("App", "probe")["generation"]
        began = time.monotonic()
        self.write()
        took = {}
        questions = {
            "admitted": lambda: check.status_of("App", "probe")["generation"] > was,
            "runs": self.runs,
            "active": lambda: check.is_active(check.status_of("App", "probe"), was + 1),
        }
        for what, ask in questions.items():
            until(f"the probe: {what}", 240, ask, 0.005)
            took[what] = time.monotonic() - began
        self.took.append(took)
        return time.monotonic() - began

    def run(self):
        try:
            while not self.stop.is_set():
                took = self.follow()
                self.stop.wait(max(0, PROBE - took))
        except Exception:
            self.error = traceback.format_exc()


class Sampler(threading.Thread):
    def __init__(self, stop, began):
        super().__init__()
        self.stop, self.began, self.samples, self.error = stop, began, [], None
        self.pids = {name: pid_of(unit) for name, unit in DAEMONS.items()}

    def run(self):
        try:
            while not self.stop.is_set():
                self.samples.append(sample(self.began, self.pids))
                next_at = len(self.samples) * SAMPLE
                self.stop.wait(max(0, self.began + next_at - time.monotonic()))
        except Exception:
            self.error = traceback.format_exc()


def edit_at_pace(fleet):
    """Returns how far behind the pace it ever was, and how long it took."""
    began, late = time.monotonic(), 0
    for n in range(RATE * SECONDS):
        due = began + n / RATE
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        else:
            late = max(late, -wait)
        fleet.edit()
    return late, time.monotonic() - began


def load():
    for folder in ["apps", "watchers", "routines", "wallets"]:
        os.makedirs(f"{STATE}/desired/load/{folder}", exist_ok=True)
    out = {"problems": []}
    stop = threading.Event()
    probe = Probe(stop)
    began = time.monotonic()
    fleet = Fleet(OBJECTS - 1, UNITS - 1, RATE, SEED)
    out["written"] = time.monotonic() - began
    until("all of them in force", 600, lambda: settled(fleet))
    out["in_force"] = time.monotonic() - began
    before, fleet.since = committed(), call("agentd", "/status")["ledgerHead"]
    sampler = Sampler(stop, time.monotonic())
    sampler.start()
    probe.start()
    out["late"], out["edited"] = edit_at_pace(fleet)
    began = time.monotonic()
    stop.set()
    for thread in [probe, sampler]:
        thread.join()
        if thread.error:
            out["problems"].append(thread.error)
    until("all edits in force", 300, lambda: settled(fleet))
    out["converged"] = time.monotonic() - began
    out["edits"], out["counts"] = fleet.edits, fleet.counts
    out["probes"], out["samples"] = probe.took, sampler.samples
    out["generations"] = committed() - before
    out["events"] = call("agentd", "/status")["ledgerHead"] - fleet.since
    out["tree"] = size_of(os.path.realpath(GENERATION))
    fleet.objects[probe.object.reference] = probe.object
    for name, pid in sampler.pids.items():
        if pid_of(DAEMONS[name]) != pid:
            out["problems"].append(f"{name} was started again")
    out["refused"] = sum(1 for o in fleet.objects.values() if o.refused)
    out["running"] = sum(1 for o in fleet.objects.values() if o.runs)
    out["objects"] = len(fleet.objects)
    out["problems"] += check.everything(fleet, call)
    return out


try:
    result = load()
except Exception:
    result = {"problems": [traceback.format_exc()]}
with open(sys.argv[6], "w") as file:
    json.dump(result, file)
