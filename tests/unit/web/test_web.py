"""The pages as a browser meets them, and as someone who means harm does."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
import requests
from web_site import Browser, Site, slow_visitors

from qbo_sync import __version__
from qbo_sync.intuit import GrantState, TokenStore
from qbo_sync.templating import environment

PAGES = ["/qbo/", "/qbo/connect", "/qbo/disconnected", "/qbo/callback", "/qbo/healthz", "/qbo/nowhere", "/"]
VOID = {"meta", "input", "link", "br", "hr", "img"}


class Outline(HTMLParser):
    """Checks that a page is well formed and gathers what a reader without eyes or scripts needs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        return [str(value) for _, attrs in self.seen for name, value in attrs.items() if name in ("href", "src", "action")]


def state(site: Site) -> GrantState:
    return TokenStore(site.settings).state()


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def test_a_visitor_from_outside_sees_no_company_and_cannot_disconnect(site: Site, browser: Browser) -> None:
    outside = {"X-Real-IP": "11.22.33.90"}
    browser.finish(site.consent(browser.begin()))
    home = browser.get("/qbo/", headers=outside)
    assert "QuickBooks is connected" in home.text
    assert "Linden" not in home.text
    assert "form_token" not in home.text
    token = form_token(browser.get("/qbo/").text)
    refused = browser.post("/qbo/disconnect", data={"form_token": token}, headers=outside)
    assert refused.status_code == 403
    assert state(site) is GrantState.connected
    office = {"X-Real-IP": "10.10.0.55"}
    assert browser.post("/qbo/disconnect", data={"form_token": token}, headers=office).status_code == 303


def test_an_administrator_connects_and_disconnects(site: Site, browser: Browser) -> None:
    first = browser.get("/qbo/")
    assert "not connected" in first.text
    assert "/qbo/connect" in Outline(first.text).links()
    browser.get(site.invitation())
    page = browser.get("/qbo/connect")
    assert "/qbo/connect/start" in Outline(page.text).links()
    answer = browser.finish(site.consent(browser.begin()))
    assert (answer.status_code, answer.headers["location"]) == (303, "/qbo/")
    home = browser.get("/qbo/")
    assert "QuickBooks is connected" in home.text
    assert "Linden Heating &amp; Air" in home.text
    assert "/qbo/connect/start" not in home.text, "the button is hidden while connected"
    for path in ("/qbo/connect", "/qbo/connect/start"):
        assert browser.get(path).headers["location"] == "/qbo/"
    assert "QuickBooks is connected" in site.get("/qbo/").text, "in any browser"
    grant = TokenStore(site.settings).load()
    assert grant is not None
    gone = browser.post("/qbo/disconnect", data={"form_token": form_token(home.text)})
    assert (gone.status_code, gone.headers["location"]) == (303, "/qbo/disconnected")
    assert "QuickBooks is disconnected" in browser.get("/qbo/disconnected").text
    assert state(site) is GrantState.disconnected
    headers = {"Authorization": f"Bearer {grant.access_token}"}
    read = requests.get(f"{site.lab}/v3/company/{site.realm}/preferences", headers=headers, timeout=10)
    assert read.status_code == 401, "Intuit has ended the grant too"


def test_the_button_works_as_a_form_too(site: Site, browser: Browser) -> None:
    browser.get(site.invitation())
    answer = browser.post("/qbo/connect/start")
    assert answer.status_code == 303
    assert browser.finish(site.consent(answer.headers["location"])).status_code == 303
    assert state(site) is GrantState.connected


def test_consent_declined(site: Site, browser: Browser) -> None:
    answer = browser.finish(site.consent(browser.begin(), decision="deny"))
    assert answer.status_code == 200
    assert "not given" in answer.text
    assert state(site) is GrantState.disconnected


def test_an_answer_counts_once(site: Site, browser: Browser) -> None:
    callback = site.consent(browser.begin())
    assert browser.finish(callback).status_code == 303
    assert browser.finish(callback).status_code == 400
    assert state(site) is GrantState.connected


