from code_index.search.snippets import snippet, snippet_of


def test_a_snippet_is_the_window_with_most_of_the_words():
    content = "one\ntwo\nparse file\nparse\nfive\nsix"
    assert snippet(content.split("\n"), ["parse"], height=2) == (2, ["parse file", "parse"])
    assert snippet(["short", "text"], ["parse"], height=2) == (0, ["short", "text"])
    assert snippet(["a", "b", "c"], ["none"], height=2) == (0, ["a", "b"])


def test_lines_of_a_snippet_are_those_of_the_file():
    assert snippet_of("one\x0ctwo\nparse\u2028file\nsix", ["parse"], height=1) == (1, ["parse\u2028file"], 3)
