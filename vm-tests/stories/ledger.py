# What somebody may do who has root and no patience.
FORGERY = """
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
    ledger.execute(f'DROP TRIGGER "{name}"')
ledger.execute("UPDATE events SET actor = 'nobody' WHERE id = 2")
ledger.commit()
"""

host = OsModa(machine)
start_all()
host.wait_until_it_answers()

with subtest("events are written"):
    host.commit("web.yaml", page("hello, version 1"), "version 1")
    before = host.ensure_ledger_is_whole()
    assert before > 0

with subtest("the power goes while more are written"):
    for version in range(2, 6):
        host.save("web.yaml", page(f"hello, version {version}", probation="0s"))
        time.sleep(0.3)
    machine.crash()
    machine.start()
    host.wait_until_it_answers()

with subtest("what was there is there, and the chain holds"):
    after = host.ensure_ledger_is_whole()
    assert after >= before, f"{before} events before, {after} after"

with subtest("it goes on from there, and the witness with it"):
    host.commit("web.yaml", page("hello, version 9"), "version 9")
    assert host.ensure_ledger_is_whole() > after
    machine.succeed("osmoda doctor")

with subtest("a row that somebody changed is found"):
    machine.succeed("systemctl stop osmoda-agentd osmoda-watch osmoda-routines")
    machine.succeed("cp -a /var/lib/osmoda/ledger /root/ledger")
    machine.succeed(f"{PYTHON} -c {shlex.quote(FORGERY)} /root/ledger/ledger.db")
    machine.succeed("mv /var/lib/osmoda/ledger /root/true; mv /root/ledger /var/lib/osmoda/ledger")
    machine.fail("osmoda ledger verify")
    machine.succeed("rm -r /var/lib/osmoda/ledger; mv /root/true /var/lib/osmoda/ledger")
    machine.succeed("systemctl start osmoda-agentd osmoda-watch osmoda-routines")
    host.wait_until_it_answers()
    host.ensure_ledger_is_whole()