def test_an_answer_from_another_browser(site: Site, browser: Browser) -> None:
    callback = site.consent(browser.begin())
    for cookies in ({}, {"qbo_browser": "x" * 43}, {"qbo_browser": ""}):
        assert requests.get(callback, cookies=cookies, allow_redirects=False, timeout=30).status_code == 400
    assert site.unused(callback)
    assert state(site) is GrantState.disconnected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("state=", "state=x"),
        ("state=", "other="),
        ("state=", "state[]="),
        ("state=", "state=1&state="),
        ("state=", "state=%00"),
        ("state=", "state=" + "x" * 40_000),
        ("code=", "code=" + "x" * 600),
        ("code=", "code=%00"),
        ("code=", "code=1&code="),
        ("realmId=", "realmId=../"),
        ("realmId=", "realmId=1;DROP"),
        ("realmId=", "realmId=1&realmId="),
        ("realmId=", "other="),
        ("state=", "state=%ff%fe"),
    ],
)
def test_a_bent_answer_never_reaches_intuit(site: Site, browser: Browser, old: str, new: str) -> None:
    callback = site.consent(browser.begin())
    answer = browser.finish(callback.replace(old, new))
    assert answer.status_code == 400
    assert site.unused(callback)
    assert state(site) is GrantState.disconnected


def test_an_answer_of_a_megabyte(site: Site, browser: Browser) -> None:
    # The server may cut the connection while we are still sending.
    with suppress(requests.RequestException):
        assert browser.get(f"/qbo/callback?state={'x' * 1_000_000}").status_code in (400, 413, 414, 431)
    assert site.get("/qbo/healthz").status_code == 200


def test_another_company(site: Site, browser: Browser) -> None:
    callback = site.consent(browser.begin()).replace(site.realm, "4620816365000000002")
    answer = browser.finish(callback)
    assert answer.status_code == 409
    assert "another company" in answer.text
    assert state(site) is GrantState.disconnected


def test_intuit_is_away(site: Site, browser: Browser) -> None:
    callback = site.consent(browser.begin())
    site.fault({"when": {"path": "/oauth2/v1/tokens"}, "fault": "429"})
    answer = browser.finish(callback)
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    site.fault()
    assert browser.finish(site.consent(browser.begin())).status_code == 303


@pytest.mark.parametrize(
    "data", [{}, {"form_token": ""}, {"form_token": "0" * 64}, {"form_token": "ä"}, {"form_token": "x" * 5000}]
)
def test_a_forged_disconnect(connected: Site, browser: Browser, data: dict[str, str]) -> None:
    browser.get("/qbo/")
    assert browser.post("/qbo/disconnect", data=data).status_code in (403, 413)
    assert state(connected) is GrantState.connected


def test_a_form_of_another_browser(connected: Site, browser: Browser) -> None:
    token = form_token(connected.get("/qbo/").text)
    browser.get("/qbo/")
    assert browser.post("/qbo/disconnect", data={"form_token": token}).status_code == 403
    assert requests.post(f"{connected.base}/qbo/disconnect", {"form_token": token}, timeout=10).status_code == 403
    assert state(connected) is GrantState.connected


def test_a_visit_to_the_disconnect_address_changes_nothing(connected: Site) -> None:
    assert connected.get("/qbo/disconnect").status_code == 405
    landing = connected.get(f"/qbo/disconnected?realmId={connected.realm}")
    assert landing.status_code == 200
    assert "noticed here within a minute" in landing.text
    assert state(connected) is GrantState.connected
    store = TokenStore(connected.settings)
    with store.lock(30):
        store.mark_dead()
    assert "/qbo/connect" in Outline(connected.get("/qbo/disconnected").text).links()


