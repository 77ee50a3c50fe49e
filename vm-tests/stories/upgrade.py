# PREVIOUS and NEXT are packages, and UPGRADE a command that switches the system from one to the other.
host = OsModa(machine)
start_all()
host.wait_until_it_answers()

with subtest("the previous release runs, and has something to look after"):
    assert PREVIOUS in host.show("osmoda-agentd.service", "ExecStart")
    host.commit("web.yaml", page("hello, version 1"), "version 1")
    app = host.main_pid("osmoda-app-web.service")
    boot = host.show("osmoda-boot.service", "ActiveEnterTimestampMonotonic")
    events = host.ensure_ledger_is_whole()

with subtest("the upgrade comes in the middle of a probation"):
    host.save("web.yaml", page("hello, version 2", probation="20s"))
    host.wait_for_page("version 2")
    host.wait_for_switch("probation")
    app = host.main_pid("osmoda-app-web.service")
    machine.succeed(UPGRADE)

with subtest("every daemon is of the next release"):
    host.wait_until_it_answers()
    for unit in DAEMONS:
        machine.wait_for_unit(unit)
        assert NEXT in host.show(unit, "ExecStart"), unit

with subtest("nothing that runs was disturbed, and nothing was closed as if the machine had gone down"):
    assert host.main_pid("osmoda-app-web.service") == app
    assert host.show("osmoda-boot.service", "ActiveEnterTimestampMonotonic") == boot
    assert "version 2" in host.body()

with subtest("the switch goes on to its end"):
    host.wait_for_switch("committed")
    host.settle()

with subtest("the ledger goes on where it was"):
    assert host.ensure_ledger_is_whole() > events
    machine.succeed("osmoda doctor")

with subtest("the next release changes what the previous one made"):
    host.commit("web.yaml", page("hello, version 3"), "version 3")
