#!/usr/bin/env python3
"""Checks an osModa ledger, or a proof of one of its rows, without any of osModa's code.

usage: verify_ledger.py FOLDER [KEY] [--witness FILE]... [--seen FILE]...     e.g. verify_ledger.py /var/lib/osmoda/ledger
       verify_ledger.py PROOF KEY [--witness FILE]... [--seen FILE]           what `osmoda ledger prove` printed, offline

KEY is a copy of checkpoint.pub, --witness one of witness.pub, --seen checkpoints, all kept elsewhere. Exit status: 0 it
holds, 1 it does not. Signatures need the Python package `cryptography`; without it this says that they were not checked.
docs/ledger.md describes all formats; they are those of c2sp.org and RFC 9162.
"""
import argparse, base64, hashlib, json, pathlib, re, sqlite3, sys

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

problems, DASH = [], "\u2014 "
sha = lambda data: hashlib.sha256(data).digest()
leaf = lambda row_hash: sha(b"\0" + row_hash)
node = lambda left, right: sha(b"\1" + left + right)
unbase = lambda text: base64.b64decode(text, validate=True)
read = lambda file: pathlib.Path(file).read_bytes().decode(errors="replace") if pathlib.Path(file).exists() else ""


def public_key(text, kind):
    """name+id+base64(kind, key); the id is the beginning of SHA-256(name, newline, kind, key)."""
    name, id, key = text.strip().split("+", 2)
    key = unbase(key)
    if len(key) != 33 or key[0] != kind or sha(name.encode() + b"\n" + key)[:4].hex() != id:
        raise ValueError(f"{text[:40]!r} is no public key of that kind")
    return name, bytes.fromhex(id), key


def signed(note, key):
    """When a note is signed by a key: True, or a witness's time; False: not by that key. Raises when it is forged."""
    text, lines = note.split("\n\n", 1)
    found = False
    for line in lines.strip("\n").split("\n"):
        name, signature = line.removeprefix(DASH).rsplit(" ", 1)
        if name != key[0] or (raw := unbase(signature))[:4] != key[1]:
            continue
        message, found = text.encode() + b"\n", True
        if key[2][0] == 4:
            found, raw = int.from_bytes(raw[4:12], "big"), raw[8:]
            message = f"cosignature/v1\ntime {found}\n".encode() + message
        if Ed25519PublicKey:
            Ed25519PublicKey.from_public_bytes(key[2][1:]).verify(raw[4:], message)
    return found


def checkpoint(note, key, witnesses):
    """The size and root of a note that the ledger's key has signed, and who cosigned it; raises when it has not."""
    origin, size, root = note.split("\n\n")[0].split("\n")[:3]
    if origin != key[0] or not signed(note, key) or not size.isdecimal():
        raise ValueError
    return int(size), unbase(root), [(w[0], time) for w in witnesses if (time := signed(note, w))]


def notes(text):
    """Each is a text, an empty line, signatures, an empty line. A power cut may tear the last one."""
    parts = text.split("\n\n")[:-1]
    return [f"{text}\n\n{signatures}\n" for text, signatures in zip(parts[0::2], parts[1::2])]


def included(hash, at, size, path, root):
    """RFC 9162, 2.1.3.2."""
    last = size - 1
    for step in path:
        if last <= 0:
            return False
        if at & 1 or at == last:
            hash = node(step, hash)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            hash = node(hash, step)
        at, last = at >> 1, last >> 1
    return last == 0 and hash == root


def consistent(old, old_root, new, new_root, path):
    """RFC 9162, 2.1.4.2."""
    if old == new or old == 0:
        return not path and (old == 0 or old_root == new_root)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    path = [old_root] + path if old & (old - 1) == 0 else path
    a = b = path[0]
    for step in path[1:]:
        if at & 1 or at == last:
            a, b = node(step, a), node(step, b)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            b = node(b, step)
        at, last = at >> 1, last >> 1
    return last == 0 and (a, b) == (old_root, new_root)


def check_proof(text, key, witnesses, seen):
    if text.startswith("{"):
        text = json.loads(text)["proof"]
    head, note = text.split("\n\n", 1)
    size, root, cosigned = checkpoint(note, key, witnesses)
    first, *path = head.split("\n")
    if first == "c2sp.org/tlog-proof@v1":
        row, index = unbase(path.pop(0).removeprefix("extra ")), int(path.pop(0).removeprefix("index "))
        if not row.startswith(f"{index + 1}|".encode()) or index >= size:
            raise ValueError("it is about another row")
        holds = included(leaf(sha(row)), index, size, [unbase(line) for line in path], root)
        what = f"row: {row.decode()}"
    else:
        old, old_root, _ = checkpoint(notes(seen[0].rstrip("\n") + "\n\n")[-1], key, witnesses)
        holds = first == f"old {old}" and consistent(old, old_root, size, root, [unbase(line) for line in path])
        what = f"all of the {old} rows of the checkpoint that was kept"
    if not holds:
        raise ValueError("the hashes do not lead to the root")
    if witnesses and not cosigned:
        raise ValueError("none of the witnesses that were given has cosigned the checkpoint")
    print(what)
    print(f"proved: under the checkpoint of {size} rows", *[f"which {w} cosigned at second {t}" for w, t in cosigned])


