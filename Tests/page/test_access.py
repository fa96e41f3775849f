"""Accessibility of the page: keyboard, names for screen readers, small screens, and both colour schemes."""

import pytest
from browser import SCREENSHOTS
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# Lists visible texts with too little contrast to their background (WCAG 2.2, 1.4.3). A canvas converts colours of any notation.
CONTRAST = """
const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const pixel = colors => {
  context.clearRect(0, 0, 1, 1);
  for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
  return context.getImageData(0, 0, 1, 1).data;
};
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const worst = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, holder = node.parentElement;
  if (!node.data.trim() || !holder.checkVisibility() || holder.closest('.heard, noscript, option')) continue;
  const layers = [];
  for (let at = holder; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
  const behind = luminance(pixel(layers)), ink = luminance(pixel([...layers, getComputedStyle(holder).color]));
  const ratio = (Math.max(behind, ink) + 0.05) / (Math.min(behind, ink) + 0.05);
  if (ratio < 4.5) worst.push(`${ratio.toFixed(2)} ${holder.tagName}.${holder.className} ${node.data.trim().slice(0, 30)}`);
}
return worst;
"""

UNLABELLED = """return Array.from(document.querySelectorAll('input, select, textarea, button'))
  .filter(one => !(one.labels?.length || one.getAttribute('aria-label') || (one.tagName === 'BUTTON' && one.textContent.trim())))
  .map(one => one.outerHTML)"""


@pytest.mark.parametrize("width, scheme", [(390, "light"), (1200, "light"), (1200, "dark"), (390, "dark")])
def test_it_fits_and_can_be_read(open_page, server, width, scheme):
    texts = ["The harbour freezes over in hard winters.", "Swifts sleep while they fly.", "Bread rises in a warm kitchen."]
    points = [{"id": f"point-{index}", "text": text} for index, text in enumerate(texts)]
    assert server.put("/collections/default/points", {"points": points}).status_code == 200
    page = open_page(width=width, scheme=scheme)
    page.id("query").send_keys(Keys.ENTER)
    page.run("""document.querySelector('#similarities [data-row="0"][data-column="5"]').focus({preventScroll: true})""")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    assert page.run(CONTRAST) == []
    page.screenshot(f"playground-{width}-{scheme}")
    page.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.run("for (const one of document.querySelectorAll('[data-option], [id$=-command-field]')) one.hidden = false")
    assert page.run(CONTRAST) == []
    page.screenshot(f"playground-{width}-{scheme}-unfolded")
    assert (SCREENSHOTS / f"playground-{width}-{scheme}.png").stat().st_size > 20000
    # The page must also fit at a width of 320 pixels (WCAG 2.2, 1.4.10).
    page.resize(320)
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_every_control_has_a_label(page):
    assert page.run(UNLABELLED) == []
    # Hidden controls, of other objectives and in collapsed sections, are checked as well.
    page.run("for (const one of document.querySelectorAll('[hidden]')) one.hidden = false")
    page.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
    names = [element.accessible_name for element in page.driver.find_elements(By.CSS_SELECTOR, "input, select, textarea, button")]
    assert len(names) >= 12 and all(names)


def test_the_maps_are_grids_with_headings(page):
    tree = page.command("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("grid") == 2
    assert roles.count("gridcell") >= 98
    names = {node["name"]["value"] for node in tree if not node["ignored"] and "name" in node}
    assert "k6 Ask for a new password on the sign-in page." in names
    assert "q1 How do I reset my password?" in names
    assert any(name.endswith(", likely false negative") for name in names)
    assert page.id("similarities").accessible_name == "Cosine similarity"
    assert page.id("score-status").get_attribute("role") == "status"
    assert "6 of 7 rows rank their positive first" in page.text("score-status")


def place(page):
    return page.run(
        "const at = document.activeElement; return [at.closest('table')?.id, Number(at.dataset.row), Number(at.dataset.column)]"
    )


def test_arrow_keys_move_in_a_map(page):
    page.run("document.querySelector('#more-options summary').focus()")
    page.press(Keys.TAB)
    assert place(page) == ["similarities", 0, 0]
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert place(page) == ["similarities", 1, 2]
    assert "Where is my parcel?" in page.text("readout") and "Returns are free" in page.text("readout")
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(Keys.END)
    assert place(page) == ["similarities", 1, 6]
    page.press(Keys.ARROW_RIGHT)
    assert place(page) == ["similarities", 1, 6]
    page.press_with_control(Keys.HOME)
    assert place(page) == ["similarities", 0, 0]
    page.press(Keys.ARROW_UP, Keys.PAGE_DOWN)
    assert place(page) == ["similarities", 6, 0]
    # A map is a single stop of the Tab key, and returning to it focuses the cell that was left.
    page.press(Keys.TAB)
    assert place(page)[0] == "softmax"
    page.press(Keys.SHIFT, Keys.TAB)
    assert place(page) == ["similarities", 6, 0]


def test_the_whole_page_by_tab(page):
    page.run("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    seen = []
    for _ in range(40):
        page.press(Keys.TAB)
        seen.append(page.run("const at = document.activeElement; return at.id || at.closest('table')?.id || at.type || at.tagName"))
        if seen[-1] == "count":
            break
    order = ["queries", "keys", "objective", "tau-slider", "tau", "similarities", "softmax", "collection", "points", "query", "count"]
    assert [name for name in seen if name in order] == order
    assert seen.count("submit") == 2


def test_control_enter_scores(page):
    page.write("queries", "one\ntwo")
    page.write("keys", "first\nsecond")
    assert "Edited since" in page.text("score-status")
    page.press_with_control(Keys.ENTER)
    page.settle()
    assert page.matrix("similarities").shape == (2, 2)


def test_a_pointer_reads_a_cell(page):
    cell = page.driver.find_element(By.CSS_SELECTOR, "#softmax [data-row='0'][data-column='5']")
    page.run("arguments[0].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))", cell)
    assert "likely false negative" in page.text("readout")
    assert page.run("return document.querySelector('#similarities [data-marked]').dataset.column") == "5"


def test_motion_is_kept_from_those_who_ask(page):
    script = "return getComputedStyle(document.querySelector('#similarities [data-row]')).transitionDuration"
    assert page.run(script) == "0.12s"
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.run(script) == "0s"


def test_a_silent_server_is_said_to_be_silent(driver):
    from browser import Page
    from process import Server

    with Server() as own:
        page = Page(driver, own)
    page.driver.find_element(By.CSS_SELECTOR, "#score-form button").click()
    page.slide(Keys.ARROW_RIGHT, 1)
    page.write("queries", "something new")
    page.driver.find_element(By.CSS_SELECTOR, "#score-form button").click()
    page.settle()
    assert "did not answer" in page.text("score-error")
