# SPDX-License-Identifier: Apache-2.0
"""Goal: what an operator does beside starting and stopping: figures of every node, by command and for Prometheus; log level at
run time; logs rotated by name; clients evicted; completion and the man page."""
import json
import os
import re
import signal
import stat
import subprocess
import threading
import time
import urllib.request

from cluster import BUILD, PATIENCE, RIDEAU, cluster, expect, need_fuse, rideau, run, step, temporary_folder

NODES = ("mds0", "oss0", "oss1", "client0")


def await_true(condition, what):
    until = time.monotonic() + 30 * PATIENCE
    while not condition():
        expect(time.monotonic() < until, what)
        time.sleep(0.02)


def stats_of(made, *words):
    told = json.loads(rideau("stats", "--config", made.config, "--json", *words).stdout)
    return {node["node"]: node["metrics"] for node in told["nodes"]}


def status_of(made):
    return json.loads(rideau("status", "--config", made.config, "--json", check=False).stdout)


def figures(made):
    step("stats: every node of this machine, counts that follow what is done")
    before = stats_of(made)
    expect(tuple(before) == NODES, f"stats of {list(before)}")
    for number in range(20):
        with open(f"{made.mount}/file{number}", "w") as file:
            file.write("x" * 5000)
    rideau("sync", made.mount)
    after = stats_of(made)
    made_by_client = 'rideau_client_calls_total{target="1",method="make"}'
    made_at_mds = 'rideau_server_calls_total{target="1",method="make"}'
    expect(after["client0"][made_by_client] - before["client0"].get(made_by_client, 0) == 20, "creates at the client")
    expect(after["mds0"][made_at_mds] - before["mds0"].get(made_at_mds, 0) == 20, "creates at the mds")
    written = sum(after[node]["rideau_server_payload_received_bytes_total"] -
                  before[node]["rideau_server_payload_received_bytes_total"] for node in ("oss0", "oss1"))
    expect(written == 20 * 5000, f"{written} bytes at the object servers")
    expect(after["client0"]["rideau_client_dirty_bytes"] == 0, "dirty bytes after sync")
    groups = 'rideau_mds_commit_groups_total{target="1"}'
    expect(after["mds0"][groups] > before["mds0"][groups], "no group was committed")
    for node in NODES:
        calls = [value for key, value in after[node].items() if key.startswith("rideau_system_calls_total")]
        expect(len(calls) >= 2 and all(value >= 0 for value in calls) and sum(calls) > 0, f"system calls of {node}: {calls}")
        expect(after[node]["process_resident_memory_bytes"] > 1 << 20, f"memory of {node}")
    text = rideau("stats", "--config", made.config, "--node", "mds0").stdout
    expect(text.startswith("mds0\n") and made_at_mds in text and "oss0" not in text, text)
    expect(rideau("stats", "--config", made.config, "--node", "mds7", check=False).returncode == 2, "a node that is not there")


def prometheus(made):
    step("Prometheus reads every node; status shows where; a fixed address in the file is taken")
    addresses = {node["node"]: node["metrics"] for node in status_of(made)["nodes"]}
    expect(set(addresses) == set(NODES), f"metrics of {addresses}")
    line = re.compile(r'^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+$')
    for node in NODES:
        expect(addresses[node].startswith("127.0.0.1:"), f"{node} listens on {addresses[node]}")
        with urllib.request.urlopen(f"http://{addresses[node]}/metrics", timeout=10) as answer:
            expect(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers)
            text = answer.read().decode()
        for each in text.splitlines():
            expect(each.startswith("# ") or line.match(each), f"{node}: not a line of Prometheus: {each}")
        expect("# TYPE process_resident_memory_bytes gauge" in text, f"{node}: no memory")
    try:
        urllib.request.urlopen(f"http://{addresses['mds0']}/evict", data=b"x", timeout=10)
        raise AssertionError("the metrics address takes commands")
    except urllib.error.HTTPError as error:
        expect(error.code == 404, f"status {error.code}")


def log_level(made):
    step("log level at run time; the control socket is the owner's alone")
    socket = f"{made.folder}/run/mds0.sock"
    expect(stat.S_IMODE(os.stat(socket).st_mode) == 0o600, "rights of the control socket")
    done = rideau("log-level", "--config", made.config, "--node", "mds0", "debug")
    expect(done.stdout == "mds0: debug, was info\n", done.stdout)
    expect("log level debug, was info" in made.log("mds0"), "the change is not in the log")
    done = rideau("log-level", "--config", made.config, "error")
    expect(done.stdout.splitlines()[0] == "mds0: error, was debug" and len(done.stdout.splitlines()) == len(NODES), done.stdout)
    rideau("log-level", "--config", made.config, "info")
    expect(rideau("log-level", "--config", made.config, "loud", check=False).returncode == 2, "a level that does not exist")


