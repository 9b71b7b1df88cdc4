"""Pieces of HTML: whatever is text is escaped."""

from __future__ import annotations

import json

from lswag_fast.report import markup
from lswag_fast.report.markup import Raw, tag

EVIL = '<b>&"'


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    assert tag("p", EVIL, Raw("<i>x</i>"), title=EVIL).text == (
        '<p title="&lt;b&gt;&amp;&quot;">&lt;b&gt;&amp;&quot;<i>x</i></p>'
    )
    assert tag("p", "x", class_="note", id="").text == '<p class="note">x</p>'


def test_a_table_knows_its_numbers_and_its_first_row() -> None:
    text = markup.table(["rank", "score"], [["1", EVIL], ["2", "x"]], left=["rank"], first="best").text
    assert '<th class="left" scope="col">rank</th><th scope="col">score</th>' in text
    assert text.count('<tr class="best">') == 1
    assert EVIL not in text


def test_data_cannot_end_its_element() -> None:
    text = markup.data("charts", {"name": "</script>"}).text
    assert text.count("</script>") == 1
    assert json.loads(text[text.index(">") + 1 : text.rindex("</script>")]) == {"name": "</script>"}
