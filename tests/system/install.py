# SPDX-License-Identifier: Apache-2.0
"""Goal: the installed tree is complete in itself: programs, plugins that are found without an option, headers, a package that
CMake finds; and a cluster runs from it."""
import errno
import os
import shutil
import subprocess

from cluster import BUILD, SANITIZER, expect, need_fuse, run, step, temporary_folder

PROJECT = """cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES CXX)
find_package(rideau REQUIRED)
add_executable(user user.cpp)
target_link_libraries(user PRIVATE rideau::sdk)
if(NOT COMMAND add_rideau_plugin)
  message(FATAL_ERROR "the package gives no add_rideau_plugin()")
endif()
"""


def installed_files(prefix):
    step("what is there")
    for path in ("bin/rideau", "bin/rideau-conformance"):
        expect(os.access(f"{prefix}/{path}", os.X_OK), f"{path} is not installed")
    for header in ("abi.hpp", "host.hpp", "transport.hpp", "index_store.hpp", "object_store.hpp"):
        expect(os.path.isfile(f"{prefix}/include/rideau/{header}"), f"include/rideau/{header} is not installed")
    listed = run(prefix + "/bin/rideau", "plugins").stdout
    for plugin in ("inproc", "rdma", "tcp", "zmq", "lmdb", "raw-file", "block-device", "index-objects"):
        lines = [line for line in listed.splitlines() if line.split()[0] == plugin]
        expect(len(lines) == 1 and f"{prefix}/lib" in lines[0], f"{plugin} is not found in the prefix:\n{listed}")
    expect(BUILD not in listed, f"plugins of the build folder are listed:\n{listed}")
    libraries = run("ldd", prefix + "/bin/rideau").stdout + run("readelf", "-d", prefix + "/bin/rideau").stdout
    expect(BUILD not in libraries and "not found" not in libraries, f"the program needs what is not installed:\n{libraries}")


def texts_and_units(prefix, folder):
    step("completion, man page, unit, log rotation and examples")
    for path, word in (("share/bash-completion/completions/rideau", "complete -o default -F _rideau rideau"),
                       ("share/zsh/site-functions/_rideau", "#compdef rideau"),
                       ("share/fish/vendor_completions.d/rideau.fish", "complete -c rideau"),
                       ("share/man/man1/rideau.1", ".TH RIDEAU 1"),
                       ("lib/systemd/system/rideau@.service", "/bin/rideau serve --config"),
                       ("share/doc/rideau/examples/rideau.logrotate", "/bin/rideau reopen-logs")):
        with open(f"{prefix}/{path}") as file:
            text = file.read()
        expect(word in text and "@RIDEAU" not in text, f"{path}:\n{text[:2000]}")
    run("bash", "-n", prefix + "/share/bash-completion/completions/rideau")
    for name in ("one_machine", "four_machines", "mixed_transports"):
        run(prefix + "/bin/rideau", "check-config", f"{prefix}/share/doc/rideau/examples/{name}.toml")
    if shutil.which("systemd-analyze"):
        os.mkdir(folder)
        with open(prefix + "/lib/systemd/system/rideau@.service") as file:
            unit = file.read().replace(prefix.replace("/prefix", "/first"), prefix)
        with open(folder + "/rideau@mds0.service", "w") as file:
            file.write(unit)
        done = run("systemd-analyze", "verify", "--man=no", folder + "/rideau@mds0.service", check=False)
        complaints = [line for line in done.stdout.splitlines() if "rideau@" in line]
        expect(not complaints, "\n".join(complaints))


