# What the tests say about a machine. It stands before each test's script; `machine` and the rest are NixOS's own words
# (https://nixos.org/manual/nixos/stable/#ssec-machine-objects). PYTHON is a path of Python in the machine.
import json
import shlex
import time
from typing import Any, Callable, Dict, List

DESIRED = "/var/lib/osmoda/desired"
DAEMONS = [
    "osmoda-agentd.service",
    "osmoda-routines.service",
    "osmoda-watch.service",
    "osmoda-witness.service",
]


def page(says: str, probation: str = "2s", expects: str = "hello") -> str:
    """An app that answers with one page, and a gate that asks what the page says."""
    return f"""
apiVersion: os.moda/v1
kind: App
metadata: {{name: web}}
spec:
  command: [{PYTHON}, -m, http.server, --bind, 127.0.0.1, --directory, "${{files}}", "${{port.http}}"]
  ports:
    http: {{port: 8080}}
  files:
    index.html: {{content: "{says}"}}
  update: restart
  health:
    - name: page
      probe: {{type: http, url: "http://127.0.0.1:8080/", bodyContains: {expects}}}
      interval: 500ms
      grace: 10s
  probation: {{ttl: {probation}}}
"""


WATCHER = """
apiVersion: os.moda/v1
kind: Watcher
metadata: {name: web}
spec:
  target: App/web
  check: {type: unit}
  ladder:
    - {action: restart, attempts: 3, wait: 2s}
    - {action: notify}
"""


SLEEPER = f"""
apiVersion: os.moda/v1
kind: App
metadata: {{name: sleeper}}
spec:
  command: [{PYTHON}, -c, "import time; time.sleep(100000)"]
"""


class OsModa:
    """osModa on a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def json(self, words: str) -> Any:
        """What `osmoda -o json` answers."""
        return json.loads(self.machine.succeed(f"osmoda -o json {words}"))

    def wait(self, what: str, ask: Callable[[], bool], seconds: int = 90) -> None:
        """Asks until the answer is yes."""
        until = time.monotonic() + seconds
        while not ask():
            if time.monotonic() > until:
                raise Exception(f"{what}: not within {seconds} s")
            time.sleep(0.2)

    def wait_until_it_answers(self) -> None:
        self.machine.wait_until_succeeds("osmoda status", timeout=120)

    # Wishes

    def save(self, name: str, text: str) -> None:
        """Saves a document, as a person or an agent does."""
        path = shlex.quote(f"{DESIRED}/{name}")
        self.machine.succeed(f"printf %s {shlex.quote(text)} > {path}")

    def remove(self, name: str) -> None:
        self.machine.succeed(f"rm {shlex.quote(f'{DESIRED}/{name}')}")

    # What became of them

    def settle(self) -> None:
        """Waits until nothing is going on."""

        def rests() -> bool:
            status = self.json("status")
            return status.get("switch") is None and status.get("state") != "switching"

        self.wait("osModa at rest", rests)

    def last_switch(self) -> Dict[str, Any]:
        switches = self.json("history --limit 1")["switches"]
        return switches[0] if switches else {}

    def wait_for_switch(self, state: str) -> Dict[str, Any]:
        self.wait(f"a switch that is {state}", lambda: self.last_switch().get("state") == state)
        return self.last_switch()

    def objects(self) -> List[str]:
        return [o["object"] for o in self.json("get")["objects"]]

    def body(self) -> str:
        """The page, or nothing when nobody answers."""
        return self.machine.execute("curl -sf --max-time 2 http://127.0.0.1:8080/")[1]

    def wait_for_page(self, says: str) -> None:
        self.wait(f"a page that says {says}", lambda: says in self.body())

    def commit(self, name: str, text: str, says: str) -> None:
        """Saves a document and waits until it is for good."""
        self.save(name, text)
        self.wait_for_page(says)
        self.wait_for_switch("committed")
        self.settle()

    # Units and processes

    def show(self, unit: str, key: str) -> str:
        return self.machine.succeed(f"systemctl show -P {key} {unit}").strip()

    def main_pid(self, unit: str) -> int:
        return int(self.show(unit, "MainPID"))

    def generation(self) -> str:
        return self.machine.succeed("readlink -f /run/osmoda/generation").strip()

    # What is remembered

    def events(self, kind: str) -> List[Any]:
        return self.json(f"events --type {kind} --limit 1000")["events"]

    def ensure_ledger_is_whole(self) -> int:
        """Gives the number of its events."""
        report = self.json("ledger verify")
        return int(report["events"])
