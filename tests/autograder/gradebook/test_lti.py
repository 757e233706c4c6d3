"""`autograder post`: scores from the gradebook to an LMS over LTI 1.3, each of them once."""

import json
from datetime import datetime

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from autograder.adapters import lms, lti, posting
from autograder.cli.main import main
from tests.corpus.lms_platform import Lms

TASK = "5_3_conditioning"
CLASS = ("ana", "bo", "cy", "dee", "eve")


def pem():
    kind = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return rsa.generate_private_key(65537, 2048).private_bytes(*kind)


@pytest.fixture(scope="module")
def keys():
    """A private key, and the public one that the platform knows."""
    private = pem()
    return private, serialization.load_pem_private_key(private, None).public_key()


@pytest.fixture
def platform(keys):
    members = [
        {"user_id": f"user-{i}", "email": f"{name}@example.org", "lis_person_sourcedid": name, "roles": ["Learner"]}
        for i, name in enumerate(("ana", "bo", "cy", "dee", "someone-else"))
    ]
    server = Lms(keys[1], members)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(platform, keys, tmp_path):
    (tmp_path / "lti.pem").write_bytes(keys[0])
    told = {"client_id": "tool-7", "auth_token_url": f"{platform.url}/token", "key": "lti.pem"}
    told |= {"lineitems": f"{platform.url}/items", "memberships": f"{platform.url}/members"}
    (tmp_path / "lti.json").write_text(json.dumps(told))
    return tmp_path / "lti.json"


def totals(to_mark=(), **scores):
    by_student = {s: {TASK: scores.get(s, 10.0 + i)} for i, s in enumerate(CLASS)}
    return lms.Totals({TASK: 20.0}, by_student, {}, frozenset((s, TASK) for s in to_mark))


def post(settings, given, waited=None):
    pause = waited.append if waited is not None else lambda seconds: None
    return posting.post(lti.Platform(lti.read(settings)), given, TASK, settings.parent / "out", pause)


def taken(platform):
    """Every score that the platform took, by user, in order."""
    return {user: [s["scoreGiven"] for s in scores] for (_, user), scores in platform.history.items() if scores}


def posts(platform):
    return sum(method == "POST" and path.endswith("/scores") for method, path in platform.requests)


def test_every_score_arrives_once_and_what_changes_again(platform, settings):
    done = post(settings, totals(to_mark=("bo",), cy=None))
    assert (done.posted, done.absent, done.refused, done.left) == (["ana", "bo", "dee"], ["eve"], {}, "")
    assert taken(platform) == {"user-0": [10.0], "user-1": [11.0], "user-3": [13.0]}
    [column] = [c for c in platform.columns if c["tag"] == TASK]
    assert column["scoreMaximum"] == 20.0 and len(platform.columns) == 2
    last = {user: scores[-1] for (_, user), scores in platform.history.items() if scores}
    assert last["user-0"]["gradingProgress"] == "FullyGraded" and last["user-1"]["gradingProgress"] == "PendingManual"
    assert {s["scoreMaximum"] for s in last.values()} == {20.0}

    again = post(settings, totals(to_mark=("bo",), cy=None))
    assert again.posted == [] and again.already == ["ana", "bo", "dee"] and posts(platform) == 3

    marked = post(settings, totals(bo=15.0))  # bo has a mark now, and cy a score
    assert marked.posted == ["bo", "cy"] and marked.already == ["ana", "dee"]
    assert taken(platform) == {"user-0": [10.0], "user-1": [11.0, 15.0], "user-2": [12.0], "user-3": [13.0]}
    assert len(platform.columns) == 2 and platform.problems == []
    assert (settings.parent / "out" / posting.FILE).stat().st_mode & 0o077 == 0  # it names students


def test_a_platform_that_stumbles_gets_each_score_once_all_the_same(platform, settings):
    platform.faults = ["busy", "down", "hang up first", "", "hang up after", "expired"]
    waited = []
    done = post(settings, totals(), waited)
    assert done.posted == ["ana", "bo", "cy", "dee"] and done.left == ""
    assert taken(platform) == {"user-0": [10.0], "user-1": [11.0], "user-2": [12.0], "user-3": [13.0]}
    assert waited[0] == 7 and all(0 <= s <= posting.MOST_S for s in waited)  # as Retry-After asked
    assert platform.problems == []


