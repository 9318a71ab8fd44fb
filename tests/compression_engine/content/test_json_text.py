from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compression_engine.content.json_text import fold, unfold

PODS = [
    {"name": "web-1", "status": "Running", "restarts": 0, "node": {"name": "n1", "zone": "eu"}},
    {"name": "web-2", "status": "Running", "restarts": 3, "node": {"name": "n2", "zone": "eu"}},
    {"name": "db", "status": "Running", "restarts": 1, "node": {"name": "n1", "zone": "eu"}, "ready": True},
]


def folded(text: str) -> str:
    found = fold(text)
    assert found is not None
    assert unfold(*found) == text
    return found.text


def test_records_are_rows_under_their_keys() -> None:
    assert folded(json.dumps(PODS, indent=2)) == (
        "[rows name,status=Running,restarts,node{name,zone=eu},ready\nweb-1,0,n1\nweb-2,3,n2\ndb,1,n1,true]"
    )


def test_scalars_stand_as_they_were_written_and_strings_cannot_be_mistaken_for_others() -> None:
    text = (
        r'{"a": [1.0, 1e3, 12345678901234567890, -0.0, "1.0", "true", true, null, "", "a,b", "a b", "\u00e9\/é", " x"]}'
    )
    assert folded(text) == (
        r'{a=[1.0,1e3,12345678901234567890,-0.0,"1.0","true",true,null,"","a,b",a b,"\u00e9\/é"," x"]}'
    )


def test_objects_with_objects_or_arrays_of_them_are_rows_too() -> None:
    records = [
        {"id": 1, "user": {"login": "ann", "admin": True}, "labels": [{"name": "bug", "color": "f00"}]},
        {"id": 2, "user": None, "labels": []},
        {"id": 3, "user": {"login": "bob", "admin": False}, "labels": [{"name": "p1", "color": "0f0"}, {"name": "ux"}]},
        {"id": 4, "user": {"login": "eve"}, "labels": "none"},
    ]
    assert folded(json.dumps(records)) == (
        "[rows id,user?{login,admin},labels[name,color]\n"
        "1,{ann,true},[bug,f00]\n2,+null,[]\n3,{bob,false},[p1,0f0;ux]\n4,{eve},+none]"
    )


def test_values_of_an_object_are_rows_behind_their_keys() -> None:
    packages = {"a": {"version": "1.0.0", "resolved": "x"}, "@b/c": {"version": "2.1.0", "resolved": "y"}}
    assert folded(json.dumps(packages, indent=2)) == "{rows version,resolved\na=1.0.0,x\n@b/c=2.1.0,y}"


def test_addresses_do_not_repeat_the_url_of_their_object() -> None:
    issues = [
        {
            "url": f"https://api.h/issues/{number}",
            "labels_url": f"https://api.h/issues/{number}/labels{{/name}}",
            "user": {"url": "https://api.h/users/ann", "repos_url": "https://api.h/users/ann/repos", "id": 1},
            "reactions": {
                "url": f"https://api.h/issues/{number}/reactions",
                "self": f"https://api.h/issues/{number}/reactions",
            },
            "next": f"https://api.h/issues/{number}0",
        }
        for number in (1, 2)
    ]
    assert folded(json.dumps(issues)) == (
        '[rows url,labels_url=^"/labels{/name}",user={url=https://api.h/users/ann,repos_url=^/repos,id=1},'
        "reactions={url=^/reactions,self=^},next\n"
        "https://api.h/issues/1,https://api.h/issues/10\nhttps://api.h/issues/2,https://api.h/issues/20]"
    )


def test_what_is_no_row_stands_among_the_rows() -> None:
    records = [
        {"name": "a", "size": 1},
        {"name": "b", "size": 2},
        7,
        {"size": 3, "name": "c"},
        {"name": "d", "size": 4},
    ]
    assert folded(json.dumps(records)) == "[rows name,size\na,1\nb,2\n~7\n~{size=3,name=c}\nd,4]"


def test_a_text_that_is_cut_off_keeps_its_last_words() -> None:
    text = json.dumps(PODS, indent=2)
    assert folded(text[: text.index("db") + 1]) == (
        '[rows name,status=Running,restarts,node{name,zone=eu}\nweb-1,0,n1\nweb-2,3,n2\n~{…\n    "name": "d'
    )


