"""What a test does in a browser: open a page, press keys, look at its picture."""

import base64
import io

import numpy as np
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PHONE, LAPTOP = (390, 844), (1280, 800)
PATIENCE = 60  # seconds until a browser counts as stuck


def until(browser, condition, *arguments):
    """Wait until a JavaScript expression is true."""
    WebDriverWait(browser, PATIENCE, 0.02).until(lambda b: b.execute_script(f"return {condition}", *arguments))


def show(browser, path, size=LAPTOP, ratio=1, tick="", plays=False):
    """Open a page in a window of so many pixels, and hold it where it begins unless it `plays`."""
    browser.get("about:blank")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": ratio, "mobile": False},
    )
    browser.get(path.as_uri() + tick)
    until(browser, "window.drivesim !== undefined")
    if not plays:
        browser.execute_script("drivesim.pause(); if (!location.hash) drivesim.seek(0);")


def at(browser, name):
    return browser.find_element(By.ID, name)


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def picture(browser):
    """What the canvas shows, uint8 (height, width, 3)."""
    address = browser.execute_script("return document.getElementById('picture').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return np.array(image)[..., :3]


def pixel(browser, row, col, view):
    """The colour in the middle of a cell of the map."""
    return browser.execute_script(
        "const c = document.getElementById('picture'), [row, col, cols] = arguments, cell = c.width / cols;"
        "const x = Math.floor((col + 0.5) * cell), y = Math.floor((row + 0.5) * cell);"
        "return Array.from(c.getContext('2d').getImageData(x, y, 1, 1).data).slice(0, 3)",
        view.row_of(row),
        view.col_of(col),
        view.cols,
    )
