# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that a test drives, through Selenium and the system's own chromedriver."""

import os
import shutil
import time
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--window-size=1400,900", "--force-device-scale-factor=1"),
)
WAIT_S = 60
"""A busy machine must not fail a test."""


@contextmanager
def chromium(profile):
    """Start a browser with a new profile; skip the test where there is none."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        reason = "needs chromium and chromedriver (apt-get install chromium chromium-driver)"
        if os.environ.get("RSPIPE_BROWSER_TESTS") == "required":
            pytest.fail(f"{reason}; .ci/setup installs them")
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    # A named driver: Selenium looks for none, and downloads none.
    session = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Page(session)
    finally:
        session.quit()


class Page:
    """What a reader does with the page."""

    def __init__(self, session):
        self.session = session

    def open(self, path, after=""):
        self.session.get("about:blank")
        self.session.get(f"file://{path}{after}")
        self.until(lambda: self.js("return document.readyState") == "complete")

    def js(self, script, *values):
        return self.session.execute_script(script, *values)

    def all(self, selector):
        return self.session.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.session.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def press(self, key):
        self.session.switch_to.active_element.send_keys(getattr(Keys, key))

    def text(self, selector):
        return self.one(selector).text

    @property
    def hash(self):
        return self.js("return location.hash")

    def back(self):
        self.js("history.back()")

    def until(self, holds):
        """Wait until something holds."""
        end = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.02)

    def shape(self, width, height, scheme="light"):
        """Give the window another size and the reader's system another colour scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.session.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)

    def complaints(self):
        """Return what the browser logged: errors of the script, refusals of the policy."""
        return [entry["message"] for entry in self.session.get_log("browser")]
