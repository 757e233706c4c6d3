"""Scores into an LMS's gradebook over LTI 1.3: tokens, members and line items of one course on one platform.

The tool signs a JWT with its private key and gets a token for its requests (IMS Security Framework 1.0, section 4.1).
Members come from the Names and Role Provisioning Services 2.0, columns and scores from the Assignment and Grade
Services 2.0: https://www.imsglobal.org/spec/lti-ags/v2p0. The library is pylti1p3, an extra: pip install '.[lti]'.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autograder.intake.student_ids import spelt

AGS, NRPS = "https://purl.imsglobal.org/spec/lti-ags/scope/", "https://purl.imsglobal.org/spec/lti-nrps/scope/"
SCORE, COLUMN, RESULT = (AGS + name for name in ("score", "lineitem", "result.readonly"))
MEMBERS = f"{NRPS}contextmembership.readonly"
TYPE = "application/vnd.ims.{0}+json".format
REQUIRED = ("client_id", "auth_token_url", "key", "lineitems", "memberships")
OPTIONAL = ("kid", "audience")
TIMEOUT_S = 30.0  # per reply; the library would wait for ever
NAMED = ("lis_person_sourcedid", "email", "user_id")  # the fields of a member that can name the folders
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Settings:
    """What the LMS's administrator and the course's services page say; `key` is the tool's private key in PEM."""

    client_id: str
    auth_token_url: str
    key: str
    lineitems: str
    memberships: str
    kid: str | None = None
    audience: str | None = None


def read(path: Path) -> Settings:
    """The settings in a JSON file, in which `key` names a file beside it; ValueError says what is wrong."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(told, dict) or (lacking := [k for k in REQUIRED if not isinstance(told.get(k), str)]):
        which = f" '{lacking[0]}'" if isinstance(told, dict) else ""
        raise ValueError(f"{path} has no{which}; it needs {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}")
    if unknown := sorted(told.keys() - {*REQUIRED, *OPTIONAL}):
        raise ValueError(f"{path} has an unknown '{unknown[0]}'; known: {', '.join((*REQUIRED, *OPTIONAL))}")
    for name in ("auth_token_url", "lineitems", "memberships"):
        url = urlsplit(told[name])
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ValueError(f"'{name}' in {path} must start with https://, since grades and tokens are sent there")
    key = path.parent / told["key"]
    if not key.is_file():
        raise ValueError(f"there is no key {key}; create one with `openssl genrsa -out {key} 2048`")
    return Settings(**{**told, "key": key.read_text(encoding="utf-8")})


def library() -> Any:
    """pylti1p3, or ImportError with the command that installs it."""
    try:
        import pylti1p3.lineitem
        import pylti1p3.registration
        import pylti1p3.service_connector
    except ImportError as error:
        raise ImportError(f"LTI needs the package pylti1p3 ({error}); run pip install '.[lti]'") from None
    return pylti1p3


def public_key(settings: Settings) -> dict[str, Any]:
    """The public key as the JWK that platforms ask for."""
    return dict(library().registration.Registration.get_jwk(settings.key))


class Platform:
    """The LMS. Its methods raise what pylti1p3 and requests raise if it refuses or does not answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self._lti = settings, library()
        self.renew()

    def renew(self) -> None:
        """Discard the tokens, since one has expired."""
        import requests

        session = requests.Session()
        session.request = functools.partial(session.request, timeout=TIMEOUT_S)
        s, registration = self.settings, self._lti.registration.Registration()
        registration.set_client_id(s.client_id).set_auth_token_url(s.auth_token_url)
        registration.set_tool_private_key(s.key).set_tool_public_key(s.key)  # the private key's PEM contains both
        if s.audience:
            registration.set_auth_audience(s.audience)
        if s.kid:
            registration.get_kid = lambda: s.kid
        self._connector = self._lti.service_connector.ServiceConnector(registration, session)

    def users(self, students: list[str]) -> dict[str, str]:
        """The platform's user id of each student it knows, by the field that matches most folder names."""
        pages = self._pages(MEMBERS, self.settings.memberships, TYPE("lti-nrps.v2.membershipcontainer"))
        found, wanted = [m for page in pages for m in page["members"]], set(students)
        best: dict[str, str] = {}
        for field in NAMED:
            ids = {str(m[field]): str(m["user_id"]) for m in found if m.get(field)}
            names = spelt(list(ids), students)
            known = {names[value]: user for value, user in ids.items() if names[value] in wanted}
            best = known if len(known) > len(best) else best
        return best

    def line_item(self, tag: str, maximum: float) -> str:
        """The address of the column with this tag; created if there is none."""
        pages = self._pages(COLUMN, self.settings.lineitems, TYPE("lis.v2.lineitemcontainer"))
        if found := next((item["id"] for page in pages for item in page if item.get("tag") == tag), None):
            return found
        item = self._lti.lineitem.LineItem().set_tag(tag).set_label(tag).set_score_maximum(maximum)
        kind = {"content_type": TYPE("lis.v2.lineitem"), "accept": TYPE("lis.v2.lineitem")}
        data = item.set_resource_id(tag).get_value()
        made = self._connector.make_service_request([COLUMN], self.settings.lineitems, True, data, **kind)
        return made["body"]["id"]

    def results(self, line_item: str) -> dict[str, tuple[float, float]]:
        """The column's content by user: the score and its maximum."""
        pages = self._pages(RESULT, _below(line_item, "results"), TYPE("lis.v2.resultcontainer"))
        every = [r for page in pages for r in page if r.get("resultScore") is not None]
        return {r["userId"]: (float(r["resultScore"]), float(r.get("resultMaximum", 1))) for r in every}

    def score(self, line_item: str, data: Mapping[str, Any]) -> None:
        """Post one score: the fields of section 3.4 of the Assignment and Grade Services."""
        url = _below(line_item, "scores")
        kind = {"content_type": TYPE("lis.v1.score")}
        self._connector.make_service_request([SCORE], url, True, json.dumps(dict(data)), **kind)

    def _pages(self, scope: str, url: str | None, accept: str) -> Iterator[Any]:
        """The bodies of all pages. The library's own paging would lower-case the next address."""
        from requests.utils import parse_header_links

        while url:
            answer = self._connector.make_service_request([scope], url, accept=accept, case_insensitive_headers=True)
            yield answer["body"]
            links = parse_header_links(answer["headers"].get("link", ""))
            url = next((link["url"] for link in links if link.get("rel") == "next"), None)


def _below(url: str, name: str) -> str:
    """The address of a line item's service; the line item's own address may have a query."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()
