"""Tells a story of the tests on a machine that is there already, in the place of NixOS's test driver.

    python3 vm-tests/lib/stand_in.py 'cargo xtask machine' --name NAME STORY...

The first word is a command that knows `exec`, `cut` and `boot`. It shows that stories are true where there is no
virtual machine of NixOS; what only the driver can do is not asked for.
"""

import argparse
import contextlib
import pathlib
import shlex
import subprocess
import sys
import time

# The driver has a new machine for each test.
CLEAR = """
find /var/lib/osmoda/desired ! -type d -delete
osmoda apply --accept-mass-delete --clear-quarantine --ttl 0s --wait
"""
HERE = pathlib.Path(__file__).resolve().parent


class Machine:
    """The part of the driver's Machine that stories use."""

    def __init__(self, command: str, name: str) -> None:
        self.command = shlex.split(command)
        self.name = ["--name", name]

    def execute(self, command: str, timeout: int = 300) -> tuple[int, str]:
        script = f"set -euo pipefail; {command}"
        words = [*self.command, "exec", *self.name, "--", "/bin/bash", "-c", script]
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        self.errors = ended.stderr
        return ended.returncode, ended.stdout

    def succeed(self, *commands: str, timeout: int = 300) -> str:
        output = ""
        for command in commands:
            status, out = self.execute(command, timeout)
            if status != 0:
                raise Exception(f"`{command}` ended with {status}:\n{out}{self.errors}")
            output += out
        return output

    def fail(self, *commands: str) -> str:
        output = ""
        for command in commands:
            status, out = self.execute(command)
            if status == 0:
                raise Exception(f"`{command}` unexpectedly succeeded:\n{out}")
            output += out
        return output

    def wait_until_succeeds(self, command: str, timeout: int = 300) -> str:
        until = time.monotonic() + timeout
        while True:
            status, out = self.execute(command)
            if status == 0:
                return out
            if time.monotonic() > until:
                raise Exception(f"`{command}` does not succeed within {timeout} s:\n{out}{self.errors}")
            time.sleep(1)

    def wait_for_unit(self, unit: str, timeout: int = 120) -> None:
        self.wait_until_succeeds(f"systemctl is-active {unit}", timeout)

    def crash(self) -> None:
        subprocess.run([*self.command, "cut", *self.name], check=True, capture_output=True)

    def start(self) -> None:
        subprocess.run([*self.command, "boot", *self.name], check=True, capture_output=True)


@contextlib.contextmanager
def subtest(what: str):
    began = time.monotonic()
    print(f"  {what} ... ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("FAILED", flush=True)
        raise
    print(f"{time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command")
    parser.add_argument("--name", required=True)
    parser.add_argument("--constant", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("stories", nargs="+")
    arguments = parser.parse_args()
    library = (HERE / "osmoda.py").read_text()
    machine = Machine(arguments.command, arguments.name)
    for story in arguments.stories:
        print(story, flush=True)
        machine.wait_until_succeeds(CLEAR)
        words = {
            "Machine": Machine,
            "PYTHON": "/usr/bin/python3",
            "machine": machine,
            "start_all": lambda: None,
            "subtest": subtest,
        }
        words.update(constant.split("=", 1) for constant in arguments.constant)
        path = HERE.parent / "stories" / f"{story}.py"
        exec(compile(library, str(HERE / "osmoda.py"), "exec"), words)
        exec(compile(path.read_text(), str(path), "exec"), words)


if __name__ == "__main__":
    sys.exit(main())
