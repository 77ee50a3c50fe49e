# The documents of a machine with many objects, and edits of them as people and agents make them. What is written
# follows from the seed alone. The fleet remembers of each object what has to be in force in the end.
import json, os, random

DESIRED = "/var/lib/osmoda/desired"
FOLDERS = {"App": "apps", "Watcher": "watchers", "Routine": "routines", "WalletPolicy": "wallets"}
# A document is broken only when its last good version was written so many seconds ago: that one has been seen by then,
# and it is certain which version has to stay in force.
SEEN = 20
# Broken documents are mended after so many seconds.
MEND = 10


class Object:
    def __init__(self, kind, name):
        self.kind, self.name = kind, name
        self.suffix = "json" if kind == "Routine" else "yaml"
        # The last document that is to be in force; none: there has been no good one yet.
        self.good = None
        # Why the latest document is refused, if it is.
        self.refused = None
        # Edits until then.
        self.changed = 0

    @property
    def reference(self):
        return f"{self.kind}/{self.name}"

    @property
    def path(self):
        return os.path.join(DESIRED, "load", FOLDERS[self.kind], f"{self.name}.{self.suffix}")

    @property
    def runs(self):
        return self.kind == "App" and self.good is not None and self.good["spec"].get("enabled", True)

    def text(self, document):
        return json.dumps(document, indent=2) if self.suffix == "json" else yaml(document)