def package(prefix, folder):
    step("find_package(rideau) from outside")
    os.mkdir(folder)
    with open(folder + "/CMakeLists.txt", "w") as file:
        file.write(PROJECT)
    with open(folder + "/user.cpp", "w") as file:
        headers = sorted(name for name in os.listdir(prefix + "/include/rideau") if name.endswith(".hpp"))
        file.write("".join(f"#include <rideau/{name}>\n" for name in headers) + "int main() { return rideau::Status{}.ok() ? 0 : 1; }\n")
    run("cmake", "-G", "Ninja", "-S", folder, "-B", folder + "/build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder + "/build")
    run(folder + "/build/user")


def conformance(prefix, folder):
    step("an installed plugin is judged by the installed kit")
    os.mkdir(folder)
    shared = [os.path.join(where, name) for where, _, names in os.walk(prefix + "/lib") for name in names]
    lmdb = [path for path in shared if os.path.basename(path) == "rideau-lmdb.so"]
    expect(len(lmdb) == 1, f"{len(lmdb)} files rideau-lmdb.so")
    run(prefix + "/bin/rideau-conformance", lmdb[0], "--seed", "1", cwd=folder)


def build_example(prefix, name, folder):
    step(f"the example {name}, from outside")
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", name)
    run("cmake", "-G", "Ninja", "-S", example, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_CXX_FLAGS=" + (f"-fsanitize={SANITIZER}" if SANITIZER else ""))
    run("cmake", "--build", folder)
    return f"{folder}/{name}"


def file_system_in_a_folder(prefix, folder):
    program, files = build_example(prefix, "embedded_file_system", folder + "-build"), folder + "/files"
    os.mkdir(folder)
    run(program, files, "first")
    expect(run(program, files, "second").stdout == "first\nsecond\n", "what was written is not there")
    run(prefix + "/bin/rideau", "up", "--dir", files)
    try:
        with open(files + "/mnt/notes") as notes:
            expect(notes.read() == "first\nsecond\n", "the mount shows something else")
        busy = run(program, files, "third", check=False)
        expect(busy.returncode == 1 and busy.stdout.startswith("open: "), f"{busy.returncode}: {busy.stdout}")
    finally:
        run(prefix + "/bin/rideau", "down", "--dir", files)
    run(prefix + "/bin/rideau", "fsck", "--config", files + "/cluster.toml")


def transport_of_an_author(prefix, folder):
    """Somebody else's network: built against the installed SDK alone, judged, and a cluster over it."""
    build_example(prefix, "minimal_transport", folder + "-build")
    plugin, made = folder + "-build/rideau-minimal_transport.so", folder + "/cluster"
    os.mkdir(folder)
    judged = run(prefix + "/bin/rideau-conformance", plugin, "--seed", "1", cwd=folder).stdout
    expect("43 passed, 0 failed, 1 not applicable" in judged, judged[-2000:])
    cluster_over_plugins(prefix, made, [folder + "-build"], ["--oss", "2", "--transport", "minimal-transport"], plugin)


def cluster_over_plugins(prefix, made, folders, words, file):
    """Started, filled, stopped, and started again."""
    program, options = prefix + "/bin/rideau", [word for folder in folders for word in ("--plugin-path", folder)]
    try:
        run(program, *options, "up", "--dir", made, *words)
        run("cp", file, made + "/mnt/file")
        run("rsync", "-a", prefix + "/include", made + "/mnt/")
        run(program, *options, "down", "--dir", made)
        run(program, *options, "up", "--dir", made)
        run("cmp", file, made + "/mnt/file")
        run("diff", "-r", prefix + "/include", made + "/mnt/include")
        run(program, *options, "down", "--dir", made)
        run(program, *options, "fsck", "--config", made + "/cluster.toml")
    finally:
        subprocess.run([program, *options, "down", "--dir", made], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def stores_of_an_author(prefix, folder):
    """Somebody else's stores, both in one cluster."""
    os.mkdir(folder)
    for name, plugin in (("minimal_index_store", "minimal"), ("minimal_object_store", "minimal_objects")):
        build_example(prefix, name, f"{folder}/{name}")
    judged = run(prefix + "/bin/rideau-conformance", f"{folder}/{name}/rideau-{plugin}.so", "--seed", "1", cwd=folder).stdout
    expect("33 passed, 0 failed" in judged, judged[-2000:])
    cluster_over_plugins(prefix, folder + "/cluster", [folder + "/minimal_index_store", folder + "/minimal_object_store"],
                         ["--index", "minimal", "--objects", "minimal-objects"], f"{folder}/{name}/rideau-{plugin}.so")


def cluster_runs(prefix, folder):
    step("up, a file, down, up, the file")
    program, made = prefix + "/bin/rideau", folder + "/cluster"
    example = build_example(prefix, "embedded_client", folder + "/embedded")
    try:
        run(program, "up", "--dir", made, "--oss", "2")
        told = run(example, made + "/cluster.toml").stdout
        expect(told.startswith("1001 names in /embedded") and len(os.listdir(made + "/mnt/embedded")) == 1001, told)
        with open(made + "/mnt/file", "w") as file:
            file.write("installed")
        run(program, "status", "--config", made + "/cluster.toml")
        run(program, "down", "--dir", made)
        run(program, "up", "--dir", made)
        with open(made + "/mnt/file") as file:
            expect(file.read() == "installed", "another content")
        step("a line of fstab: what mount(8) calls")
        os.mkdir(folder + "/point")
        helper = [prefix + "/sbin/mount.rideau", made + "/cluster.toml", folder + "/point"]
        refused = run(*helper, "-o", "rw,quota", check=False)
        expect(refused.returncode == 2 and '"quota": not in this version' in refused.stdout, refused.stdout)
        run(*helper, "-n", "-o", "rw,_netdev,nofail,noatime,nosuid,x-systemd.automount")
        with open(folder + "/point/file") as file:
            expect(file.read() == "installed", "another content")
        with open("/proc/self/mounts") as file:
            line = [line for line in file if f" {folder}/point " in line][0]
        # `mount -a` knows by the source that it is mounted.
        expect(line.startswith(made + "/cluster.toml ") and "nosuid" in line and "noatime" in line, line)
        run("umount", folder + "/point")
        run(prefix + "/sbin/mount.fuse.rideau", *helper[1:], "-o", "ro")
        try:
            open(folder + "/point/file", "w").close()
            raise AssertionError("a mount with ro takes writes")
        except OSError as error:
            expect(error.errno == errno.EROFS, error)
        run("umount", folder + "/point")
        run(program, "down", "--dir", made)
    finally:
        subprocess.run([program, "down", "--dir", made], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


need_fuse()
with temporary_folder() as top:
    step("cmake --install")
    run("cmake", "--install", BUILD, "--prefix", top + "/first")
    # It works wherever it is put.
    shutil.move(top + "/first", top + "/prefix")
    installed_files(top + "/prefix")
    texts_and_units(top + "/prefix", top + "/units")
    package(top + "/prefix", top + "/package")
    conformance(top + "/prefix", top + "/conformance")
    cluster_runs(top + "/prefix", top)
    file_system_in_a_folder(top + "/prefix", top + "/folder")
    transport_of_an_author(top + "/prefix", top + "/transport")
    stores_of_an_author(top + "/prefix", top + "/stores")
print("the installed tree works")
