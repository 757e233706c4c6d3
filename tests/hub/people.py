"""Somebody at a hub: a browser of their own, in which they log in, click, and use a terminal of their server's."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page

from tests.hub.machine import password

PATIENCE_MS = 240_000  # a server starts within seconds, or on a busy machine within minutes

# As the pages of Jupyter call their server: with its token against requests that other pages make.
TOKEN = r"""document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? ''"""
FETCH = """async ([path, method, body]) => {
  const headers = { "Content-Type": "application/json", "X-XSRFToken": TOKEN };
  const answer = await fetch(path, { method, headers, body: body ?? undefined });
  return [answer.status, await answer.text()];
}""".replace("TOKEN", TOKEN)

# Types a line into a terminal, and returns what it said once it is done.
TERMINAL = r"""([path, line]) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`${path.replace(/^http/, "ws")}?_xsrf=${encodeURIComponent(TOKEN)}`);
  let text = "";
  socket.onerror = () => reject(new Error(`no terminal at ${path}`));
  socket.onopen = () => socket.send(JSON.stringify(["stdin", `${line}; echo en""ded:$?\r`]));
  socket.onmessage = ({ data }) => {
    const [kind, said] = JSON.parse(data);
    if (kind === "stdout") text += said;
    const end = text.match(/ended:(\d+)/);
    if (end) { socket.close(); resolve([Number(end[1]), text]); }
  };
})""".replace("TOKEN", TOKEN)


class Person:
    def __init__(self, browser: Browser, hub: str, name: str, base: str) -> None:
        """`base` is the path of the server that this person works with, as /user/ada/."""
        self.name, self.base, self.hub = name, f"{hub}{base}", hub
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())

    def log_in(self, to: str = "/hub/home") -> None:
        self.page.goto(f"{self.hub}/hub/login?next={to}")
        self.page.fill("#username_input", self.name)
        self.page.fill("#password_input", password(self.name))
        self.page.click("#login_submit")
        self.page.wait_for_url(lambda url: "/hub/login" not in url)

    def start_server(self) -> None:
        """Through the hub, until its page begins to come."""
        answer = self.page.goto(f"{self.hub}/hub/spawn/{self.name}", wait_until="commit")
        assert answer and answer.ok, self.page.inner_text("body")
        self.page.wait_for_url(f"{self.base}lab**", wait_until="commit")

    def step_aside(self) -> None:
        """To a picture at the server's address, which loads nothing, and from which `call` and `terminal` reach it."""
        self.page.goto(f"{self.base}static/logo/logo.png")

    def call(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        """Status and answer of the server, as if a page of it had asked."""
        status, text = self.page.evaluate(
            FETCH, [f"{self.base}{path}", method, None if body is None else json.dumps(body)]
        )
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def terminal(self, line: str) -> tuple[int, str]:
        """Exit status of a line that is typed into a new terminal, and all that stands there then."""
        status, made = self.call("api/terminals", "POST", {})
        assert status == 200, made
        status, text = self.page.evaluate(TERMINAL, [f"{self.base}terminals/websocket/{made['name']}", line])
        self.call(f"api/terminals/{made['name']}", "DELETE")
        return status, text

    def typed(self, line: str) -> str:
        """What a line says that must succeed."""
        status, text = self.terminal(line)
        assert status == 0, text
        return text

    def form(self, path: str, **fields: str) -> Any:
        """The answer to a form, as nbgrader's pages send it."""
        status, answer = self.call(f"{path}?{urlencode(fields)}", "POST")
        assert status == 200, answer
        return answer
