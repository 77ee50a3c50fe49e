"""Edits one document again and again on NixOS, and measures: osModa from the saved file to the new process; and the same
change of the same unit in the system's own configuration, built and switched to by hand."""
import json, os, statistics, subprocess, sys, time

EDITS = int(sys.argv[1])
DOCUMENT = "/var/lib/osmoda/desired/edited.yaml"
CONFIGURATION = "/etc/nixos/configuration.nix"


def running(argument):
    want = ["/bin/sleep", str(argument)]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline").read().split("\0")[:2] == want:
                return True
        except OSError:
            pass
    return False


def until(argument):
    while not running(argument):
        time.sleep(0.002)


def replace(path, text):
    with open(path + ".new~", "w") as f:
        f.write(text)
    os.rename(path + ".new~", path)


def edit(argument):
    text = open(DOCUMENT).read().splitlines()
    text = [f'  command: [/bin/sleep, "{argument}"]' if "command" in line else line for line in text]
    started = time.monotonic()
    replace(DOCUMENT, "\n".join(text) + "\n")
    until(argument)
    return time.monotonic() - started


def by_hand(argument):
    text = '{ systemd.services.by-hand = { wantedBy = [ "multi-user.target" ]; serviceConfig.ExecStart = "/bin/sleep %d"; }; }'
    replace(CONFIGURATION, text % argument)
    started = time.monotonic()
    build = ["nix-build", "--no-out-link", "/etc/nixos/system.nix", "-A", "config.system.build.toplevel"]
    system = subprocess.check_output(build, stderr=subprocess.DEVNULL, text=True).strip()
    subprocess.check_output([f"{system}/bin/switch-to-configuration", "test"], stderr=subprocess.DEVNULL)
    until(argument)
    return time.monotonic() - started


def idle():
    while b'"switch": null' not in subprocess.check_output(["osmoda", "-o", "json", "status"]):
        time.sleep(0.05)


edits = []
for n in range(EDITS):
    idle()
    edits.append(edit(5000 + n))
idle()
floor = [by_hand(6000 + n) for n in range(EDITS)]
replace(CONFIGURATION, "{ }\n")
print(json.dumps({"edit": statistics.median(edits), "floor": statistics.median(floor)}))