def rotation(made):
    step("logs are rotated by name: HUP opens them anew")
    for node in ("oss0", "client0", "mds0"):
        log = f"{made.folder}/log/{node}.log"
        os.rename(log, log + ".1")
        if node == "mds0":
            rideau("reopen-logs", "--config", made.config)
        else:
            os.kill(made.process(node), signal.SIGHUP)
        await_true(lambda path=log: os.path.exists(path), f"{node} does not open its log anew")
        rideau("log-level", "--config", made.config, "--node", node, "warning")
        expect("log level warning" in made.log(node), f"{node} writes elsewhere")
        rideau("log-level", "--config", made.config, "--node", node, "info")
    with open(f"{made.mount}/after-rotation", "w") as file:
        file.write("the client lives")


def story(made):
    step("trace: which request took long, and what it went through on all nodes; also from a file")
    os.mkdir(f"{made.mount}/stories")
    sleeper = made.process("mds0")
    os.kill(sleeper, signal.SIGSTOP)
    alarm = threading.Timer(0.5, os.kill, (sleeper, signal.SIGCONT))
    alarm.start()
    os.mkdir(f"{made.mount}/stories/slow")
    alarm.join()
    listed = rideau("trace", "--config", made.config, "--count", "100").stdout
    line = next(line for line in listed.splitlines() if " mkdir of inode " in line)
    trace, took = line.split()[0], float(line.split()[2])
    expect(took > 300, f"a request that was held up for 500 ms: {line}")
    told = rideau("trace", "--config", made.config, trace).stdout
    steps = ["asks: mkdir", "make to target 1 sent", "arrived", "answered", "make to target 1 answered", "has its answer: ok"]
    at = [told.find(words) for words in steps]
    expect(-1 not in at and at == sorted(at), f"steps at {at} of\n{told}")
    expect('longest pause' in told and '"make to target 1 sent" at client0' in told, told)
    saved = f"{made.folder}/events"
    rideau("trace", "--config", made.config, "--node", "client0", "--save", saved)
    alone = rideau("trace", "--config", made.config, "--node", "mds0", "--with", saved, trace).stdout
    expect("client0" in alone and "mds0" in alone and "has its answer" in alone, f"merged from a file:\n{alone}")
    unknown = rideau("trace", "--config", made.config, "1234", check=False)
    expect(unknown.returncode == 1 and "no node has an event of 1234" in unknown.stdout, unknown.stdout)
    expect(rideau("trace", "--config", made.config, "slow", check=False).returncode == 2, "no number")
    torn = rideau("trace", "--config", made.config, "--with", made.config, check=False)
    expect(torn.returncode == 1 and "no events of a Rideau node" in torn.stdout, torn.stdout)


def eviction(made):
    step("evict: the client's session ends at every server, its locks go, it comes back with a new one")
    sessions = status_of(made)["sessions"]
    expect(len(sessions) == 1 and sessions[0]["connected"] and made.mount in sessions[0]["name"], f"sessions: {sessions}")
    client = sessions[0]["client"]
    text = rideau("status", "--config", made.config).stdout
    expect(client in text, "the client is not in the status")
    done = rideau("evict", "--config", made.config, client)
    for node in ("mds0", "oss0", "oss1"):
        expect(f"{node}: client {client} evicted" in done.stdout, done.stdout)
    expect("evicted" in made.log("mds0") and "operator" in made.log("mds0"), "the log does not tell why")
    with open(f"{made.mount}/after-eviction", "w") as file:
        file.write("a new session")
    with open(f"{made.mount}/after-rotation") as file:
        expect(file.read() == "the client lives", "another content")
    unknown = "11111111-2222-4333-8444-555555555555"
    expect(rideau("evict", "--config", made.config, unknown, check=False).returncode == 1, "a client that is not there")
    nobody = rideau("evict", "--config", made.config, "client0", check=False)
    expect(nobody.returncode == 1 and "rideau status" in nobody.stdout, "no name of a client")


def tree_of(folder):
    """Every path with type, mode and content."""
    found = {}
    for where, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(where, name)
            kind = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else None
            if stat.S_ISREG(kind.st_mode):
                try:
                    with open(path, "rb") as file:
                        content = file.read()
                except OSError as error:
                    content = error.errno
            found[os.path.relpath(path, folder)] = (kind.st_mode, kind.st_nlink, content)
    return found


