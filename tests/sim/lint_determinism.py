#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that could make two runs of one seed differ stays in few files.

framework/ and plugins/ may not read clocks, make threads, sleep, read the environment, make random numbers, use Asio's I/O
objects or iterate over unordered containers: all of that comes from Runtime and Host. Exempt are the real runtime, the
sinks of the log, the parts that meet the kernel (the FUSE mount) and the command line, none of which is simulated. A line
that has a reason says so with a comment `// lint: REASON`.

usage: lint_determinism.py SOURCE_ROOT       exit status 1 and a list when something is found
       lint_determinism.py --self-test       checks that each rule finds what it is for
"""
import pathlib
import re
import sys

FOLDERS = ["framework", "plugins"]
EXEMPT = [
    r"framework/runtime/real_\w+\.(cpp|hpp)",
    r"framework/observe/log_sinks\.cpp",
    r"framework/observe/.*_http\w*\.(cpp|hpp)",
    r"plugins/client/fuse_\w+\.(cpp|hpp)",
    r"plugins/client/.*_io\.(cpp|hpp)",
    r"plugins/tools/.*",
]
RULES = [
    ("a clock", r"\bclock_gettime\b|\bgettimeofday\b|std::chrono|(?<![\w.>:])time\(\s*(nullptr|NULL|0|&)|\b__rdtsc\b|\bstd::time\b"),
    ("a thread", r"std::j?thread\b|\bpthread_create\b|std::async\b|<thread>"),
    ("a sleep", r"\b(u|nano|clock_nano)sleep\s*\(|sleep_until\s*\(|this_thread::sleep|(?<![\w.>:])sleep\s*\(\s*\d"),
    ("a random number", r"random_device|\bgetrandom\b|\bgetentropy\b|\barc4random|(?<![\w.>:])s?rand\s*\(|std::mt19937|/dev/u?random"),
    ("the environment", r"\b(secure_)?getenv\b|\benviron\b"),
    ("an Asio object", r"boost/asio|\basio::"),
    ("an order by address", r"std::hash<[^>]*\*>|std::(map|set)<\s*(const\s+)?[\w:]+\s*\*"),
]
UNORDERED = re.compile(r"std::unordered_(?:multi)?(?:map|set)<")
ALLOWED = re.compile(r"//\s*lint:\s*\S+")
MEMBER = re.compile(r"std::unordered_(?:multi)?(?:map|set)<.*>\s+(\w+)\s*(?:;|\{|=)")


def without_comments_and_strings(line):
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def findings_in(name, text, unordered_names):
    """Yields (line number, what, line)."""
    for number, line in enumerate(text.splitlines(), 1):
        if ALLOWED.search(line):
            continue
        code = without_comments_and_strings(line)
        for what, pattern in RULES:
            if re.search(pattern, code):
                yield number, what, line
        # Lookups in an unordered container are fine, walks over one are not.
        for container in unordered_names:
            member = re.escape(container)
            walks = rf"for\s*\([^;]*:\s*(?:\w+(?:\.|->))*{member}\s*\)|\b{member}\s*\.\s*c?begin\s*\(|erase_if\(\s*{member}\b"
            if re.search(walks, code):
                yield number, f"a walk over the unordered {container}", line


def unordered_names_of(text):
    names = set()
    for line in text.splitlines():
        code = without_comments_and_strings(line)
        if UNORDERED.search(code) and not ALLOWED.search(line):
            found = MEMBER.search(code)
            if found:
                names.add(found.group(1))
    return names


def check(root):
    wrong = 0
    files = 0
    texts = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".cpp", ".hpp"):
                texts[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    for name, text in texts.items():
        if any(re.fullmatch(pattern, name) for pattern in EXEMPT):
            continue
        files += 1
        # A member is declared in a header and walked over in the sources beside it.
        folder = name.rsplit("/", 1)[0]
        names = set()
        for other, content in texts.items():
            if other.rsplit("/", 1)[0] == folder:
                names |= unordered_names_of(content)
        for number, what, line in findings_in(name, text, names):
            print(f"{name}:{number}: {what}: {line.strip()}")
            wrong += 1
    print(f"{files} files, {wrong} findings")
    return wrong == 0 and files > 0


def self_test():
    bad = {
        "a clock": "auto now = std::chrono::steady_clock::now();",
        "a thread": "std::thread worker(run);",
        "a sleep": "usleep(10);",
        "a random number": "std::random_device device;",
        "the environment": 'const char* home = getenv("HOME");',
        "an Asio object": "boost::asio::io_context context;",
        "an order by address": "std::map<Node*, int> order;",
        "a walk over the unordered nodes_": "for (auto& [id, node] : nodes_) visit(node);",
    }
    good = [
        "co_await sleep_for(runtime, 10);",
        "const std::int64_t time = reply.time(now);",
        "// std::thread is not used here",
        'log.info("the clock of getenv");',
        "const auto found = nodes_.find(id);",
        "std::thread worker(run);  // lint: joined before the run begins",
    ]
    ok = True
    for what, line in bad.items():
        found = [entry[1] for entry in findings_in("x.cpp", line, {"nodes_"})]
        if what not in found:
            print(f"not found: {what}: {line}")
            ok = False
    for line in good:
        for entry in findings_in("x.cpp", line, {"nodes_"}):
            print(f"wrongly found: {entry[1]}: {line}")
            ok = False
    if unordered_names_of("  std::unordered_map<Id, std::unique_ptr<Node>> nodes_;") != {"nodes_"}:
        print("the name of an unordered member is not recognised")
        ok = False
    return ok


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    if sys.argv[1] == "--self-test":
        return 0 if self_test() else 1
    return 0 if check(pathlib.Path(sys.argv[1])) else 1


if __name__ == "__main__":
    sys.exit(main())
