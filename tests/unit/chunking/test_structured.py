"""What each structured format counts as a part that is found on its own."""

import json
from pathlib import Path

import pytest

from code_index.chunking import chunk_file
from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import MAX_DEPTH, MAX_NAME_CHARACTERS
from code_index.chunking.structured import extract_structured
from code_index.core.model import ChunkType

GOLDEN = Path(__file__).parents[2] / "golden"
PROSE = "The rope is looked at before each shift, and what is found is written down in the log of the crane.\n"
LONG = PROSE * 3


def names(blocks: list[Block]) -> list:
    """Names of a tree: a string for a leaf, `(name, [...])` for a parent."""
    return [(block.name, names(block.children)) if block.children else block.name for block in blocks]


def extract(text: str, language: str) -> Extraction:
    return extract_structured(text.encode(), language)


def contents(text: str, language: str) -> list[str]:
    source = text.encode()
    return [source[block.start : block.end].decode() for block in extract_structured(source, language).blocks]


class TestMarkdown:
    def test_sections_nest_by_level_even_when_levels_are_skipped(self):
        text = "".join(f"{'#' * level} {name}\n{LONG}" for level, name in [(1, "A"), (3, "B"), (2, "C"), (1, "D")])
        assert names(extract(text, "markdown").blocks) == [("A", ["B", "C"]), "D"]

    @pytest.mark.parametrize(
        "text",
        [
            "```python\n# comment\n```\n",
            "   - item\n\n      ~~~\n# comment\n      ~~~\n",
            "````\n```\n# comment\n````\n",
            "<!--\n# comment\n-->\n",
            "    # code\n",
            "#hashtag\n",
            "- item\n---\n",
            "| a |\n---\n",
            "one line\nand another\n---\n",
            "\n---\n",
            "---\ntitle: x\n# comment\n---\n",
            "```\n# never closed\n",
        ],
    )
    def test_what_only_looks_like_a_heading_is_none(self, text):
        assert extract(text + LONG, "markdown").blocks == []

    @pytest.mark.parametrize(
        ("heading", "name"),
        [
            ("# Title", "Title"),
            ("  ###### Title ####", "Title"),
            ("Title\n=====", "Title"),
            ("Title\n--", "Title"),
            ("# C# and F#", "C# and F#"),
            ("# `code` and *more* [link](https://a.b) ![i](x.png)", "code and more link"),
            ("# Title {#anchor}", "Title"),
            ("#", ""),
            ("``` inline ``` text\n# Title", "Title"),
            ("\ufeff# Title", "Title"),
            ("# Title\r", "Title"),
            ("# " + "long " * 100, ("long " * 24).strip()),
        ],
    )
    def test_heading_gives_its_text_as_the_name(self, heading, name):
        (block,) = extract(f"{heading}\n{LONG}", "markdown").blocks
        assert block.name == name
        assert block.chunk_type is ChunkType.SECTION

    def test_short_section_stays_in_its_parent(self):
        extraction = extract(f"# A\n{LONG}\n## License\nMIT\n\n## B\n{LONG}", "markdown")
        assert names(extraction.blocks) == [("A", ["B"])]

    def test_bare_heading_goes_to_its_first_subsection(self):
        text = f"# A\n\n## B\n{LONG}\n## C\n{LONG}"
        (block,) = extract(text, "markdown").blocks
        assert text[block.children[0].start :].startswith("# A\n\n## B")
        assert sum(child.end - child.start for child in block.children) == len(text)

    def test_paragraphs_and_items_are_places_to_cut_but_lines_of_code_are_not(self):
        text = f"# A\n{LONG}\n- one\n- two\n\n```\nx\n\ny\n```\n\nend\n"
        (block,) = extract(text, "markdown").blocks
        starts = [text[point:].splitlines()[0] for point in block.break_points]
        assert starts == ["- one", "- two", "```", "end"]


