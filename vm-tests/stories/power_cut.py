host = OsModa(machine)
start_all()
host.wait_until_it_answers()

with subtest("version 1 is committed"):
    host.commit("web.yaml", page("hello, version 1"), "version 1")
    committed = host.generation()

with subtest("version 2 answers, and is on probation"):
    host.save("web.yaml", page("hello, version 2", probation="10m"))
    host.wait_for_page("version 2")
    host.wait_for_switch("probation")
    assert host.generation() != committed

with subtest("the power goes, and the machine comes up with version 1"):
    machine.succeed("sync")
    machine.crash()
    machine.start()
    host.wait_until_it_answers()
    host.wait_for_page("version 1")
    assert host.generation() == committed
    switch = host.last_switch()
    assert switch["state"] == "rolledBack", switch
    assert "went down" in switch["failure"], switch

with subtest("and does not try version 2 again, which may have brought it down"):
    host.settle()
    time.sleep(3)
    assert "version 1" in host.body()
    assert host.generation() == committed

with subtest("the ledger is whole, and knows what happened"):
    host.ensure_ledger_is_whole()
    assert host.events("switch.rolled-back")

with subtest("another version gets its chance"):
    host.commit("web.yaml", page("hello, version 3"), "version 3")
    assert host.generation() != committed
