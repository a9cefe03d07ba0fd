# SPDX-License-Identifier: Apache-2.0
"""Goal: an encrypted cluster, over tcp with TLS and over zmq with CURVE, serves who has its keys and refuses everybody else:
other keys, expired ones, none, garbage on every port. Each refusal says what to do, memory stays bounded, the mount goes on.

usage: encryption.py BUILD
"""
import contextlib
import glob
import hashlib
import json
import os
import pwd
import random
import re
import shutil
import socket
import ssl
import stat
import time

from cluster import PATIENCE, SANITIZER, cluster, expect, need_fuse, rideau, run, step, temporary_folder

CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fuzz", "corpus", "fuzz_tcp_frame")


def fails(status, *words, telling):
    done = rideau(*words, check=False, timeout=120 * PATIENCE)
    expect(done.returncode == status, f"{words}: exit status {done.returncode}, not {status}\n{done.stdout}")
    for text in telling:
        expect(text in done.stdout, f"{words}: does not tell \"{text}\":\n{done.stdout}")


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def fingerprint(path):
    with open(path) as file:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
    return [digest[at:at + 4] for at in range(0, 64, 4)]


def keys_are_made_once(folder):
    step("rideau keys: made, shown, never replaced")
    keys = folder + "/keys"
    fails(1, "keys", "node", "one", "--dir", keys, "--address", "10.0.0.1", telling=["rideau keys authority"])
    rideau("keys", "authority", "--dir", keys, "--name", "Rideau at home")
    expect(mode_of(keys) == 0o700 and mode_of(keys + "/authority.key") == 0o600, "modes")
    fails(1, "keys", "authority", "--dir", keys, telling=["authority.key", "never replaced"])
    fails(2, "keys", "node", "one", "--dir", keys, telling=["--address"])
    fails(1, "keys", "node", "one", "--dir", keys, "--address", "a b", telling=["a b"])
    fails(1, "keys", "node", "../one", "--dir", keys, "--client", telling=["no name for a node"])
    made = rideau("keys", "node", "one", "--dir", keys, "--address", "10.0.0.1", "--address", "one.lan").stdout
    expect("one, node at 10.0.0.1, one.lan, until" in made, made)
    expect(mode_of(keys + "/one.key") == 0o600, "the mode of a secret key")
    before = fingerprint(keys + "/one.pem")
    fails(1, "keys", "node", "one", "--dir", keys, "--client", telling=["one.key", "never replaced"])
    expect(fingerprint(keys + "/one.pem") == before, "a key was replaced")
    rideau("keys", "node", "laptop", "--dir", keys, "--client", "--days", "90")
    shown = rideau("keys", "show", keys).stdout
    for name in ("authority", "one", "laptop"):
        groups = fingerprint(f"{keys}/{name}.pem")
        expect(" ".join(groups[:8]) in shown and " ".join(groups[8:]) in shown, f"fingerprint of {name}:\n{shown}")
    expect("laptop, client, until" in shown and "Rideau at home, authority, until" in shown, shown)
    with open(keys + "/one.key") as secret:
        expect(secret.read().split("\n")[1] not in shown, "a secret key is shown")
    rideau("keys", "node", "short", "--dir", keys, "--client", "--days", "3", check=False)
    fails(1, "keys", "show", keys, telling=["ends in"])
    os.unlink(keys + "/short.pem")
    rideau("keys", "authority", "--dir", folder + "/others")
    shutil.copy(folder + "/others/authority.pem", keys + "/other.pem")
    rideau("keys", "node", "stranger", "--dir", folder + "/others", "--client")
    shutil.copy(folder + "/others/stranger.pem", keys)
    fails(1, "keys", "show", keys, telling=["not the authority beside it"])
    curve = rideau("keys", "curve", keys + "/zmq.curve").stdout
    expect(mode_of(keys + "/zmq.curve") == 0o600 and re.search(r"public key \S{40}\n", curve), curve)
    fails(1, "keys", "curve", keys + "/zmq.curve", telling=["never replaced"])


def ports_of(made):
    """Every port on which a process of the cluster listens."""
    nodes = set(made.processes())
    sockets = {}
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[fields[9]] = int(fields[1].split(":")[1], 16)
    found = set()
    for process in nodes:
        for link in glob.glob(f"/proc/{process}/fd/*"):
            with contextlib.suppress(OSError):
                number = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link))
                if number and number[1] in sockets:
                    found.add(sockets[number[1]])
    return sorted(found)


def memory_of(made):
    """Resident bytes of each server."""
    sizes = {}
    for node in made.nodes():
        if not node.startswith("client"):
            with open(f"/proc/{made.process(node)}/status") as file:
                sizes[node] = int(re.search(r"RssAnon:\s+(\d+) kB", file.read())[1]) << 10
    return sizes