class TestHtml:
    def test_headings_and_landmarks_nest(self):
        section = f"<section><h2>Ropes &amp; hooks</h2><p>{LONG}</p></section>"
        text = f"<main><h1>Crane</h1><p>{LONG}</p>{section}<h2>After</h2><p>{LONG}</p></main>"
        assert names(extract(text, "html").blocks) == [("Crane", ["Ropes & hooks", "After"])]
        assert extract(text, "html").name_separator == " > "

    def test_scripts_comments_and_attributes_are_not_read_as_tags(self):
        text = f"""<!-- <h1>No</h1> --><p title="<h1>No</h1>" data-a='>'>{LONG}</p>
        <script>const a = "<h1>No</h1>"; // {LONG.replace(chr(10), " ")}</script>"""
        assert names(extract(text, "html").blocks) == ["script"]

    def test_component_has_its_parts(self):
        text = f"""<template>\n  <a @click="x => y">{LONG}</a>\n</template>\n
<script setup lang="ts">\n// {LONG}</script>\n\n<style scoped>\n/* {LONG} */\n</style>\n"""
        for language in ("vue", "svelte"):
            assert names(extract(text, language).blocks) == ["template", "script", "style"]

    def test_landmark_is_named_by_label_or_id(self):
        text = f"<nav aria-label='Ports'>{LONG}</nav><aside id=\"side\">{LONG}</aside><footer>{LONG}</footer>"
        assert names(extract(text, "html").blocks) == ["Ports", "side", "footer"]

    def test_heading_ends_the_sections_of_its_level_and_below(self):
        text = "".join(
            f"<h{level}>{name}</h{level}>{LONG}" for level, name in [(2, "A"), (3, "B"), (3, "C"), (2, "D"), (1, "E")]
        )
        assert names(extract(text, "html").blocks) == [("A", ["B", "C"]), "D", "E"]

    def test_head_with_a_style_keeps_its_own_name(self):
        text = f"<head><title>{PROSE}</title><style>/* {LONG} */</style></head>"
        assert names(extract(text, "html").blocks) == [("head", ["style"])]

    def test_text_area_is_not_read_as_tags(self):
        assert extract(f"<textarea><h1>No</h1>{LONG}</textarea>", "html").blocks == []

    def test_tags_are_found_where_every_end_of_a_tag_stands_in_quotes(self):
        before = '<a "> "' * 50
        (block,) = extract(f'{before}<h1 "> "{LONG}', "html").blocks
        assert block.start == len(before)

    def test_stray_and_self_closing_tags_change_nothing(self):
        text = f"</section></main><section/><main><h1>A</h1>{LONG}</section></div></main>"
        assert names(extract(text, "html").blocks) == ["A"]


class TestCss:
    def test_large_rules_are_blocks_and_small_ones_are_left(self):
        rule = "  color: var(--a-rather-long-name-of-a-variable);\n" * 5
        text = f"a {{ b: c }}\n.big,\n.wide {{\n{rule}}}\n@font-face {{\n{rule}}}\n"
        extraction = extract(text, "css")
        assert names(extraction.blocks) == [".big, .wide", "@font-face"]
        assert extraction.remainder_type is ChunkType.RULE

    @pytest.mark.parametrize("trap", ['"}"', "'}'", "/* } */", "url(a}b)", '"\\"}"'])
    def test_brace_in_a_string_comment_or_url_ends_nothing(self, trap):
        text = f".a {{ x: {trap}; {'y: z; ' * 50} }}\n.b {{ {'y: z; ' * 50} }}\n"
        assert names(extract(text, "css").blocks) == [".a", ".b"]

    def test_comment_directly_above_belongs_to_the_rule_and_one_apart_does_not(self):
        text = f"/* file */\n\n/* rule */\n.a {{ {'y: z; ' * 50} }}\n"
        (content,) = contents(text, "css")
        assert content.startswith("/* rule */\n.a {")
        assert content.endswith("}\n")
        assert names(extract(text, "css").blocks) == [".a"]

    def test_long_media_query_is_taken_apart_and_a_short_one_is_not(self):
        rule = ".r{} {{ {} }}\n"
        short = "@media print {\n" + "".join(rule.format(i, "a: b; " * 40) for i in range(2)) + "}\n"
        long = "@media screen {\n" + "".join(rule.format(i, "a: b; " * 40) for i in range(6)) + "}\n"
        assert names(extract(short + long, "css").blocks) == [
            "@media print",
            ("@media screen", [f".r{i}" for i in range(6)]),
        ]

    def test_scss_has_line_comments_and_interpolation(self):
        text = f"// }} not the end\n.a-#{{$n}} {{ // }}\n {'y: z; ' * 50} }}\n"
        assert names(extract(text, "scss").blocks) == [".a-#{$n}"]
        assert names(extract(text, "less").blocks) == [".a-#{$n}"]


