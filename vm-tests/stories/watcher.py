host = OsModa(machine)
start_all()
host.wait_until_it_answers()

with subtest("an app, and a watcher that follows it"):
    host.commit("web.yaml", page("hello"), "hello")
    host.save("watcher.yaml", WATCHER)
    host.wait(
        "the watcher",
        lambda: (
            "Watcher/web" in host.objects() and isinstance(host.json("get Watcher/web")["status"].get("activeIn"), str)
        ),
    )
    host.settle()

with subtest("what is stopped is healed"):
    machine.succeed("systemctl stop osmoda-app-web.service")
    host.wait_for_page("hello")

with subtest("what is killed is healed, as another process"):
    before = host.main_pid("osmoda-app-web.service")
    machine.succeed(f"kill -9 {before}")
    host.wait(
        "another process",
        lambda: host.main_pid("osmoda-app-web.service") not in (0, before),
    )
    host.wait_for_page("hello")

with subtest("the watcher outlives its own daemon"):
    machine.succeed("kill -9 $(systemctl show -P MainPID osmoda-watch.service)")
    machine.succeed("systemctl stop osmoda-app-web.service")
    host.wait_for_page("hello")

with subtest("what was done is in the ledger"):
    assert [e for e in host.json("events --limit 1000")["events"] if e["type"].startswith("watcher.")]
    host.ensure_ledger_is_whole()