def throw(port, data):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096):
            pass


def garbage_on_ports(made):
    ports = ports_of(made)
    servers = sum(not node.startswith("client") for node in made.nodes())
    step(f"garbage and silence on {len(ports)} ports")
    expect(len(ports) >= 2 * servers, f"a server listens for links and for metrics: {ports}")
    chance = random.Random(17)
    corpus = []
    for path in sorted(glob.glob(CORPUS + "/*")):
        with open(path, "rb") as file:
            corpus.append(file.read())
    expect(corpus, "no corpus")
    starts = [b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x15\x03\x03\x00\x02\x02\x28", b"1RDT",
              b"\xff" + bytes(8) + b"\x7f\x03", b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(15), b"GET / HTTP/1.1\r\n"]
    before = memory_of(made)
    for port in ports:
        for start in starts:
            for _ in range(6):
                throw(port, start + chance.randbytes(chance.randrange(1, 30_000)))
        for data in chance.sample(corpus, min(20, len(corpus))):
            throw(port, data)
    for port in ports:
        with contextlib.ExitStack() as silent:
            for number in range(100):
                link = silent.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                with contextlib.suppress(OSError):
                    link.sendall(starts[number % len(starts)])
    after = memory_of(made)
    grown = {node: after[node] - before[node] for node in before}
    # Sanitizers keep what was freed.
    expect(SANITIZER or max(grown.values()) < 48 << 20, f"memory has grown: {grown}")
    expect(json.loads(rideau("status", "--config", made.config, "--json").stdout)["healthy"], "a server is gone")
    for node in made.nodes():
        expect(len(made.log(node)) < 1 << 20, f"the log of {node} has {len(made.log(node))} bytes")


def other_config(made, name, change):
    """A copy of the configuration, changed."""
    with open(made.config) as file:
        text = file.read()
    changed = change(text)
    expect(changed != text, f"{name}: the configuration is the same")
    path = os.path.join(made.folder, name + ".toml")
    with open(path, "w") as file:
        file.write(changed)
    return path


def refused(made, config, *telling):
    """Neither mount nor status gets anywhere with this configuration, and both say why."""
    point = os.path.join(made.folder, "strange-mount")
    os.makedirs(point, exist_ok=True)
    fails(1, "mount", "--config", config, point, telling=telling)
    fails(1, "status", "--config", config, telling=telling)


def logged(made, text, nodes=("mds0",)):
    """By now, or soon: who was refused may hear of it before that is written."""
    until = time.monotonic() + 10 * PATIENCE
    for node in nodes:
        while text not in made.log(node):
            expect(time.monotonic() < until, f"{node} does not log \"{text}\"")
            time.sleep(0.05)


def expired_key(folder):
    """openssl makes what `rideau keys` does not: a certificate that has ended."""
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder + "/late.key",
        "-subj", "/CN=late", "-out", folder + "/late.csr")
    run("openssl", "x509", "-req", "-in", folder + "/late.csr", "-CA", folder + "/authority.pem", "-CAkey", folder + "/authority.key",
        "-days", "-1", "-out", folder + "/late.pem")