def backup_and_restore(made):
    step("backup of a metadata server that is busy")
    kept = made.mount + "/kept"
    os.makedirs(kept + "/below")
    for number in range(300):
        with open(f"{kept}/below/f{number}", "wb") as file:
            file.write(b"%d" % number * 100)
    os.link(kept + "/below/f1", kept + "/hard")
    os.symlink("below/f2", kept + "/soft")
    os.setxattr(kept + "/below/f3", "user.colour", b"blue")
    os.chmod(kept + "/below/f4", 0o4711)
    rideau("sync", made.mount)
    before = tree_of(kept)
    busy = subprocess.Popen(["sh", "-c", f"mkdir {made.mount}/busy; i=0; while [ $i -lt 3000 ]; do : > {made.mount}/busy/$i; i=$((i+1)); done"])
    file = made.folder + "/mds0.backup"
    done = rideau("backup", "--config", made.config, "--node", "mds0", file)
    expect(done.stdout == f"{file}: {os.path.getsize(file)} bytes\n", done.stdout)
    busy.terminate()
    busy.wait()
    expect(stat.S_IMODE(os.stat(file).st_mode) == 0o600 and not os.path.exists(file + ".partial"), "the file")
    done = rideau("backup", "--config", made.config, "--node", "mds0", file, check=False)
    expect(done.returncode == 1 and "there already" in done.stdout, done.stdout)
    expect(rideau("backup", "--config", made.config, "--node", "oss0", file + "x", check=False).returncode == 2, "of an oss")
    os.makedirs(made.mount + "/inside", exist_ok=True)
    done = rideau("backup", "--config", made.config, "--node", "mds0", made.mount + "/inside/backup", check=False)
    expect(done.returncode == 2 and "would wait for itself" in done.stdout, f"into the file system itself: {done.stdout}")
    os.rmdir(made.mount + "/inside")
    done = rideau("restore", "--config", made.config, "--node", "mds0", file, check=False)
    expect(done.returncode == 1 and "runs" in done.stdout, done.stdout)

    step("what a restore refuses: an index that is not empty, damaged backups, those of others")
    newest = made.mount + "/newest"
    with open(newest, "w") as out:
        out.write("made after the backup")
    os.unlink(kept + "/below/f9")
    rideau("down", "--dir", made.folder)
    fails = lambda config, path, text: expect_refused(rideau("restore", "--config", config, "--node", "mds0", path, check=False), text)
    fails(made.config, file, "not empty")
    data = open(file, "rb").read()
    os.rename(made.folder + "/mds0", made.folder + "/mds0.lost")
    for damaged in (data[:-1], data[:len(data) // 2], data[:60] + bytes([data[60] ^ 1]) + data[61:], b"", b"something else" * 100):
        with open(file + ".damaged", "wb") as out:
            out.write(damaged)
        fails(made.config, file + ".damaged", "another backup")
    expect(not os.path.exists(made.folder + "/mds0"), "a refused restore left something")
    with open(made.config) as source:
        text = source.read()
    with open(made.config + ".stranger.toml", "w") as out:
        out.write(text.replace(text.split('uuid = "')[1].split('"')[0], "00000000-1111-4222-8333-444444444444"))
    fails(made.config + ".stranger.toml", file, "is a backup of target 1 of cluster")

    step("restore: names, links, attributes and bytes of the backup's moment; what is made later is new")
    done = rideau("restore", "--config", made.config, "--node", "mds0", file)
    expect("records restored" in done.stdout, done.stdout)
    fails(made.config, file, "not empty")
    made.up()
    after = tree_of(kept)
    lost = before.pop("below/f9")
    found = after.pop("below/f9")
    expect(found[:2] == lost[:2], "a name that was removed after the backup is back, without its bytes")
    expect(after == before, "the tree is not what it was")
    expect(os.getxattr(kept + "/below/f3", "user.colour") == b"blue", "an attribute")
    expect(not os.path.exists(newest), "a file that is newer than the backup")
    for number in range(50):  # their numbers must not be those of files that the backup does not know
        with open(f"{made.mount}/later{number}", "w+b") as out:
            out.truncate(4096)
            expect(out.read() == bytes(4096), "a new file shows old bytes")
    made.down()
    made.up()
    expect(os.path.getsize(made.mount + "/later7") == 4096, "after another start")


def compaction(made):
    step("compact: refused while a node runs; gives the disk back what removed files had; everything else is there")
    expect_refused(rideau("compact", "--config", made.config, "--node", "mds0", check=False), "stop it first")
    folder = made.mount + "/many"
    os.mkdir(folder)
    for number in range(3000):
        os.symlink("x" * 500, f"{folder}/{number}")
    rideau("sync", made.mount)
    for number in range(10, 3000):
        os.unlink(f"{folder}/{number}")
    before = tree_of(made.mount)
    made.down()
    data = made.folder + "/mds0/index/data.mdb"
    size = os.path.getsize(data)
    told = rideau("compact", "--config", made.config).stdout
    expect(all(f"node {node}" in told for node in ("mds0", "oss0", "oss1")), told)
    expect(os.path.getsize(data) < size / 4, f"{size} bytes before, {os.path.getsize(data)} now")
    made.up()
    expect(tree_of(made.mount) == before, "another tree after a compaction")


def expect_refused(done, text):
    expect(done.returncode == 1 and text in done.stdout, done.stdout)


def other_addresses(made):
    step("metrics: a fixed address, one that is taken, none at all")
    with open(made.config) as file:
        text = file.read()
    taken = {node["node"]: node["metrics"] for node in status_of(made)["nodes"]}["mds0"]
    rideau("down", "--dir", made.folder)
    with open(made.config, "w") as file:
        file.write(text.replace("[node.mds0]\n", f'[node.mds0]\nmetrics = "{taken}"\n').replace(
            "[node.oss0]\n", '[node.oss0]\nmetrics = "off"\n'))
    made.up()
    addresses = {node["node"]: node.get("metrics") for node in status_of(made)["nodes"]}
    expect(addresses["mds0"] == taken and addresses["oss0"] is None, f"{addresses}")
    point = made.folder + "/second"
    os.makedirs(point)
    with open(made.config + ".other.toml", "w") as file:
        file.write(text.replace("[defaults]\n", f'[defaults]\nmetrics = "{taken}"\n'))
    done = rideau("mount", "--config", made.config + ".other.toml", point, check=False)
    expect(done.returncode == 1 and taken in done.stdout and "metrics" in done.stdout, done.stdout)


def commands_below(*path):
    """Every command with its help, as --help lists them."""
    text = rideau(*path, "--help").stdout
    if "Subcommands:" not in text:
        return [(path, text)]
    names = re.findall(r"^  (\S+)  +\S", text.split("Subcommands:")[1], re.M)
    return [(path, text)] + [each for name in names for each in commands_below(*path, name)]


def texts(folder):
    step("every command has an example; the man page and bash completion know every command")
    commands = commands_below()
    names = [" ".join(path) for path, _ in commands if path]
    expect(len(names) > 12 and "stats" in names and "plugins describe" in names, f"commands: {names}")
    for path, text in commands:
        subcommands = "Subcommands:" in text and path
        expect("rideau " + " ".join(path) in text.split("Example")[-1] if not subcommands else True,
               f"{path}: no example\n{text}")
    page = folder + "/rideau.1"
    with open(page, "w") as file:
        file.write(rideau("man").stdout)
    done = run("groff", "-man", "-ww", "-Tascii", "-P-cbou", page)
    for name in names:
        expect(f"rideau {name}" in done.stdout, f"the man page has no {name}")
    warnings = run("groff", "-man", "-ww", "-z", page).stdout
    expect(warnings == "", f"warnings of groff: {warnings}")
    script = folder + "/rideau.bash"
    with open(script, "w") as file:
        file.write(rideau("completion", "bash").stdout)

    def complete(*words):
        program = (f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
                   "_rideau; printf '%s\\n' \"${COMPREPLY[@]}\"")
        return run("bash", "--norc", "-eu", "-c", program).stdout.split()

    top = [name for name in names if " " not in name]
    expect(sorted(complete("rideau", "")) == sorted(top), f"completes {complete('rideau', '')}")
    expect(sorted(complete("rideau", "sta")) == ["stats", "status"], f"completes {complete('rideau', 'sta')}")
    expect(complete("rideau", "plugins", "") == ["describe"], "below plugins")
    expect("--config" in complete("rideau", "status", "-"), "options of status")
    expect("--oss" in complete("rideau", "up", "--o"), "options of up")
    expect(complete("rideau", "--log-level", "w") == ["warning"], "values of --log-level")
    expect(complete("rideau", "completion", "") == ["bash", "zsh", "fish"], "values of an argument")
    expect(complete("rideau", "status", "--config", "/e") == [], "a file is the shell's to complete")
    for shell in ("zsh", "fish"):
        text = rideau("completion", shell).stdout
        expect(all(name.split()[-1] in text for name in names), f"{shell}: a command is missing")
        if subprocess.run(["sh", "-c", f"command -v {shell}"], stdout=subprocess.DEVNULL, check=False).returncode == 0:
            with open(f"{folder}/rideau.{shell}", "w") as file:
                file.write(text)
            run(shell, "-n", f"{folder}/rideau.{shell}")


need_fuse()
with temporary_folder() as scratch:
    texts(scratch)
with cluster() as made_cluster:
    figures(made_cluster)
    prometheus(made_cluster)
    story(made_cluster)
    log_level(made_cluster)
    rotation(made_cluster)
    eviction(made_cluster)
    backup_and_restore(made_cluster)
    compaction(made_cluster)
    other_addresses(made_cluster)
    made_cluster.down()
print("the operator has what he needs")
