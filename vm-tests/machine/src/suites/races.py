# Who attacks: one of the functions below, by the name that is the first argument. Each runs until it is stopped.
import os, socket, sys, time, contextlib
desired, victims = "/var/lib/osmoda/desired", "/var/lib/osmoda-victims"
mine = desired + "/mallory"
count = 0

def document(name, seconds, more=""):
    return ('{"apiVersion":"os.moda/v1","kind":"App","metadata":{"name":"%s"},"spec":{"command":["/bin/sleep","%d"],'
            '"probation":{"ttl":"0s"}}}%s' % (name, seconds, more))

def write(path, text):
    with open(path, "w") as file:
        file.write(text)

def clear(path):
    with contextlib.suppress(OSError):
        os.rmdir(path)
    with contextlib.suppress(OSError):
        os.unlink(path)

# What was done is counted, so that an attack that did nothing is no test.
def done():
    global count
    count += 1
    if count % 50 == 0:
        write("/run/races/count.new", str(count))
        os.rename("/run/races/count.new", "/run/races/count")


# A name that is, one after the other and as fast as can be, everything that there is.
def swap():
    name, new = mine + "/swap.json", mine + "/.swap.new"
    big = document("mallory-big", 9801) + " " * (3 << 20)

    def regular():
        write(new, document("mallory-swap", 9802))
        os.rename(new, name)

    def link(to):
        def make():
            os.symlink(to, new)
            os.rename(new, name)
        return make

    def hard(to):
        def make():
            # Where the kernel lets nobody link what is not theirs, that is a defence before ours.
            with contextlib.suppress(OSError):
                os.link(to, new)
                os.rename(new, name)
        return make

    def fifo():
        os.mkfifo(new)
        os.rename(new, name)

    def sock():
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(new)
        os.rename(new, name)

    def folder():
        os.mkdir(name)
        write(name + "/inner.json", document("mallory-inner", 9803))
        os.rename(name, mine + "/.gone")
        clear(mine + "/.gone/inner.json")
        clear(mine + "/.gone")

    # It grows, and shrinks, while it is read.
    def growing():
        with open(name, "w") as file:
            for at in range(0, len(big), 1 << 18):
                file.write(big[at:at + (1 << 18)])
                file.flush()
            file.truncate(100)

    targets = [victims + "/root.json", victims + "/alice.json", victims + "/words.json", "/etc/shadow", "/dev/zero"]
    targets += ["/proc/self/environ", "/var/lib/osmoda/ledger/checkpoint.key"]
    steps = [regular, fifo, regular, sock, folder, growing]
    steps += [step for to in targets for step in (link(to), regular, hard(to))]
    while True:
        for step in steps:
            clear(new)
            if step in (folder, growing):
                clear(name)
            step()
            time.sleep(0.002)
            done()


# A folder that is, in turn, itself and a link to others'; one that is moved with what is in it.
def folders():
    team, away = mine + "/team", mine + "/.away"
    targets = [victims, desired + "/alice", "/", "/etc", victims + "/inner"]
    while True:
        for to in targets:
            for name in ("root", "alice", "words", "wish"):
                # The names that are in the other folder are known here.
                with contextlib.suppress(OSError):
                    os.mkdir(team)
                write(team + "/" + name + ".json", document("mallory-" + name, 9820))
                os.rename(team, away)
                os.symlink(to, team)
                time.sleep(0.001)
                os.unlink(team)
                os.rename(away, team)
                clear(team + "/" + name + ".json")
            # And one that is gone before anybody can have looked.
            fresh = mine + "/fresh"
            os.mkdir(fresh)
            os.rmdir(fresh)
            os.symlink(to, fresh)
            time.sleep(0.001)
            os.unlink(fresh)
            done()


# Noise beside what root brings in.
def noise():
    while True:
        write(mine + "/.n", document("mallory-noise", 9840))
        os.rename(mine + "/.n", mine + "/noise.json")
        time.sleep(0.002)
        done()


# Who may write in `desired` swaps the folder of the API's documents for links to others.
def api():
    api, away = desired + "/api", desired + "/.api-away"
    while True:
        for to in (victims, victims + "/inner", "/etc"):
            with contextlib.suppress(OSError):
                os.rename(api, away)
            with contextlib.suppress(OSError):
                os.symlink(to, api)
            time.sleep(0.001)
            with contextlib.suppress(OSError):
                os.unlink(api)
            with contextlib.suppress(OSError):
                os.rename(away, api)
            time.sleep(0.001)
            done()


# Tries everything that changes a name, or a file, in osModa's folders. Also as a member of the group that may call.
def reach():
    tried = []
    places = ["/run/osmoda", "/var/lib/osmoda", "/var/lib/osmoda/status", "/var/lib/osmoda/status/App", "/var/lib/osmoda/desired"]
    places += ["/var/lib/osmoda/switch", "/run/osmoda/switch", "/var/lib/osmoda/ledger", "/var/lib/osmoda-witness", "/etc/osmoda"]
    places += ["/nix/var/nix/gcroots/osmoda", "/nix/var/nix/profiles", "/usr/lib/osmoda", "/var/lib/osmoda/desired/alice"]

    def attempt(what, *words):
        tried.append(what)
        try:
            what(*words)
        except OSError:
            return
        print("done:", what.__name__, *words)

    def rewrite(path):
        os.close(os.open(path, os.O_WRONLY))

    for place in places:
        for guess in (".x.json.new", "alice-web.yaml.new", "agentd.new-1", ".generation.new", ".boot-id-1", "000001.new"):
            attempt(os.symlink, "/etc/osmoda-races", place + "/" + guess)
            attempt(os.mkfifo, place + "/" + guess)
        try:
            names = os.listdir(place)
        except OSError:
            continue
        # What is the attacker's own is.
        for name in set(names) - {"mallory"}:
            path = place + "/" + name
            attempt(os.rename, path, path + ".away")
            attempt(os.rename, path, "/tmp/away")
            attempt(os.unlink, path)
            attempt(os.rmdir, path)
            attempt(os.chmod, path, 0o777)
            if not os.path.isdir(path) and not os.path.islink(path):
                attempt(rewrite, path)
                attempt(os.link, path, "/var/tmp/link-" + name)
    print("tried", len(tried))


globals()[sys.argv[1]]()