def handshake(port, folder, name):
    """As who has this key; what the server says to it in the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder + "/authority.pem")
    if name:
        context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        with context.wrap_socket(link, server_hostname="127.0.0.1") as secure:
            return secure.version(), secure.recv(4)


def server_ports(made):
    with open(made.config) as file:
        return [int(part.split('"')[0]) for part in file.read().split('listen = "127.0.0.1:')[1:]]


def tls_refusals(made, folder):
    keys = made.folder + "/keys"
    mds = server_ports(made)[0]
    step("every server speaks TLS 1.3 and begins with its greeting")
    for port in server_ports(made):
        expect(handshake(port, keys, "node") == ("TLSv1.3", b"1RDT"), "no TLS 1.3")
    step("keys of another authority")
    rideau("keys", "authority", "--dir", folder + "/foreign")
    rideau("keys", "node", "node", "--dir", folder + "/foreign", "--address", "127.0.0.1")
    refused(made, other_config(made, "foreign", lambda text: text.replace('"keys/', f'"{folder}/foreign/')), "of another authority")
    logged(made, "this node is of another authority", ("mds0", "oss0"))
    step("an expired key")
    expired_key(keys)
    late = other_config(made, "late", lambda text: text.replace("keys/node.", "keys/late."))
    refused(made, late, "expired")
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        expect(handshake(mds, keys, "late")[1] == b"", "an expired key was let in")
    logged(made, "the certificate of the peer has expired")
    step("no key, and no TLS")
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        expect(handshake(mds, keys, None)[1] == b"", "no key was let in")
    logged(made, "shows no certificate")
    plain = other_config(made, "plain", lambda text: re.sub(r"(?m)^transport = .*$", 'transport = { plugin = "tcp", local = false }', text))
    refused(made, plain, "the peer speaks TLS: certificate, key and authority are needed on both sides")
    logged(made, "the peer speaks tcp without TLS")
    step("a key file that others can read")
    shutil.copy(keys + "/node.key", keys + "/open.key")
    os.chmod(keys + "/open.key", 0o644)
    refused(made, other_config(made, "open", lambda text: text.replace("keys/node.key", "keys/open.key")), "chmod 600")


def curve_refusals(made, folder):
    step("another CURVE key, and none")
    rideau("keys", "curve", folder + "/other.curve")
    refused(made, other_config(made, "foreign", lambda text: text.replace("keys/cluster.curve", folder + "/other.curve")), "refused")
    refused(made, other_config(made, "plain", lambda text: re.sub(r"(?m)^transport = .*$", 'transport = "zmq"', text)), "refused")


def still_works(made, number):
    data = os.urandom(3 << 20)
    with open(f"{made.mount}/file{number}", "wb") as file:
        file.write(data)
    another = made.mount_another(f"another{number}")
    with open(f"{another}/file{number}", "rb") as file:
        expect(file.read() == data, "other bytes came back")
    rideau("umount", another)


def encrypted(transport, refusals):
    step(f"rideau up --encrypt --transport {transport}")
    with temporary_folder() as scratch, cluster(options=["--transport", transport, "--encrypt"]) as made:
        still_works(made, 1)
        refusals(made, scratch)
        garbage_on_ports(made)
        still_works(made, 2)
        made.down()
        made.up()       # the same keys
        still_works(made, 3)
        made.down()
        made.check()


def greeting_bytes(port, user):
    """How many bytes of a greeting a process of that user gets over the Unix socket beside the port."""
    child = os.fork()
    if child == 0:
        status = 100
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(30 * PATIENCE)
                link.connect(f"\0rideau-tcp/127.0.0.1:{port}")
                status = len(link.recv(4))
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def unix_sockets_of_one_user():
    step("with `local`, processes of one user need no TLS, and others get none of it")
    if os.geteuid() != 0:
        print("left out: only root can become somebody else")
        return
    with cluster(options=["--encrypt"], start=False) as made:
        made.options.append("--no-mount")
        made.up()
        made.down()
        with open(made.config) as file:
            text = file.read()
        with open(made.config, "w") as file:
            file.write(text.replace("local = false", "local = true"))
        made.up()
        port = server_ports(made)[0]
        greetings = greeting_bytes(port, pwd.getpwuid(0)), greeting_bytes(port, pwd.getpwnam("nobody"))
        expect(greetings == (4, 0), f"greetings: {greetings}")
        logged(made, "it is another user's")
        expect(json.loads(rideau("status", "--config", made.config, "--json").stdout)["healthy"], "status over Unix sockets")
        made.down()


def plain_server():
    step("a cluster without keys refuses who comes with some, and is not believed to be encrypted")
    with temporary_folder() as folder, cluster(options=["--no-mount"]) as made:
        logged(made, "which this machine alone can reach", ("mds0", "oss0", "oss1"))
        fails(2, "up", "--dir", made.folder, "--no-mount", "--encrypt", telling=["has no keys"])
        rideau("keys", "authority", "--dir", folder + "/keys")
        rideau("keys", "node", "node", "--dir", folder + "/keys", "--client")
        keys = ", ".join(f'{key} = "{folder}/keys/{file}"' for key, file in
                         (("certificate", "node.pem"), ("key", "node.key"), ("authority", "authority.pem")))
        config = other_config(made, "keys", lambda text: text.replace('transport = "tcp"', f'transport = {{ plugin = "tcp", local = false, {keys} }}'))
        refused(made, config, "the peer speaks tcp without TLS")
        logged(made, "the peer speaks TLS")
        fails(2, "up", "--dir", folder + "/never", "--transport", "rdma", "--encrypt", telling=["rdma cannot"])
        fails(2, "up", "--dir", folder + "/never", "--single-process", "--encrypt", telling=["inproc cannot"])


need_fuse()
with temporary_folder() as scratch_folder:
    keys_are_made_once(scratch_folder)
plain_server()
unix_sockets_of_one_user()
encrypted("tcp", tls_refusals)
encrypted("zmq", curve_refusals)
print("who has the keys is served, and nobody else")
