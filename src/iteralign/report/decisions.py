"""Decisions of the gate and the tests behind them, in words. Pure: from records to text, unescaped.

An older version stored its own words (``Decision.reason``, ``GateTest.rule``): these are given as they are.
"""

from __future__ import annotations

from iteralign.metrics import metric
from iteralign.records.iteralign import Decision, GateTest

_EXACT = {"mcnemar": "McNemar", "sign": "sign test"}


def outcome(decision: Decision) -> str:
    """What became of the candidate: ``accepted``, ``rolled back`` or ``no training``."""
    if decision.accepted:
        return "accepted"
    return "rolled back" if decision.trained else "no training"


def told(decision: Decision) -> str:
    """Why the decision was taken, with the figures: the tests that failed come first."""
    if decision.reason:
        return decision.reason
    failed = [t for t in decision.tests if not t.passed]
    held = "; ".join(figures_of(t) for t in decision.tests if t.passed)
    if not failed:
        return held
    return "; ".join(figures_of(t) for t in failed) + (f". Held: {held}" if held else "")


def figures_of(test: GateTest) -> str:
    """A test's figures: before and after, n, what was found, and why it did not pass."""
    about = metric(test.metric)
    notes = "".join(f" ({note})" for note in _notes(test))
    margin = "" if test.passed or test.margin is None else f": more than its margin of {test.margin:g}"
    match test.kind:
        case "falls":
            fell = "" if test.passed else ": no significant fall"
            return f"{_rates(test)}, p={test.p_value:.2g}{fell}{notes}"
        case "non_inferior":
            return f"{_rates(test)}, rise at most {max(0.0, test.high):.1%}{margin}{notes}"
        case "judged":
            larger = max(test.before, test.after)
            share = f"{larger:.1%} of the answers have no judgement (n={test.n})"
            return f"{about.bad or about.label}: {share}, at most {test.margin:.0%} may{notes}"
        case "retained":
            unit = f" {about.unit}" if about.unit else ""
            if not test.n:
                return f"{about.label}: {_notes(test)[0]}"
            scores = f"{about.label} {test.before:.3f} -> {test.after:.3f}{unit} (n={test.n})"
            return f"{scores}, loss at most {max(0.0, test.high):.3f}{notes or margin}"
    return f"{about.label} {test.before:.3f} -> {test.after:.3f} (n={test.n}): {rule_of(test)}"


def rule_of(test: GateTest) -> str:
    """What had to hold for the test to pass, and what is to be known of its items."""
    if test.kind is None:
        return test.rule or ""
    rises = "rises" if metric(test.metric).lower_is_better else "falls"
    match test.kind:
        case "falls":
            rule = f"falls, {_exact(test)} p <= {test.alpha:g}"
        case "non_inferior":
            rule = f"rises by less than {_bound(test)}"
        case "retained":
            rule = f"{rises} by less than {_bound(test)}"
        case "judged":
            rule = f"at most {test.margin:.0%} without a judgement"
        case "changed":
            better = "falls" if metric(test.metric).lower_is_better else "rises"
            rule = f"{better}, {_exact(test)} p <= {test.alpha:g}"
    return "; ".join([rule, *_notes(test)])


def _rates(test: GateTest) -> str:
    """The shares of bad items before and after."""
    about = metric(test.metric)
    return f"{about.bad or about.label} {test.before:.1%} -> {test.after:.1%} (n={test.n})"


def _bound(test: GateTest) -> str:
    confidence = 1 - 2 * (test.alpha or 0.0)  # a one-sided test at alpha
    return f"{test.margin:g} (upper end of the {confidence:.0%} interval)"


def _exact(test: GateTest) -> str:
    return _EXACT[test.exact] if test.exact else "exact"


def _notes(test: GateTest) -> list[str]:
    """What weakens the test: answers without a judgement, and too few items."""
    found = []
    if test.missing:
        lost = (
            "items have no value now" if test.kind == "retained" else "answers were judged on one side only"
        )
        found.append(f"{test.missing} of {test.n} {lost}, and count against it")
    if not test.n and test.kind == "retained":
        found.append("no item was measured on both")
    elif not test.enough:
        found.append(f"{test.n} items are too few to tell, {test.least} are the least")
    return found