def yaml(value, indent=""):
    """Blocks for maps, and JSON, which is YAML, for the rest."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict) and inner and indent != "    ":
            lines.append(f"{indent}{key}:\n{yaml(inner, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {json.dumps(inner)}\n")
    return "".join(lines)


def replace(path, text):
    with open(path + ".new~", "w") as file:
        file.write(text)
    os.rename(path + ".new~", path)


class Fleet:
    def __init__(self, objects, units, rate, seed):
        self.rate, self.random = rate, random.Random(seed)
        self.objects, self.deleted = {}, set()
        self.edits, self.revision, self.named = 0, 0, 0
        self.counts = {}
        # Objects whose documents are broken, with the edit at which they are mended.
        self.broken = []
        # By what happens to them: apps that always run, apps that run or not, apps that are there or not, the others.
        self.steady, self.switched, self.off, self.loose = [], [], [], []
        self.others = {"Watcher": [], "Routine": [], "WalletPolicy": []}
        for n in range(units):
            o = self.add(Object("App", f"unit-{n}"))
            o.port = 20000 + n if n % 3 == 0 else None
            (self.steady if n % 5 else self.switched).append(o)
        for kind, percent in [("Watcher", 3), ("Routine", 2), ("WalletPolicy", 1)]:
            for n in range(objects * percent // 100):
                self.others[kind].append(self.add(Object(kind, f"{FOLDERS[kind][:-1]}-{n}")))
        while len(self.objects) < objects:
            self.loose.append(self.new_app())
        for o in list(self.objects.values()):
            enabled = o in self.steady or o in self.switched if o.kind == "App" else None
            self.put(o, self.document(o, enabled))

    def add(self, o):
        self.objects[o.reference] = o
        return o

    def new_app(self):
        # Now and then something is there again that was deleted.
        if self.deleted and self.random.random() < 0.1:
            name = self.random.choice(sorted(self.deleted))
            self.deleted.remove(name)
        else:
            name = f"app-{self.named}"
            self.named += 1
        o = self.add(Object("App", name))
        o.port = None
        return o

    def document(self, o, enabled=None):
        """A document that nobody has written before."""
        self.revision += 1
        revision = str(self.revision)
        metadata = {"name": o.name, "labels": {"team": "load"}, "annotations": {"load/revision": revision}}
        before = o.good["spec"] if o.good else {}
        if o.kind == "App":
            spec = {
                "description": f"Number {revision}",
                "command": before.get("command", ["/bin/sleep", str(1_000_000 + self.revision)]),
                "tier": 0,
                "environment": before.get("environment", {"LANG": "C.UTF-8"}),
                "enabled": before.get("enabled", False) if enabled is None else enabled,
            }
            if o.good:
                spec["description"] = before["description"]
            if o.port:
                spec["ports"] = {"http": {"port": o.port}}
        elif o.kind == "Watcher":
            target = before.get("target") or self.random.choice(self.steady).reference
            check = {"type": "disk", "path": "/", "above": 99} if o.name.endswith("7") else {"type": "unit"}
            ladder = [{"action": "notify"}] if check["type"] == "disk" else [{"action": "restart", "wait": "10s"}]
            spec = {"target": target, "check": check, "interval": f"{5 + self.revision % 50}m", "ladder": ladder}
            spec["enabled"] = self.random.random() < 0.9
        elif o.kind == "Routine":
            trigger = {"type": "cron", "schedule": f"{self.revision % 60} 5 1 1 *"}
            if o.name.endswith("3"):
                trigger = {"type": "event", "types": ["switch.failed"], "debounce": f"{1 + self.revision % 30}s"}
            spec = {"trigger": trigger, "action": {"type": "command", "command": ["/bin/echo", revision]}}
            spec["enabled"] = self.random.random() < 0.5
        else:
            amount = f"0.{self.revision % 1000:04}1"
            rule = {"name": "small", "effect": "allow", "match": {"chains": ["ethereum"], "maxAmount": amount, "maxFee": "0.01"}}
            spec = {"wallets": [o.name], "rules": [rule]}
        return {"apiVersion": "os.moda/v1", "kind": o.kind, "metadata": metadata, "spec": spec}

    def put(self, o, document):
        o.good, o.refused, o.changed = document, None, self.edits
        replace(o.path, o.text(document))

    # Edits.

    def free(self, among):
        """One whose document is not broken."""
        while True:
            o = self.random.choice(among)
            if not o.refused:
                return o

    def in_apps(self):
        o = self.free(self.loose)
        document = self.document(o)
        document["spec"]["environment"] = {"LANG": "C.UTF-8", "NUMBER": str(self.revision)}
        document["spec"]["description"] = f"Number {self.revision}"
        self.put(o, document)

    def beside_units(self):
        """Of an app that runs, what its program does not see."""
        o = self.free(self.steady)
        self.put(o, self.document(o))

    def restart(self):
        o = self.free(self.steady)
        document = self.document(o)
        document["spec"]["command"] = ["/bin/sleep", str(1_000_000 + self.revision)]
        self.put(o, document)

    def switch(self):
        """One unit less, and the next time one more: their number stays."""
        o = self.off.pop() if self.off else self.free(self.switched)
        enabled = not o.good["spec"]["enabled"]
        if not enabled:
            self.off.append(o)
        self.put(o, self.document(o, enabled))

    def other(self, kind):
        o = self.free(self.others[kind])
        self.put(o, self.document(o))

    def create(self):
        o = self.new_app()
        self.loose.append(o)
        self.put(o, self.document(o))

    def delete(self):
        o = self.free(self.loose)
        self.loose.remove(o)
        del self.objects[o.reference]
        self.deleted.add(o.name)
        os.remove(o.path)

    def break_one(self):
        among = self.random.choice([self.loose, self.loose, self.steady, self.others["Watcher"]])
        is_old = lambda o: self.edits - o.changed > SEEN * self.rate or o.changed == 0
        o = next((o for o in self.random.choices(among, k=50) if is_old(o) and not o.refused), None)
        if o is None:
            return self.in_apps()
        document = self.document(o)
        how = self.random.choice(["UnknownField", "UnknownReference", "InvalidYaml", "UnknownValue"])
        if how == "UnknownField":
            document["spec"]["enabeld"] = True
        elif how == "UnknownReference":
            document["spec"].update({"after": ["App/nobody"]} if o.kind == "App" else {"target": "App/nobody"})
        elif how == "UnknownValue":
            document["spec"]["tier"] = 9
        text = o.text(document)
        o.refused, o.changed = how, self.edits
        self.broken.append((self.edits + MEND * self.rate, o))
        replace(o.path, "}\n" + text if how == "InvalidYaml" else text)

    def mend(self):
        _, o = self.broken.pop(0)
        self.put(o, self.document(o))

    KINDS = {
        "a field of an app that does not run": 58,
        "a label of an app that runs": 12,
        "a restart of a unit": 2,
        "a unit more, or one less": 1,
        "a watcher": 7,
        "a routine": 5,
        "a wallet policy": 3,
        "a new app": 4,
        "an app less": 4,
        "a document that is refused": 4,
    }

    def edit(self):
        """The next edit."""
        self.edits += 1
        kind = self.random.choices(list(self.KINDS), list(self.KINDS.values()))[0]
        if self.broken and self.broken[0][0] <= self.edits:
            kind = "a refused document, mended"
            self.mend()
        elif kind == "a field of an app that does not run":
            self.in_apps()
        elif kind == "a label of an app that runs":
            self.beside_units()
        elif kind == "a restart of a unit":
            self.restart()
        elif kind == "a unit more, or one less":
            self.switch()
        elif kind == "a watcher":
            self.other("Watcher")
        elif kind == "a routine":
            self.other("Routine")
        elif kind == "a wallet policy":
            self.other("WalletPolicy")
        elif kind == "a new app":
            self.create()
        elif kind == "an app less":
            self.delete()
        else:
            self.break_one()
        self.counts[kind] = self.counts.get(kind, 0) + 1