class TestJson:
    def test_short_manifest_has_no_blocks(self):
        manifest = {"name": "a", "scripts": {f"s{i}": "run " * 5 for i in range(12)}, "dependencies": {"x": "1"}}
        extraction = extract(json.dumps(manifest, indent=2), "json")
        assert extraction.blocks == []
        assert extraction.remainder_type is ChunkType.ENTRY

    def test_long_members_are_entries_and_very_long_ones_are_taken_apart(self):
        document = {"a": "x" * 300, "b": 1, "c": {f"k{i}": "y" * 400 for i in range(4)}, "d": "z" * 300}
        for indent in (None, 2):
            text = json.dumps(document, indent=indent)
            assert names(extract(text, "json").blocks) == ["a", ("c", ["k0", "k1", "k2", "k3"]), "d"]

    def test_items_of_an_array_are_entries_when_a_member_names_them(self):
        named = [{"name": f"n{i}", "text": "x" * 300} for i in range(5)]
        unnamed = [{"text": "x" * 300} for _ in range(5)]
        (parent,) = extract(json.dumps({"all": named}), "json").blocks
        assert names([parent]) == [("all", [f"n{i}" for i in range(5)])]
        (parent,) = extract(json.dumps({"all": unnamed}), "json").blocks
        assert parent.children == []
        assert len(parent.break_points) == 5

    def test_item_is_named_by_the_first_member_that_can(self):
        item = {"text": "name", "id": "first", "name": "second", "more": "x" * 300}
        (parent,) = extract(json.dumps({"all": [item] * 4}), "json").blocks
        assert names(parent.children) == ["first"] * 4

    def test_brackets_in_strings_and_comments_are_no_brackets(self):
        text = '{"a": "]}\\"{[", // }\n /* ] */ "b": ["' + "x" * 1_200 + '"], "c": 1}'
        assert names(extract(text, "json").blocks) == ["b"]

    def test_a_notebook_without_cells_is_json(self):
        text = json.dumps({"cells": {"a": "x" * 1_200}}, indent=1)
        assert names(extract(text, "jupyter").blocks) == names(extract(text, "json").blocks) == [("cells", ["a"])]

    def test_values_of_json_lines_are_places_to_cut(self):
        line = json.dumps({"a": {"b": "x" * 1_500}, "c": {"d": 1}}) + "\n"
        extraction = extract(line * 3, "json")
        assert extraction.blocks == []
        assert {len(line), 2 * len(line)} <= set(extraction.break_points)

    def test_cut_off_text_keeps_the_members_before_the_cut(self):
        text = '{"a": "' + "x" * 700 + '", "b": {"c": [1, "' + "y" * 700
        assert names(extract(text, "json").blocks) == ["a", "b"]


class TestYaml:
    def test_long_keys_are_entries_and_short_files_are_whole(self):
        text = f"a: 1\nb:\n  - {PROSE * 3}\n"
        assert extract(text, "yaml").blocks == []
        text += f"c: |\n{('  d: ' + PROSE) * 12}"
        assert names(extract(text, "yaml").blocks) == ["b", "c"]

    def test_block_scalar_is_not_read_as_keys(self):
        script = "".join(f"      key{i}: {PROSE}" for i in range(12))
        text = f"jobs:\n  one:\n    run: |\n{script}\n# up here\n  two:\n    run: >-\n{script}"
        assert names(extract(text, "yaml").blocks) == [("jobs", [("one", ["run"]), ("two", ["run"])])]

    def test_list_items_are_named_by_their_first_value(self):
        items = "".join(f"- name: step {i}\n  run: |\n    {PROSE}    {PROSE}    {PROSE}" for i in range(4))
        assert names(extract(items, "yaml").blocks) == [f"step {i}" for i in range(4)]
        assert names(extract("steps:\n" + items, "yaml").blocks) == [("steps", [f"step {i}" for i in range(4)])]

    def test_items_without_a_plain_first_value_are_named_by_its_key_or_not_at_all(self):
        items = f"- block:\n    a: {PROSE * 3}- {{a: b}}\n- {PROSE}  {PROSE}  {PROSE}" * 3
        assert names(extract(items.replace("\nThe", "\n  The"), "yaml").blocks) == ["block"] * 3

    def test_documents_are_named_by_kind_and_name(self):
        document = f"kind: Service\nmetadata:\n  labels: {{}}\n  name: web\nspec:\n  text: {PROSE * 3}"
        text = f"{document}---\n{document.replace('Service', 'Job')}---\n# nothing\n---\na: {PROSE}  {PROSE}  {PROSE}"
        assert names(extract(text.replace("\nThe", "\n  The"), "yaml").blocks)[:2] == ["Service web", "Job web"]

    def test_comment_above_belongs_to_the_key(self):
        text = f"a: 1\n\n# about b\n# and more\nb:\n  c: |\n{('    ' + PROSE) * 12}"
        assert contents(text, "yaml")[0].startswith("# about b\n# and more\nb:")

    def test_templates_do_not_hide_keys(self):
        text = f"{{{{- if .Values.a }}}}\na:\n  t: |\n{('    ' + PROSE) * 6}{{{{- end }}}}\nb:\n  t: |\n{('    ' + PROSE) * 6}"
        assert names(extract(text, "yaml").blocks) == ["a", "b"]


