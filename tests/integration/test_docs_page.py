"""The docs page in a real browser: it needs no internet, and an item is created through it."""

import json
import shutil
import tempfile
import time
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from support.client import new_key
from support.load import item

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-first-run",
         "--disable-dev-shm-usage", "--window-size=1400,2400",
         # Any name resolves to nothing: a page that needs the internet fails here.
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@pytest.fixture(scope="module")
def browser():
    profile = tempfile.mkdtemp(prefix="trunnion-chromium-")
    options = Options()
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(service=Driver("/usr/bin/chromedriver"), options=options)
    yield made
    made.quit()
    shutil.rmtree(profile, ignore_errors=True)


def wait(browser, condition, seconds: float = 20):
    return WebDriverWait(browser, seconds).until(condition)


def visible(browser, selector: str):
    def find(_):
        found = [one for one in browser.find_elements(By.CSS_SELECTOR, selector)
                 if one.is_displayed()]
        return found[0] if found else None

    return wait(browser, find)


def hosts(browser) -> set[str]:
    """The hosts that the page has asked anything of."""
    asked = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = urlsplit(message["params"]["request"]["url"])
            if url.scheme in ("http", "https", "ws", "wss"):
                asked.add(url.netloc)
    return asked


def complaints(browser) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("name", ["items", "activity"])
def test_the_page_lists_every_operation_and_asks_nobody_else(browser, items, activity, name):
    service = {"items": items, "activity": activity}[name]
    browser.get(service.url + "/docs")
    wanted = len([path for _, path, _ in service.document().operations()
                  if path.startswith("/api/v1")])
    wait(browser, lambda _: len(browser.find_elements(By.CSS_SELECTOR, ".opblock")) >= wanted)
    assert hosts(browser) == {urlsplit(service.url).netloc}
    assert complaints(browser) == []


def test_an_item_is_created_through_the_page(browser, items, world):
    browser.get(items.url + "/docs")
    block = visible(browser, ".opblock-post")
    block.find_element(By.CSS_SELECTOR, ".opblock-summary-control, .opblock-summary").click()
    button = visible(browser, ".opblock-post .try-out__btn")
    if "cancel" not in button.get_attribute("class"):  # A page may be ready to try from the start.
        button.click()
    wanted = item(name="Made through the page")
    fill(browser, 'tr[data-param-name="Idempotency-Key"] input', new_key())
    fill(browser, ".opblock-post textarea.body-param__text", json.dumps(wanted))
    visible(browser, ".opblock-post .execute").click()
    status = visible(browser, ".opblock-post .live-responses-table .response .response-col_status")
    wait(browser, lambda _: status.text.strip().startswith("201"))
    assert world.sql("items", "SELECT name FROM items WHERE sku = %s", wanted["sku"]) == [
        ("Made through the page",)]
    assert hosts(browser) == {urlsplit(items.url).netloc}
    assert complaints(browser) == []


def fill(browser, selector: str, text: str) -> None:
    """Sets a field as typing does: React listens to the events, not to the value."""
    field = visible(browser, selector)
    browser.execute_script(
        "const [field, text] = arguments;"
        "const own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value');"
        "own.set.call(field, text);"
        "field.dispatchEvent(new Event('input', {bubbles: true}));"
        "field.dispatchEvent(new Event('change', {bubbles: true}));", field, text)
    time.sleep(0.2)
    assert field.get_attribute("value") == text


def test_the_page_names_no_foreign_host(items):
    reply = items.http.get("/docs")
    assert reply.status_code == 200 and reply.headers["Content-Type"].startswith("text/html")
    assert "https://" not in reply.text and "http://" not in reply.text