def test_a_lost_grant_asks_for_a_new_one(connected: Site, browser: Browser) -> None:
    TokenStore(connected.settings).mark_dead()
    home = browser.get("/qbo/")
    assert home.status_code == 200
    assert "reconnect needed" in home.text
    assert browser.get("/qbo/connect").status_code == 200
    assert browser.finish(connected.consent(browser.begin())).status_code == 303
    assert state(connected) is GrantState.connected


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_is_guarded(site: Site, path: str) -> None:
    headers = site.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache, no-store"
    assert "server" not in headers


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/qbo/healthz"])
def test_every_page_stands_alone(site: Site, path: str) -> None:
    answer = site.get(path)
    page = Outline(answer.text)
    tags = [tag for tag, _ in page.seen]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    assert ("html", {"lang": "en"}) in page.seen
    assert all(link.startswith("/qbo/") for link in page.links())
    nonces = [attrs.get("nonce") for tag, attrs in page.seen if tag == "style"]
    assert f"style-src 'nonce-{nonces[0]}'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "POST"])
def test_unused_methods(site: Site, method: str) -> None:
    assert requests.request(method, f"{site.base}/qbo/callback?code=1", timeout=10).status_code == 405


def test_no_host_header_reaches_an_address(site: Site, browser: Browser) -> None:
    browser.get(site.invitation())
    evil = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example",
    }
    for path in ("/qbo/", "/qbo/connect", "/qbo/connect/start?next=//evil.example", "/qbo/callback?next=https:evil.example"):
        answer = site.get(path, headers=evil)
        assert "evil.example" not in answer.text + str(answer.headers)
    # The cookie by hand: this browser's own rules would keep it back from another host.
    invited = {"Cookie": f"qbo_invitation={browser.session.cookies['qbo_invitation']}"}
    start = browser.get("/qbo/connect/start?next=//evil.example", headers={**evil, **invited})
    assert start.headers["location"].startswith(site.lab)
    assert "evil.example" not in str(start.headers)


@pytest.mark.parametrize(
    "value",
    ["//evil.example", "https:evil.example", "/\\evil.example", "%0d%0aLocation:%20//evil", "javascript:alert(1)"],
)
@pytest.mark.parametrize("path", ["/qbo/", "/qbo/connect", "/qbo/connect/start", "/qbo/callback", "/qbo/disconnected"])
def test_no_address_of_a_stranger_is_followed(connected: Site, path: str, value: str) -> None:
    for name in ("next", "redirect_uri", "state", "url"):
        answer = connected.get(f"{path}?{name}={value}")
        location = answer.headers.get("location", "/qbo/")
        assert location.startswith(("/qbo/", f"{connected.lab}/connect/oauth2?"))
        assert "evil" not in location


def test_slow_and_huge_visitors_keep_nobody_waiting(site: Site) -> None:
    with slow_visitors(site, 500):
        for _ in range(100):
            assert requests.get(f"{site.base}/qbo/callback?code=1", timeout=5).status_code == 400
        with pytest.raises(requests.RequestException):
            requests.get(f"{site.base}/qbo/", headers={"X-Huge": "x" * 2_000_000}, timeout=10).raise_for_status()
        assert requests.get(f"{site.base}/qbo/healthz", timeout=5).ok


def test_what_a_stranger_sends_is_not_shown(site: Site, browser: Browser) -> None:
    script = "<script>alert(1)</script>"
    state_value = dict(pair.split("=") for pair in browser.begin().partition("?")[2].split("&"))["state"]
    for query in ({"error": script[:60], "state": state_value, "error_description": script}, {"code": script}):
        answer = browser.get(f"/qbo/callback?{urlencode(query)}")
        assert answer.status_code == 400
        assert "<script" not in answer.text


def test_names_are_escaped() -> None:
    template = environment("web").get_template("problem.html.j2")
    page = template.render(site='"><b>', nonce="n", title="<i>", text="{{ 7 * 7 }} <script>", next="'\"&")
    assert "<script>" not in page
    assert "<i>" not in page
    assert "<b>" not in page
    assert "{{ 7 * 7 }}" in page
    Outline(page)


def test_health(site: Site) -> None:
    assert site.get("/qbo/healthz").json() == {"status": "ok", "site": "acme", "version": __version__}


