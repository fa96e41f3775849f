"""Lines that are neither all texts nor rows of equally many numbers are reported before anything is sent."""

import pytest


def served_losses(server):
    text = server.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_count{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'route="/loss"' in line or 'route="/embed"' in line)


@pytest.mark.parametrize(
    "side, lines, place, words",
    [
        ("queries", ["1 0", "1 0 0", "0 1"], "queries[1], line 2", "It has 3 numbers, but line 1 has 2."),
        ("queries", ["1 0 0", "", "1 0", "0 1"], "queries[0], line 1", "It has 3 numbers, but line 3 has 2."),
        ("queries", ["1 0", "5"], "queries[1], line 2", "It has 1 number, but line 1 has 2."),
        ("queries", ["1, 0", "0, x"], "queries[1], line 2", "“x” is not a number."),
        ("queries", ["1, 0", "0, NaN"], "queries[1], line 2", "“NaN” is not a number."),
        ("queries", ["1, 0", "0, 1e400"], "queries[1], line 2", "“1e400” is not a finite number."),
        ("queries", ["1 0", "hello there"], "queries[1], line 2", "“hello there” is a text among rows of numbers."),
        ("queries", ["[1, 2, x]", "[1, 2, 3]"], "queries[0], line 1", "“x” is not a number."),
        ("queries", ["a text", "another", "", "1 2 3"], "queries[2], line 4", "a row of numbers among texts"),
        ("keys", ["1 0", "猫が好き"], "keys[1], line 2", "“猫が好き” is a text among rows of numbers."),
        ("negatives", ["1 0", "1"], "negatives[1], line 2", "It has 1 number, but line 1 has 2."),
    ],
)
def test_the_line_at_fault_is_named_and_nothing_is_sent(page, server, side, lines, place, words):
    if side == "negatives":
        page.open("more-options")
    rows = {"queries": ["1 0", "0 1"], "keys": ["1 0", "0 1"], side: lines}
    for name, content in rows.items():
        page.write(name, "\n".join(content))
    before = served_losses(server)
    assert before > 0
    page.score()
    assert place in page.text(f"{side}-error") and words in page.text(f"{side}-error")
    assert page.visible(f"{side}-error")
    assert page.id(side).get_attribute("aria-invalid") == "true"
    assert page.text("score-status") == "Not scored: see the message above."
    # The other fields show no error, and the hint shows the message while the user types.
    others = {"queries", "keys", "negatives"} - {side}
    assert not any(page.visible(f"{name}-error") for name in others)
    assert words in page.text(f"{side}-hint")
    assert served_losses(server) == before


@pytest.mark.parametrize(
    "lines, hint",
    [
        (["2024", "2025"], "2 texts"),
        (["Room 5 is free.", "24 7 support"], "2 texts"),
        (["a text", "another", "2024"], "3 texts"),
        (["a text", "another", '"1 2 3"'], "3 texts"),
        (["see [note 1]", "[see note 1]"], "2 texts"),
        (["[1]", "[2]"], "2 rows of 1 number"),
        (["[1, 2],", "[3, 4]"], "2 rows of 2 numbers"),
        (["[[1, 2],", "[3, 4]]"], "2 rows of 2 numbers"),
        (["1;2;3", "4 5\t6", "7, 8, 9"], "3 rows of 3 numbers"),
        (["１、２", "３　−４", "5，6"], "3 rows of 2 numbers"),
        (["吾輩は猫である。", "名前はまだ無い。"], "2 texts"),
        (["１２時に会いましょう", "２０２４"], "2 texts"),
    ],
)
def test_what_is_read(page, lines, hint):
    page.run("document.getElementById('queries').value = arguments[0]", "\n".join(lines))
    page.run("document.getElementById('queries').dispatchEvent(new Event('input'))")
    assert page.text("queries-hint") == hint


def test_the_reply_about_a_zero_row_is_still_the_services(page):
    page.score(["1 0", "0 0"], ["1 0", "0 1"])
    assert "The service refuses queries[1], line 2" in page.text("queries-error")
