"""Processor time that nobody is charged for, and memory that no process has. Each runs in place of the runner.

An attack calls `told(n)` whenever it has got more: seconds of processor time, or bytes. BEFORE is what it had got when
the walls of census.py and the newer rules of seccomp.py were not there, in the same time.
"""

COMMON = """
import errno, fcntl, select, socket, mmap
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
for name, more in (("munmap", []), ("mprotect", [ctypes.c_int]), ("madvise", [ctypes.c_int])):
    getattr(libc, name).argtypes = [ctypes.c_void_p, ctypes.c_size_t, *more]
MIB, START = 1 << 20, time.monotonic()
BOARD = os.environ["HOME"] + "/board"
open(BOARD, "wb").write(bytes(8 * 256))
board = mmap.mmap(os.open(BOARD, os.O_RDWR), 8 * 256)  # a place for each process
def told(n, place=0):
    board[8 * place:8 * place + 8] = struct.pack("d", n)
def reporter():
    while True:
        os.write(2, b"got %d\\n" % sum(struct.unpack("256d", board[:])))
        time.sleep(0.02)
def burn(seconds, place=1):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
    told(struct.unpack("d", board[8 * place:8 * place + 8])[0] + 1000 * seconds, place)  # in milliseconds
def at_once(work, n):
    for place in range(n):
        if not os.fork():
            work(place); time.sleep(60); os._exit(0)
question()
threading.Thread(target=reporter, daemon=True).start()
"""

WORKERS = """
def ending(place):
    burn(0.03, place); os._exit(0)
while time.monotonic() - START < 12:
    for place in (1, 2):
        try:
            if not os.fork(): ending(place)
        except OSError: pass
    time.sleep(0.032)
"""

BURN = {  # what is told are milliseconds
    "a chain of workers whose end is ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + WORKERS,
    "the same, set by a flag": """
action = (ctypes.c_ulong * 4)(0, 2, 0, 0)  # SIG_DFL, SA_NOCLDWAIT
libc.syscall(13 if os.uname().machine == "x86_64" else 134, 17, action, None, 8)
"""
    + WORKERS,
    "workers that are never waited for": WORKERS,
    "workers whose parents have exited": WORKERS.replace(
        "burn(0.03, place)", "os.fork() and os._exit(0); os.setsid(); burn(0.03, place)"
    ),
    "a worker that hops from process to process": """
for place in (1, 2):
    if not os.fork():
        while time.monotonic() - START < 12:
            burn(0.02, place)
            if os.fork(): os._exit(0)
time.sleep(12)
""",
    "workers that are siblings of their parent and send no signal when they exit": """
call = 56 if os.uname().machine == "x86_64" else 220
for _ in range(400):
    for place in (1, 2):
        if libc.syscall(call, 0x8000 if place == 1 else 0, None, None, None, None) == 0:  # CLONE_PARENT
            burn(0.03, place); os._exit(0)
    time.sleep(0.032)
""",
    "workers adopted by a process that never waits for them": """
libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
"""
    + WORKERS.replace("burn(0.03, place)", "os.fork() and os._exit(0); burn(0.03, place)"),
    "threads of a process whose first thread has exited": """
if not os.fork():
    for place in (1, 2):
        threading.Thread(target=lambda p=place: [burn(0.05, p) for _ in range(200)]).start()
    libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0)  # exit of one thread
time.sleep(12)
""",
}

SOCKETS = """
def fill(place):
    got = 0
    while True:
        try: pair = connected()
        except OSError: time.sleep(60)
        keep.append(pair)
        for one in pair:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 23)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
            one.setblocking(False)
            try:
                while True:
                    got += one.send(bytes(1 << 13)); told(got, place)
            except OSError: pass
keep = []
at_once(fill, 8)
time.sleep(60)
"""

