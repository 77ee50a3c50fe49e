host = OsModa(machine)
start_all()
host.wait_until_it_answers()

with subtest("a document that is saved is applied, proven, and committed"):
    host.commit("web.yaml", page("hello, version 1"), "version 1")
    assert "App/web" in host.objects()
    first = host.generation()

with subtest("diff shows what an apply would do, and does nothing"):
    machine.succeed(f"printf %s {shlex.quote(SLEEPER)} > /root/sleeper.yaml")
    status, text = machine.execute("osmoda -o json diff -f /root/sleeper.yaml")
    assert status == 1, f"there is a change: {text}"
    plan = json.loads(text)["plan"]["id"]
    assert "osmoda-app-sleeper.service" in text
    assert host.generation() == first
    assert "App/sleeper" not in host.objects()

with subtest("an apply of another plan is refused, of this one is not"):
    machine.fail(f"osmoda apply -f /root/sleeper.yaml --plan {'0' * 64} --wait")
    assert host.generation() == first
    machine.succeed(f"osmoda apply -f /root/sleeper.yaml --plan {plan} --wait")
    assert host.main_pid("osmoda-app-sleeper.service") != 0
    machine.succeed("osmoda delete App/sleeper --wait")
    assert "App/sleeper" not in host.objects()

with subtest("a good change is committed, and the generation before is kept"):
    host.commit("web.yaml", page("hello, version 2"), "version 2")
    second = host.generation()
    assert second != first
    assert len(host.json("generations")["generations"]) >= 2

with subtest("a bad one is rolled back by itself"):
    host.save("web.yaml", page("goodbye, version 3", probation="30s"))
    host.wait_for_page("version 3")
    host.wait_for_page("version 2")
    switch = host.wait_for_switch("rolledBack")
    assert "page" in switch["failure"], switch
    assert host.generation() == second
    assert host.events("switch.rolled-back")

with subtest("and not tried again until its document changes"):
    host.settle()
    time.sleep(3)
    assert host.generation() == second
    host.commit("web.yaml", page("hello, version 4"), "version 4")

with subtest("a slip is told where it stands, and takes nothing away"):
    host.save("web.yaml", page("hello, version 5").replace("update:", "updaet:"))
    machine.fail(f"osmoda validate {DESIRED}/web.yaml")
    time.sleep(2)
    assert "version 4" in host.body()
    host.commit("web.yaml", page("hello, version 6"), "version 6")

with subtest("a rollback goes back, and stays there"):
    machine.succeed("osmoda rollback --wait")
    host.wait_for_page("version 4")
    time.sleep(2)
    assert "version 4" in host.body()

with subtest("what is no longer wished is gone"):
    host.remove("web.yaml")
    machine.succeed("osmoda apply --wait")
    host.settle()
    assert "App/web" not in host.objects()
    assert host.body() == ""
