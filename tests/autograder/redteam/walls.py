"""Every wall around an answer, and the attack that succeeds where that wall alone is missing.

The code of an attack runs in the sandbox and sets `value`, which is true where it succeeded. `call` is a system call by
its name in seccomp.py; `refused` is the error of the last one. What no attack here needs stands under OVERLAP, with why
it stays.
"""

HELP = """
import ctypes, errno, fcntl, mmap, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(NUMBERS[name]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
def error(): return ctypes.get_errno()
def works(action):
    try: action(); return True
    except (OSError, ValueError, MemoryError): return False
def attempt(action):  # in a process of its own
    pid = os.fork()
    if not pid:
        try: os._exit(0 if action() else 1)
        except BaseException: os._exit(1)
    return os.waitpid(pid, 0)[1] == 0
"""

# --- the words that start it: option -> attack, and whether it needs an ordinary user ---

STARTED = {
    "--unshare-net": "value = '@ABSTRACT@' in open('/proc/net/unix').read()",
    "--unshare-pid": "value = os.path.exists('/proc/@PID@')",
    "--unshare-ipc": "libc.shmat.restype = ctypes.c_void_p\n"
    "at = libc.shmat(@SHM@, None, 0o10000)\n"
    "value = at != ctypes.c_void_p(-1).value and ctypes.string_at(at, 6) == b'secret'",
    "--unshare-uts": "value = os.uname().nodename == '@HOST@'",
    "--unshare-cgroup-try": "value = any(line.strip()[-1] not in '/:' for line in open('/proc/self/cgroup'))"
    " or os.readlink('/proc/self/ns/cgroup') == '@CGROUP@'",
    "--size": "value = works(lambda: open('/tmp/x', 'wb').write(bytes(3 << 20))) and works(lambda: "
    "open('/tmp/y', 'wb').write(bytes(3 << 20))) and works(lambda: open('/tmp/z', 'wb').write(bytes(3 << 20)))",
    "--ro-bind": "value = works(lambda: open('/code/open/new', 'w'))",
    "--tmpfs": "import sysconfig\n"
    "value = os.path.exists(sysconfig.get_path('purelib') + '/sklearn/datasets/data/digits.csv.gz')",
    "--new-session": "value = os.getsid(0) == 0",  # its session is one of ours, whose processes a signal to it reaches
    "--reuid": "value = os.getuid() == 0",
    "--regid": "value = os.getgid() == 0",
    "--clear-groups": "value = works(lambda: open('/code/group').read())",
    "as": "value = works(lambda: mmap.mmap(-1, 100 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000))",
    "fsize": "value = works(lambda: os.truncate(os.open('/tmp/x', os.O_RDWR | os.O_CREAT), 5 << 20))",
    "nproc": "value = attempt(lambda: [os.fork() or time.sleep(9) for _ in range(20)])",
    "nofile": "value = attempt(lambda: [os.dup(0) for _ in range(300)])",
    "cpu": "pid = os.fork()\nwhile not pid: pass\ntime.sleep(0.1)\n"
    "end = time.monotonic() + 30\n"
    "def used(): return sum(map(int, open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[11:13]))\n"
    "while used() < 130 and time.monotonic() < end and not os.waitpid(pid, os.WNOHANG)[0]: time.sleep(0.05)\n"
    "value = os.path.exists(f'/proc/{pid}') and used() >= 130",
    "sigpending": "number = ctypes.c_int()\n"
    "value = all(libc.timer_create(1, None, ctypes.byref(number)) == 0 for _ in range(1100))",
    "core": "attempt(lambda: (libc.prctl(4, 1, 0, 0, 0), os.chdir('/tmp'), os.abort()))\n"
    "value = any(name.startswith('core') for name in os.listdir('/tmp'))",
    "choom": "value = int(open('/proc/self/oom_score_adj').read()) < 1000",
    "--remount-ro": "value = works(lambda: open('/new', 'w').write('x'))",
}
FOR_ORDINARY_USERS = ("--remount-ro",)  # root's child is another user, whom the owner of `/` stops
PLUMBING = {  # without these nothing runs, or nothing less is allowed
    *("--perms", "--dir", "--proc", "--dev-bind", "--symlink", "--chdir", "--hostname", "--seccomp"),
    "--die-with-parent",  # test_what_it_leaves: nothing survives a killed grader
}
OVERLAP = {
    "--unshare-user": "bubblewrap adds it by itself for whoever is not root; named, so that a setuid one does so too",
    "--no-new-privs": "bubblewrap sets it as well; no program with a setuid bit gains anything either way",
    "--bounding-set": "a uid other than 0 has no capabilities, and gets none back without new privileges",
    "--inh-caps": "the same; these two hold if --reuid ever falls away",
    "syslog": "kernel.dmesg_restrict refuses it where it is set, as here; older systems do not set it",
    "bpf": "kernel.unprivileged_bpf_disabled, and the same",
    "x32": "kernels without the interface refuse it themselves",
}

