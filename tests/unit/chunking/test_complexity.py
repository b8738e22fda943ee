"""Counting, apart from any language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking.complexity import Complexity, Construct, complexity_score, measure

FUNCTION, CLASS, CLOSURE = Construct.FUNCTION, Construct.CLASS, Construct.CLOSURE
BRANCH, SWITCH, PATH, ELSE = Construct.BRANCH, Construct.SWITCH, Construct.PATH, Construct.ELSE
AND, OR = Construct.AND, Construct.OR


def test_straight_code_has_one_way_and_no_cognitive_load():
    assert measure([(0, 10, FUNCTION)]) == {(0, 10): Complexity(1, 0, 0)}


def test_each_level_of_nesting_adds_to_the_increment():
    figures = measure([(0, 100, FUNCTION), (10, 90, BRANCH), (20, 80, BRANCH), (30, 70, BRANCH)])
    assert figures[0, 100] == Complexity(4, 1 + 2 + 3, 3)


def test_a_switch_is_one_increment_and_its_cases_are_the_decisions():
    figures = measure([(0, 100, FUNCTION), (10, 90, SWITCH), (20, 30, PATH), (30, 40, PATH)])
    assert figures[0, 100] == Complexity(3, 1, 1)


def test_else_if_chains_do_not_nest():
    chain = [(10, 90, BRANCH), (30, 90, ELSE), (35, 90, Construct.ELSE_IF), (60, 90, ELSE)]
    assert measure([(0, 100, FUNCTION), *chain])[0, 100] == Complexity(3, 3, 1)


def test_a_run_of_equal_operators_is_one_increment():
    # a && b && c: ((a && b) && c), both spans start together
    assert measure([(0, 50, FUNCTION), (10, 30, AND), (10, 20, AND)])[0, 50] == Complexity(3, 1, 0)


def test_changing_the_operator_starts_a_new_run():
    # a && b || c && d
    figures = measure([(0, 50, FUNCTION), (10, 40, OR), (10, 20, AND), (30, 40, AND)])
    assert figures[0, 50] == Complexity(4, 3, 0)


def test_an_equal_operator_inside_a_call_is_a_run_of_its_own():
    # a && f(b && c)
    assert measure([(0, 50, FUNCTION), (10, 40, AND), (20, 30, AND)])[0, 50] == Complexity(3, 2, 0)


def test_a_function_counts_what_its_nested_function_contains_one_level_deeper():
    figures = measure([(0, 100, FUNCTION), (10, 90, FUNCTION), (20, 80, BRANCH)])
    assert figures[10, 90] == Complexity(2, 1, 1)
    assert figures[0, 100] == Complexity(2, 2, 2)


def test_a_closure_nests_without_increment():
    assert measure([(0, 100, FUNCTION), (10, 90, CLOSURE), (20, 80, BRANCH)])[0, 100] == Complexity(2, 2, 2)


def test_a_class_adds_up_its_methods_and_takes_their_deepest_nesting():
    methods = [(10, 40, FUNCTION), (20, 30, BRANCH), (50, 90, FUNCTION), (60, 80, BRANCH), (65, 75, BRANCH)]
    assert measure([(0, 100, CLASS), *methods])[0, 100] == Complexity(2 + 3, 1 + 3, 2)


def test_a_jump_is_an_increment_and_no_decision():
    assert measure([(0, 50, FUNCTION), (10, 20, Construct.JUMP)])[0, 50] == Complexity(1, 1, 0)


def test_code_outside_any_function_is_not_counted():
    assert measure([(0, 10, BRANCH), (20, 30, FUNCTION)]) == {(20, 30): Complexity(1, 0, 0)}


def test_twenty_thousand_levels_need_no_recursion():
    depth = 20_000
    figures = measure((level, 2 * depth - level, FUNCTION if level == 0 else BRANCH) for level in range(depth))
    assert figures[0, 2 * depth].max_nesting_depth == depth - 1


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.sampled_from(Construct)), max_size=30))
def test_order_of_the_input_does_not_matter(items):
    constructs = [(start, start + length, construct) for start, length, construct in items]
    assert measure(constructs) == measure(reversed(constructs))


def test_trivial_code_scores_zero_and_code_at_all_limits_fifty():
    assert complexity_score(cyclomatic=1, cognitive=0, max_nesting_depth=0, parameter_count=0, lines_of_code=0) == 0.0
    assert (
        complexity_score(cyclomatic=11, cognitive=15, max_nesting_depth=4, parameter_count=7, lines_of_code=60) == 50.0
    )


@pytest.mark.parametrize("part", ["cyclomatic", "cognitive", "max_nesting_depth", "parameter_count", "lines_of_code"])
def test_score_grows_with_each_part_and_stays_below_a_hundred(part):
    usual = {"cyclomatic": 5, "cognitive": 5, "max_nesting_depth": 2, "parameter_count": 3, "lines_of_code": 20}
    assert complexity_score(**usual) < complexity_score(**{**usual, part: 100_000}) <= 100
