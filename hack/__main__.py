"""`python -m hack COMMAND`: what the Makefile's recipes call."""

from __future__ import annotations

import sys
from collections.abc import Callable

from hack.console import StepFailed, fail, say
from hack.shell import CommandFailed


def _demo(name: str) -> Callable[[list[str]], None]:
    def command(_arguments: list[str]) -> None:
        from hack import demo

        getattr(demo, name)()

    return command


def _deps(_arguments: list[str]) -> None:
    from hack import deps

    packed = deps.build()
    say(f"packed: {', '.join(packed)}" if packed else "dependencies are current")


def _generate(_arguments: list[str]) -> None:
    from hack import schemas

    changed = schemas.generate()
    say("\n".join(map(str, changed)) or "generated files are current")


def _stages(arguments: list[str]) -> None:
    from hack import stages

    stages.run_stages(arguments)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    **{name: _demo(name) for name in ("demo", "status", "chat", "logs", "destroy")},
    "deps": _deps,
    "generate": _generate,
    "stages": _stages,
}


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in COMMANDS:
        return fail(f"{' '.join(arguments) or 'no command'}: choose one of {', '.join(COMMANDS)}")
    try:
        COMMANDS[arguments[0]](arguments[1:])
    except StepFailed as error:
        return fail(error.reason, error.look)
    except (CommandFailed, TimeoutError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted; run the same command again, finished parts are kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
