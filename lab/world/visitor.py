"""A QuickBooks administrator with a browser, somewhere on the internet: opens the connect page and gives consent.

Sent to the observer over SSH and run there, so it uses the standard library only::

    python3 - PAGE REALM CA_CERTIFICATES  < visitor.py

It follows the page's own link to Intuit's consent page, sends that page's form, and follows the way back to the site. On standard
output: the title of each page it saw. Exit status 1 when the site does not say that it is connected.
"""

from __future__ import annotations

import html
import re
import ssl
import sys
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, HTTPSHandler, build_opener


def main(page: str, realm: str, authorities: str) -> int:
    """Connect the company ``realm`` on ``page``, trusting the given certificates (PEM text)."""
    trust = ssl.create_default_context(cadata=authorities)
    browser = build_opener(HTTPSHandler(context=trust), HTTPCookieProcessor(CookieJar()))

    def see(address: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        with browser.open(address, urlencode(form).encode() if form else None, timeout=60) as answer:
            body = answer.read().decode()
            title = re.search(r"<title>(.*?)</title>", body, re.DOTALL)
            print(f"{answer.url.partition('?')[0]}: {title[1].strip() if title else 'no title'}")
            return answer.url, body

    address, body = see(page)
    link = re.search(r'href="([^"]*/qbo/connect/start)"', body)
    if link is None:
        print("there is no Connect button on this page")
        return 1
    consent, body = see(urljoin(address, link[1]))
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', body)
    hidden = {name: html.unescape(value) for name, value in fields}
    action = re.search(r'<form[^>]*action="([^"]*)"', body)
    _, body = see(urljoin(consent, action[1]) if action else consent, {**hidden, "decision": "allow", "realm": realm})
    return 0 if "onnected" in body else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