def test_the_cookies(site: Site, browser: Browser) -> None:
    invited = browser.get(site.invitation())
    assert invited.headers["location"] == "/qbo/connect", "neither the history nor a reload holds the token"
    for answer in (invited, browser.get("/qbo/connect/start")):
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/qbo/" in cookie
        assert "Secure" not in cookie, "this site's public address is http on loopback"


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 5000, "😀", "' OR 1=1 --"])
def test_nobody_connects_the_first_company_without_an_invitation(site: Site, browser: Browser, token: str) -> None:
    page = browser.get("/qbo/connect", params={"invitation": token})
    assert page.status_code == 403
    assert "qbo-sync --config /etc/qbo-sync/acme.toml connect" in Outline(page.text).text
    browser.session.cookies.set("qbo_invitation", "A" * 43)
    for method in ("GET", "POST"):
        start = browser.session.request(method, f"{site.base}/qbo/connect/start", allow_redirects=False, timeout=10)
        assert (start.status_code, "location" in start.headers) == (403, False)
    assert state(site) is GrantState.disconnected


def test_an_invitation_is_for_one_company_and_for_three_days(site: Site, browser: Browser) -> None:
    link, old = site.invitation(), TokenStore(site.settings, clock=lambda: datetime.now(UTC) - timedelta(hours=73)).invite()
    assert "no longer good" in browser.get(f"/qbo/connect?invitation={old}").text
    assert browser.get(link).status_code == 303
    declined = site.consent(browser.get("/qbo/connect/start").headers["location"], decision="deny")
    assert browser.finish(declined).status_code == 200, "who said no may think again, with the same link"
    assert browser.finish(site.consent(browser.begin())).status_code == 303
    TokenStore(site.settings).unbind()
    with requests.Session() as session:
        assert Browser(site, session).get(link).status_code == 403


def test_a_site_that_was_connected_once_needs_no_invitation(connected: Site, browser: Browser) -> None:
    TokenStore(connected.settings).forget()
    assert browser.get("/qbo/connect").status_code == 200
    assert browser.get("/qbo/connect/start").headers["location"].startswith(connected.lab)


@pytest.mark.parametrize(
    ("days", "hard", "said"),
    [
        (20.5, None, "ends in 20 days"),
        (1.5, None, "Any audit renews it"),
        (100, 20, "Intuit lets no permission live longer than five years"),
        (100, 1.5, "ends tomorrow"),
        (100, 0.5, "ends today"),
        (100, -1, "no longer accepts the permission"),
    ],
)
def test_the_first_page_says_in_time_when_it_ends(connected: Site, days: float, hard: float | None, said: str) -> None:
    store, now = TokenStore(connected.settings), datetime.now(UTC)
    grant = store.load()
    assert grant is not None
    ends = None if hard is None else now + timedelta(days=hard)
    store.save(replace(grant, refresh_expires_at=now + timedelta(days=days), hard_expires_at=ends))
    home = Outline(connected.get("/qbo/").text)
    assert said in " ".join(home.text.split())
    assert "/qbo/connect" in home.links()


def test_why_an_answer_does_not_count_is_told(site: Site, browser: Browser) -> None:
    callback = site.consent(browser.begin())
    assert "asked for in another browser" in site.get(callback.removeprefix(site.base)).text
    callback = site.consent(browser.begin())
    assert browser.finish(callback).status_code == 303
    assert "used before" in browser.finish(callback).text
    TokenStore(site.settings, clock=lambda: datetime.now(UTC) - timedelta(minutes=11)).begin_authorization("late", "b")
    late = browser.get("/qbo/callback?state=late&code=c&realmId=1", headers={"Cookie": "qbo_browser=b"})
    assert "more than ten minutes ago" in late.text


def test_nothing_secret_in_the_log(site: Site, browser: Browser) -> None:
    callback = site.consent(browser.begin())
    assert browser.finish(callback).status_code == 303
    grant = TokenStore(site.settings).load()
    assert grant is not None
    browser.finish(callback)
    browser.get("/qbo/callback?state=canary-state&code=canary-code&realmId=1")
    said = site.said()
    assert "/qbo/callback" in said, "a refused callback is noted, without its query"
    code = callback.partition("code=")[2].partition("&")[0]
    for secret in (code, grant.access_token, grant.refresh_token, "canary", site.settings.intuit.client_secret_file.read_text()):
        assert secret not in said
