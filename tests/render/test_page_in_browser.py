"""A page plays in a browser: opened from disk, it shows what the states say and obeys its controls.

Chromium and its driver must be installed; without them these tests are skipped, or fail where DRIVESIM_REQUIRE_BROWSER
is set.
"""

import json

import numpy as np
import pytest
from browsing import LAPTOP, PHONE, at, picture, pixel, press, show, until
from episodes import ALL_ACTIONS, action_names, record
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from drivesim.core.world import DRIVING
from drivesim.registry import IDS
from drivesim.render import palette
from drivesim.render.frame import draw_scene
from drivesim.render.page import write_page
from drivesim.render.scene import Scene
from drivesim.render.view import view_of

OBSTACLES, HIGHWAY, CROSSING = "drivesim/Obstacles-v1", "drivesim/Highway-v1", "drivesim/Intersection-v1"
TICKS_PER_SECOND = 5.0
NONE, MINUS, TIMES = "\u2013", "\u2212", "\u00d7"  # a dash and signs

# Frames come when the test says so, at the times that it says.
OWN_CLOCK = """
window.frames_asked = [];
window.requestAnimationFrame = (callback) => window.frames_asked.push(callback);
performance.now = () => 0;
window.frame = (time) => window.frames_asked.splice(0).forEach((callback) => callback(time));
"""


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    """By id: the moments of an episode and the path of its page."""
    found = {}
    for n, env_id in enumerate(IDS):
        path = tmp_path_factory.mktemp("pages") / "page.html"
        moments = record(env_id, seed=n, decides=True)
        facts = {"Environment": env_id, "Seed": str(n)}
        write_page(
            path,
            moments,
            action_names=action_names(env_id),
            title=f"{env_id}, seed {n}",
            facts=facts,
            ticks_per_second=TICKS_PER_SECOND,
        )
        found[env_id] = moments, path
    return found


@pytest.fixture
def player(browser, episodes):
    """The page of an episode on Obstacles, and a function that calls its hook."""
    moments, path = episodes[OBSTACLES]
    show(browser, path)

    def call(expression, *arguments):
        return browser.execute_script(f"return drivesim.{expression}", *arguments)

    call.num_ticks = len(moments) - 1
    return call


@pytest.mark.parametrize("env_id", IDS)
def test_it_opens_from_disk_without_errors_or_requests_and_shows_the_number_of_steps(browser, episodes, env_id):
    moments, path = episodes[env_id]
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # of the pages before
    show(browser, path)
    assert at(browser, "counter").text == f"0 / {len(moments) - 1}"
    assert browser.execute_script("return drivesim.numTicks") == len(moments) - 1
    assert browser.title == f"{env_id}, seed {IDS.index(env_id)}"
    assert env_id in at(browser, "facts").text
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # Chromium may still be loading the page that it opens with.
    asked = [request["request"]["url"] for request in requests if request["documentURL"] == path.as_uri()]
    assert path.as_uri() in asked
    assert all(url == path.as_uri() or url.startswith(("data:", "about:blank")) for url in asked)


@pytest.mark.parametrize("env_id", IDS)
def test_the_ego_is_where_the_state_says_on_a_tick_and_between_two(browser, episodes, env_id):
    moments, path = episodes[env_id]
    show(browser, path)
    num_seen = 0
    for n in range(0, len(moments) - 1, 3):
        after = moments[n + 1].state
        if after.world["vehicles"]["status"][0] != DRIVING:
            continue
        scene = Scene(after, moments[n].state)
        for share in (0.0, 0.3, 0.75):
            row, col = scene.focus(share)
            browser.execute_script("drivesim.seek(arguments[0])", n + share)
            found = pixel(browser, row, col, view_of(after, focus=(row, col)))
            assert np.abs(np.subtract(found, palette.EGO)).max() <= 4, (n, share)
            num_seen += 1
    assert num_seen >= 6