def check_rows(db, claims, state, events):
    """Each hash is SHA-256 of id|ts|type|actor|payload|prev_hash, each prev_hash the hash of the row before; the hash is
    what the row's leaf holds. One transaction, so that what others write meanwhile is seen everywhere or nowhere."""
    db.execute("BEGIN")
    db.text_factory = bytes
    previous, last, tree = state
    if db.execute("SELECT id, hash FROM start").fetchone() != (last, previous):
        problems.append(f"the part behind row {last} does not follow from the one before")
    for id, *row in db.execute("SELECT id, ts, type, actor, payload, prev_hash, hash FROM events ORDER BY id"):
        computed = sha(b"|".join([str(id).encode(), *row[:5]]))
        if id != last + 1:
            problems.append(f"rows {last + 1} to {id - 1} are missing")
        if row[4] != previous:
            problems.append(f"row {id} does not follow from the row before")
        if row[5] != computed.hex().encode():
            problems.append(f"row {id} does not have its hash")
        if any(c == "|" or c < " " or "\x7f" <= c < "\xa0" for word in row[:3] for c in word.decode(errors="replace")):
            problems.append(f"row {id} has an ambiguous time, type or actor")
        if row[1] in (b"ledger.segment", b"ledger.archived") and row[2] == b"ledger":
            events.append(json.loads(row[3]))
        previous, last = computed.hex().encode(), id
        tree.append((leaf(computed), 1))
        while len(tree) > 1 and tree[-1][1] == tree[-2][1]:
            (right, count), (left, _) = tree.pop(), tree.pop()
            tree.append((node(left, right), 2 * count))
        if id in claims and claims[id] != {root_of(tree)}:
            problems.append(f"rows up to {id} are not those that a checkpoint was signed for")
    written = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0] or 0
    if written > last:
        problems.append(f"rows after {last} are missing")
    return previous, last, tree


def root_of(tree):
    root = tree[-1][0] if tree else sha(b"")
    for left, _ in tree[-2::-1]:
        root = node(left, root)
    return root


def named(folder):
    """Files and manifests by their numbers. Names are exactly those that are written: `ledger-2.db` is none of them."""
    files, manifests, good = {}, {}, range(1, 2**32 - 1)
    for file in folder.glob("ledger*.db"):
        number = int(file.stem[7:]) if re.fullmatch("ledger-[0-9]{6,10}", file.stem) else 1
        if number in good and file.name == ("ledger.db" if number == 1 else f"ledger-{number:06}.db"):
            files[number] = file
    for file in folder.glob("segments/*.note"):
        parts = [int(part) for part in file.stem.split("-") if re.fullmatch("[0-9]{1,20}", part)]
        if len(parts) == 3 and parts[0] in good and max(parts) < 2**64 and file.stem == "{:06}-{}-{}".format(*parts):
            manifests.setdefault(parts[0], []).append((parts, file))
    for number in manifests:
        if len(manifests[number]) > 1:
            problems.append(f"there are several manifests of segment {number}")
    return files, {number: min(found)[1] for number, found in manifests.items()}