class TestToml:
    def test_tables_are_named_in_full_and_array_elements_by_their_name(self):
        text = "".join(
            f'{header}\n{first}\ntext = "{PROSE.strip() * 3}"\n\n'
            for header, first in [
                ("[a.b]", "x = 1"),
                ("[[package]]", 'name = "serde"'),
                ("[[package]]", "x = 1"),
                ('[ "quoted.key" ] # comment', "x = 1"),
            ]
        )
        assert names(extract(text, "toml").blocks) == ["a.b", "package.serde", "package", '"quoted.key"']

    @pytest.mark.parametrize("value", ['"""\n[no]\n"""', "'''\n[no]\n'''", '[\n["no"],\n["no"]\n]', '"]" # [\n'])
    def test_what_only_looks_like_a_table_is_none(self, value):
        text = f'[yes]\na = {value}\nb = "{PROSE.strip() * 12}"\n'
        assert names(extract(text, "toml").blocks) == [("yes", ["b"])]

    def test_long_keys_before_the_first_table_are_entries(self):
        text = f'# about a\na = "{PROSE.strip() * 12}"\nb = 1\n[c]\nd = 1\n'
        (block,) = extract(text, "toml").blocks
        assert (block.name, block.chunk_type, block.start) == ("a", ChunkType.ENTRY, 0)