HOLD = {  # what is told are bytes
    "unix sockets": "def connected(): return socket.socketpair()\n" + SOCKETS,
    "unix sockets, with default buffers": "def connected(): return socket.socketpair()\n"
    + SOCKETS.replace("one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 23)", "").replace(
        "one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)", ""
    ),
    "connections to itself": """
def connected():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]
"""
    + SOCKETS,
    "datagrams to itself": """
def connected():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.bind(("127.0.0.1", 0)); one.connect(one.getsockname())
    return [one]
"""
    + SOCKETS.replace("while True:\n                    got", "for _ in range(900):\n                    got"),
    "empty files": """
def make(place):
    os.mkdir(f"/tmp/{place}"); os.chdir(f"/tmp/{place}")
    for i in range(10**9):
        os.mknod(f"{i}" + "x" * 240)
        if not i % 100: told(i * 1300, place)
at_once(make, 2)
time.sleep(60)
""",
    "many names for one file": """
def make(place):
    os.mkdir(f"/dev/shm/{place}"); os.chdir(f"/dev/shm/{place}"); os.mknod("one")
    for i in range(10**9):
        os.link("one", f"{i}" + "x" * 240)
        if not i % 100: told(i * 500, place)
at_once(make, 2)
time.sleep(60)
""",
    "file attributes": """
def make(place):
    os.mkdir(f"/tmp/{place}"); os.chdir(f"/tmp/{place}")
    for i in range(10**9):
        os.mknod(f"{i}"); told(i * 20000, place)
        for k in range(20): os.setxattr(f"{i}", f"user.{k}", bytes(1000))
at_once(make, 2)
time.sleep(60)
""",
    "byte-range locks": """
def lock(place):
    files = [os.open(f"/tmp/{place}-{i}", os.O_RDWR | os.O_CREAT) for i in range(200)]
    for n in range(10**9):
        for file in files: fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * n)
        told(n * 200 * 216, place)
at_once(lock, 4)
time.sleep(60)
""",
    "mappings": """
def split(place):
    start = libc.mmap(None, 1 << 29, 1, 0x4022, -1, 0)
    for i in range(1, 130000, 2):
        if libc.mprotect(start + i * 4096, 4096, 3): break
        told(i * 300, place)
at_once(split, 40)
time.sleep(60)
""",
    "page tables of empty pages": """
def touch(place):
    size = 6 << 30
    start = libc.mmap(None, size, 1, 0x4022, -1, 0); libc.madvise(start, size, 15)
    for i, at in enumerate(range(start, start + size, 1 << 21)):
        ctypes.c_char.from_address(at).value
        told(i << 12, place)
at_once(touch, 60)
time.sleep(60)
""",
    "pages held by a pipe": """
class Piece(ctypes.Structure): _fields_ = [("at", ctypes.c_void_p), ("n", ctypes.c_size_t)]
keep, got = [], 0
while got < 3000 * MIB:
    pipe = os.pipe(); keep.append(pipe)
    for _ in range(16):
        start = libc.mmap(None, 4 * MIB, 3, 0x22, -1, 0)
        at = -(-start // (2 * MIB)) * 2 * MIB
        libc.madvise(at, 2 * MIB, 14)
        ctypes.memset(at, 1, 2 * MIB)
        if libc.vmsplice(pipe[1], ctypes.byref(Piece(at, 4096)), 1, 0) < 0: time.sleep(60)
        libc.munmap(start, 4 * MIB); got += 2 * MIB; told(got)
time.sleep(60)
""",
    "unread events": """
os.mkdir("/tmp/seen")
watches = []
while (fd := libc.inotify_init()) >= 0 and libc.inotify_add_watch(fd, b"/tmp/seen", 0xFFF) >= 0: watches.append(fd)
for i in range(6000):
    name = f"/tmp/seen/{i}" + "x" * 240
    os.mknod(name); os.remove(name); told(len(watches) * i * 2 * 300)
time.sleep(60)
""",
    "its own Landlock rules": """
class Port(ctypes.Structure): _fields_ = [("access", ctypes.c_uint64), ("port", ctypes.c_uint64)]
class Handled(ctypes.Structure): _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64)]
def rule(place):
    got = 0
    while (fd := libc.syscall(444, ctypes.byref(Handled(0, 1)), 16, 0)) >= 0:
        for port in range(65536):
            if libc.syscall(445, fd, 2, ctypes.byref(Port(1, port)), 0): time.sleep(60)
            got += 96; told(got, place)
at_once(rule, 4)
time.sleep(60)
""",
    "memory of a process whose first thread has exited": """
def hold():
    keep = []
    for i in range(4000): keep.append(bytearray(b"x") * MIB); told(i * MIB)
    time.sleep(60)
if not os.fork():
    threading.Thread(target=hold).start()
    libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0)
time.sleep(60)
""",
    "memory that each process hands to the next": """
if not os.fork():
    start = libc.mmap(None, 1000 * MIB, 3, 0x22, -1, 0)
    libc.madvise(start, 1000 * MIB, 14)
    if not os.fork():
        at = start
        while at < start + 900 * MIB:
            ctypes.memset(at, 1, 8 * MIB); at += 8 * MIB; told(at - start)
            if os.fork(): os._exit(0)
        while True:
            if os.fork(): os._exit(0)
    os._exit(0)
time.sleep(60)
""",
    "timers": """
def start(place):
    n, number = 0, ctypes.c_int()
    while libc.timer_create(1, None, ctypes.byref(number)) == 0: n += 1; told(n * 1600, place)
at_once(start, 20)
time.sleep(60)
""",
}

COME_AND_GO = {  # nothing is told: the watchdog looks while hundreds begin and end
    "processes that exit at once": """
end = time.monotonic() + 3
while time.monotonic() < end:
    for _ in range(20):
        if not os.fork(): os._exit(0)
    for _ in range(20): os.waitpid(-1, 0)
""",
    "processes with threads that exit at once": """
end = time.monotonic() + 3
while time.monotonic() < end:
    try:
        if not os.fork():
            for _ in range(3): threading.Thread(target=time.sleep, args=(0.001,)).start()
            os._exit(0)
        os.waitpid(-1, 0)
    except (OSError, RuntimeError): pass
""",
    "families that leave each other": """
end = time.monotonic() + 3
while time.monotonic() < end:
    try:
        if not os.fork():
            os.setsid()
            for _ in range(2):
                if os.fork(): os._exit(0)
            os._exit(0)
        os.waitpid(-1, 0)
    except OSError: pass
""",
    "programs that replace themselves": """
end = time.monotonic() + 3
while time.monotonic() < end:
    try:
        if not os.fork():
            libc.prctl(15, b") R 1 1\\nVmRSS: 9 kB", 0, 0, 0)
            os.execv("/bin/true", ["true"])
        os.waitpid(-1, 0)
    except OSError: pass
""",
}  # fmt: skip