def check_parts(folder, key, claims, kept_sizes):
    """Segments with their manifests, in order, then the file that is written to, without a gap in the numbers. A segment that is not here is gone on from
    by what is kept of it: the hashes of whole subtrees of 256 leaves (the file `tree`) and those at its end."""
    files, manifests = named(folder)
    state, events, hashes, missing = (b"0" * 64, 0, []), [], {}, []
    next, live = 1, max([1, *files, *[number + 1 for number in manifests]])
    for number in sorted({*files, *manifests, live + 1}):
        if next < number:
            problems.append(f"all of the parts {next} to {number - 1} is missing")
        next = number + 1
        if number > live:
            break
        if number in manifests:
            note, file = read(manifests[number]), manifests[number].with_suffix(".db")
            try:
                if not signed(note, key):
                    raise ValueError
                m = json.loads(note.split("\n")[1])
                if m["number"] != number:
                    raise ValueError
            except Exception:
                problems.append(f"the manifest of segment {number} is not signed by the key")
                continue
            hashes[number] = m["sha256"]
            if file.exists():
                if sha(file.read_bytes()).hex() != m["sha256"]:
                    problems.append(f"the file of segment {number} is not the one that was sealed")
            else:
                missing.append(number)
                # A ledger of fewer than 256 rows has no such file.
                kept = (folder / "tree").read_bytes() if (folder / "tree").exists() else b""
                tree, at = [], m["last"] >> 8
                for level in range(63, -1, -1):
                    if at >> level & 1:
                        first = at >> level + 1 << level + 1
                        layer = [kept[32 * i : 32 * i + 32] for i in range(first, first + (1 << level))]
                        while len(layer) > 1:
                            layer = [node(a, b) for a, b in zip(layer[0::2], layer[1::2])]
                        tree.append((layer[0], 256 << level))
                bits = [1 << bit for bit in range(7, -1, -1) if m["last"] >> bit & 1]
                tree += [(bytes.fromhex(hash), count) for hash, count in zip(m["edge"], bits)]
                for size in sorted(claims):
                    if state[1] < size < m["last"] and (size in kept_sizes or size == max(claims)):
                        problems.append(f"rows up to {size} could not be compared with a checkpoint: put back segment {number}")
                state = m["head"].encode(), m["last"], tree
                if m["last"] in claims and claims[m["last"]] != {root_of(tree)}:
                    problems.append(f"rows up to {m['last']} are not those that a checkpoint was signed for")
        else:
            file = files[number]
        if number not in missing:
            state = check_rows(sqlite3.connect(file.resolve().as_uri() + "?mode=ro", uri=True), claims, state, events)
        if number in manifests and (state[0].decode(), state[1], root_of(state[2]).hex()) != (m["head"], m["last"], m["root"]):
            problems.append(f"segment {number} has not the rows of its manifest")
    for event in events:
        if hashes.get(event.get("segment"), event["sha256"]) != event["sha256"]:
            problems.append(f"segment {event['segment']} is not the one that an event tells of: it was sealed anew")
    for number in missing:
        if not any(number in event.get("segments", []) for event in events):
            problems.append(f"segment {number} is missing, and no event says that it was archived")
    if max([0, *claims]) > state[1]:
        problems.append(f"rows after {state[1]} are missing")
    return state[1]


def check_folder(folder, key, witnesses, seen):
    own, found = read(folder / "checkpoint.pub").strip(), {}
    if own and own != "+".join([key[0], key[1].hex(), base64.b64encode(key[2]).decode()]):
        problems.append("the public key beside the ledger is not the trusted one")
    kept = [note for text in seen for note in notes(text.rstrip("\n") + "\n\n") or ["nothing"]]
    kept_sizes = set()
    files = [folder / "checkpoints", folder / "cosigned"] + sorted(folder.glob("segments/*.c*"))
    for file in files:
        # A power cut leaves less than a note.
        if len(read(file)) - sum(len(note) + 1 for note in notes(read(file))) >= 16384:
            problems.append(f"the end of {file.name} is no note")
    for own, note in [(True, note) for file in files for note in notes(read(file))] + [(False, note) for note in kept]:
        try:
            size, root, _ = checkpoint(note, key, witnesses)
            found.setdefault(size, set()).add(root)
            if not own:
                kept_sizes.add(size)
        except Exception:
            problems.append(f"a checkpoint is not signed as it should be: {note[:60]!r}")
    last = check_parts(folder, key, found, kept_sizes)
    for problem in problems[:20]:
        print("DAMAGED:", problem)
    signatures = f"{sum(map(len, found.values()))} checkpoints" if Ed25519PublicKey else "SIGNATURES NOT CHECKED"
    print(f"{'damaged' if problems else 'whole'}: {last} events, {signatures}")


parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("target", type=pathlib.Path)
parser.add_argument("key", nargs="?")
parser.add_argument("--witness", action="append", default=[])
parser.add_argument("--seen", action="append", default=[])
options = parser.parse_args()
try:
    beside = options.target / "witness.pub" if options.target.is_dir() and not options.witness else []
    lines = [line for file in options.witness or [beside] if file for line in read(file).splitlines() if line.strip()]
    arguments = public_key(read(options.key or options.target / "checkpoint.pub"), 1), [public_key(l, 4) for l in lines]
except ValueError as error:
    sys.exit(f"DAMAGED: there is no public key of signed-note's form: {error}")
if options.target.is_dir():
    check_folder(options.target, *arguments, [read(file) for file in options.seen])
    sys.exit(1 if problems else 0)
try:
    if not Ed25519PublicKey:
        raise ValueError("SIGNATURES NOT CHECKED: the Python package `cryptography` is needed")
    check_proof(read(options.target), *arguments, [read(file) for file in options.seen])
except Exception as error:
    sys.exit(f"NOT PROVED: {error or type(error).__name__}")
