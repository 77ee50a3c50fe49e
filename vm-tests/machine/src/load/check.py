# Whether anything was lost: what is in force is what was written last, in every place where osModa says or shows it.
import hashlib, json, os, re, sqlite3, subprocess

STATE, GENERATION = "/var/lib/osmoda", "/run/osmoda/generation"
# Words of `systemctl list-units` for what is not gone.
THERE = "--state=active,activating,reloading,deactivating,failed"
CONDITION = re.compile(
    r'^- type: (\w+)\n  status: "?(\w+)"?\n  reason: (\w+)\n(?:  (?!observed).*\n)*  observedGeneration: (\d+)', re.M
)
# Problems that are told one by one.
MOST = 20


def words_of(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")[:-1]


def status_of(kind, name):
    """What a status file says."""
    with open(f"{STATE}/status/{kind}/{name}.yaml") as file:
        text = file.read()
    line = lambda key: (re.search(rf"^{key}: (.*)$", text, re.M) or [None, ""])[1]
    conditions = {kind: (status, reason, int(at)) for kind, status, reason, at in CONDITION.findall(text)}
    return {"generation": int(line("generation")), "hash": line("hash").strip('"'), "conditions": conditions}


def is_active(status, generation):
    condition = status["conditions"].get("Active")
    return condition is not None and condition[0] == "True" and condition[2] >= generation


def lacks(written, in_force, place=""):
    """Where what is in force differs from what was written; it has further fields, with their defaults."""
    if isinstance(written, dict):
        if not isinstance(in_force, dict):
            return place
        # Defaults are left out.
        of = lambda key: in_force.get(key, True if key == "enabled" else None)
        return next((found for key in written if (found := lacks(written[key], of(key), f"{place}.{key}"))), "")
    if isinstance(written, list) and isinstance(in_force, list) and len(written) == len(in_force):
        pairs = enumerate(zip(written, in_force))
        return next((found for n, (w, f) in pairs if (found := lacks(w, f, f"{place}[{n}]"))), "")
    return "" if written == in_force else place or "."


def read(path):
    with open(path) as file:
        return file.read()


def names(folder):
    return {os.path.splitext(name)[0] for name in os.listdir(folder)} if os.path.isdir(folder) else set()


def units(pattern, *options):
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", *options, pattern]
    return {line.split()[0] for line in subprocess.check_output(words, text=True).splitlines()}


def documents(fleet):
    """Every object is in force as it was written last, everywhere."""
    with sqlite3.connect(f"file:{STATE}/state.db?mode=ro", uri=True) as db:
        rows = {row[0]: row[1:] for row in db.execute("SELECT object, document, hash FROM admitted")}
    manifest = json.loads(read(f"{GENERATION}/manifest.json"))["objects"]
    wished = {reference for reference, o in fleet.objects.items() if o.good}
    for what, there in [("state.db", set(rows)), ("the active generation", set(manifest))]:
        yield from (f"{reference} is missing in {what}" for reference in wished - there)
        yield from (f"{reference} is still in {what}" for reference in there - wished)
    for kind in ["App", "Watcher", "Routine", "WalletPolicy"]:
        known = {o.name for o in fleet.objects.values() if o.kind == kind}
        yield from (f"{kind}/{name} still has a status file" for name in names(f"{STATE}/status/{kind}") - known)
        slices = {name for name in names(f"{GENERATION}/desired/{kind}")}
        yield from (f"{kind}/{name} is still in the tree" for name in slices - known)
    for reference in sorted(wished & set(rows) & set(manifest)):
        o = fleet.objects[reference]
        text = read(f"{GENERATION}/desired/{o.kind}/{o.name}.json")
        digest = hashlib.sha256(text.encode()).hexdigest()
        place = lacks(o.good, json.loads(text))
        if place:
            yield f"{reference}: {place} is not as it was written last: {text}"
        if rows[reference] != (text, digest):
            yield f"{reference}: state.db has another document than the active generation"
        if manifest[reference]["hash"] != digest:
            yield f"{reference}: the manifest has another hash"
        status = status_of(o.kind, o.name)
        if status["hash"] != digest:
            yield f"{reference}: the status has another hash"
        accepted = status["conditions"].get("Accepted", (None, None))[:2]
        if accepted != (("False", o.refused) if o.refused else ("True", "Admitted")):
            yield f"{reference}: Accepted is {accepted}, refused: {o.refused}"
        if not is_active(status, status["generation"]):
            yield f"{reference}: its status does not say that it is active: {status}"


def programs(fleet):
    """Every app that is to run does so, with its latest argument, and nothing else does."""
    expected = {f"osmoda-app-{o.name}.service": o.good["spec"]["command"] for o in fleet.objects.values() if o.runs}
    there = units("osmoda-app-*", THERE)
    yield from (f"{unit} belongs to no app that is to run" for unit in there - set(expected))
    show = ["systemctl", "show", "-p", "Id,ActiveState,MainPID", "osmoda-app-*"]
    for block in subprocess.check_output(show, text=True).strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines())
        command = expected.pop(unit.get("Id"), None)
        if command is None:
            continue
        if unit["ActiveState"] != "active" or words_of(unit["MainPID"]) != command:
            yield f"{unit['Id']} is {unit['ActiveState']} with {words_of(unit['MainPID'])}, not with {command}"
    yield from (f"{unit} does not run" for unit in expected)
    timed = {
        f"osmoda-routine-{o.name}.timer"
        for o in fleet.objects.values()
        if o.kind == "Routine" and o.good["spec"]["enabled"] and o.good["spec"]["trigger"]["type"] == "cron"
    }
    timers = units("osmoda-routine-*.timer", THERE)
    yield from (f"{timer} ticks although it should not" for timer in timers - timed)
    yield from (f"{timer} does not tick" for timer in timed - timers)


def daemons(fleet, call):
    """Watchers are those of the documents, and had nothing to do; nothing failed."""
    views = {view["name"]: view for view in call("watch", "/watcher/list")["watchers"]}
    watchers = {o.name: o for o in fleet.objects.values() if o.kind == "Watcher"}
    yield from (f"osmoda-watch does not have Watcher/{name}" for name in set(watchers) - set(views))
    yield from (f"osmoda-watch still has Watcher/{name}" for name in set(views) - set(watchers))
    for name in set(views) & set(watchers):
        state = views[name]["state"]
        if (state == "paused") == watchers[name].good["spec"]["enabled"] or state in ("failing", "flapping"):
            yield f"Watcher/{name} is {state}: {views[name].get('message')}"
    with sqlite3.connect(f"file:{STATE}/ledger/ledger.db?mode=ro", uri=True) as db:
        bad = ["watcher.remedy", "heal.starting", "switch.rolled-back", "switch.failed", "switch.refused"]
        for kind in bad:
            query = "SELECT count(*), max(payload) FROM events WHERE type = ? AND id > ?"
            count, last = db.execute(query, (kind, fleet.since)).fetchone()
            if count:
                yield f"{count} times {kind}, such as {last}"


def everything(fleet, call):
    problems = []
    for of in [documents(fleet), programs(fleet), daemons(fleet, call)]:
        found = list(of)
        problems += found[:MOST]
        if len(found) > MOST:
            problems.append(f"... and {len(found) - MOST} more like these")
    return problems