def test_json_lines_are_rows() -> None:
    text = "".join(json.dumps(pod) + "\n" for pod in PODS)
    found = fold(text)
    assert found == (
        "[rows name,status=Running,restarts,node{name,zone=eu},ready\nweb-1,0,n1\nweb-2,3,n2\ndb,1,n1,true]\n",
        "documents spaced",
    )
    assert unfold(*found) == text


def test_what_follows_stays() -> None:
    rest = "\n\n3 pods [listed]; 0 errors\n{not json}"
    assert folded(json.dumps(PODS, indent=2) + rest).endswith("true]" + rest)


def test_what_is_laid_out_otherwise_from_some_point_on_stays_from_there() -> None:
    text = "\n\n  {".join(json.dumps(PODS * 2, indent=2).rsplit("\n  {", 1))
    assert folded(text).endswith("\ndb,1,n1,true\nweb-1,0,n1\nweb-2,3,n2…,\n\n  {" + text.split("\n\n  {")[1])


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ('{"a":{"b":["x",{"c":1}]}}', "minified"),
        ('{"a": {"b": ["x", {"c": 1}], "d": 2}}', "spaced"),
        ('{"a": {"b": ["x",{"c": 1}],"d": 2}}', "spaced keys"),
        ('{\n  "a": {\n    "b": [\n      "x"\n    ]\n  }\n}', "indented by 2"),
        ('{\n\t"a": {\n\t\t"b": {},\n\t\t"c": []\n\t}\n}', "indented by tab"),
        ('{\n\n"a": 1}', None),
        ('{\n"a":1,\n"b":{\n"c":2\n}\n}', "indented by 0, spaced values"),
        ('{\n    "a": 1, \n    "b": 2\n}', "indented by 4, blanks at line ends"),
        ('[\n  {"a": 1, "b": 2},\n  {"a": 3, "b": 4}\n]', "indented by 2 to depth 1"),
        ('[\n{"a":1,"b":2},\n{"a":3,"b":4}\n]', "indented by 0 to depth 1, minified"),
        ('[{"a":1,"b":2},\n{"a":3,"b":4}]', "minified, one element a line"),
        ('[\n  { "a": 1, "b": 2 },\n  { "a": 3, "b": 4 }\n]', "indented by 2 to depth 1, padded"),
        ('{\n  "a": [\n\n  ],\n  "b": {\n\n  }\n}', None),
        ('{\n  "a": [\n  ],\n  "b": {\n  }\n}', "indented by 2, empties broken"),
        ('{\n  "a": [ ],\n  "b": { }\n}', "indented by 2, empties spaced"),
        ('{\r\n  "a": [\r\n    1\r\n  ]\r\n}\r\n', "indented by 2, CRLF"),
        ("[]", None),
        ("{}", None),
        ("[1] see below", None),
        ("[2024-01-02] started", None),
        ("[test] ok", None),
        ("{ echo; }", None),
        ('{"a": tru', None),
        ("plain", None),
        ("", None),
    ],
)
def test_the_layout_is_stated_in_words(text: str, layout: str | None) -> None:
    found = fold(text)
    assert (found and found.layout) == layout
    if found:
        assert unfold(*found) == text


NUMBERS_AND_WORDS = ["0", "-1.50", "1E+2", "true", "null"]
STRINGS = ['""', '"x"', '"1"', '"-"', '"1.2.3"', '"a,b"', '"a=b"', '"~a"', '"+1"', '"rows"', r'"\n"', r'"\""', '"…"']
STRINGS += [
    '"é"',
    '"a;b"',
    '"a?"',
    '"rows a"',
    '" "',
    '"a "',
    '"a b"',
    '"https://x.y/z?q=1"',
    '"https://x.y/z"',
    '"https://x.y"',
    '"^/z"',
    '"\u2028"',
]
SCALARS = st.sampled_from(NUMBERS_AND_WORDS + STRINGS)
KEYS = st.sampled_from(
    ["a", "b", "c", "d e", "rows a", "1", "", "é", r"\u00e9", "a=b", "x/y", "q?", "~", "+", "…", " a", "a "]
)


