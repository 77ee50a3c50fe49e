#!/usr/bin/env python3
"""Checks an osModa ledger without any of osModa's code.

usage: verify_ledger.py FOLDER [PUBLIC-KEY]      e.g. verify_ledger.py /var/lib/osmoda/ledger

Exit status: 0 the ledger is whole, 1 it is not. Signatures need the Python package `cryptography`; without it this says
that they were not checked. PUBLIC-KEY is a copy of checkpoint.pub that you kept elsewhere.
"""
import base64, hashlib, pathlib, sqlite3, sys

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

folder = pathlib.Path(sys.argv[1])
problems = []

read = lambda file: file.read_bytes() if file.exists() else b""

# The key: name+id+base64(1, public key); the id is the beginning of SHA-256(name, newline, 1, public key).
own = read(folder / "checkpoint.pub").strip()
trusted = pathlib.Path(sys.argv[2]).read_bytes().strip() if len(sys.argv) > 2 else own
if own not in (b"", trusted):
    problems.append("the public key beside the ledger is not the trusted one")
try:
    name, key_id, key = trusted.split(b"+", 2)
    key = base64.b64decode(key, validate=True)
    if len(key) != 33 or key[0] != 1 or hashlib.sha256(name + b"\n" + key).hexdigest()[:8] != key_id.decode():
        raise ValueError
except ValueError:
    sys.exit("DAMAGED: there is no public key of signed-note's form: checkpoints cannot be checked")

# Checkpoints: notes of four lines (origin, row, hash, time), an empty line, a signature line, an empty line. A power cut
# may tear the last one. A row may have several, which have to agree.
checkpoints = {}
parts = read(folder / "checkpoints").split(b"\n\n")[:-1]
for text, signature in zip(parts[0::2], parts[1::2]):
    text += b"\n"
    try:
        origin, row, digest, _time = text.decode().removesuffix("\n").split("\n")
        raw = base64.b64decode(signature.removeprefix("\u2014 ".encode() + name + b" "), validate=True)
        if origin != "osmoda ledger" or raw[:4].hex() != key_id.decode():
            raise ValueError
        if Ed25519PublicKey:
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(raw[4:], text)
        checkpoints.setdefault(int(row), set()).add(base64.b64decode(digest).hex())
    except Exception:
        problems.append(f"a checkpoint is not signed by the key: {text[:40]!r}")

# Rows: each hash is SHA-256 of id|ts|type|actor|payload|prev_hash, each prev_hash the hash of the row before. One
# transaction, so that rows that others write meanwhile are seen everywhere or nowhere.
db = sqlite3.connect(f"{folder.resolve().as_uri()}/ledger.db?mode=ro", uri=True)
db.execute("BEGIN")
db.text_factory = bytes
previous, last = b"0" * 64, 0
for id, *row in db.execute("SELECT id, ts, type, actor, payload, prev_hash, hash FROM events ORDER BY id"):
    *_, prev_hash, stored = row
    computed = hashlib.sha256(b"|".join([str(id).encode(), *row[:5]])).hexdigest()
    if id != last + 1:
        problems.append(f"rows {last + 1} to {id - 1} are missing")
    if prev_hash != previous:
        problems.append(f"row {id} does not follow from the row before")
    if stored != computed.encode():
        problems.append(f"row {id} does not have its hash")
    if checkpoints.get(id, {computed}) != {computed}:
        problems.append(f"row {id} is not the one that a checkpoint was signed for")
    if any(c == "|" or c < " " or "\x7f" <= c < "\xa0" for word in row[:3] for c in word.decode(errors="replace")):
        problems.append(f"row {id} has an ambiguous time, type or actor")
    previous, last = computed.encode(), id
written = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0] or 0
if max([written, *checkpoints]) > last:
    problems.append(f"rows after {last} are missing")

for problem in problems[:20]:
    print("DAMAGED:", problem)
count = sum(map(len, checkpoints.values()))
signed = f"{count} checkpoints" if Ed25519PublicKey else "SIGNATURES NOT CHECKED (no `cryptography`)"
print(f"{'damaged' if problems else 'whole'}: {last} events, {signed}")
sys.exit(1 if problems else 0)