def test_an_interruption_loses_nothing_and_posts_nothing_twice(platform, settings):
    """bo's score arrived, but nobody heard of it; cy's, written down before it went out, did not."""
    platform.faults = ["", "hang up after", *["hang up first"] * (posting.ATTEMPTS - 1)]
    done = post(settings, totals())
    assert done.posted == ["ana"] and "did not answer after 5 attempts" in done.left
    file = settings.parent / "out" / posting.FILE
    lines = file.read_text().splitlines()
    cy = json.loads(lines[-1]) | {"student": "cy", "user": "user-2", "given": 12.0}
    file.write_text("\n".join([*lines, json.dumps(cy), '{"line_item": "http']))  # cut off as it wrote
    before = posts(platform)
    done = post(settings, totals())
    assert done.already == ["ana", "bo"] and done.posted == ["cy", "dee"] and posts(platform) == before + 2
    assert taken(platform) == {"user-0": [10.0], "user-1": [11.0], "user-2": [12.0], "user-3": [13.0]}
    last = {user: scores[-1] for (_, user), scores in platform.history.items()}
    assert last["user-2"]["timestamp"] == cy["timestamp"]
    assert post(settings, totals()).posted == [] and len(posting.read(file)) == 9


def test_a_machine_whose_clock_was_set_back_still_sends_later_times():
    last = "2099-01-01T00:00:00.000000+00:00"
    assert datetime.fromisoformat(last) < datetime.fromisoformat(posting._later(last))


def test_one_refusal_does_not_hold_up_the_others(platform, settings, monkeypatch):
    known = {"ana": "user-0", "bo": "nobody", "cy": "user-2"}
    monkeypatch.setattr(lti.Platform, "users", lambda self, students: known)
    done = post(settings, totals())
    assert done.posted == ["ana", "cy"] and list(done.refused) == ["bo"] and "404" in done.refused["bo"]


def test_the_command_posts_from_the_gradebook(course, record, settings, platform, capsys):
    for student in ("ana", "bo"):
        course.submit(student)
        assert course.write(record(student)) == []
    course.mark("ana", 4.0)
    words = ["post", str(course.out), "--course", str(course.root), "--assignment", TASK, "--platform", str(settings)]
    main(words)
    assert "2 score(s) posted, 0 already there" in capsys.readouterr().out
    assert taken(platform) == {"user-0": [19.0], "user-1": [15.0]}
    grading = {user: scores[-1]["gradingProgress"] for (_, user), scores in platform.history.items()}
    assert grading == {"user-0": "FullyGraded", "user-1": "PendingManual"}
    main(words)
    assert "0 score(s) posted, 2 already there" in capsys.readouterr().out

    main([*words, "--public-key"])
    key = json.loads(capsys.readouterr().out)
    assert key["kty"] == "RSA" and key["alg"] == "RS256" and "d" not in key
    signed = jwt.encode({"a": 1}, (settings.parent / "lti.pem").read_text(), "RS256")
    assert jwt.decode(signed, jwt.PyJWK(key).key, ["RS256"]) == {"a": 1}


def test_what_is_wrong_with_the_settings_is_said_in_a_sentence(settings, platform, tmp_path, monkeypatch):
    whole = json.loads(settings.read_text())

    def said(**changes):
        settings.write_text(json.dumps({k: v for k, v in (whole | changes).items() if v is not None}))
        with pytest.raises((ValueError, ImportError)) as error:
            post(settings, totals())
        return str(error.value)

    assert "has no 'client_id'; it needs client_id" in said(client_id=None)
    assert "has an unknown 'colour'" in said(colour="red")
    assert "'lineitems' in" in (text := said(lineitems="http://lms.example.org/items")) and "https://" in text
    assert "there is no key" in (text := said(key="none.pem")) and "openssl genrsa" in text
    assert "gives no token (401" in said(client_id="another tool")
    (tmp_path / "other.pem").write_bytes(pem())
    assert "check that it knows client_id and the public key" in said(key="other.pem")
    settings.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        lti.read(settings)
    assert platform.history == {} and posts(platform) == 0
    monkeypatch.setitem(__import__("sys").modules, "pylti1p3.lineitem", None)
    assert "run pip install '.[lti]'" in said()
