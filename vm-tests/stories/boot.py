host = OsModa(machine)
start_all()

with subtest("every daemon runs, and says that it is ready"):
    for unit in DAEMONS:
        machine.wait_for_unit(unit)
    machine.wait_for_unit("osmoda-witness.socket")
    host.wait_until_it_answers()

with subtest("what closes the last boot has run, once"):
    assert host.show("osmoda-boot.service", "ActiveState") == "active"
    assert host.show("osmoda-boot.service", "Result") == "success"

with subtest("they run as the package's units say"):
    for unit in DAEMONS:
        assert host.show(unit, "NoNewPrivileges") == "yes", unit
        assert host.show(unit, "LockPersonality") == "yes", unit
        assert host.show(unit, "LimitCORE") == "0", unit
    for unit in DAEMONS[1:]:
        assert host.show(unit, "ProtectSystem") == "strict", unit
    assert host.show("osmoda-witness.service", "PrivateNetwork") == "yes"

with subtest("nothing of it listens on the network"):
    for protocol in ["tcp", "tcp6", "udp", "udp6"]:
        lines = machine.succeed(f"cat /proc/net/{protocol}").splitlines()[1:]
        inodes = [line.split()[9] for line in lines]
        for unit in DAEMONS:
            held = machine.succeed(f"ls -l /proc/{host.main_pid(unit)}/fd")
            assert not [i for i in inodes if f"socket:[{i}]" in held], unit

with subtest("a document of the configuration runs, and is root's"):
    host.wait_for_page("hello")
    host.settle()
    assert host.json("get App/web")["status"]["author"] == {"uid": 0}

with subtest("everything is in order by its own judgement"):
    machine.succeed("osmoda doctor")
    host.ensure_ledger_is_whole()

with subtest("a stopped daemon comes back"):
    before = host.main_pid("osmoda-agentd.service")
    machine.succeed(f"kill -9 {before}")
    host.wait("agentd", lambda: host.main_pid("osmoda-agentd.service") not in (0, before))
    host.wait_until_it_answers()
    assert "hello" in host.body()