def means(shot, scene):
    """The mean colour of every cell of a picture, (rows, cols, 3)."""
    rows, cols = scene.level.shown_rows.shown, scene.level.shown_cols.shown
    cell = shot.shape[0] // rows
    return shot.reshape(rows, cell, cols, cell, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("env_id", IDS)
def test_the_picture_is_that_of_a_film(browser, episodes, env_id):
    moments, path = episodes[env_id]
    show(browser, path, size=(700, 700))
    for n in range(0, len(moments) - 1, max(1, len(moments) // 6)):
        scene = Scene(moments[n + 1].state, moments[n].state)
        for share in (0.5, 1.0):
            browser.execute_script("drivesim.seek(arguments[0])", n + share)
            shown = picture(browser).astype(int)
            wanted = draw_scene(scene, shown.shape[1] // scene.level.shown_cols.shown, share)
            assert wanted.shape == shown.shape
            assert np.abs(means(shown, scene) - means(wanted, scene)).max() < 12, (n, share)  # a car makes 18 or more


@pytest.mark.parametrize("env_id", [OBSTACLES, HIGHWAY])
def test_the_picture_moves_with_time_and_is_the_same_at_the_same_time(browser, episodes, env_id):
    show(browser, episodes[env_id][1], size=(600, 600))
    shots = {}
    for position in (3, 3.5, 4, 3, 3.5):
        browser.execute_script("drivesim.seek(arguments[0])", position)
        shot = picture(browser)
        assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 20
        assert np.array_equal(shots.setdefault(position, shot), shot)
    assert not np.array_equal(shots[3], shots[3.5])
    assert not np.array_equal(shots[3.5], shots[4])


def test_it_plays_to_the_end_and_from_the_start_again(browser, player):
    assert not player("isPlaying()")
    player("setSpeed(8)")
    at(browser, "play").click()
    assert at(browser, "play").get_attribute("aria-label") == "Pause"
    until(browser, "drivesim.tick() > 0")
    until(browser, "drivesim.tick() === drivesim.numTicks")
    until(browser, "!drivesim.isPlaying()")
    assert at(browser, "play").get_attribute("aria-label") == "Play"
    assert at(browser, "counter").text == f"{player.num_ticks} / {player.num_ticks}"
    player("setSpeed(0.25)")  # or a busy machine has played it before it can be asked
    player("play()")
    assert player("tick()") < player.num_ticks
    assert player("isPlaying()")


def test_the_replay_page_starts_to_play(browser, episodes):
    path = episodes[OBSTACLES][1]
    show(browser, path, plays=True)
    until(browser, "drivesim.tick() > 0")
    show(browser, path, tick="#t=3", plays=True)
    assert not browser.execute_script("return drivesim.isPlaying()"), "who asks for a tick sees it"
    assert browser.execute_script("return drivesim.tick()") == 3


def test_it_does_not_start_by_itself_for_whoever_wants_less_motion(browser, episodes):
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", still)
    show(browser, episodes[OBSTACLES][1], plays=True)
    assert not browser.execute_script("return drivesim.isPlaying()")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_plays_at_its_pace_times_the_speed_and_pauses(browser, player):
    browser.execute_script(OWN_CLOCK)
    player("play()")
    for time in (100, 200, 300, 400):  # milliseconds
        browser.execute_script("frame(arguments[0])", time)
    assert player("tick()") == 2  # 0.4 s
    Select(at(browser, "speed")).select_by_visible_text(f"4{TIMES}")
    browser.execute_script("frame(600)")
    assert player("tick()") == 6  # 0.2 s, four times as fast
    player("setSpeed(0.5)")
    browser.execute_script("frame(800)")
    assert player("tick()") == 6
    browser.execute_script("frame(1000)")
    assert player("tick()") == 7  # 0.4 s, half as fast
    player("pause()")
    browser.execute_script("frame(1200)")
    browser.execute_script("frame(1400)")
    assert player("tick()") == 7
    assert not player("isPlaying()")


def test_a_page_that_was_in_the_background_does_not_leap(browser, player):
    browser.execute_script(OWN_CLOCK)
    player("play()")
    browser.execute_script("frame(60000)")
    assert player("tick()") == 1


def test_keys_play_step_jump_and_change_the_speed(browser, player):
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert player("tick()") == 2
    press(browser, Keys.END)
    assert player("tick()") == player.num_ticks
    press(browser, Keys.ARROW_RIGHT)
    assert player("tick()") == player.num_ticks
    press(browser, Keys.HOME)
    assert player("tick()") == 0
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    assert player("tick()") == 10
    press(browser, Keys.ARROW_UP)
    assert Select(at(browser, "speed")).first_selected_option.text == f"2{TIMES}"
    press(browser, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert Select(at(browser, "speed")).first_selected_option.text == f"0.5{TIMES}"
    press(browser, Keys.SPACE)
    assert player("isPlaying()")
    press(browser, Keys.SPACE)
    assert not player("isPlaying()")


def test_a_step_back_from_between_two_ticks_goes_to_the_one_before(player):
    player("seek(5.5)")
    assert player("tick()") == 5
    player("pause() || document.getElementById('back').click()")
    assert player("tick()") == 5
    player("seek(5.5) || document.getElementById('next').click()")
    assert player("tick()") == 6


def test_the_slider_scrubs_by_mouse_and_by_keys(browser, player):
    slider = at(browser, "scrub")
    assert slider.get_attribute("max") == str(player.num_ticks)
    slider.click()  # its middle
    assert abs(player("tick()") - player.num_ticks / 2) <= 1
    before = player("tick()")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert player("tick()") == before + 1
    browser.execute_script("arguments[0].value = 3; arguments[0].dispatchEvent(new Event('input'))", slider)
    assert player("tick()") == 3
    assert at(browser, "counter").text == f"3 / {player.num_ticks}"
    assert slider.get_attribute("aria-valuetext") == f"tick 3 of {player.num_ticks}"


def test_a_click_on_a_chart_goes_to_its_tick(browser, player):
    chart = browser.find_element(By.CSS_SELECTOR, ".chart.return > svg")
    ActionChains(browser).move_to_element_with_offset(chart, 0, 0).click().perform()
    assert abs(player("tick()") - player.num_ticks / 2) <= 0.5


def test_the_address_names_a_tick(browser, episodes):
    moments, path = episodes[OBSTACLES]
    show(browser, path, tick="#t=7")
    assert browser.execute_script("return drivesim.tick()") == 7
    browser.execute_script("location.hash = '#t=9999'")
    until(browser, "drivesim.tick() === arguments[0]", len(moments) - 1)


def test_what_is_no_tick_or_no_speed_is_refused(browser, player):
    player("seek(4)")
    for call in ("seek('x')", "seek(NaN)", "setSpeed(0)", "setSpeed(-1)", "setSpeed(Infinity)"):
        refused = f"try {{ drivesim.{call}; return false }} catch (e) {{ return e instanceof RangeError }}"
        assert browser.execute_script(refused), call
    assert player("tick()") == 4


@pytest.mark.parametrize("env_id", [OBSTACLES, CROSSING])
def test_events_are_on_the_time_line_and_lead_to_their_ticks(browser, episodes, env_id):
    moments, path = episodes[env_id]
    show(browser, path)
    wanted = [(name, n) for n, moment in enumerate(moments) for name in moment.events]
    buttons = browser.find_elements(By.CSS_SELECTOR, "#marks button")
    assert [button.get_attribute("aria-label") for button in buttons] == [f"{name}, tick {n}" for name, n in wanted]
    assert len(wanted) >= (2 if env_id == OBSTACLES else 1)
    for button, (name, n) in zip(buttons, wanted, strict=True):
        browser.execute_script("arguments[0].click()", button)
        assert browser.execute_script("return drivesim.tick()") == n
        assert name in at(browser, "happened").text.splitlines()


@pytest.mark.parametrize("env_id", IDS)
def test_the_panel_tells_speed_action_reward_and_scores_of_the_tick(browser, episodes, env_id):
    moments, path = episodes[env_id]
    show(browser, path)
    names = action_names(env_id)
    speeds = [int(moment.world["vehicles"]["speed"][0]) for moment in moments]
    for n in (0, 2, speeds.index(min(speeds)), len(moments) - 1):  # of a car that backs, a negative one too
        browser.execute_script("drivesim.seek(arguments[0])", n)
        moment = moments[n]
        assert at(browser, "ego-speed").text == str(speeds[n]).replace("-", MINUS)
        assert at(browser, "completion").text == f"{int(100 * moment.completion + 1e-6)} %"
        assert at(browser, "action").text == (NONE if moment.action is None else names[moment.action])
        told = [
            row.find_element(By.TAG_NAME, "th").text for row in at(browser, "terms").find_elements(By.TAG_NAME, "tr")
        ]
        assert told == [name.replace("_", " ") for name, value in moment.reward_terms.items() if value]
        if n:
            told = float(at(browser, "reward").text.replace(MINUS, "-"))
            assert told == pytest.approx(moment.reward, abs=5.1e-4)
        rows = browser.find_elements(By.CSS_SELECTOR, "#scores .row")
        scores = [row.find_element(By.CSS_SELECTOR, ".number").text for row in rows]
        chosen = [
            row.find_element(By.CSS_SELECTOR, ".name").text for row in rows if "chosen" in row.get_attribute("class")
        ]
        if moment.decision is None:
            assert scores == [NONE] * len(names)
            assert chosen == []
        else:
            assert [float(score.rstrip(" %")) / 100 for score in scores] == pytest.approx(
                moment.decision.scores, abs=6e-4
            )
            assert chosen == [names[moments[n + 1].action]]


def test_action_values_are_shown_as_numbers(browser, tmp_path):
    moments = record(OBSTACLES, max_steps=3, decides=False)
    write_page(tmp_path / "page.html", moments, action_names=ALL_ACTIONS, title="Values")
    show(browser, tmp_path / "page.html")
    scores = [float(part.text) for part in browser.find_elements(By.CSS_SELECTOR, "#scores .number")]
    assert scores == pytest.approx(moments[0].decision.scores, abs=5.1e-4)
    assert "Expected return" in at(browser, "scale").text


def test_without_a_learnt_driver_there_is_none_in_the_panel(browser, tmp_path):
    write_page(tmp_path / "page.html", record(OBSTACLES, max_steps=3), action_names=ALL_ACTIONS, title="Rules")
    browser.get_log("browser")  # of the pages before
    show(browser, tmp_path / "page.html")
    assert not at(browser, "driver").is_displayed()
    assert not at(browser, "facts").is_displayed()
    assert not browser.find_elements(By.CSS_SELECTOR, ".chart .value")
    press(browser, "x")
    assert browser.get_log("browser") == []


def test_x_ray_tints_the_salient_cells_and_nothing_else(browser, episodes):
    moments, path = episodes[OBSTACLES]
    show(browser, path, size=(700, 600))
    browser.execute_script("drivesim.seek(2)")
    plain = picture(browser).astype(int)
    at(browser, "xray").click()
    tinted = picture(browser).astype(int)
    scene, saliency = Scene(moments[2].state, moments[1].state), moments[2].decision.saliency
    view = view_of(moments[2].state)
    wanted = draw_scene(scene, plain.shape[1] // view.cols, saliency=saliency)
    assert np.abs(means(tinted, scene) - means(wanted, scene)).max() < 12
    cells = {(round(view.row_of(row)), round(view.col_of(col))) for row, col, _ in saliency}
    differ = np.abs(means(tinted, scene) - means(plain, scene)).max(axis=2) > 0
    assert set(zip(*np.nonzero(differ), strict=True)) == cells
    press(browser, "x")
    assert np.array_equal(picture(browser), plain)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize(("size", "ratio"), [(PHONE, 3), (LAPTOP, 1)])
def test_all_that_is_shown_of_the_map_fits_into_the_window_and_is_sharp(browser, episodes, env_id, size, ratio):
    moments, path = episodes[env_id]
    show(browser, path, size, ratio)
    view = view_of(moments[0].state)
    width, height, left, right, top, bottom, page_width = browser.execute_script(
        "const c = document.getElementById('picture'), b = c.getBoundingClientRect();"
        "return [c.width, c.height, b.left, b.right, b.top, b.bottom, document.documentElement.scrollWidth]"
    )
    assert (width % view.cols, height % view.rows) == (0, 0)
    assert width // view.cols == height // view.rows >= 8
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (right - left) * ratio == pytest.approx(width, abs=0.1)
    assert page_width <= size[0]


def test_the_picture_follows_the_size_of_the_window(browser, episodes):
    show(browser, episodes[HIGHWAY][1])
    wide = browser.execute_script("return document.getElementById('picture').width")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 500, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    )
    until(browser, "document.getElementById('picture').width < arguments[0]", wide / 2)
    assert len(np.unique(picture(browser).reshape(-1, 3), axis=0)) > 20


def test_dark_and_light_follow_the_system(browser, player):
    seen = set()
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        seen.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(seen) == 2


def test_whoever_wants_less_motion_sees_whole_ticks(browser, player):
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", still)
    player("seek(3)")
    whole = picture(browser)
    player("seek(3.5)")
    between = picture(browser)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert np.array_equal(whole, between)


def test_every_control_has_a_name_for_screen_readers_and_help_opens(browser, player):
    for control in browser.find_elements(By.CSS_SELECTOR, "button, input, select, canvas, .chart > svg"):
        assert control.accessible_name or not control.is_displayed()
    assert not at(browser, "help").is_displayed()
    press(browser, "?")
    assert at(browser, "help").is_displayed()
    press(browser, Keys.ARROW_RIGHT)
    assert player("tick()") == 0
    press(browser, Keys.SPACE)  # closes the help, whose button has the focus, and does not play
    assert not at(browser, "help").is_displayed()
    assert not player("isPlaying()")
