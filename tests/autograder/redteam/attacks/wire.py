"""The runner itself replaced: whatever a student's code could make of it. `ask()` gives the next question's header."""

GRADED, BAD, DEAD, LATE = {"graded"}, {"invalid_output"}, {"crash"}, {"timeout"}

ATTACKS = {
    "the answers before the questions": ("send(frame({}) * 40); time.sleep(60)", BAD),
    "each answer twice": ("while ask(): send(frame({}) * 2)", BAD),
    "a forged answer after the last one": ("while ask(): send(frame({}) + b'\\0')", BAD),
    "calls of a model that is not there": ("while ask(): send(frame({'evaluate': True}))", BAD),
    "nothing but praise": (
        "while ask(): send(frame({'score': 10, 'passed': True, 'outcome': 'graded', 'tests': []}))",
        GRADED,
    ),
    "the question as the answer": ("while h := ask(): send(frame(h, last_blob()))", GRADED | BAD),
    "no numbers at all": (
        "nan = tensor([1000], 'F32', b'\\0\\0\\xc0\\x7f' * 1000)\n"
        "while ask(): send(frame({'kind': 'Tensor', 'elsewhere': True}, nan))",
        GRADED,
    ),
    "an error that claims not to be the student's": (
        "error = {'kind': 'MemoryError', 'text': 'infrastructure_error: 10 / 10', 'line': 10**6}\n"
        "while ask(): send(frame({'error': error}))",
        DEAD | GRADED,
    ),
    "an error of strange types": (
        "while ask(): send(frame({'error': {'kind': [1], 'text': {}, 'cell': 7}}))",
        DEAD | GRADED,
    ),
    "numbers that overflow": ("while ask(): send(frame({'parameters': 10**4000, 'elsewhere': 10**400}))", BAD),
    "lists that are not lists": ("while ask(): send(frame({'shares': 7, 'kinds': True, 'left': 3}))", BAD),
    "nan in the header": ("while ask(): send(frame(b'{\"drew\": NaN}'))", BAD),
    "a header nested a hundred thousand times": ("ask(); send(frame(b'{\"a\":' + b'[' * 100000)); time.sleep(60)", BAD),
    "a pickle in place of tensors": (
        "import pickle\nclass P:\n    def __reduce__(self): return (os.system, ('touch @COURSE@/@MARK@',))\n"
        "while ask(): send(frame({}, pickle.dumps(P())))",
        BAD,
    ),
    "an npz with a pickle": (
        "import io, pickle, zipfile\nf = io.BytesIO()\nwith zipfile.ZipFile(f, 'w') as z:\n"
        "    z.writestr('out.npy', b'\\x93NUMPY\\x01\\0' + pickle.dumps([os.getpid]))\n"
        "while ask(): send(frame({}, f.getvalue()))",
        BAD,
    ),
    "a zip bomb in place of tensors": (
        "import io, zipfile\nf = io.BytesIO()\nwith zipfile.ZipFile(f, 'w', zipfile.ZIP_DEFLATED) as z:\n"
        "    with z.open('out.npy', 'w') as o:\n        for _ in range(16): o.write(bytes(1 << 20))\n"
        "while ask(): send(frame({}, f.getvalue()))",
        BAD,
    ),
    "a tensor of four exabytes": ("while ask(): send(frame({}, tensor([1 << 60], 'F32', b'')))", BAD),
    "a tensor that points outside the blob": ("while ask(): send(frame({}, tensor([4], 'F32', bytes(4))))", BAD),
    "a flood of names": (
        "while ask(): send(frame({}, many(20000)))",
        BAD,
    ),
    "an answer of a gigabyte": (
        "ask(); send(struct.pack('>IQ', 2, 1 << 30)); send(b'{}')\nwhile True: send(bytes(1 << 20))",
        BAD,
    ),
    "an answer byte by byte": (
        "ask()\nfor byte in frame({'a': 'b' * 9999}): send(bytes([byte])); time.sleep(0.1)",
        LATE,
    ),
    "stops answering": ("ask(); os.kill(os.getpid(), signal.SIGSTOP)", LATE),
    "closes the connection and stays alive": (
        "ask(); os.close(answers); os.close(1); os.close(2); time.sleep(60)",
        DEAD | LATE,
    ),
    "prints endlessly": ("ask()\nwhile True: os.write(2, b'x' * 65536)", LATE),
    "a fork bomb that ignores signals": (
        "ask()\nfor s in range(1, 32):\n    if s not in (9, 19, 17): signal.signal(s, signal.SIG_IGN)\n"
        "while True:\n    try: os.fork()\n    except OSError: pass",
        DEAD | LATE,
    ),
    "fills the memory": ("ask(); hold = []\nwhile True: hold.append(bytearray(b'x') * (8 << 20))", DEAD),
    "fills the disk": (
        "ask(); n = 0\nwhile True:\n    n += 1\n    try: open(f'/tmp/{n}', 'wb').write(bytes(8 << 20))\n"
        "    except OSError: break\nsend(frame({}))\nwhile ask(): send(frame({}))",
        GRADED | DEAD,
    ),
    "exits as if all were well": ("ask(); os._exit(0)", DEAD),
}
