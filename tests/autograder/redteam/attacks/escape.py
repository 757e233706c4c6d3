"""Ways out: other people's files, the network, other processes. What is found is printed with LEAK or REACHED."""

ATTACKS = {
    "reads the gradebook, the solutions, the judge and another submission": """
for path in @SECRET_FILES@:
    for way in ("%s", "/proc/1/root%s", "/proc/self/cwd/../../..%s", "/code/../..%s", "/tmp/../%s"):
        try: print("LEAK:" + open(way % path, "rb").read(200).decode("latin-1"))
        except OSError: pass
BASE""",
    "reads the environment of every process": """
import glob, os
print("LEAK:environment" if "@SECRET_HALF@" in str(os.environ) else "")
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try: print(open(path).read().replace("\\0", " ")[:300])
    except OSError: pass
BASE""",
    "links out of the scratch and writes through them": """
import os
for i, path in enumerate(@SECRET_FILES@ + ["@REPO@/autograder/gate/bands.py"]):
    for make in (os.symlink, os.link):
        try:
            make(path, f"/tmp/link{i}")
            open(f"/tmp/link{i}", "a").write("@MARK@")
            print("LEAK:wrote", path)
        except OSError: pass
BASE""",
    "writes to every folder it can name": """
import os
for folder in ["/", "/code", "/usr", "/etc", "/var", "/home", "/root", "/work", "@REPO@", "@COURSE@", "/sys", "/proc/1",
               "/dev", os.path.dirname(torch.__file__)]:
    for name in ("@MARK@", "results.json", "gradebook.db", "runner.py"):
        try:
            with open(os.path.join(folder, name), "w") as f: f.write("@MARK@")
            print("LEAK:wrote", folder)
        except OSError: pass
BASE""",
    "calls home over TCP, UDP, DNS and an abstract socket": """
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", @PORT@)), (socket.AF_UNIX, "\\0@ABSTRACT@")):
    try:
        with socket.socket(family) as s:
            s.settimeout(0.5); s.connect(address); s.send(b"x"); print("REACHED", address)
    except OSError: pass
try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", @PORT@))
except OSError: pass
try: print("REACHED", socket.gethostbyname("example.org"))
except OSError: pass
BASE""",
    "signals every process": """
import os, signal
me = os.getpid()
for pid in [@PID@, os.getppid(), 1, *range(2, 400)]:
    for sig in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        if pid != me:
            try: os.kill(pid, sig)
            except OSError: pass
for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM):
    signal.signal(sig, signal.SIG_IGN)
BASE""",
    "leaves a process that writes later": """
import subprocess, sys
for own in (True, False):
    subprocess.Popen([sys.executable, "-c", '''
import os, signal, time
if os.fork(): os._exit(0)
os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    time.sleep(0.2)
    for fd in range(64):
        try: os.write(fd, b"@MARK@")
        except OSError: pass
''', "@MARK@"], start_new_session=own, close_fds=own)
BASE""",
    "hundreds of processes come and go while it is watched": """
import os, time
if not os.fork():
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for _ in range(10):
            try:
                if not os.fork(): os._exit(0)
            except OSError: pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]: pass
        except OSError: pass
        time.sleep(0.002)
    os._exit(0)
BASE""",
    "its helper processes compute where nothing is counted": """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(20):
    try:
        if not os.fork():
            end = time.process_time() + 0.03
            while time.process_time() < end: pass
            os._exit(0)
    except OSError: pass
BASE""",
    "empty files, and unread buffers": """
import os, socket
try:
    for i in range(20000): os.mknod(f"/tmp/{i}")
    pairs = [socket.socketpair() for _ in range(100)]
    print("LEAK:sockets")
except OSError: pass
BASE""",
    "threads that continue after the answer": """
import threading, time
def work():
    while True:
        torch.manual_seed(0); time.sleep(0.01)
for _ in range(8): threading.Thread(target=work, daemon=True).start()
BASE""",
    "hands its files to the next student": """
import os, socket
for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run"):
    try: print("LEAK:" + folder if os.path.exists(folder + "/@MARK@") else ""); open(folder + "/@MARK@", "w").write("x")
    except OSError: pass
try: socket.socket(socket.AF_UNIX).bind("\\0@MARK@")
except OSError: pass
BASE""",
    "becomes root, mounts and traces": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for attempt in (lambda: os.setuid(0), lambda: os.chroot("/"), lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)),
                lambda: os.setpriority(os.PRIO_PROCESS, 0, -20), lambda: os.unshare(0x10000000)):
    try: attempt(); print("LEAK:privilege")
    except (OSError, AttributeError): pass
for call in ((165, b"none", b"/tmp", b"tmpfs", 0, 0), (101, 16, @PID@, 0, 0)):
    if libc.syscall(*call) == 0: print("LEAK:call", call[0])
BASE""",
    "prints control codes and markup": """
import sys
print("\\x1b]0;owned\\x07\\x1b[2J<script>alert(1)</script>", "A" * 300000)
class Evil(Exception): pass
Evil.__name__ = "\\x1b[2J<script>alert(1)</script>\\n=cmd()"
def NAME(*a, **k): raise Evil("\\x1b[31m\\r\\n" + "<img src=x onerror=alert(1)>" * 99)
""",
}