# --- system calls: rule -> attack ---

CALLS = {
    "unshare": "value = attempt(lambda: call('unshare', 0x10000000) == 0)",
    "clone": "value = attempt(lambda: call('clone', 0x10000011, 0, 0, 0, 0) >= 0)",
    "clone3": "args = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17)\n"
    "value = attempt(lambda: call('clone3', args, 64) >= 0)",
    "memfd_create": "value = os.write(os.memfd_create('x'), bytes(1 << 20)) > 0",
    "memfd_secret": "value = call('memfd_secret', 0) >= 0",
    "shmget": "value = call('shmget', 0, 1 << 20, 0o1600) >= 0",
    "msgget": "value = call('msgget', 0, 0o1600) >= 0",
    "semget": "value = call('semget', 0, 1000, 0o1600) >= 0",
    "mq_open": "value = call('mq_open', b'x', 0o102, 0o600, 0) >= 0",
    "vmsplice": "r, w = os.pipe()\ndata = ctypes.create_string_buffer(99)\n"
    "value = call('vmsplice', w, (ctypes.c_size_t * 2)(ctypes.addressof(data), 99), 1, 0) == 99",
    "inotify_init": "value = call('inotify_init') >= 0",
    "inotify_init1": "value = call('inotify_init1', 0) >= 0",
    "fanotify_init": "value = call('fanotify_init', 0x200, 0) >= 0",
    "landlock_create_ruleset": "value = call('landlock_create_ruleset', 0, 0, 1) > 0",
    "io_setup": "value = call('io_setup', 9, ctypes.byref(ctypes.c_ulong(0))) == 0",
    "add_key": "value = call('add_key', b'user', b'x', b'secret', 6, -3) > 0",
    "request_key": "value = call('request_key', b'user', b'x', 0, -3) > 0 or error() != errno.EPERM",
    "keyctl": "value = call('keyctl', 0, -3, 1) > 0",
    "io_uring_setup": "value = call('io_uring_setup', 1, ctypes.create_string_buffer(120)) >= 0",
    "ptrace": "value = attempt(lambda: call('ptrace', 0, 0, 0, 0) == 0)",
    "process_vm_readv": "data = ctypes.create_string_buffer(99)\n"
    "piece = (ctypes.c_size_t * 2)(ctypes.addressof(data), 9)\n"
    "value = call('process_vm_readv', os.getpid(), piece, 1, piece, 1, 0) == 9",
    "process_vm_writev": "data = ctypes.create_string_buffer(99)\n"
    "piece = (ctypes.c_size_t * 2)(ctypes.addressof(data), 9)\n"
    "value = call('process_vm_writev', os.getpid(), piece, 1, piece, 1, 0) == 9",
    "pidfd_getfd": "value = call('pidfd_getfd', os.pidfd_open(os.getpid()), 0, 0) >= 0",
    "perf_event_open": "value = call('perf_event_open', 0, 0, -1, -1, 0) >= 0 or error() != errno.EPERM",
    "userfaultfd": "value = call('userfaultfd', 1) >= 0",
    "socket": "value = socket.socket(socket.AF_UNIX).fileno() >= 0",
    "socketpair": "value = len(socket.socketpair()) == 2",
    "mmap": "value = works(lambda: mmap.mmap(-1, 1 << 20))",
    "rt_sigaction": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\npid = os.fork() or os._exit(0)\n"
    "value = not works(lambda: os.waitpid(pid, 0))",  # the kernel has reaped it, and its time is lost
    "fcntl": "value = works(lambda: fcntl.lockf(open('/tmp/x', 'w'), fcntl.LOCK_EX))",
    "architecture": "code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)\n"
    "code.write(bytes.fromhex('b814000000cd80c3'))  # getpid as a 32-bit program asks for it\n"
    "at = ctypes.addressof(ctypes.c_char.from_buffer(code))\n"
    "value = attempt(lambda: ctypes.CFUNCTYPE(ctypes.c_int)(at)() > 0)",
}
KERNEL_CALLS = {  # of the filter for Jupyter's kernel
    "socket": "value = works(lambda: socket.socket(socket.AF_INET))",
    "setsockopt": "value = works(lambda: socket.socketpair()[0].setsockopt(1, socket.SO_SNDBUF, 1 << 23))",
}