class TestSql:
    PAD = "    -- " + PROSE * 1 + "    x int,\n" * 20

    @pytest.mark.parametrize(
        ("head", "name"),
        [
            ("CREATE TABLE IF NOT EXISTS a.b (\n", "a.b"),
            ('create temporary view "My View" as select (\n', "MyView"),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (\n", "i"),
            ("CREATE OR REPLACE MATERIALIZED VIEW v AS (\n", "v"),
            ("CREATE DEFINER='r'@'h' PROCEDURE p (\n", "p"),
            ("ALTER TABLE ONLY public.t ADD (\n", "public.t"),
            ("INSERT OR IGNORE INTO [dbo].[t] VALUES (\n", "dbo.t"),
            ("UPDATE t SET a = (\n", "t"),
            ("DELETE FROM `t` WHERE a IN (\n", "t"),
        ],
    )
    def test_statement_is_named_by_its_object(self, head, name):
        text = f"SELECT 1;\n{head}{self.PAD});\nSELECT 2;\n"
        assert [block.name for block in extract(text, "sql").blocks] == [name]
        assert contents(text, "sql") == [f"{head}{self.PAD});\n"]

    @pytest.mark.parametrize(
        "body",
        [
            "';'",
            '";"',
            "-- ;\n",
            "/* ; */",
            "E'\\';'",
            "$$ ; $$",
            "$tag$ $$ ; $$ $tag$",
            "'it''s;'",
            "'C:\\'",
        ],
    )
    def test_semicolon_in_quotes_or_comments_ends_nothing(self, body):
        text = f"CREATE TABLE a (\n{self.PAD}{body});\nCREATE TABLE b (\n{self.PAD});\n"
        assert [block.name for block in extract(text, "sql").blocks] == ["a", "b"]

    def test_backticks_mean_backslash_escapes(self):
        text = f"INSERT INTO `a` VALUES (\n{self.PAD}'it\\'s; x');\nCREATE TABLE b (\n{self.PAD});\n"
        assert [block.name for block in extract(text, "sql").blocks] == ["a", "b"]

    @pytest.mark.parametrize(
        ("begin", "end"),
        [
            ("BEGIN\n", "END;\n"),
            ("BEGIN\n IF a THEN b; END IF;\n x := CASE WHEN a THEN 1 ELSE 2 END;\n", "END;\n"),
            ("AS $$\nBEGIN\n", "END;\n$$ LANGUAGE plpgsql;\n"),
        ],
    )
    def test_body_of_a_routine_is_one_statement(self, begin, end):
        routine = f"CREATE FUNCTION f() {begin}{'  y := 1; ' * 40}\n{end}"
        table = f"CREATE TABLE t (\n{self.PAD});\n"
        assert contents(routine + table, "sql") == [routine, table]

    @pytest.mark.parametrize("mark", ["GO", "/"])
    def test_batch_line_ends_a_routine(self, mark):
        routine = f"CREATE PROCEDURE p AS\n{'  SELECT 1; ' * 40}\n"
        assert contents(f"{routine}{mark}\n{routine}{mark}\n", "sql") == [routine, routine]

    def test_client_delimiter_ends_statements_until_it_is_set_back(self):
        routine = f"CREATE PROCEDURE p()\n{'  SELECT 1; ' * 40}\n//\n"
        table = f"CREATE TABLE t (\n{self.PAD});\n"
        for delimiter in ("//", "$$"):
            text = f"DELIMITER {delimiter}\n{routine.replace('//', delimiter)}DELIMITER ;\n{table}"
            assert contents(text, "sql") == [routine.replace("//", delimiter), table]

    def test_dollar_tags_that_are_never_closed_quote_nothing(self):
        text = "SELECT " + " ".join(f"$tag{i}$" for i in range(99)) + f";\nCREATE TABLE t (\n{self.PAD});\n"
        assert names(extract(text, "sql").blocks) == ["t"]

    def test_transaction_is_no_body(self):
        table = f"CREATE TABLE t (\n{self.PAD});\n"
        for begin in ("BEGIN;\n", "BEGIN TRANSACTION;\n", "BEGIN ISOLATION LEVEL SERIALIZABLE;\n"):
            assert contents(f"{begin}{table}{table}COMMIT;\n", "sql") == [table, table]

    def test_unfinished_body_ends_at_the_next_routine(self):
        broken = f"CREATE FUNCTION f() BEGIN\n{'  y := 1; ' * 40}\n  x;\n"
        routine = f"CREATE FUNCTION g() BEGIN\n{'  y := 1; ' * 40}\nEND;\n"
        assert contents(broken + routine, "sql") == [broken, routine]

    def test_copied_rows_belong_to_their_statement(self):
        copy = "COPY t (a, b) FROM stdin;\n" + "1\tit's; text\n" * 40 + "\\.\n"
        table = f"CREATE TABLE t (\n{self.PAD});\n"
        assert contents(copy + table, "sql") == [copy, table]
        assert contents(f"COPY t FROM stdin;\n{table}", "sql") == [table]

    def test_rows_are_places_to_cut(self):
        text = "INSERT INTO t VALUES\n" + "(1, 'a), (b'),\n" * 30 + "(1, 'c');\n"
        (block,) = extract(text, "sql").blocks
        assert len(block.break_points) == 30

    def test_comment_directly_above_belongs_to_the_statement(self):
        text = f"-- file\n\n-- table\nCREATE TABLE t (\n{self.PAD});  -- same line\n"
        (content,) = contents(text, "sql")
        assert content.startswith("-- table\nCREATE")
        assert content.endswith("-- same line\n")


class TestDockerfile:
    RUN = f"RUN echo {PROSE.strip()} \\\n  && echo {PROSE.strip()}\n"

    def test_stages_are_named_by_alias_or_image(self):
        text = f"ARG A=1\nFROM --platform=x a:1 AS build\n{self.RUN}from b:2\n{self.RUN}FROM\n"
        extraction = extract(text, "dockerfile")
        assert names(extraction.blocks) == ["build", "b:2"]
        assert extraction.blocks[0].start == len("ARG A=1\n")

    @pytest.mark.parametrize(
        "trap", ["RUN a \\\nFROM b\n", "RUN <<EOF\nFROM b\nEOF\n", "# FROM b\n", "RUN a \\\n# c\nFROM b\n"]
    )
    def test_what_only_looks_like_a_stage_is_none(self, trap):
        text = f"FROM a\n{trap}{self.RUN}"
        assert names(extract(text, "dockerfile").blocks) == ["a"]

    def test_comment_above_belongs_to_the_stage(self):
        text = f"# file\n\n# stage\nFROM a\n{self.RUN}"
        assert contents(text, "dockerfile")[0].startswith("# stage\nFROM a")


class TestText:
    def test_prose_is_cut_at_paragraphs(self):
        text = f"{PROSE}\n{PROSE}{PROSE}\n\n  {PROSE}"
        extraction = extract(text, "text")
        assert [text[point : point + 5] for point in extraction.break_points] == ["The r", "  The"]
        assert extraction.remainder_type is ChunkType.TEXT

    def test_log_is_cut_at_lines_that_are_not_indented(self):
        text = "ERROR first\n  at a\n  at b\nERROR second\n" * 200
        extraction = extract(text, "text")
        assert all(text[point:].startswith("ERROR") for point in extraction.break_points)
        assert len(extraction.break_points) == 399

    def test_quoted_field_of_csv_is_not_cut(self):
        text = 'a,"b\nc"\nd,e\n'
        assert extract(text, "csv").break_points == [text.index("d,e")]

    def test_language_without_an_extractor_is_text(self):
        assert extract(f"{PROSE}\n{PROSE}", "perl").break_points == [len(PROSE) + 1]

    def test_paragraphs_of_a_part_are_offsets_of_the_whole(self):
        assert paragraph_starts(b"a\n\nb\n\nc\n\nd", 3, 7) == [6]


def test_empty_file_has_no_blocks_in_any_format():
    for language in ("markdown", "html", "css", "json", "yaml", "toml", "sql", "dockerfile", "text", "csv"):
        extraction = extract("", language)
        assert (extraction.blocks, extraction.break_points) == ([], [])


def test_names_are_single_short_lines_and_blocks_not_too_deep():
    text = "".join(f"{'  ' * level}key{level} {'x' * 200}:\n" for level in range(12)) + "  " * 12 + "a: " + "y" * 3_000
    depth = 0
    blocks = extract(text, "yaml").blocks
    while blocks:
        depth += 1
        assert all(len(block.name) <= MAX_NAME_CHARACTERS for block in blocks)
        blocks = blocks[0].children
    assert depth == MAX_DEPTH


@pytest.mark.parametrize("language", ["markdown", "html", "css", "json", "yaml", "toml", "sql", "dockerfile", "text"])
def test_chunks_of_the_sample_lose_nothing(language):
    sample = next(path for path in (GOLDEN / language).iterdir() if "sample" in path.name)
    content = sample.read_bytes()
    chunks = chunk_file(content, file_path=sample.name, file_hash="0" * 64, language=language)
    kept = "".join(character for chunk in chunks for character in chunk.content if not character.isspace())
    assert sorted(kept) == sorted("".join(content.decode().split()))
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


class TestXml:
    def test_element_is_named_by_an_attribute_or_a_first_element(self):
        text = f"<beans><bean id='till'>{LONG}</bean><bean><name> lock </name>{LONG}</bean><bean>{LONG}</bean></beans>"
        assert names(extract(text, "xml").blocks) == ["till", "lock", "bean"]

    def test_long_element_has_its_own(self):
        inner = f"<target name='build'>{LONG * 3}</target><target name='test'>{LONG * 3}</target>"
        assert names(extract(f"<p><all x:Name='a &amp; b'>{inner}</all></p>", "xml").blocks) == [
            ("a & b", ["build", "test"])
        ]

    def test_what_only_looks_like_a_tag_is_none(self):
        text = f"<a><!-- <b id='no'>{LONG}</b> --><c id='yes' d='>'>{LONG}<![CDATA[<d id='no'></c>]]></c></a>"
        assert names(extract(text, "xml").blocks) == ["yes"]

    def test_unclosed_element_ends_with_the_one_around_it(self):
        text = f"<a><b id='one'><br>{LONG}</b><b id='two'>{LONG}</b></a>"
        assert names(extract(text, "xml").blocks) == ["one", "two"]


class TestRst:
    def test_levels_follow_the_order_of_underlines(self):
        text = f"=====\nTitle\n=====\n{LONG}\n\nAa\n--\n\n{LONG}\n\nB\n~~~~\n\n{LONG}\n\nC\n----\n\n{LONG}"
        assert names(extract(text, "rst").blocks) == [("Title", [("Aa", ["B"]), "C"])]

    @pytest.mark.parametrize(
        "text",
        [
            "A long title\n---\n",
            "two\nlines\n=====\n",
            "\n=====\n\n",
            "::\n\n    Code\n    ====\n",
            "====  ====\na     b\n====  ====\n",
        ],
    )
    def test_what_only_looks_like_a_title_is_none(self, text):
        assert extract(text + "\n" + LONG, "rst").blocks == []

    def test_code_of_a_directive_is_a_part(self):
        extraction = extract(
            ".. code-block:: ruby\n   :linenos:\n\n   def a\n   end\n\nText\n\n.. code::\n\n   x\n", "rst"
        )
        assert [part.word for part in extraction.parts] == ["ruby"]


class TestAsciidoc:
    def test_sections_nest_by_level_and_old_titles_count(self):
        text = f"= T\n{LONG}\n== A\n{LONG}\n=== B\n{LONG}\n\nOld title\n---------\n{LONG}"
        assert names(extract(text, "asciidoc").blocks) == [("T", [("A", ["B"]), "Old title"])]

    @pytest.mark.parametrize("mark", ["----", "....", "////", "++++", "```"])
    def test_text_between_delimiters_has_no_titles(self, mark):
        assert extract(f"{mark}\n== A\n{mark}\n{LONG}", "asciidoc").blocks == []

    def test_source_block_is_a_part_in_its_language(self):
        text = "[source%linenums,ruby]\n----\ndef a\nend\n----\n\n[,c]\n....\nint a;\n....\n\n----\nplain\n----\n```go\nx\n```\n"
        assert [part.word for part in extract(text, "asciidoc").parts] == ["ruby", "c", "go"]


class TestTex:
    def test_sections_environments_and_definitions_are_named(self):
        theorem = f"\\begin{{theorem}}[Of the mean]{LONG}\\end{{theorem}}"
        text = f"\\newcommand\\a[1]{{{LONG}}}\n\\chapter{{One {{\\it two}}}}\n{theorem}\n\\section*{{B}}\n{LONG}"
        assert names(extract(text, "tex").blocks) == ["a", ("One two", ["theorem Of the mean", "B"])]

    def test_environment_with_a_heading_in_it_leaves_the_heading(self):
        text = f"\\begin{{appendix}}\\label{{x}}\n\\section{{A}}\n{LONG}\\end{{appendix}}"
        assert names(extract(text, "tex").blocks) == ["A"]

    @pytest.mark.parametrize(
        "text", ["% \\section{A}\n", "\\\\section{A}\n", "\\begin{verbatim}\n\\section{A}\n\\end{verbatim}\n"]
    )
    def test_what_only_looks_like_a_heading_is_none(self, text):
        assert extract(text + LONG, "tex").blocks == []

    def test_listing_is_a_part_in_its_language(self):
        text = "\\begin{lstlisting}[language=Ruby]\nx\n\\end{lstlisting}\n\\begin{minted}{go}\nx\n\\end{minted}\n\\begin{verbatim}\nx\n\\end{verbatim}"
        assert [part.word for part in extract(text, "tex").parts] == ["Ruby", "go"]


class TestIniAndEntries:
    def test_section_has_the_comments_above_it(self):
        text = f'a = 1\n\n; Of b\n[b "c"]\n{LONG}\n[d]\n{LONG}'
        blocks = extract(text, "ini").blocks
        assert names(blocks) == ["b c", "d"]
        assert text[blocks[0].start :].startswith("; Of b")

    def test_entry_goes_on_after_a_backslash(self):
        long_value = " \\\n    ".join(["a word of it"] * 25)
        assert names(extract(f"# Of a\na.b = {long_value}\nc = 1\n", "properties").blocks) == ["a.b"]
        assert names(extract(f"numpy==1 \\\n    {long_value}\nflask\n", "requirements").blocks) == ["numpy"]
