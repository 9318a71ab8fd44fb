"""Tests of the helper that takes code out of the docs' pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import snippets
from tests.e2e.snippets import Block, blocks, snippet

PAGE = """
# A page

Words with `code` and ```code``` in them.

```sh
export A=1
```

1. In a list:

   ```python title of it
   if True:
       print("http://127.0.0.1:8080")
   ```

````markdown
```sh
echo inside
```
````

```
no language
```

```sh
echo second
```
"""


def test_blocks_come_with_language_label_and_code_from_top_to_bottom() -> None:
    assert blocks(PAGE) == [
        Block("sh", "", "export A=1\n"),
        Block("python", "title of it", 'if True:\n    print("http://127.0.0.1:8080")\n'),
        Block("markdown", "", "```sh\necho inside\n```\n"),
        Block("", "", "no language\n"),
        Block("sh", "", "echo second\n"),
    ]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(snippets, "_PROJECT", tmp_path)
    return "page.md"


def test_a_snippet_is_found_by_language_and_position_with_the_readers_values(page: str) -> None:
    assert snippet(page, "sh") == "export A=1\n"
    assert snippet(page, "sh", 1) == "echo second\n"
    replaced = snippet(page, "python", replacing={"http://127.0.0.1:8080": "http://127.0.0.1:5"})
    assert replaced == 'if True:\n    print("http://127.0.0.1:5")\n'


def test_what_is_not_there_is_an_error(page: str) -> None:
    with pytest.raises(LookupError, match="2 blocks in sh, no number 2"):
        snippet(page, "sh", 2)
    with pytest.raises(LookupError, match="does not hold 'my-resource'"):
        snippet(page, "sh", 0, {"my-resource": "made-up"})


def test_real_pages_have_blocks() -> None:
    assert "claude-foundry" in snippet("README.md", "sh")