# --- the limits: field -> (a value that is small, what a child does beyond it) ---

LIMITS = {
    "cpu_s": (1, "question(); end = time.process_time() + 1.6\nwhile time.process_time() < end: pass\nsend(frame({}))"),
    "wall_s": (0.6, "question(); time.sleep(1.2); send(frame({}))"),
    "memory_bytes": (100 << 20, "question(); x = bytearray(b'x') * (150 << 20); time.sleep(0.3); send(frame({}))"),
    "address_bytes": (1 << 30, "import mmap; question(); mmap.mmap(-1, 2 << 30, flags=0x22); send(frame({}))"),
    "processes": (
        8,
        "question()\nfor _ in range(12): os.fork() or (time.sleep(9), os._exit(0))\ntime.sleep(0.3); send(frame({}))",
    ),
    "file_bytes": (1 << 20, "question(); open('/tmp/x', 'wb').write(bytes(2 << 20)); send(frame({}))"),
    "scratch_bytes": (1 << 20, "question(); open('/tmp/x', 'wb').write(bytes(2 << 20)); send(frame({}))"),
    "message_bytes": (1 << 20, "question(); send(frame({}, bytes(8) + bytes(2 << 20))); time.sleep(0.2)"),
    "output_bytes": (1000, "question(); os.write(2, b'x' * 9000); time.sleep(0.3); send(frame({}))"),
}

# --- what the watchdog adds to resident memory: constant of census.py -> the attack in harm.py ---

COUNTED = {
    "PROCESS_BYTES": "mappings",
    "INODE_BYTES": "empty files",
    "SOCKET_BYTES": "unix sockets, with default buffers",  # for Jupyter's kernel: an answer gets no socket
}

# --- what a child says: part of a refusal in protocol.py -> (the check, what is put in its place, header, tensors) ---

REPLIES = {
    "the header is a": ("if not isinstance(header, dict):", "if False:", b"[1]", b""),
    "allow_nan": ("json.dumps(header, allow_nan=False, ensure_ascii=False).encode()", "", b'{"x": NaN}', b""),
    "the index of the tensors is too long": (
        'if len(blob) < 8 or int.from_bytes(blob[:8], "little") > MAX_HEADER:',
        "if False:",
        b"{}",
        "NAMES",
    ),
    "dimensions": ("if tensor.dtype not in DTYPES or tensor.dim() > MAX_DIMS:", "if False:", b"{}", "COMPLEX"),
    "as bytes": (
        "return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor",
        "return tensor",
        b"{}",
        "BOOL",
    ),
    "64 bits": ("if not -(2**63) <= value < 2**63:", "if False:", b'{"x": 9223372036854775808}', b""),
}
REPLIES_OVERLAP = {
    "the header is too long": "child_process.py reads no more than this; `decode` also serves the other side",
    "the stream ended inside a message": "of the child's side of the wire",
}

# --- what the parent waits for: message of a refusal in child_process.py -> (the check, in its place, the child) ---

WAITS = {
    "sent a result before it was asked": (
        "            self._expect_silence()\n",
        "",
        "question(); send(frame({}) + frame({'early': 1})); question()",
    ),
    "that is too large": (
        "if text_bytes > protocol.MAX_HEADER or text_bytes + blob_bytes > self.limits.message_bytes:",
        "if False:",
        "index = json.dumps({'x': {'dtype': 'U8', 'shape': [2 << 20], 'data_offsets': [0, 2 << 20]}}).encode()\n"
        "question(); send(frame({}, struct.pack('<Q', len(index)) + index + bytes(2 << 20))); question()",
    ),
    "a model that this question does not have": (
        "if serve is None:",
        "if False:",
        "question(); send(frame({'evaluate': True})); question()",
    ),
    "a malformed result": (
        'raise Failure("invalid_output", "The answer\'s process sent a malformed result.") from error',
        "raise",
        "question(); send(frame(b'x')); question()",
    ),
    "its first message was not": ('if header != {"ready": True}:', "if False:", None),
}
WAITS_OVERLAP = {
    "on Windows": "nobody's attack",
    "could not be started": "our failure, named",
    "did not start": "the same",
    "closed its connection": "a death in words; these three are told apart in test_how_it_ends.py",
    "was ended by": "the same",
    "gave no result": "the same",
}