def objects(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Objects as lists of pairs: keys may come twice."""
    alike = st.sampled_from(
        [["a"], ["url", "a"], ["url", "a", "b"], ["a", "b"], ["a", "b", "c"], ["a", "c"], ["b", "a"]]
    )
    keys = alike | st.lists(KEYS, max_size=4)
    return keys.flatmap(lambda names: st.tuples(*(st.tuples(st.just(f'"{name}"'), values) for name in names)))


VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | objects(inner) | st.lists(objects(inner), max_size=5)
)
DOCUMENTS = st.lists(VALUES, max_size=6) | objects(VALUES) | st.lists(objects(VALUES), min_size=2, max_size=6)
LAYOUTS = st.tuples(
    st.sampled_from([None, "", " ", "  ", "\t"]),
    st.sampled_from([",", ", "]),
    st.sampled_from([":", ": "]),
    st.sampled_from([1, 2, 99]),
)


def written(value: object, layout: tuple[str | None, str, str, int], depth: int = 0) -> str:
    """JSON text as the usual libraries write it."""
    indent, comma, colon, deep = layout
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        start, end = "{}"
        texts = [f"{key}{colon}{written(one, layout, depth + 1)}" for key, one in value]
    else:
        assert isinstance(value, list)
        start, end = "[]"
        texts = [written(one, layout, depth + 1) for one in value]
    if not texts or indent is None or depth >= deep:
        return start + comma.join(texts) + end
    inner = "\n" + indent * (depth + 1)
    return f"{start}{inner}{f',{inner}'.join(texts)}\n{indent * depth}{end}"


def comes_back(text: str) -> None:
    found = fold(text)
    if found:
        assert unfold(*found) == text
        assert len(found.text) < len(text)
        assert not set("[];\n") & set(found.layout)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, LAYOUTS, st.sampled_from(["", "\n", "\nmore", " , ", "]", "…"]))
def test_every_document_comes_back(value: object, layout: tuple[str | None, str, str, int], rest: str) -> None:
    comes_back(written(value, layout) + rest)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, LAYOUTS, st.floats(0, 1))
def test_every_document_comes_back_when_it_is_cut(
    value: object, layout: tuple[str | None, str, str, int], share: float
) -> None:
    text = written(value, layout)
    comes_back(text[: int(len(text) * share)])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(DOCUMENTS, max_size=5), LAYOUTS, st.floats(0.5, 1))
def test_documents_one_after_the_other_come_back(
    values: list[object], layout: tuple[str | None, str, str, int], share: float
) -> None:
    text = "\n".join(written(value, layout) for value in values)
    comes_back(text)
    comes_back(text[: int(len(text) * share)])


JSON_LIKE = st.text(alphabet='^[]{}",:;=~+?…\\ \nab1.etruns', max_size=60)


@settings(max_examples=200, deadline=None)
@given(JSON_LIKE | st.text(max_size=60))
@example(
    '[1,"a',
)
@example('{"a":1,"a"')
def test_any_text_comes_back(text: str) -> None:
    comes_back(text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *'[]{}",:;=~+?^…\n',
                "url=https://x.y/",
                "rows ",
                "a",
                "1",
                "a=1",
                "a?{b}",
                "a[b]",
                "[rows a,b\n",
                "{rows a\n",
            ]
        )
    ),
    st.sampled_from(
        ["minified", "indented by 2", "documents spaced", "", "nonsense", "indented by 99", "spaced, CRLF"]
    ),
)
def test_forged_views_do_no_harm(pieces: list[str], layout: str) -> None:
    assert isinstance(unfold("".join(pieces), layout), str | None)


@pytest.mark.parametrize(
    "view",
    [
        "[" * 100_000,
        "[rows " + "a{" * 100_000,
        "{a=" * 100_000,
        f'[rows a="{"x" * 50_000}",b' + "\n" * 50_000 + "]",
        "[rows " + ",".join(f"k{at}=1" for at in range(5000)) + "\n" * 5000 + "]",
        '{url="https://' + "x" * 50_000 + '"' + ",a=^" * 50_000 + "}",
        "[rows a=[" + "1," * 5000 + "1],b" + "\n" * 5000 + "]",
    ],
)
def test_a_forged_view_makes_no_endless_text(view: str) -> None:
    assert unfold(view, "indented by 16") is None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 50_000 + "]" * 50_000,
        '["' + '\\"' * 200_000,
        "[" + '"a' * 200_000,
        "[" + " " * 500_000,
        "[" + "1 " * 200_000,
    ],
)
def test_hostile_text_is_left_alone(text: str) -> None:
    found = fold(text)
    assert found is None or unfold(*found) == text


def test_objects_that_all_have_other_keys_are_no_rows() -> None:
    records = [{f"k{at}-{key}": key for key in range(5)} for at in range(2000)]
    assert "rows" not in folded(json.dumps(records))
