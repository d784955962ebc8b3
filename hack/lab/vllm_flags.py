"""The flags of the installed vLLM's `vllm serve`, as JSON on the last line: run by hack/flags.py where vLLM is installed.

Nothing is read from help texts: each option's own action and converter are asked what they make of a few samples. Needs no
model, no hub and no accelerator, and nothing of this project.

A flag is {name (without dashes): [kind, negation or "", choices]}. Kinds: bool (true and, with a negation, false), int, float,
size (an integer, with k, M, G … if wanted), size-or-auto, text, json, object (JSON of one configuration class), text-or-json;
with `-or-none` where `None` is a value, `-list` where one or more values follow, `-optional` where none may follow,
`-repeated` where the flag is repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

Flag = tuple[str, str, list[str]]
REFUSED = object()


def made(convert: Callable[[str], Any] | None, text: str) -> Any:
    """What a converter makes of a text; REFUSED when it raises, as argparse would then end the program."""
    try:
        return text if convert is None else convert(text)
    except Exception:
        return REFUSED


def kind_of_value(convert: Callable[[str], Any] | None) -> str:
    """What one value of an option may be."""
    takes = {text: made(convert, text) for text in ("x", "1", "1.5", "1k", "auto", "None", "[1]", "{}", '{"a": 1}')}
    if takes["x"] is not REFUSED:
        return "text-or-json" if isinstance(takes['{"a": 1}'], dict) else "text"
    if takes["auto"] is not REFUSED:
        return "size-or-auto"
    if takes["1k"] is not REFUSED:
        return "size"
    if takes["[1]"] is not REFUSED:
        return "json"
    if takes["1"] is REFUSED or takes["{}"] is not REFUSED:
        return "object"
    kind = "float" if takes["1.5"] is not REFUSED else "int"
    return f"{kind}-or-none" if takes["None"] is None else kind


def flags(parser: argparse.ArgumentParser) -> dict[str, Flag]:
    """Every long option of a parser."""
    found: dict[str, Flag] = {}
    for action in parser._actions:
        names = [option.removeprefix("--") for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._HelpAction) or not names:
            continue
        if action.nargs == 0:
            found.update(_switches(parser, action, names))
            continue
        kind = kind_of_value(action.type if callable(action.type) else None)
        if type(action).__name__ == "LoRAParserAction":
            kind = "text-or-json"
        if isinstance(action, argparse._AppendAction):
            kind += "-repeated"
        elif action.nargs not in (None, 1):
            kind += {"+": "-list", "*": "-list", "?": "-optional"}[str(action.nargs)]
        # A choice that the converter turns into something else can be listed and not be chosen.
        choices = [str(choice) for choice in action.choices or () if _chosen(action, str(choice))]
        found.update(dict.fromkeys(names, (kind, "", choices)))
    return found


def _chosen(action: argparse.Action, text: str) -> bool:
    return made(action.type if callable(action.type) else None, text) in (action.choices or ())


def _switches(parser: argparse.ArgumentParser, action: argparse.Action, names: list[str]) -> dict[str, Flag]:
    """The positive names of an option without a value, each with its own negation."""
    says = {}
    for name in names:
        namespace = argparse.Namespace()
        action(parser, namespace, None, f"--{name}")
        says[name] = bool(getattr(namespace, action.dest))
    negative = [name for name in names if not says[name]]
    found: dict[str, Flag] = {}
    for name in names:
        if says[name]:
            own = [no for no in negative if no in (f"no-{name}", swapped(name))]
            found[name] = ("bool", own[-1] if own else "", [])
    return found


def swapped(name: str) -> str:
    """`disable-x` for `enable-x` and the other way round; the same name for every other."""
    for prefix, other in (("enable-", "disable-"), ("disable-", "enable-")):
        if name.startswith(prefix):
            return other + name.removeprefix(prefix)
    return name


def takes(parser: argparse.ArgumentParser, arguments: list[str]) -> bool:
    """Whether a parser takes these arguments."""
    try:
        parser.parse_args(arguments)
    except (SystemExit, Exception):
        return False
    return True


def main() -> None:
    """Print what this vLLM has, and which of the argument lists on standard input (JSON) its parser takes."""
    import vllm
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = ServeSubcommand().subparser_init(FlexibleArgumentParser(prog="vllm").add_subparsers(dest="subparser"))
    found = flags(parser)
    taken = [takes(parser, arguments) for arguments in json.loads(sys.stdin.read() or "[]")]
    print(json.dumps({"version": vllm.__version__, "flags": found, "taken": taken}))


if __name__ == "__main__":
    main()
