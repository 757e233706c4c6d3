"""An LMS for tests: the services of LTI 1.3 with which a tool posts scores, on loopback, as strict as their texts.

Token endpoint: IMS Security Framework 1.0, section 4.1 (a signed JWT for a token with scopes). Members: Names and Role
Provisioning Services 2.0. Columns, scores and results: Assignment and Grade Services 2.0. Addresses of more pages
are case-sensitive, as Canvas's bookmarks are.
"""

import json
import re
import secrets
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt

AGS, NRPS = "https://purl.imsglobal.org/spec/lti-ags/scope/", "https://purl.imsglobal.org/spec/lti-nrps/scope/"
SCOPES = {AGS + "score", AGS + "lineitem", AGS + "result.readonly", NRPS + "contextmembership.readonly"}
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PROGRESS = {"Initialized", "Started", "InProgress", "Submitted", "Completed"}
GRADING = {"FullyGraded", "Pending", "PendingManual", "Failed", "NotReady"}
PAGE = 2  # of members and columns


class Wrong(Exception):
    """A request that a platform refuses: a status, and why."""


class Lms(ThreadingHTTPServer):
    """`members` as its course has them; `faults`: what goes wrong with the next posts of scores, in order."""

    daemon_threads = True

    def __init__(self, public_key, members, client_id="tool-7"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.public_key, self.client_id, self.members = public_key, client_id, members
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.tokens, self.seen = {}, set()
        self.columns = [{"id": f"{self.url}/items/0", "label": "Essay", "scoreMaximum": 5.0, "tag": "essay"}]
        self.history = defaultdict(list)  # of scores taken, by (column, user)
        self.requests = []  # (method, path) of each that came
        self.faults, self.problems = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A tool that hangs up is no news."""

    def token(self, form):
        """IMS Security Framework 1.0, 4.1.1: an access token for a JWT that the tool signed."""
        if form.get("grant_type") != "client_credentials" or form.get("client_assertion_type") != ASSERTION:
            raise Wrong(400, "unsupported_grant_type")
        try:
            claims = jwt.decode(
                form["client_assertion"], self.public_key, ["RS256"], audience=f"{self.url}/token",
                options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
            )  # fmt: skip
        except (KeyError, jwt.InvalidTokenError) as error:
            raise Wrong(400, f"invalid_client: {error}") from None
        header = jwt.get_unverified_header(form["client_assertion"])
        if not {claims["iss"], claims["sub"]} == {self.client_id} or not header.get("kid"):
            raise Wrong(401, "invalid_client: who are you?")
        if claims["jti"] in self.seen or claims["exp"] - claims["iat"] > 3600:
            raise Wrong(400, "invalid_client: an assertion is for once")
        self.seen.add(claims["jti"])
        scopes = set(form.get("scope", "").split())
        if not scopes or not scopes <= SCOPES:
            raise Wrong(400, "invalid_scope")
        token = secrets.token_urlsafe()
        self.tokens[token] = scopes, time.time() + 3600
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": " ".join(sorted(scopes))}

    def allowed(self, header, scope):
        scopes, until = self.tokens.get(header.removeprefix("Bearer "), ((), 0))
        if time.time() > until:
            raise Wrong(401, "the token is not known, or has run out")
        if scope not in scopes:
            raise Wrong(403, f"the token is not for {scope}")

    def take(self, column, score):
        """Assignment and Grade Services 2.0, "Score publish service"."""
        if not any(m["user_id"] == score.get("userId") for m in self.members):
            raise Wrong(404, "there is no such user")
        given, maximum = score.get("scoreGiven"), score.get("scoreMaximum")
        if not isinstance(given, int | float) or given < 0 or not isinstance(maximum, int | float) or maximum <= 0:
            raise Wrong(400, "scoreGiven or scoreMaximum is none")
        if score.get("activityProgress") not in PROGRESS or score.get("gradingProgress") not in GRADING:
            raise Wrong(400, "activityProgress or gradingProgress is none")
        when = score.get("timestamp", "")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)", when):
            raise Wrong(400, "timestamp has no fraction of a second, or no zone")
        if datetime.fromisoformat(when) > datetime.now(UTC) + timedelta(minutes=5):
            raise Wrong(400, "timestamp lies in the future")
        before = self.history[column, score["userId"]]
        if before and datetime.fromisoformat(before[-1]["timestamp"]) >= datetime.fromisoformat(when):
            raise Wrong(409, "there is a score that is as new")
        before.append(score)

    def results(self, column):
        last = {user: scores[-1] for (c, user), scores in self.history.items() if c == column and scores}
        return [
            {"id": f"{column}/results/{u}", "scoreOf": column, "userId": u, "resultScore": s["scoreGiven"],
             "resultMaximum": s["scoreMaximum"]} for u, s in last.items()
        ]  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    server: Lms
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        """Quiet."""

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        lms, parts = self.server, urlsplit(self.path)
        lms.requests.append((self.command, parts.path))
        scoring = self.command == "POST" and parts.path.endswith("/scores")
        fault = lms.faults.pop(0) if scoring and lms.faults else ""
        if fault == "hang up first":
            return
        try:
            if fault == "busy":
                return self.send(429, {"why": "slower"}, {"Retry-After": "7"})
            if fault == "down":
                return self.send(503, {"why": "maintenance"})
            if fault == "expired":
                lms.tokens.clear()
            made = self.route(parts, body)
            if fault != "hang up after":
                self.send(*made)
        except Wrong as error:
            status, why = error.args
            lms.problems += [] if status in (401, 409) else [f"{status} {why}"]
            self.send(status, {"error": why})

    def route(self, parts, body):
        lms, auth, page = (
            self.server,
            self.headers.get("Authorization", ""),
            parse_qs(parts.query).get("page", ["A"])[0],
        )
        post, kind, accept = self.command == "POST", self.headers.get("Content-Type"), self.headers.get("Accept")
        if parts.path == "/token" and post:
            return 200, lms.token({k: v[0] for k, v in parse_qs(body.decode()).items()})
        if parts.path == "/members":
            lms.allowed(auth, NRPS + "contextmembership.readonly")
            self.expect(accept, "application/vnd.ims.lti-nrps.v2.membershipcontainer+json")
            found, link = self.paged(lms.members, page)
            return 200, {"id": f"{lms.url}/members", "context": {"id": "course"}, "members": found}, link
        if parts.path == "/items":
            lms.allowed(auth, AGS + "lineitem")
            if post:
                self.expect(kind, "application/vnd.ims.lis.v2.lineitem+json")
                lms.columns.append({**json.loads(body), "id": f"{lms.url}/items/{len(lms.columns)}"})
                return 201, lms.columns[-1]
            self.expect(accept, "application/vnd.ims.lis.v2.lineitemcontainer+json")
            return 200, *self.paged(lms.columns, page)
        column = next((c["id"] for c in lms.columns if f"{lms.url}{parts.path}".startswith(c["id"] + "/")), None)
        if column and post and parts.path.endswith("/scores"):
            lms.allowed(auth, AGS + "score")
            self.expect(kind, "application/vnd.ims.lis.v1.score+json")
            lms.take(column, json.loads(body))
            return 200, {}
        if column and parts.path.endswith("/results"):
            lms.allowed(auth, AGS + "result.readonly")
            self.expect(accept, "application/vnd.ims.lis.v2.resultcontainer+json")
            return 200, *self.paged(lms.results(column), page)
        raise Wrong(404, f"nothing at {parts.path}")

    def expect(self, found, wanted):
        if found != wanted:
            raise Wrong(415, f"{found} is not {wanted}")

    def paged(self, every, page):
        at = (ord(page) - ord("A")) * PAGE
        if not 0 <= at <= len(every):
            raise Wrong(404, f"there is no page {page}")
        path, more = urlsplit(self.path).path, at + PAGE < len(every)
        next_one = f'<{self.server.url}{path}?page={chr(ord(page) + 1)}>; rel="next"'
        return every[at : at + PAGE], {"Link": next_one} if more else {}

    def send(self, status, content, headers=None):
        text = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)
