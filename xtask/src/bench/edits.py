"""Edits one document again and again, and measures: osModa from the saved file to the new process; and the same by hand."""
import os, shutil, subprocess, sys, tempfile, time

EDITS = int(sys.argv[1])
DOCUMENT = "/var/lib/osmoda/desired/edited.yaml"
GENERATION = "/run/osmoda/generation"


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def running(argument, newer_than):
    want = ["/bin/sleep", str(argument)]
    for pid in pids():
        try:
            if pid > newer_than and open(f"/proc/{pid}/cmdline").read().split("\0")[:2] == want:
                return True
        except OSError:
            pass
    return False


def until(argument, newer_than):
    while not running(argument, newer_than):
        time.sleep(0.001)


def replace(path, text):
    with open(path + ".new~", "w") as f:
        f.write(text)
    os.rename(path + ".new~", path)


def edit(argument):
    text = open(DOCUMENT).read().splitlines()
    text = [f'  command: [/bin/sleep, "{argument}"]' if "command" in line else line for line in text]
    newest = max(pids())
    started = time.monotonic()
    replace(DOCUMENT, "\n".join(text) + "\n")
    until(argument, newest)
    return (time.monotonic() - started) * 1000


def by_hand(argument, folder, unit, text):
    unit_text = "\n".join(f"ExecStart=/bin/sleep {argument}" if l.startswith("ExecStart=") else l for l in text.splitlines())
    replace(os.path.join(folder, "units", "osmoda-app-edited.service"), unit_text)
    newest = max(pids())
    started = time.monotonic()
    subprocess.check_output(["nix-store", "--add", folder])
    replace(unit, unit_text)
    subprocess.check_call(["systemctl", "daemon-reload"])
    subprocess.check_call(["systemctl", "restart", "by-hand.service"])
    until(argument, newest)
    return (time.monotonic() - started) * 1000


def idle():
    while b'"switch": null' not in subprocess.check_output(["osmoda", "-o", "json", "status"]):
        time.sleep(0.05)


# The very tree that osModa adds, as a folder that can be written to.
folder = os.path.join(tempfile.mkdtemp(), "tree")
shutil.copytree(GENERATION, folder, symlinks=True)
subprocess.check_call(["chmod", "-R", "u+w", folder])
unit = "/etc/systemd/system/by-hand.service"
text = open(os.path.join(folder, "units", "osmoda-app-edited.service")).read()
edits, hands = [], []
for n in range(EDITS):
    edits.append(edit(5001 + n))
    idle()
    time.sleep(0.3)
    hands.append(by_hand(7001 + n, folder, unit, text))
    time.sleep(0.3)
subprocess.call(["systemctl", "stop", "by-hand.service"])
os.remove(unit)
subprocess.call(["systemctl", "daemon-reload"])
median = lambda list: sorted(list)[len(list) // 2]
print(f'{{"edit": {median(edits)}, "floor": {median(hands)}, "edits": {edits}, "hands": {hands}}}')
